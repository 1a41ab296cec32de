//! What the handle and the tasks of a process share: the ports, what is known of events, and how the map of an
//! event is reached under the epoch that it has.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use ticketon_queue::{Clock, EventId, StoreError, WaitingQueue};
use tokio::sync::Notify;

use super::desk::{Desk, Desks, Facts, MAX_DESKS, MapView, Seen, VIEW_MS, is_recent};
use super::listing::Listings;
use super::outcome::{Outcome, Refusal, SeatsError};
use crate::event::{Catalog, Event};
use crate::seat::{Mapped, NotReady, SeatLedger, SeatStore};
use crate::venue::Layout;

/// When trying again makes sense while a map is prepared.
const NOT_READY: Refusal = Refusal::NotReady {
    retry_after: Duration::from_secs(1),
};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn SeatStore>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) ledger: Arc<dyn SeatLedger>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) queue: Option<WaitingQueue>,
    pub(crate) desks: Desks,
    pub(super) listings: Listings,
    /// Maps that are missing: the keeper should look now.
    pub(crate) missed: Missed,
}

/// Events whose map somebody missed since the keeper looked.
#[derive(Debug, Default)]
pub(crate) struct Missed {
    events: Mutex<HashSet<EventId>>,
    told: Notify,
}

impl Missed {
    fn tell(&self, event: &EventId) {
        let mut events = self.events();
        // What does not fit waits for the keeper's next round.
        if events.len() < MAX_DESKS {
            events.insert(event.clone());
        }
        self.told.notify_one();
    }

    /// Returns once a map is missed.
    pub(crate) async fn told(&self) {
        self.told.notified().await;
    }

    /// What was missed, once.
    pub(crate) fn take(&self) -> HashSet<EventId> {
        std::mem::take(&mut self.events())
    }

    fn events(&self) -> MutexGuard<'_, HashSet<EventId>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// What is known of an event, not older than a second.
    pub(super) async fn desk(
        &self,
        event: &EventId,
    ) -> Result<(Arc<Desk>, Arc<Facts>), SeatsError> {
        let desk = match self.desks.find(event) {
            Some(desk) => desk,
            // Only events that exist get a desk. What they sell is read there, by one for all who ask.
            None => match self.catalog.event(event).await? {
                Some(_) => self.desks.of(event),
                None => return Err(unknown(event)),
            },
        };
        if let Some(facts) = desk.facts(self.clock.now_ms()) {
            return Ok((desk, facts));
        }
        let reading = desk.reading_facts.lock().await;
        let now = self.clock.now_ms();
        if let Some(facts) = desk.facts(now) {
            drop(reading);
            return Ok((desk, facts));
        }
        if desk.failed(now) {
            return Err(failed_before("event").into());
        }
        let facts = self.read_facts(event, desk.last_facts().as_deref()).await;
        // As of the answer: those who waited for a slow one must not ask one after the other.
        let now = self.clock.now_ms();
        match &facts {
            Ok(facts) => desk.learn(facts, now),
            Err(SeatsError::UnknownEvent { .. }) => desk.forget_facts(),
            Err(_) => desk.learn_failure(now),
        }
        drop(reading);
        Ok((desk, facts?))
    }

    async fn read_facts(
        &self,
        event: &EventId,
        before: Option<&Facts>,
    ) -> Result<Arc<Facts>, SeatsError> {
        let found = self.catalog.event(event).await?;
        let found = found.ok_or_else(|| unknown(event))?;
        let layout = before
            .map(|before| &before.layout)
            .filter(|layout| layout.version() == found.layout_version())
            .map(Arc::clone);
        let layout = match layout {
            Some(layout) => layout,
            None => self.layout_of(&found).await?,
        };
        Ok(Arc::new(Facts::new(found, layout, before)))
    }

    /// The layout that an event sells.
    pub(crate) async fn layout_of(&self, event: &Event) -> Result<Arc<Layout>, StoreError> {
        let layout = self.catalog.layout(event.layout_version()).await?;
        layout.ok_or_else(|| StoreError::Corrupt {
            context: "layout",
            detail: format!(
                "the catalog has no layout {:?}, which {:?} sells",
                event.layout_version(),
                event.id()
            ),
        })
    }

