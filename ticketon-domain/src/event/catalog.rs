//! The catalog port: where events and layouts are kept.
//!
//! Layouts are immutable and known by their version, so several events may sell the same one.
//! Events are saved by compare-and-set on their version: who saves decides by
//! [`Event::after`] what may be saved, and loses nothing to somebody who does so at the same time.

use std::sync::Arc;

use async_trait::async_trait;
use ticketon_queue::{EventId, StoreError, UnixMs};

use super::{Event, EventStatus};
use crate::venue::Layout;

/// The most events of one page.
pub const MAX_PAGE: usize = 100;

/// What came of saving an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It is saved.
    Saved,
    /// Another version is stored than this one follows on; nothing was changed.
    Conflict,
    /// The catalog holds as many events as it may.
    Full {
        /// How many.
        limit: usize,
    },
}

/// Which events are listed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct EventQuery {
    /// Only those of this category (its id).
    pub category: Option<String>,
    /// Only those of one of these states; empty means all.
    pub statuses: Vec<EventStatus>,
    /// Only those that begin at this time or later, in milliseconds since the Unix epoch.
    pub starts_from_ms: Option<UnixMs>,
    /// Only those whose id is behind this one.
    pub after: Option<EventId>,
    /// How many at the most; 1 to [`MAX_PAGE`], other values are taken as the nearest of these.
    pub limit: usize,
}

impl EventQuery {
    /// How many are listed at the most.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.clamp(1, MAX_PAGE)
    }

    /// Whether an event is listed, apart from `after` and `limit`.
    #[must_use]
    pub fn takes(&self, event: &Event) -> bool {
        let category = event.category().map(|category| category.id.as_str());
        self.category
            .as_deref()
            .is_none_or(|id| category == Some(id))
            && (self.statuses.is_empty() || self.statuses.contains(&event.status()))
            && self
                .starts_from_ms
                .is_none_or(|from| event.starts_at_ms() >= from)
    }
}

/// Events in the order of their ids, and where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The events.
    pub items: Vec<Arc<Event>>,
    /// What to give as `after` for more; `None` at the end.
    pub next: Option<EventId>,
}

/// What the keeper of the maps did to an event's waiting room: it opens only what it closed itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomMark {
    /// It is about to tell the room that all is sold.
    Closing,
    /// It told the room.
    Closed,
}

impl RoomMark {
    /// Its name, for backends that write it down.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }
}

/// Where events and layouts are kept.
#[async_trait]
pub trait Catalog: Send + Sync + std::fmt::Debug + 'static {
    /// Keeps a layout under its version, for good; again is harmless.
    async fn put_layout(&self, layout: &Arc<Layout>) -> Result<(), StoreError>;

    /// The layout of this version.
    async fn layout(&self, version: &str) -> Result<Option<Arc<Layout>>, StoreError>;

    /// Saves an event: one of version 1 if there is none of its id, one of version n if version n - 1 is stored. One
    /// that is stored in just this form already is [`Put::Saved`] too, so that a lost answer may be asked for again.
    async fn put_event(&self, event: &Event) -> Result<Put, StoreError>;

    /// The event of this id.
    async fn event(&self, event: &EventId) -> Result<Option<Arc<Event>>, StoreError>;

    /// Events in the order of their ids.
    async fn list(&self, query: &EventQuery) -> Result<EventPage, StoreError>;

    /// What the keeper remembers of an event's waiting room.
    async fn room_mark(&self, event: &EventId) -> Result<Option<RoomMark>, StoreError>;

    /// Remembers it.
    async fn set_room_mark(
        &self,
        event: &EventId,
        mark: Option<RoomMark>,
    ) -> Result<(), StoreError>;
}
