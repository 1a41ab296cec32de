//! Seat maps in this process's memory: the reference model behind a lock.
//!
//! It keeps every promise of the port, for one process. A restart leaves no map, which is not the
//! same as one with free seats: it has to be rebuilt from the ledger first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ticketon_queue::{Clock, EventId, StoreError, SystemClock, UnixMs, UserId};

use crate::seat::{
    Blocked, Changes, Held, Hold, HoldKey, HoldReply, HoldRequest, Load, MapHead, MapSpec, Mapped,
    Mend, NotReady, Over, Owned, SeatMap, SeatStore, SeatSync, Snapshot, Swept, Synced,
};
use crate::venue::SeatIndex;

/// The most maps a store holds.
pub const MAX_MAPS: usize = 10_000;

/// A [`SeatStore`] in memory. Clones share their maps.
///
/// ```
/// use ticketon_domain::adapter::memory::MemorySeatStore;
/// use ticketon_domain::seat::{MapSpec, Over, SeatStore};
/// use ticketon_queue::EventId;
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let store = MemorySeatStore::new();
/// let event = EventId::new("tour")?;
/// let spec = MapSpec { layout: "hall-1".to_owned(), seats: 500 };
/// let epoch = store.begin_rebuild(&event, &spec, Over::Absent).await?.expect("nobody else began");
/// assert!(store.finish_rebuild(&event, epoch).await?);
/// let head = store.head(&event).await?.ready();
/// assert_eq!(head.map(|head| head.counts.free), Some(500));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MemorySeatStore {
    maps: Arc<Mutex<BTreeMap<EventId, Map>>>,
    clock: Arc<dyn Clock>,
    reads_system: bool,
}

/// Each map has a lock of its own: a long choice in one hall does not keep another one waiting.
type Map = Arc<Mutex<SeatMap>>;

impl Default for MemorySeatStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemorySeatStore {
    /// An empty store on the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self {
            maps: Arc::default(),
            clock: Arc::new(SystemClock),
            reads_system: true,
        }
    }

    /// The same on another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            reads_system: false,
            ..self
        }
    }

    /// Forgets every map, as a restart does.
    pub fn clear(&self) {
        locked(&self.maps).clear();
    }

    fn map(&self, event: &EventId) -> Option<Map> {
        locked(&self.maps).get(event).cloned()
    }

    /// The map of an event, made if there is none.
    fn map_or_new(&self, event: &EventId) -> Result<Map, StoreError> {
        let mut maps = locked(&self.maps);
        if !maps.contains_key(event) && maps.len() >= MAX_MAPS {
            return Err(StoreError::Unavailable {
                context: "building a seat map",
                source: format!("the memory holds {MAX_MAPS} maps already").into(),
            });
        }
        Ok(Arc::clone(maps.entry(event.clone()).or_default()))
    }

    fn with<T>(
        &self,
        event: &EventId,
        verb: impl FnOnce(&mut SeatMap, UnixMs) -> Mapped<T>,
    ) -> Result<Mapped<T>, StoreError> {
        Ok(match self.map(event) {
            None => Mapped::NotReady(NotReady::Absent),
            Some(map) => {
                let mut map = locked(&map);
                // Read under the lock, so that calls see time in the order in which they take effect.
                let now = self.clock.now_ms();
                verb(&mut map, now)
            }
        })
    }
}

/// A verb never leaves a map half-changed by a panic of its caller, so a poisoned lock is taken over.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl SeatStore for MemorySeatStore {
    async fn head(&self, event: &EventId) -> Result<Mapped<MapHead>, StoreError> {
        self.with(event, |map, _| map.head())
    }

    async fn snapshot(&self, event: &EventId) -> Result<Mapped<Snapshot>, StoreError> {
        self.with(event, |map, _| map.snapshot())
    }

    async fn changes(
        &self,
        event: &EventId,
        epoch: u64,
        after: u64,
    ) -> Result<Mapped<Changes>, StoreError> {
        self.with(event, |map, _| map.changes(epoch, after))
    }

    async fn hold(
        &self,
        event: &EventId,
        epoch: u64,
        request: &HoldRequest,
    ) -> Result<Mapped<Held>, StoreError> {
        self.with(event, |map, now| map.hold(epoch, request, now))
    }

    async fn find(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.with(event, |map, now| map.find(epoch, key, now))
    }

    async fn holds_of(
        &self,
        event: &EventId,
        epoch: u64,
        user: &UserId,
    ) -> Result<Mapped<Vec<Hold>>, StoreError> {
        self.with(event, |map, now| map.holds_of(epoch, user, now))
    }

    async fn extend(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
        ttl_ms: i64,
        cap_ms: i64,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.with(event, |map, now| {
            map.extend(epoch, key, ttl_ms, cap_ms, now)
        })
    }

    async fn release(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.with(event, |map, now| map.release(epoch, key, now))
    }

    async fn pin(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.with(event, |map, now| map.pin(epoch, key, now))
    }

    async fn unpin(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
        ttl_ms: i64,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.with(event, |map, now| map.unpin(epoch, key, ttl_ms, now))
    }

    async fn sync(
        &self,
        event: &EventId,
        epoch: u64,
        batch: &[SeatSync],
    ) -> Result<Mapped<Synced>, StoreError> {
        self.with(event, |map, now| map.sync(epoch, batch, now))
    }

    async fn owners(
        &self,
        event: &EventId,
        epoch: u64,
        from: SeatIndex,
    ) -> Result<Mapped<Vec<Owned>>, StoreError> {
        self.with(event, |map, _| map.owners(epoch, from))
    }

    async fn pinned(
        &self,
        event: &EventId,
        epoch: u64,
        skip: u32,
    ) -> Result<Mapped<Vec<Hold>>, StoreError> {
        self.with(event, |map, _| map.pinned(epoch, skip))
    }

    async fn mend(
        &self,
        event: &EventId,
        epoch: u64,
        batch: &[Mend],
    ) -> Result<Mapped<Synced>, StoreError> {
        self.with(event, |map, now| map.mend(epoch, batch, now))
    }

    async fn block(
        &self,
        event: &EventId,
        epoch: u64,
        seats: &[SeatIndex],
    ) -> Result<Mapped<Blocked>, StoreError> {
        self.with(event, |map, now| map.block(epoch, seats, now))
    }

    async fn unblock(
        &self,
        event: &EventId,
        epoch: u64,
        seats: &[SeatIndex],
    ) -> Result<Mapped<Blocked>, StoreError> {
        self.with(event, |map, _| map.unblock(epoch, seats))
    }

    async fn sweep(&self, event: &EventId) -> Result<Mapped<Swept>, StoreError> {
        self.with(event, SeatMap::sweep)
    }

    async fn begin_rebuild(
        &self,
        event: &EventId,
        spec: &MapSpec,
        over: Over,
    ) -> Result<Option<u64>, StoreError> {
        let map = self.map_or_new(event)?;
        let mut map = locked(&map);
        let now = self.clock.now_ms();
        Ok(map.begin_rebuild(spec, over, now))
    }

    async fn load(&self, event: &EventId, epoch: u64, seats: &[Load]) -> Result<bool, StoreError> {
        let map = self.map(event);
        Ok(map.is_some_and(|map| locked(&map).load(epoch, seats)))
    }

    async fn finish_rebuild(&self, event: &EventId, epoch: u64) -> Result<bool, StoreError> {
        let map = self.map(event);
        Ok(map.is_some_and(|map| locked(&map).finish_rebuild(epoch)))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "memory"
    }

    fn now_ms(&self) -> Option<UnixMs> {
        (!self.reads_system).then(|| self.clock.now_ms())
    }
}