    /// Runs a verb on the map of an event, under the epoch that it has. A map that was rebuilt meanwhile is asked once
    /// more.
    pub(super) async fn on_map<'a, T>(
        &'a self,
        event: &EventId,
        verb: impl Fn(Arc<Desk>, Arc<Facts>, u64) -> BoxFuture<'a, Result<Mapped<T>, SeatsError>>,
    ) -> Result<Outcome<(T, Arc<Facts>)>, SeatsError> {
        for _ in 0..2 {
            let (desk, facts) = self.desk(event).await?;
            let Some(epoch) = self.epoch(&desk, &facts.layout).await? else {
                break;
            };
            match verb(Arc::clone(&desk), Arc::clone(&facts), epoch).await? {
                Mapped::Ready(answer) => return Ok(Outcome::Done((answer, facts))),
                Mapped::NotReady(NotReady::OtherEpoch { .. }) => {
                    desk.forget_epoch();
                    desk.forget_facts();
                }
                Mapped::NotReady(NotReady::Absent | NotReady::Rebuilding { .. }) => {
                    desk.forget_epoch();
                    break;
                }
            }
        }
        self.missed.tell(event);
        Ok(Outcome::Refused(NOT_READY))
    }

    /// The epoch of the map, if there is one of this layout.
    async fn epoch(&self, desk: &Desk, layout: &Layout) -> Result<Option<u64>, StoreError> {
        if let Some(epoch) = desk.epoch(layout) {
            return Ok(Some(epoch));
        }
        let head = self.store.head(&desk.id).await?.ready();
        let head = head.filter(|head| head.spec.layout == layout.version());
        if let Some(head) = &head {
            desk.learn_epoch(head.epoch, &head.spec.layout);
        }
        Ok(head.map(|head| head.epoch))
    }

    /// The map as it was at most a moment ago: one reads it, all who ask get it.
    pub(super) async fn view(&self, desk: &Desk) -> Result<Mapped<Arc<MapView>>, SeatsError> {
        let mut seen = desk.seen.lock().await;
        let now = self.clock.now_ms();
        let last = match &*seen {
            Some((last, at)) if is_recent(*at, now, VIEW_MS) => Some(last.clone()),
            _ => None,
        };
        let fresh = match last {
            Some(last) => last,
            None => {
                let read = self.store.snapshot(&desk.id).await;
                let fresh = match &read {
                    Ok(Mapped::Ready(snapshot)) => {
                        let view = Arc::new(MapView::new(snapshot.clone()));
                        match &*seen {
                            // Nothing happened: what was encoded is still good.
                            Some((Seen::Map(before), _)) if before.at() == view.at() => {
                                Seen::Map(Arc::clone(before))
                            }
                            _ => Seen::Map(view),
                        }
                    }
                    Ok(Mapped::NotReady(why)) => Seen::NotReady(*why),
                    Err(_) => Seen::Failed,
                };
                // As of the answer: those who waited for a slow one must not read one after the other.
                *seen = Some((fresh.clone(), self.clock.now_ms()));
                read?;
                fresh
            }
        };
        match fresh {
            Seen::Map(view) => Ok(Mapped::Ready(view)),
            Seen::NotReady(why) => Ok(Mapped::NotReady(why)),
            Seen::Failed => Err(failed_before("snapshot").into()),
        }
    }

    /// The view of an event's map for people.
    pub(super) async fn shown(&self, event: &EventId) -> Result<Outcome<Arc<MapView>>, SeatsError> {
        let (desk, facts) = self.desk(event).await?;
        if let Mapped::Ready(view) = self.view(&desk).await?
            && view.snapshot().head.spec.layout == facts.layout.version()
        {
            return Ok(Outcome::Done(view));
        }
        self.missed.tell(event);
        Ok(Outcome::Refused(NOT_READY))
    }
}

fn unknown(event: &EventId) -> SeatsError {
    SeatsError::UnknownEvent {
        event: event.clone(),
    }
}

fn failed_before(context: &'static str) -> StoreError {
    StoreError::Unavailable {
        context,
        source: "it failed a moment ago".into(),
    }
}
