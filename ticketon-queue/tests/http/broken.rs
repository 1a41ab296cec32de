//! A memory store whose rooms `a`, `b` and `c` are listed, but partly cannot be read.

use async_trait::async_trait;
use ticketon_queue::id::{BrokerId, ConnId};
use ticketon_queue::store::*;
use ticketon_queue::{
    EventId, MemoryStore, QueueStore, RoomConfig, RoomVerb, StoreError, UserId, WaitingQueue,
};

#[derive(Debug)]
struct Broken {
    store: MemoryStore,
    /// Rooms whose numbers cannot be read.
    failing: &'static [&'static str],
    /// Rooms that went after they were listed.
    gone: &'static [&'static str],
}

/// A queue over such a store.
pub(crate) async fn queue(
    failing: &'static [&'static str],
    gone: &'static [&'static str],
) -> WaitingQueue {
    let store = MemoryStore::new();
    for name in ["a", "b", "c"] {
        let event = EventId::new(name).unwrap();
        store.save_room(&event, &super::config()).await.unwrap();
    }
    let store = Broken {
        store,
        failing,
        gone,
    };
    let builder = WaitingQueue::builder(store).dispatch(false);
    builder.start().await.unwrap()
}

#[async_trait]
impl QueueStore for Broken {
    async fn numbers(&self, event: &EventId) -> Result<Option<RoomNumbers>, StoreError> {
        if self.failing.contains(&event.as_str()) {
            return Err(StoreError::Unavailable {
                context: "numbers",
                source: "the connection was cut".into(),
            });
        }
        if self.gone.contains(&event.as_str()) {
            return Ok(None);
        }
        self.store.numbers(event).await
    }

    async fn save_room(&self, e: &EventId, c: &RoomConfig) -> Result<RoomSaved, StoreError> {
        self.store.save_room(e, c).await
    }

    async fn change_state(
        &self,
        e: &EventId,
        v: RoomVerb,
    ) -> Result<Option<StateChanged>, StoreError> {
        self.store.change_state(e, v).await
    }

    async fn rooms(&self) -> Result<Vec<EventId>, StoreError> {
        self.store.rooms().await
    }

    async fn join(
        &self,
        e: &EventId,
        b: &[JoinRequest],
    ) -> Result<Option<Vec<JoinReply>>, StoreError> {
        self.store.join(e, b).await
    }

    async fn standing(&self, e: &EventId, u: &UserId) -> Result<Option<Standing>, StoreError> {
        self.store.standing(e, u).await
    }

    async fn leave(
        &self,
        e: &EventId,
        u: &UserId,
        f: Option<u64>,
    ) -> Result<Option<Left>, StoreError> {
        self.store.leave(e, u, f).await
    }

    async fn claim(
        &self,
        e: &EventId,
        u: &UserId,
        f: u64,
    ) -> Result<Option<Fenced<Lease>>, StoreError> {
        self.store.claim(e, u, f).await
    }

    async fn complete(
        &self,
        e: &EventId,
        u: &UserId,
        f: u64,
    ) -> Result<Option<Fenced<()>>, StoreError> {
        self.store.complete(e, u, f).await
    }

    async fn extend(
        &self,
        e: &EventId,
        u: &UserId,
        f: u64,
        m: i64,
    ) -> Result<Option<Fenced<Lease>>, StoreError> {
        self.store.extend(e, u, f, m).await
    }

    async fn tick(&self, e: &EventId, b: usize) -> Result<Option<Tick>, StoreError> {
        self.store.tick(e, b).await
    }

    async fn register_broker(&self, e: &EventId, b: BrokerId) -> Result<Option<()>, StoreError> {
        self.store.register_broker(e, b).await
    }

    async fn observe(
        &self,
        e: &EventId,
        b: BrokerId,
        r: &Observe,
    ) -> Result<Option<ObserveReply>, StoreError> {
        self.store.observe(e, b, r).await
    }

    async fn attach(
        &self,
        e: &EventId,
        f: BrokerId,
        t: BrokerId,
        b: &[Attach],
    ) -> Result<Option<Vec<Attached>>, StoreError> {
        self.store.attach(e, f, t, b).await
    }

    async fn disconnect(
        &self,
        e: &EventId,
        k: BrokerId,
        b: &[(UserId, ConnId)],
    ) -> Result<Option<()>, StoreError> {
        self.store.disconnect(e, k, b).await
    }

    async fn take_over(&self, e: &EventId, b: BrokerId) -> Result<Option<TakenOver>, StoreError> {
        self.store.take_over(e, b).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}
