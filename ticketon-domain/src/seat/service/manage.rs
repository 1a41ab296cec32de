//! The operator's verbs: events, blocked seats, rebuilds. And what purchases tell the map.

use std::sync::Arc;

use ticketon_queue::{EventId, FieldError, UserId};

use super::desk::Facts;
use super::outcome::{EventSaved, Outcome, Refusal, SeatsError};
use super::{Seats, Shared};
use crate::event::{Event, EventRefused, EventStatus, Put, Taken};
use crate::seat::{
    Blocked, MAX_BATCH, MapHead, Mapped, Over, SeatState, SeatSync, Synced, rebuild,
};
use crate::venue::{Layout, SeatIndex, SeatLabel};

/// How often saving is tried again when somebody else saves the same event.
const MAX_CONFLICTS: usize = 8;

/// What the ledger committed and the map must follow, by the labels that the ledger knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerChange {
    /// Seats were sold under the fence of their hold.
    Sold {
        /// Whose they are.
        user: UserId,
        /// The fence of the hold that they were sold from.
        fence: u64,
        /// Which.
        seats: Vec<SeatLabel>,
    },
    /// Seats that were sold under this fence were given back.
    Released {
        /// Whose they were.
        user: UserId,
        /// The fence.
        fence: u64,
        /// Which.
        seats: Vec<SeatLabel>,
    },
}

impl Seats {
    /// Saves an event with the layout that it sells, and builds its map. Whatever is saved already stays: an event
    /// that is the same is not written again.
    ///
    /// # Errors
    /// [`SeatsError::Store`] when a store failed: the event may be saved; ask again.
    pub async fn put_event(
        &self,
        event: Event,
        layout: impl Into<Arc<Layout>>,
    ) -> Result<EventSaved, SeatsError> {
        self.0.shared.put_event(&event, &layout.into()).await
    }

    /// Opens, closes or cancels an event.
    ///
    /// # Errors
    /// [`SeatsError::UnknownEvent`], or [`SeatsError::Store`] when a store failed: the event may be saved; ask again.
    pub async fn set_status(
        &self,
        event: &EventId,
        status: EventStatus,
    ) -> Result<EventSaved, SeatsError> {
        let shared = &self.0.shared;
        let mut saved = EventSaved::Refused(EventRefused::Stale { version: 0 });
        for _ in 0..MAX_CONFLICTS {
            let before = shared.catalog.event(event).await?;
            let before = before.ok_or_else(|| SeatsError::UnknownEvent {
                event: event.clone(),
            })?;
            let layout = shared.layout_of(&before).await?;
            let event = Event::clone(&before).with_status(status);
            saved = shared.put_event(&event, &layout).await?;
            // Somebody else saved in between: look again.
            if !matches!(saved, EventSaved::Refused(EventRefused::Stale { .. })) {
                break;
            }
        }
        Ok(saved)
    }

    /// The head of an event's map: its epoch, version and how many seats are in each state.
    ///
    /// # Errors
    /// [`SeatsError::UnknownEvent`], or [`SeatsError::Store`] when a store failed.
    pub async fn head(&self, event: &EventId) -> Result<Outcome<MapHead>, SeatsError> {
        let shared = &*self.0.shared;
        let found = shared.on_map(event, |_, _, _| {
            let event = event.clone();
            Box::pin(async move { Ok(shared.store.head(&event).await?) })
        });
        Ok(found.await?.map(|(head, _)| head))
    }

