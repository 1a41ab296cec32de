//! Rooms in this process's memory: the embedded default.
//!
//! It runs the reference model behind a lock, so it keeps every promise but one: a restart empties
//! the lines. One process only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::clock::{Clock, SystemClock, UnixMs};
use crate::config::RoomConfig;
use crate::draw::DrawKeys;
use crate::error::StoreError;
use crate::id::{BrokerId, ConnId, EventId, UserId};
use crate::room::Room;
use crate::state::RoomVerb;
use crate::store::{
    Attach, Attached, Fenced, JoinReply, JoinRequest, Lease, Left, Observe, ObserveReply,
    QueueStore, RoomNumbers, RoomSaved, Standing, StateChanged, TakenOver, Tick,
};

/// The most rooms a store holds.
pub const MAX_ROOMS: usize = 100_000;

/// A [`QueueStore`] in memory. Clones share their rooms.
///
/// ```
/// use ticketon_queue::{EventId, MemoryStore, QueueStore, RoomConfig, RoomSaved};
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let store = MemoryStore::new();
/// let saved = store
///     .save_room(&EventId::new("demo")?, &RoomConfig::builder().capacity(1).build()?)
///     .await?;
/// assert_eq!(saved, RoomSaved::Created);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MemoryStore {
    rooms: Arc<Mutex<BTreeMap<EventId, Room>>>,
    clock: Arc<dyn Clock>,
    draw_keys: DrawKeys,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store on the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store on another clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            rooms: Arc::default(),
            clock,
            draw_keys: DrawKeys::random(),
        }
    }

    /// Other keys for new draws, for tests.
    #[must_use]
    pub fn draw_keys(mut self, keys: DrawKeys) -> Self {
        self.draw_keys = keys;
        self
    }

    /// A verb never leaves a room half-changed by a panic of its caller, so a poisoned lock is taken over.
    fn rooms(&self) -> MutexGuard<'_, BTreeMap<EventId, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, event: &EventId, verb: impl FnOnce(&mut Room, UnixMs) -> T) -> Option<T> {
        let mut rooms = self.rooms();
        // Read under the lock: a room whose time goes back by a millisecond earns its budget twice, and
        // takes it for a clock step.
        let now = self.clock.now_ms();
        rooms.get_mut(event).map(|room| verb(room, now))
    }
}

#[async_trait]
impl QueueStore for MemoryStore {
    async fn save_room(
        &self,
        event: &EventId,
        config: &RoomConfig,
    ) -> Result<RoomSaved, StoreError> {
        let mut rooms = self.rooms();
        let now = self.clock.now_ms();
        if let Some(room) = rooms.get_mut(event) {
            return Ok(room.save(config, now));
        }
        if rooms.len() >= MAX_ROOMS {
            return Ok(RoomSaved::TooManyRooms { limit: MAX_ROOMS });
        }
        let room = Room::with_draw_keys(config.clone(), self.draw_keys.clone(), now);
        rooms.insert(event.clone(), room);
        Ok(RoomSaved::Created)
    }

    async fn change_state(
        &self,
        event: &EventId,
        verb: RoomVerb,
    ) -> Result<Option<StateChanged>, StoreError> {
        Ok(self.with(event, |room, _| room.change_state(verb)))
    }

    async fn numbers(&self, event: &EventId) -> Result<Option<RoomNumbers>, StoreError> {
        Ok(self.with(event, |room, now| room.numbers(now)))
    }

    async fn rooms(&self) -> Result<Vec<EventId>, StoreError> {
        Ok(self.rooms().keys().cloned().collect())
    }

    async fn join(
        &self,
        event: &EventId,
        batch: &[JoinRequest],
    ) -> Result<Option<Vec<JoinReply>>, StoreError> {
        Ok(self.with(event, |room, now| {
            batch
                .iter()
                .map(|request| room.join(request, now))
                .collect()
        }))
    }

    async fn standing(
        &self,
        event: &EventId,
        user: &UserId,
    ) -> Result<Option<Standing>, StoreError> {
        Ok(self.with(event, |room, now| room.standing(user, now)))
    }

    async fn leave(
        &self,
        event: &EventId,
        user: &UserId,
        fence: Option<u64>,
    ) -> Result<Option<Left>, StoreError> {
        Ok(self.with(event, |room, now| room.leave(user, fence, now)))
    }

    async fn claim(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
    ) -> Result<Option<Fenced<Lease>>, StoreError> {
        Ok(self.with(event, |room, now| room.claim(user, fence, now)))
    }

    async fn complete(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
    ) -> Result<Option<Fenced<()>>, StoreError> {
        Ok(self.with(event, |room, now| room.complete(user, fence, now)))
    }

    async fn extend(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
        for_ms: i64,
    ) -> Result<Option<Fenced<Lease>>, StoreError> {
        Ok(self.with(event, |room, now| room.extend(user, fence, for_ms, now)))
    }

    async fn tick(&self, event: &EventId, batch: usize) -> Result<Option<Tick>, StoreError> {
        Ok(self.with(event, |room, now| room.tick(batch, now)))
    }

    async fn register_broker(
        &self,
        event: &EventId,
        broker: BrokerId,
    ) -> Result<Option<()>, StoreError> {
        Ok(self.with(event, |room, now| room.register_broker(broker, now)))
    }

    async fn observe(
        &self,
        event: &EventId,
        broker: BrokerId,
        request: &Observe,
    ) -> Result<Option<ObserveReply>, StoreError> {
        Ok(self.with(event, |room, now| room.observe(broker, request, now)))
    }

    async fn attach(
        &self,
        event: &EventId,
        from: BrokerId,
        to: BrokerId,
        batch: &[Attach],
    ) -> Result<Option<Vec<Attached>>, StoreError> {
        Ok(self.with(event, |room, now| room.attach(from, to, batch, now)))
    }

    async fn disconnect(
        &self,
        event: &EventId,
        broker: BrokerId,
        batch: &[(UserId, ConnId)],
    ) -> Result<Option<()>, StoreError> {
        Ok(self.with(event, |room, now| room.disconnect(broker, batch, now)))
    }

    async fn take_over(
        &self,
        event: &EventId,
        broker: BrokerId,
    ) -> Result<Option<TakenOver>, StoreError> {
        Ok(self.with(event, |room, now| room.take_over(broker, now)))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "memory"
    }
}
