//! Listings of events as they were at most a second ago: one reads the catalog, all who ask for the same get it.
//!
//! A home page under a stampede asks for one listing over and over. Who saves an event reads past this.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ticketon_queue::{Clock, StoreError, UnixMs};
use tokio::sync::Mutex as AsyncMutex;

use crate::event::{Catalog, EventPage, EventQuery};

/// How long a listing is believed, in milliseconds.
const LISTING_MS: i64 = 1_000;
/// Listings that a process remembers.
const MAX_LISTINGS: usize = 256;

type Slot = Arc<AsyncMutex<Option<(EventPage, UnixMs)>>>;

/// The listings of a moment ago.
#[derive(Debug, Default)]
pub(super) struct Listings(Mutex<HashMap<EventQuery, Slot>>);

impl Listings {
    /// A listing, not older than a second.
    pub(super) async fn list(
        &self,
        catalog: &dyn Catalog,
        clock: &dyn Clock,
        query: &EventQuery,
    ) -> Result<EventPage, StoreError> {
        let slot = self.slot(query);
        let mut seen = slot.lock().await;
        let now_ms = clock.now_ms();
        if let Some((page, at_ms)) = &*seen
            && (0..LISTING_MS).contains(&(now_ms - at_ms))
        {
            return Ok(page.clone());
        }
        let page = catalog.list(query).await?;
        // As of the answer: those who waited for a slow one must not ask one after the other.
        *seen = Some((page.clone(), clock.now_ms()));
        Ok(page)
    }

    /// Forgets them all: an event was saved here.
    pub(super) fn forget(&self) {
        self.slots().clear();
    }

    fn slot(&self, query: &EventQuery) -> Slot {
        let mut slots = self.slots();
        if slots.len() >= MAX_LISTINGS && !slots.contains_key(query) {
            slots.clear();
        }
        Arc::clone(slots.entry(query.clone()).or_default())
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<EventQuery, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