    /// Takes free seats out of sale, all or none.
    ///
    /// # Errors
    /// [`SeatsError::UnknownEvent`], or [`SeatsError::Store`] when a store failed: ask again.
    pub async fn block<S: AsRef<str>>(
        &self,
        event: &EventId,
        labels: &[S],
    ) -> Result<Outcome<()>, SeatsError> {
        let shared = &*self.0.shared;
        let labels = match shared.known_labels(event, labels).await? {
            Ok(labels) => labels,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        // The map first, because only it knows whether the seats are free; then the ledger, which is what lasts. A
        // map that was rebuilt in between may have missed the ledger's: so the map once more.
        let blocked = shared.block(event, &labels).await?;
        if !matches!(blocked, Outcome::Done(())) {
            return Ok(blocked);
        }
        shared.ledger.set_blocked(event, &labels, true).await?;
        let blocked = shared.block(event, &labels).await?;
        if matches!(blocked, Outcome::Refused(Refusal::SeatsTaken { .. })) {
            shared.ledger.set_blocked(event, &labels, false).await?;
        }
        Ok(blocked)
    }

    /// Puts blocked seats back on sale; seats that are not blocked stay as they are.
    ///
    /// # Errors
    /// [`SeatsError::UnknownEvent`], or [`SeatsError::Store`] when a store failed: ask again.
    pub async fn unblock<S: AsRef<str>>(
        &self,
        event: &EventId,
        labels: &[S],
    ) -> Result<Outcome<()>, SeatsError> {
        let shared = &*self.0.shared;
        let labels = match shared.known_labels(event, labels).await? {
            Ok(labels) => labels,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        shared.ledger.set_blocked(event, &labels, false).await?;
        let unblocked = shared.on_map(event, |_, facts, epoch| {
            let seats = indexes(&facts, &labels);
            let event = event.clone();
            Box::pin(async move { Ok(shared.store.unblock(&event, epoch, &seats).await?) })
        });
        Ok(unblocked.await?.map(|_| ()))
    }

    /// Builds the map anew from what is sold and blocked. Holds end, unless they are being paid for: those the ledger
    /// knows. Answers whether this rebuild was the last one.
    ///
    /// # Errors
    /// [`SeatsError::UnknownEvent`], or [`SeatsError::Store`] when a store failed: the keeper tries again.
    pub async fn rebuild(&self, event: &EventId) -> Result<bool, SeatsError> {
        let shared = &self.0.shared;
        let (desk, facts) = shared.desk(event).await?;
        desk.forget_epoch();
        Ok(rebuild::rebuild(shared, event, &facts.layout, Over::Any).await?)
    }

    /// Lets the map follow what the ledger committed, in this order. Harmless when it is told again; where the map is
    /// not ready, it must be.
    ///
    /// # Errors
    /// [`SeatsError::UnknownEvent`], or [`SeatsError::Store`] when a store failed: tell it again.
    pub async fn sync(
        &self,
        event: &EventId,
        changes: &[LedgerChange],
    ) -> Result<Outcome<Synced>, SeatsError> {
        let shared = &*self.0.shared;
        let mut synced = Synced::default();
        let changes = Arc::new(changes.to_vec());
        let mut from = 0;
        loop {
            let done = shared.on_map(event, |_, facts, epoch| {
                let (event, changes) = (event.clone(), Arc::clone(&changes));
                Box::pin(async move {
                    let (batch, next) = batch(&facts, &changes, from);
                    let synced = shared.store.sync(&event, epoch, &batch).await?;
                    Ok(synced.map(|synced| (synced, next)))
                })
            });
            match done.await? {
                Outcome::Done(((more, next), _)) => {
                    synced.changed += more.changed;
                    synced.lost.extend(more.lost);
                    synced.late += more.late;
                    from = next;
                }
                Outcome::Refused(refusal) => return Ok(Outcome::Refused(refusal)),
            }
            if from >= changes.iter().map(len).sum() {
                return Ok(Outcome::Done(synced));
            }
        }
    }

    /// Whether the map has all of these seats as sold, or is not ready.
    ///
    /// # Errors
    /// Like [`sync`](Self::sync).
    pub(crate) async fn are_sold(
        &self,
        event: &EventId,
        seats: &[SeatLabel],
    ) -> Result<bool, SeatsError> {
        let shared = &*self.0.shared;
        for label in seats {
            let owned = shared.on_map(event, |_, facts, epoch| {
                let (event, label) = (event.clone(), label.clone());
                Box::pin(async move {
                    let Some(seat) = facts.layout.index_of(&label) else {
                        return Ok(Mapped::Ready(Vec::new()));
                    };
                    Ok(shared.store.owners(&event, epoch, seat).await?)
                })
            });
            let Outcome::Done((owned, _)) = owned.await? else {
                return Ok(true);
            };
            if owned
                .first()
                .is_some_and(|one| one.state != SeatState::Sold)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Shared {
    async fn put_event(
        &self,
        event: &Event,
        layout: &Arc<Layout>,
    ) -> Result<EventSaved, SeatsError> {
        let mut version = 0;
        for _ in 0..MAX_CONFLICTS {
            let before = self.catalog.event(event.id()).await?;
            let taken = self.taken(event, layout, before.as_deref()).await?;
            let next = match event.after(before.as_deref(), layout, taken) {
                Ok(next) => Arc::new(next),
                Err(refused) => return Ok(EventSaved::Refused(refused)),
            };
            version = next.version();
            let same = before.as_deref() == Some(&*next);
            if !same {
                self.catalog.put_layout(layout).await?;
                match self.catalog.put_event(&next).await? {
                    Put::Saved => self.listings.forget(),
                    Put::Conflict => continue,
                    Put::Full { limit } => {
                        return Ok(EventSaved::Refused(EventRefused::TooMany { limit }));
                    }
                }
                tracing::info!(target: "ticketon::seats", event = %next.id(), version = next.version(),
                    sales_version = next.sales_version(), status = %next.status(), "event saved");
            }
            let desk = self.desks.of(next.id());
            let facts = Facts::new(
                Arc::clone(&next),
                Arc::clone(layout),
                desk.last_facts().as_deref(),
            );
            desk.learn(&Arc::new(facts), self.clock.now_ms());
            rebuild::ensure(self, next.id(), layout).await?;
            return Ok(match (same, before) {
                (true, _) => EventSaved::Same(next),
                (false, None) => EventSaved::Created(next),
                (false, Some(_)) => EventSaved::Changed(next),
            });
        }
        Ok(EventSaved::Refused(EventRefused::Stale { version }))
    }

    /// Whether somebody has seats, as far as that matters to this change.
    async fn taken(
        &self,
        event: &Event,
        layout: &Layout,
        before: Option<&Event>,
    ) -> Result<Taken, SeatsError> {
        let matters = before.is_some_and(|before| {
            before.layout_version() != layout.version() || before.currency() != event.currency()
        });
        if !matters {
            return Ok(Taken::No);
        }
        let head = self.store.head(event.id()).await?.ready();
        if head.is_some_and(|head| head.counts.held + head.counts.sold > 0) {
            return Ok(Taken::Some);
        }
        // Without a map nobody holds anything, but sold is sold.
        let sold = self.ledger.sold(event.id(), None, 1).await?;
        Ok(if sold.items.is_empty() {
            Taken::No
        } else {
            Taken::Some
        })
    }

    async fn block(
        &self,
        event: &EventId,
        labels: &[SeatLabel],
    ) -> Result<Outcome<()>, SeatsError> {
        let blocked = self.on_map(event, |_, facts, epoch| {
            let seats = indexes(&facts, labels);
            let event = event.clone();
            Box::pin(async move { Ok(self.store.block(&event, epoch, &seats).await?) })
        });
        Ok(match blocked.await? {
            Outcome::Done((Blocked::Done, _)) => Outcome::Done(()),
            Outcome::Done((Blocked::Unavailable { seats }, facts)) => {
                let seats = facts.labels(&seats);
                Outcome::Refused(Refusal::SeatsTaken { seats })
            }
            Outcome::Refused(refusal) => Outcome::Refused(refusal),
        })
    }

    /// The labels, each once, if the venue has them all.
    async fn known_labels<S: AsRef<str>>(
        &self,
        event: &EventId,
        labels: &[S],
    ) -> Result<Result<Vec<SeatLabel>, Refusal>, SeatsError> {
        let (_, facts) = self.desk(event).await?;
        let mut fields = Vec::new();
        let mut known: Vec<SeatLabel> = Vec::with_capacity(labels.len().min(MAX_BATCH));
        if labels.is_empty() || labels.len() > MAX_BATCH {
            let range = format!("1 to {MAX_BATCH} seats");
            fields.push(FieldError::new("seats", labels.len(), range));
        }
        for (position, label) in labels.iter().enumerate().take(MAX_BATCH) {
            let label = label.as_ref();
            match facts
                .layout
                .index_of(label)
                .and_then(|seat| facts.layout.label(seat))
            {
                Some(label) => known.push(label),
                None => fields.push(FieldError::new(
                    format!("seats[{position}]"),
                    label,
                    "a seat of the venue",
                )),
            }
        }
        known.sort_unstable();
        known.dedup();
        Ok(if fields.is_empty() {
            Ok(known)
        } else {
            Err(Refusal::Invalid { fields })
        })
    }
}

/// The seats with these labels. One that the layout does not have cannot be on its map.
fn indexes(facts: &Facts, labels: &[SeatLabel]) -> Vec<SeatIndex> {
    let seats = labels
        .iter()
        .filter_map(|label| facts.layout.index_of(label));
    seats.collect()
}

fn len(change: &LedgerChange) -> usize {
    let (LedgerChange::Sold { seats, .. } | LedgerChange::Released { seats, .. }) = change;
    seats.len()
}

/// As many changes as go at once, from the seat with this number on; and the number of the next one.
fn batch(facts: &Facts, changes: &[LedgerChange], from: usize) -> (Vec<SeatSync>, usize) {
    let mut batch = Vec::new();
    let (mut start, mut next) = (0, from);
    for change in changes {
        let end = start + len(change);
        let room = from + MAX_BATCH - next;
        if next < end && room > 0 {
            let until = end.min(next + room);
            let range = next - start..until - start;
            batch.push(match change {
                LedgerChange::Sold { user, fence, seats } => SeatSync::Sold {
                    user: user.clone(),
                    fence: *fence,
                    seats: indexes(facts, &seats[range]),
                },
                LedgerChange::Released { user, fence, seats } => SeatSync::Released {
                    user: user.clone(),
                    fence: *fence,
                    seats: indexes(facts, &seats[range]),
                },
            });
            next = until;
        }
        start = end;
    }
    (batch, next)
}
