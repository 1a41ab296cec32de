//! The handle that hosts use: events, holds, the live map, the operator's verbs.
//!
//! Cloning it is cheap. `start` runs a keeper inside the process unless told otherwise: it ends
//! holds at their deadline, rebuilds maps that the store lost, and tells the waiting room when all is sold.

mod builder;
mod desk;
mod hold;
mod listing;
mod manage;
mod outcome;
#[cfg(feature = "http")]
mod problem;
mod request;
mod shared;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ticketon_queue::id::random_bytes;
use ticketon_queue::{Clock, EventId, FieldError, Holder, StoreError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use builder::SeatsBuilder;
pub use desk::MapView;
pub use manage::LedgerChange;
pub use outcome::{EventSaved, HeldSeat, HoldOutcome, Outcome, Refusal, SeatHold, SeatsError};
pub use request::{BestAvailable, HoldSeats};
pub(crate) use shared::Shared;

use self::desk::Facts;
use self::hold::Try;
use super::watch::{MapVersion, POLL_MS, SeatUpdates, Source, updates};
use super::{Hold, HoldId, HoldKey, HoldReply, Mapped, SeatStore};
use crate::event::{Catalog, Event, EventPage, EventQuery, Money};
use crate::seat::SeatLedger;
use crate::venue::Layout;

/// How long `shutdown` waits for a store, at the most.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);
/// Longest idempotency key.
const MAX_KEY_BYTES: usize = 128;

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    /// Told to stop, or gone with the last handle: either ends the keeper and the feeds.
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// The seats of events: the handle to everything in this module.
///
/// ```
/// use ticketon_domain::adapter::memory::MemorySeatStore;
/// use ticketon_domain::event::{Event, EventStatus};
/// use ticketon_domain::seat::{HoldSeats, Seats};
/// use ticketon_domain::venue::Layout;
/// use ticketon_queue::{EventId, UserId};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let seats = Seats::builder(MemorySeatStore::new()).start().await?;
/// let hall = Layout::from_json(r#"{
///     "name": "Small Hall", "grades": ["vip"],
///     "sections": [{"id": "A", "rows": [{"id": "1", "segments": [{"from": 1, "count": 8, "x": 0, "y": 0}]}]}]
/// }"#)?;
/// let event = Event::builder(EventId::new("spring-tour")?)
///     .title("Spring Tour", "봄 투어")
///     .venue("Small Hall")
///     .starts_at_ms(4_102_444_800_000)
///     .status(EventStatus::Open)
///     .currency("KRW")
///     .price("vip", 165_000)
///     .build()?;
/// seats.put_event(event, hall).await?.saved()?;
///
/// // Behind the waiting room, `&admitted` says who and where. The request may be labels, or wishes.
/// let ann = (EventId::new("spring-tour")?, UserId::new("ann")?);
/// let hold = seats.hold(&ann, &["A-1-1", "A-1-2"]).await?.taken()?;
/// assert_eq!(hold.total.to_string(), "KRW 330,000");
///
/// let ben = (EventId::new("spring-tour")?, UserId::new("ben")?);
/// assert!(seats.hold(&ben, &["A-1-2"]).await?.taken().is_err());
/// let best = seats.hold(&ben, HoldSeats::best(2).idempotency_key("1")).await?.taken()?;
/// assert_eq!(best.seats.len(), 2);
///
/// seats.release(&ann, hold.id).await?.released()?;
/// seats.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Seats(Arc<Inner>);

impl Seats {
    /// Where events and layouts are kept.
    #[must_use]
    pub fn catalog(&self) -> &Arc<dyn Catalog> {
        &self.0.shared.catalog
    }

    /// Where sales are written down.
    #[must_use]
    pub fn ledger(&self) -> &Arc<dyn SeatLedger> {
        &self.0.shared.ledger
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.shared.clock
    }

    /// What the store is, for example `memory` or `redis`.
    #[must_use]
    pub fn store_name(&self) -> &'static str {
        self.0.shared.store.name()
    }

    /// Whether the store can be used.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.0.shared.store.ping().await
    }

    /// An event, as it was at most a second ago.
    ///
    /// # Errors
    /// [`SeatsError::UnknownEvent`], or [`SeatsError::Store`] when the catalog failed.
    pub async fn event(&self, event: &EventId) -> Result<Arc<Event>, SeatsError> {
        let (_, facts) = self.0.shared.desk(event).await?;
        Ok(Arc::clone(&facts.event))
    }

    /// The layout that an event sells.
    ///
    /// # Errors
    /// Like [`event`](Self::event).
    pub async fn layout(&self, event: &EventId) -> Result<Arc<Layout>, SeatsError> {
        let (_, facts) = self.0.shared.desk(event).await?;
        Ok(Arc::clone(&facts.layout))
    }

    /// Events in the order of their ids, as they were at most a second ago.
    ///
    /// # Errors
    /// [`SeatsError::Store`] when the catalog failed.
    pub async fn list(&self, query: &EventQuery) -> Result<EventPage, SeatsError> {
        let shared = &self.0.shared;
        let listed = shared
            .listings
            .list(&*shared.catalog, &*shared.clock, query);
        Ok(listed.await?)
    }

    /// Holds seats: all that are asked for, or none. A retry with the same idempotency key finds the hold that was taken.
    ///
    /// # Errors
    /// [`SeatsError::UnknownEvent`], or [`SeatsError::Store`] when a store failed: seats may be held, and a retry with the
    /// same idempotency key finds them.
    pub async fn hold<H: Holder + ?Sized>(
        &self,
        holder: &H,
        request: impl Into<HoldSeats>,
    ) -> Result<HoldOutcome, SeatsError> {
        let request: HoldSeats = request.into();
        let (event, user) = (holder.event(), holder.user());
        let id = match hold_id(event, holder, request.key.as_deref()) {
            Ok(id) => id,
            Err(field) => {
                let fields = vec![field];
                return Ok(Outcome::Refused(Refusal::Invalid { fields }));
            }
        };
        let trying = Try {
            id,
            user: user.clone(),
            hash: request.hash(),
            what: Arc::new(request.what),
        };
        let shared = &*self.0.shared;
        let tried = shared.on_map(event, |desk, facts, epoch| {
            shared.try_hold(desk, facts, epoch, trying.clone())
        });
        let outcome = match tried.await? {
            Outcome::Done((Ok(hold), facts)) => Outcome::Done(seat_hold(&facts, &hold)?),
            Outcome::Done((Err(refusal), _)) | Outcome::Refused(refusal) => {
                Outcome::Refused(refusal)
            }
        };
        let counted = match &outcome {
            Outcome::Done(_) => "taken",
            Outcome::Refused(_) => "refused",
        };
        metrics::counter!("ticketon_holds_total", "outcome" => counted).increment(1);
        Ok(outcome)
    }

    /// Lets a hold last for the event's hold time from now, but no longer than the event allows in all.
    ///
    /// # Errors
    /// [`SeatsError::UnknownEvent`], or [`SeatsError::Store`] when a store failed.
    pub async fn extend<H: Holder + ?Sized>(
        &self,
        holder: &H,
        id: HoldId,
    ) -> Result<HoldOutcome, SeatsError> {
        self.prolong(holder, id, |event| (event.hold_ms(), event.max_hold_ms()))
            .await
    }

    /// Lets a hold outlast the payment that begins now, also when people have looked around for long.
    ///
    /// # Errors
    /// Like [`extend`](Self::extend).
    pub async fn extend_to_pay<H: Holder + ?Sized>(
        &self,
        holder: &H,
        id: HoldId,
    ) -> Result<HoldOutcome, SeatsError> {
        self.prolong(holder, id, |event| {
            let payment_ms = event.payment_deadline_ms() + event.payment_margin_ms();
            (payment_ms, event.max_hold_ms() + payment_ms)
        })
        .await
    }

    async fn prolong<H: Holder + ?Sized>(
        &self,
        holder: &H,
        id: HoldId,
        times: impl Fn(&Event) -> (i64, i64),
    ) -> Result<HoldOutcome, SeatsError> {
        let (_, facts) = self.0.shared.desk(holder.event()).await?;
        if let Err(why) = facts.event.check_on_sale(self.clock().now_ms()) {
            return Ok(Outcome::Refused(Refusal::NotOnSale(why)));
        }
        let (ttl_ms, cap_ms) = times(&facts.event);
        let key = any_fence(holder, id);
        let replied = self.on_hold(holder.event(), &key, move |store, event, epoch, key| {
            store.extend(event, epoch, key, ttl_ms, cap_ms)
        });
        replied.await
    }

    /// The hold of this id, while it lives.
    ///
    /// # Errors
    /// Like [`extend`](Self::extend).
    pub async fn get<H: Holder + ?Sized>(
        &self,
        holder: &H,
        id: HoldId,
    ) -> Result<HoldOutcome, SeatsError> {
        let key = any_fence(holder, id);
        let replied = self.on_hold(holder.event(), &key, |store, event, epoch, key| {
            store.find(event, epoch, key)
        });
        replied.await
    }

    /// Gives the seats of a hold back; see [`HoldOutcome::released`].
    ///
    /// # Errors
    /// Like [`extend`](Self::extend).
    pub async fn release<H: Holder + ?Sized>(
        &self,
        holder: &H,
        id: HoldId,
    ) -> Result<HoldOutcome, SeatsError> {
        let key = any_fence(holder, id);
        let replied = self.on_hold(holder.event(), &key, |store, event, epoch, key| {
            store.release(event, epoch, key)
        });
        let outcome = replied.await?;
        if matches!(outcome, Outcome::Done(_)) {
            metrics::counter!("ticketon_holds_total", "outcome" => "released").increment(1);
        }
        Ok(outcome)
    }

    /// The living holds of a person, the oldest first.
    ///
    /// # Errors
    /// Like [`extend`](Self::extend).
    pub async fn own<H: Holder + ?Sized>(
        &self,
        holder: &H,
    ) -> Result<Outcome<Vec<SeatHold>>, SeatsError> {
        let shared = &*self.0.shared;
        let (event, user) = (holder.event(), holder.user());
        let found = shared.on_map(event, |_, _, epoch| {
            Box::pin(async move { Ok(shared.store.holds_of(event, epoch, user).await?) })
        });
        Ok(match found.await? {
            Outcome::Done((holds, facts)) => {
                let holds = holds.iter().map(|hold| seat_hold(&facts, hold));
                Outcome::Done(holds.collect::<Result<_, _>>()?)
            }
            Outcome::Refused(refusal) => Outcome::Refused(refusal),
        })
    }

    /// Takes the deadline off a hold, because it is being paid for: only [`unpin`](Self::unpin) and
    /// [`sync`](Self::sync) end it. Needs the fence.
    ///
    /// # Errors
    /// Like [`extend`](Self::extend).
    pub async fn pin(&self, event: &EventId, key: &HoldKey) -> Result<HoldOutcome, SeatsError> {
        let replied = self.on_hold(event, key, |store, event, epoch, key| {
            store.pin(event, epoch, key)
        });
        replied.await
    }

    /// Gives a pinned hold a deadline again, this long from now; with nothing left, its seats are free. Needs the fence.
    ///
    /// # Errors
    /// Like [`extend`](Self::extend).
    pub async fn unpin(
        &self,
        event: &EventId,
        key: &HoldKey,
        left: Duration,
    ) -> Result<HoldOutcome, SeatsError> {
        let ttl_ms = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
        let replied = self.on_hold(event, key, move |store, event, epoch, key| {
            store.unpin(event, epoch, key, ttl_ms)
        });
        replied.await
    }

    /// Runs a verb on a hold.
    async fn on_hold<'a>(
        &'a self,
        event: &'a EventId,
        key: &'a HoldKey,
        verb: impl Fn(&'a dyn SeatStore, &'a EventId, u64, &'a HoldKey) -> Reply<'a> + Send + Sync,
    ) -> Result<HoldOutcome, SeatsError> {
        let shared = &*self.0.shared;
        let replied = shared.on_map(event, |_, _, epoch| {
            let reply = verb(&*shared.store, event, epoch, key);
            Box::pin(async move { Ok(reply.await?) })
        });
        let (reply, facts) = match replied.await? {
            Outcome::Done(done) => done,
            Outcome::Refused(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        Ok(match reply {
            HoldReply::Done(hold) => Outcome::Done(seat_hold(&facts, &hold)?),
            HoldReply::Unknown => Outcome::Refused(Refusal::UnknownHold),
            // Whoever names no fence asks for the own hold, and learns nothing of others.
            HoldReply::NotYours if key.fence.is_none() => Outcome::Refused(Refusal::UnknownHold),
            HoldReply::NotYours => Outcome::Refused(Refusal::Forbidden),
            HoldReply::Ended { reason } => Outcome::Refused(Refusal::Ended { reason }),
            HoldReply::Pinned => Outcome::Refused(Refusal::Pinned),
        })
    }

    /// The map of an event as it was at most a moment ago, shared with whoever else asks.
    ///
    /// # Errors
    /// [`SeatsError::UnknownEvent`], or [`SeatsError::Store`] when a store failed.
    pub async fn snapshot(&self, event: &EventId) -> Result<Outcome<Arc<MapView>>, SeatsError> {
        self.0.shared.shown(event).await
    }

    /// What changes on the map, as it happens. Whoever knows the map of a moment is told what they missed since;
    /// everybody else is told to read the map first. A map that is being prepared comes when it is ready.
    ///
    /// # Errors
    /// [`SeatsError::UnknownEvent`], or [`SeatsError::Store`] when a store failed.
    pub async fn watch(
        &self,
        event: &EventId,
        since: Option<MapVersion>,
    ) -> Result<SeatUpdates, SeatsError> {
        let shared = &self.0.shared;
        let (desk, _) = shared.desk(event).await?;
        let source = Source {
            store: &*shared.store,
            event,
        };
        let joined = desk.feed.join(source, since).await?;
        if desk.feed.start() {
            let stop = self.0.stop.subscribe();
            tokio::spawn(follow(Arc::clone(shared), Arc::clone(&desk), stop));
        }
        let stop = self.0.stop.subscribe();
        Ok(SeatUpdates::new(updates(desk, joined, stop)))
    }

    /// Ends the streams and the keeper. Holds stay what they are.
    pub async fn shutdown(&self) {
        self.0.stop.send_replace(true);
        let tasks: Vec<JoinHandle<()>> = {
            let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.drain(..).collect()
        };
        for mut task in tasks {
            let ended = tokio::time::timeout(SHUTDOWN_LIMIT, &mut task).await;
            if ended.is_err() {
                tracing::warn!(target: "ticketon::seats", "the store did not let the keeper end in time");
                task.abort();
            }
        }
    }
}

type Reply<'a> = futures_util::future::BoxFuture<'a, Result<Mapped<HoldReply>, StoreError>>;

/// Polls the feed of an event while somebody watches.
async fn follow(shared: Arc<Shared>, desk: Arc<desk::Desk>, mut stop: watch::Receiver<bool>) {
    let mut failing = false;
    loop {
        let pause = shared.clock.sleep(Duration::from_millis(POLL_MS));
        tokio::select! {
            // Also when the last handle is gone.
            _ = stop.wait_for(|stop| *stop) => break,
            () = pause => {}
        }
        if desk.feed.stop_if_idle() {
            return;
        }
        let source = Source {
            store: &*shared.store,
            event: &desk.id,
        };
        let polled = desk.feed.poll(source, None).await;
        if let Err(error) = &polled
            && !failing
        {
            tracing::warn!(target: "ticketon::seats", event = %desk.id, %error, "watchers wait until the store answers");
        }
        failing = polled.is_err();
    }
    desk.feed.stop();
}

/// The key of a person's own hold, whatever its fence.
fn any_fence<H: Holder + ?Sized>(holder: &H, id: HoldId) -> HoldKey {
    HoldKey {
        id,
        user: holder.user().clone(),
        fence: None,
    }
}

fn hold_id<H: Holder + ?Sized>(
    event: &EventId,
    holder: &H,
    key: Option<&str>,
) -> Result<HoldId, FieldError> {
    let Some(key) = key else {
        return Ok(HoldId::from_bytes(random_bytes()));
    };
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.is_empty() || key.len() > MAX_KEY_BYTES || !visible {
        let range = format!("1 to {MAX_KEY_BYTES} visible ASCII characters");
        return Err(FieldError::new("idempotencyKey", key, range));
    }
    Ok(HoldId::derive(event, holder.user(), key))
}

/// A hold as people see it.
fn seat_hold(facts: &Facts, hold: &Hold) -> Result<SeatHold, SeatsError> {
    let event = &facts.event;
    let seats: Option<Vec<HeldSeat>> = hold
        .seats
        .iter()
        .map(|&seat| {
            let grade = facts.layout.grade_of(seat)?;
            Some(HeldSeat {
                label: facts.layout.label(seat)?,
                price: facts.price_of(grade)?,
                grade: facts.layout.grades().get(usize::from(grade.get()))?.clone(),
            })
        })
        .collect();
    let priced = seats.and_then(|seats| {
        let total = Money::sum(seats.iter().map(|seat| seat.price), event.currency())?;
        Some((seats, total))
    });
    let (seats, total) = priced.ok_or_else(|| StoreError::Corrupt {
        context: "hold",
        detail: format!(
            "hold {} has seats that the layout or the prices lack",
            hold.id
        ),
    })?;
    Ok(SeatHold {
        id: hold.id,
        event: event.id().clone(),
        seats,
        total,
        taken_at_ms: hold.taken_at_ms,
        expires_at_ms: hold.deadline_ms,
        max_expires_at_ms: hold.taken_at_ms.saturating_add(event.max_hold_ms()),
        fence: hold.fence,
        sales_version: event.sales_version(),
    })
}
