//! Events and layouts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ticketon_queue::{EventId, StoreError};

use super::row::Row;
use super::statement::marks;
use super::store::SqlStore;
use super::transaction::Reading;
use super::value::{Value, number};
use super::{Fault, for_update, keep_old, read, transaction, values};
use crate::event::{Catalog, Event, EventPage, EventQuery, Put, RoomMark};
use crate::venue::Layout;

/// Layouts that a process remembers. They never change, and reading a large one takes a while.
const MAX_LAYOUTS: usize = 16;

/// Layouts that were read before, by their versions.
#[derive(Debug, Default)]
pub(super) struct Layouts(Mutex<HashMap<String, Arc<Layout>>>);

impl Layouts {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Layout>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, layout: &Arc<Layout>) {
        let mut known = self.known();
        if known.len() >= MAX_LAYOUTS {
            known.clear();
        }
        known.insert(layout.version().to_owned(), Arc::clone(layout));
    }
}

#[async_trait]
impl Catalog for SqlStore {
    async fn put_layout(&self, layout: &Arc<Layout>) -> Result<(), StoreError> {
        transaction!(self, "save a layout", |conn| {
            let sql = "SELECT 1 FROM layouts WHERE version = ?";
            if conn.row(sql, values![layout.version()]).await?.is_none() {
                let sql = keep_old!("INTO layouts (version, body) VALUES (?, ?)");
                conn.run(sql, values![layout.version(), layout.to_json()])
                    .await?;
            }
            Ok(())
        })?;
        self.layouts.remember(layout);
        Ok(())
    }

    async fn layout(&self, version: &str) -> Result<Option<Arc<Layout>>, StoreError> {
        let known = self.layouts.known().get(version).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let found = read!(self, "read a layout", Reading::Fresh, |conn| {
            let sql = "SELECT body FROM layouts WHERE version = ?";
            let Some(row) = conn.row(sql, values![version]).await? else {
                return Ok(None);
            };
            let layout = Layout::from_json(row.text("body")?)
                .map_err(|error| Fault::Corrupt(format!("layout {version}: {error}")))?;
            Ok(Some(Arc::new(layout)))
        })?;
        if let Some(layout) = &found {
            self.layouts.remember(layout);
        }
        Ok(found)
    }

    async fn put_event(&self, event: &Event) -> Result<Put, StoreError> {
        let body = event.to_json().to_string();
        let category = event.category().map_or("", |category| category.id.as_str());
        transaction!(self, "save an event", |conn| {
            let sql = for_update!("SELECT id, body FROM events WHERE id = ?");
            let stored = conn.row(sql, values![event.id()]).await?;
            let stored = stored.map(|row| read_event(&row)).transpose()?;
            if stored.as_ref() == Some(event) {
                return Ok(Put::Saved);
            }
            let before = stored.as_ref().map_or(0, Event::version);
            if before + 1 != event.version() {
                return Ok(Put::Conflict);
            }
            let sql = match stored {
                Some(_) => {
                    "UPDATE events SET version = ?, category = ?, status = ?, starts_at_ms = ?, body = ? WHERE id = ?"
                }
                None => {
                    "INSERT INTO events (version, category, status, starts_at_ms, body, id) VALUES (?, ?, ?, ?, ?, ?)"
                }
            };
            let version = number(event.version())?;
            let (status, starts_at_ms) = (event.status().as_str(), event.starts_at_ms());
            let values = values![version, category, status, starts_at_ms, &body, event.id()];
            match conn.run(sql, values).await {
                Ok(_) => Ok(Put::Saved),
                // Somebody else saved the first version just now: look at it.
                Err(Fault::Duplicate) => Err(Fault::race("two first versions at once")),
                Err(fault) => Err(fault),
            }
        })
    }

    async fn event(&self, event: &EventId) -> Result<Option<Arc<Event>>, StoreError> {
        read!(self, "read an event", Reading::Fresh, |conn| {
            let sql = "SELECT id, body FROM events WHERE id = ?";
            let row = conn.row(sql, values![event]).await?;
            row.map(|row| read_event(&row).map(Arc::new)).transpose()
        })
    }

    async fn list(&self, query: &EventQuery) -> Result<EventPage, StoreError> {
        let limit = query.limit();
        let mut sql = "SELECT id, body FROM events WHERE id > ?".to_owned();
        let after = query.after.as_ref().map_or("", EventId::as_str);
        let mut values: Vec<Value<'_>> = vec![after.into()];
        if let Some(category) = &query.category {
            sql.push_str(" AND category = ?");
            values.push(category.into());
        }
        if !query.statuses.is_empty() {
            sql.push_str(&format!(" AND status IN ({})", marks(query.statuses.len())));
            values.extend(
                query
                    .statuses
                    .iter()
                    .map(|status| Value::from(status.as_str())),
            );
        }
        if let Some(from_ms) = query.starts_from_ms {
            sql.push_str(" AND starts_at_ms >= ?");
            values.push(from_ms.into());
        }
        // One more tells whether there is a next page.
        sql.push_str(&format!(" ORDER BY id LIMIT {}", limit + 1));
        read!(self, "list events", Reading::MayLag, |conn| {
            let rows = conn.rows(sql.clone(), &values).await?;
            let found: Result<Vec<Arc<Event>>, Fault> = rows
                .iter()
                .map(|row| read_event(row).map(Arc::new))
                .collect();
            let mut items = found?;
            let more = items.len() > limit;
            items.truncate(limit);
            let next = items
                .last()
                .filter(|_| more)
                .map(|event| event.id().clone());
            Ok(EventPage { items, next })
        })
    }

    async fn room_mark(&self, event: &EventId) -> Result<Option<RoomMark>, StoreError> {
        read!(self, "read a room's mark", Reading::Fresh, |conn| {
            let sql = "SELECT mark FROM room_marks WHERE event_id = ?";
            let Some(row) = conn.row(sql, values![event]).await? else {
                return Ok(None);
            };
            let name = row.text("mark")?;
            let known = [RoomMark::Closing, RoomMark::Closed];
            let mark = known.into_iter().find(|mark| mark.as_str() == name);
            mark.map(Some)
                .ok_or_else(|| Fault::Corrupt(format!("mark {name:?}")))
        })
    }

    async fn set_room_mark(
        &self,
        event: &EventId,
        mark: Option<RoomMark>,
    ) -> Result<(), StoreError> {
        transaction!(self, "set a room's mark", |conn| {
            conn.run("DELETE FROM room_marks WHERE event_id = ?", values![event])
                .await?;
            if let Some(mark) = mark {
                let sql =
                    "INSERT INTO room_marks (event_id, mark) SELECT id, ? FROM events WHERE id = ?";
                conn.run(sql, values![mark.as_str(), event]).await?;
            }
            Ok(())
        })
    }
}

fn read_event(row: &Row) -> Result<Event, Fault> {
    let id = row.text("id")?;
    let unread = |why: String| Fault::Corrupt(format!("event {id:?}: {why}"));
    let event_id = EventId::new(&id).map_err(|error| unread(error.to_string()))?;
    let body =
        serde_json::from_str(&row.text("body")?).map_err(|error| unread(error.to_string()))?;
    Event::from_json(&event_id, &body).map_err(|error| unread(error.to_string()))
}
