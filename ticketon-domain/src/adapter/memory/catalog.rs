//! Events and layouts in memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ticketon_queue::{EventId, StoreError};

use crate::event::{Catalog, Event, EventPage, EventQuery, Put, RoomMark};
use crate::venue::Layout;

/// The most events that a [`MemoryCatalog`] holds.
pub const MAX_EVENTS: usize = 10_000;

/// A [`Catalog`] in memory. Clones share what it holds.
#[derive(Debug, Clone, Default)]
pub struct MemoryCatalog(Arc<Mutex<Shelves>>);

#[derive(Debug, Default)]
struct Shelves {
    events: BTreeMap<EventId, Arc<Event>>,
    layouts: HashMap<String, Arc<Layout>>,
    marks: HashMap<EventId, RoomMark>,
}

impl MemoryCatalog {
    /// An empty catalog.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A call never leaves the shelves half-changed, so a poisoned lock is taken over.
    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Catalog for MemoryCatalog {
    async fn put_layout(&self, layout: &Arc<Layout>) -> Result<(), StoreError> {
        let mut shelves = self.shelves();
        // A layout that no event sells any more would stay forever otherwise.
        if shelves.layouts.len() > 2 * MAX_EVENTS {
            let Shelves {
                events, layouts, ..
            } = &mut *shelves;
            let sold: Vec<&str> = events
                .values()
                .map(|event| event.layout_version())
                .collect();
            layouts.retain(|version, _| sold.contains(&version.as_str()));
        }
        let version = layout.version().to_owned();
        shelves
            .layouts
            .entry(version)
            .or_insert_with(|| Arc::clone(layout));
        Ok(())
    }

    async fn layout(&self, version: &str) -> Result<Option<Arc<Layout>>, StoreError> {
        Ok(self.shelves().layouts.get(version).cloned())
    }

    async fn put_event(&self, event: &Event) -> Result<Put, StoreError> {
        let mut shelves = self.shelves();
        let stored = shelves.events.get(event.id());
        if stored.is_some_and(|stored| **stored == *event) {
            return Ok(Put::Saved);
        }
        if stored.map_or(0, |stored| stored.version()) + 1 != event.version() {
            return Ok(Put::Conflict);
        }
        if stored.is_none() && shelves.events.len() >= MAX_EVENTS {
            return Ok(Put::Full { limit: MAX_EVENTS });
        }
        let event = Arc::new(event.clone());
        shelves.events.insert(event.id().clone(), event);
        Ok(Put::Saved)
    }

    async fn event(&self, event: &EventId) -> Result<Option<Arc<Event>>, StoreError> {
        Ok(self.shelves().events.get(event).cloned())
    }

    async fn list(&self, query: &EventQuery) -> Result<EventPage, StoreError> {
        let shelves = self.shelves();
        let from = query
            .after
            .as_ref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = shelves
            .events
            .range::<EventId, _>((from, Bound::Unbounded))
            .map(|(_, event)| event)
            .filter(|event| query.takes(event))
            .cloned();
        let items: Vec<Arc<Event>> = found.by_ref().take(query.limit()).collect();
        let more = found.next().is_some();
        let next = items
            .last()
            .filter(|_| more)
            .map(|event| event.id().clone());
        Ok(EventPage { items, next })
    }

    async fn room_mark(&self, event: &EventId) -> Result<Option<RoomMark>, StoreError> {
        Ok(self.shelves().marks.get(event).copied())
    }

    async fn set_room_mark(
        &self,
        event: &EventId,
        mark: Option<RoomMark>,
    ) -> Result<(), StoreError> {
        let mut shelves = self.shelves();
        match mark {
            Some(mark) if shelves.events.contains_key(event) => {
                shelves.marks.insert(event.clone(), mark);
            }
            _ => {
                shelves.marks.remove(event);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventStatus, Taken};

    fn hall() -> Layout {
        let json =
            r#"{"name": "Hall", "grades": ["all"], "areas": [{"id": "floor", "capacity": 10}]}"#;
        Layout::from_json(json).unwrap()
    }

    fn event(id: &str, category: &str) -> Event {
        let builder = Event::builder(EventId::new(id).unwrap())
            .title("Tour", "투어")
            .venue("Hall")
            .starts_at_ms(1_000_000)
            .category(category, "x")
            .currency("KRW")
            .price("all", 100);
        let event = builder.build().unwrap();
        event.after(None, &hall(), Taken::No).unwrap()
    }

    #[tokio::test]
    async fn an_event_is_saved_over_the_version_that_it_follows_on() {
        let catalog = MemoryCatalog::new();
        let first = event("tour", "concert");
        assert_eq!(catalog.put_event(&first).await.unwrap(), Put::Saved);
        assert_eq!(catalog.put_event(&first).await.unwrap(), Put::Saved);
        let open = first.clone().with_status(EventStatus::Open);
        assert_eq!(catalog.put_event(&open).await.unwrap(), Put::Conflict);
        let second = open.after(Some(&first), &hall(), Taken::No).unwrap();
        let other = first.clone().with_status(EventStatus::Cancelled);
        let other = other.after(Some(&first), &hall(), Taken::No).unwrap();
        assert_eq!(catalog.put_event(&second).await.unwrap(), Put::Saved);
        assert_eq!(catalog.put_event(&other).await.unwrap(), Put::Conflict);
        let stored = catalog.event(first.id()).await.unwrap().unwrap();
        assert_eq!(*stored, second);
    }

    #[tokio::test]
    async fn pages_have_every_event_once() {
        let catalog = MemoryCatalog::new();
        for number in 0..25 {
            let category = if number % 2 == 0 { "concert" } else { "sport" };
            let event = event(&format!("e{number:02}"), category);
            catalog.put_event(&event).await.unwrap();
        }
        for (category, expected) in [(None, 25), (Some("concert"), 13), (Some("opera"), 0)] {
            let mut query = EventQuery {
                category: category.map(str::to_owned),
                limit: 7,
                ..EventQuery::default()
            };
            let mut ids = Vec::new();
            loop {
                let page = catalog.list(&query).await.unwrap();
                assert!(page.items.len() <= 7);
                ids.extend(page.items.iter().map(|event| event.id().clone()));
                match page.next {
                    Some(next) => query.after = Some(next),
                    None => break,
                }
            }
            assert_eq!(ids.len(), expected);
            assert!(ids.is_sorted());
        }
    }
}
