//! What a process remembers of a room: its config, and so which keys its scripts are given.
//!
//! A script refuses to run on a stale shape, so the memory may be old without harm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::call::{RedisCall, RedisScript};
use super::decode::{Fields, corrupt};
use super::keys::RoomKeys;
use super::reply::Reply;
use crate::config::RoomConfig;
use crate::draw::DrawKey;
use crate::error::StoreError;
use crate::id::{BrokerId, EventId};

/// The most rooms that a process remembers.
const MAX_REMEMBERED: usize = 10_000;

/// The fields of the room hash that make a shape.
pub(super) const FIELDS: [&str; 5] = ["epoch", "version", "config", "saved_at", "draw_key"];

/// A config of a room, and the keys that follow from it.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) epoch: u64,
    pub(super) version: u64,
    pub(super) config: Arc<RoomConfig>,
    /// The key of the draw, if the room has one. It changes only with the config.
    pub(super) draw_key: Option<DrawKey>,
    pub(super) keys: RoomKeys,
    stamp: String,
    spelled: Vec<String>,
}

impl Shape {
    /// Reads the fields named by [`FIELDS`]; `None` when there is no such room.
    pub(super) fn read(event: &EventId, reply: Reply) -> Result<Option<Self>, StoreError> {
        const CONTEXT: &str = "reading a room's config";
        let mut fields = Fields::new(CONTEXT, reply)?;
        let Some(epoch) = fields.optional_text("epoch")? else {
            return Ok(None);
        };
        let epoch: u64 = epoch
            .parse()
            .map_err(|_| corrupt(CONTEXT, "the epoch is not a number"))?;
        let version: u64 = fields.parsed("version")?;
        let text = fields.text("config")?;
        let json = serde_json::from_str(&text)
            .map_err(|error| corrupt(CONTEXT, format!("the config is not JSON: {error}")))?;
        let config = RoomConfig::from_json(&json)
            .map_err(|error| corrupt(CONTEXT, format!("the config is refused: {error}")))?;
        let saved_at: i64 = fields.parsed("saved_at")?;
        let draw_key = match (config.is_draw(), fields.optional_text("draw key")?) {
            (false, _) => None,
            (true, None) => return Err(corrupt(CONTEXT, "the draw has no key")),
            // The text is a secret: the error must not show it.
            (true, Some(text)) => Some(
                DrawKey::from_hex(&text)
                    .ok_or_else(|| corrupt(CONTEXT, "the key of the draw is not readable"))?,
            ),
        };
        let keys = RoomKeys::new(event);
        let mut spelled = keys.fixed();
        spelled.extend(config.lanes().iter().map(|lane| keys.waiting(&lane.name)));
        Ok(Some(Self {
            stamp: format!("{epoch}-{version}-{saved_at}"),
            epoch,
            version,
            config: Arc::new(config),
            draw_key,
            keys,
            spelled,
        }))
    }

    /// A call of a verb's script with everything that `prelude.lua` wants.
    pub(super) fn invocation(&self, script: &'static RedisScript, now: &str) -> RedisCall {
        let mut invocation = RedisCall::script(script);
        for key in &self.spelled {
            invocation.key(key);
        }
        invocation
            .arg(&self.stamp)
            .arg(now)
            .arg(self.config.lanes().len().to_string());
        invocation
    }

    /// Adds the set of a broker's connections to the keys.
    pub(super) fn add_connections(&self, invocation: &mut RedisCall, broker: BrokerId) {
        invocation.key(self.keys.connections(broker));
    }

    /// The position in KEYS, from 1, of the first key that a verb adds.
    pub(super) fn first_added_key(&self) -> usize {
        self.spelled.len() + 1
    }
}

/// The shapes that were read lately.
#[derive(Debug, Default)]
pub(super) struct Shapes(Mutex<HashMap<EventId, Arc<Shape>>>);

impl Shapes {
    pub(super) fn get(&self, event: &EventId) -> Option<Arc<Shape>> {
        self.lock().get(event).cloned()
    }

    pub(super) fn put(&self, event: &EventId, shape: &Arc<Shape>) {
        let mut shapes = self.lock();
        if shapes.len() >= MAX_REMEMBERED
            && !shapes.contains_key(event)
            && let Some(other) = shapes.keys().next().cloned()
        {
            shapes.remove(&other);
        }
        shapes.insert(event.clone(), Arc::clone(shape));
    }

    /// Forgets a shape, unless a newer one took its place.
    pub(super) fn forget(&self, event: &EventId, shape: &Arc<Shape>) {
        let mut shapes = self.lock();
        if shapes
            .get(event)
            .is_some_and(|known| Arc::ptr_eq(known, shape))
        {
            shapes.remove(event);
        }
    }

    /// A map is whole between two calls, so a poisoned lock is taken over.
    fn lock(&self) -> MutexGuard<'_, HashMap<EventId, Arc<Shape>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
