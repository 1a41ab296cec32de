//! The events that are near: those that are looked after.

use std::sync::Arc;

use ticketon_queue::{StoreError, UnixMs};

use crate::event::{Event, EventQuery, MAX_PAGE};
use crate::seat::service::Shared;

/// How long after its start an event is still looked after, in milliseconds.
const AFTER_START_MS: i64 = 86_400_000;
/// The most events that are looked after.
const MAX_EVENTS: usize = 10_000;

/// What the catalog said last.
#[derive(Debug, Default)]
pub(super) struct Near {
    events: Vec<Arc<Event>>,
    read_at_ms: Option<UnixMs>,
}

impl Near {
    /// The events.
    pub(super) fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// Reads the events, if they were not read for so long. What cannot be read stays what it was.
    pub(super) async fn read(&mut self, shared: &Shared, every_ms: i64) {
        let now = shared.clock.now_ms();
        let recent = |at: UnixMs| (0..every_ms).contains(&(now - at));
        if self.read_at_ms.is_some_and(recent) {
            return;
        }
        match list(shared, now).await {
            Ok(events) => {
                self.events = events;
                self.read_at_ms = Some(now);
            }
            Err(error) => {
                tracing::warn!(target: "ticketon::keeper", %error, "could not read the events");
            }
        }
    }
}

async fn list(shared: &Shared, now: UnixMs) -> Result<Vec<Arc<Event>>, StoreError> {
    let mut query = EventQuery {
        starts_from_ms: Some(now.saturating_sub(AFTER_START_MS)),
        limit: MAX_PAGE,
        ..EventQuery::default()
    };
    let mut events = Vec::new();
    loop {
        let page = shared.catalog.list(&query).await?;
        events.extend(page.items);
        match page.next {
            Some(next) if events.len() < MAX_EVENTS => query.after = Some(next),
            Some(_) => {
                tracing::warn!(target: "ticketon::keeper", events = events.len(), "more events than are looked after");
                return Ok(events);
            }
            None => return Ok(events),
        }
    }
}
