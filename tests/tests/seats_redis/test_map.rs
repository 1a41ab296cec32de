//! A map in one Redis, as a test uses it.

use std::time::Duration;

use ticketon_domain::adapter::redis::RedisSeatStore;
use ticketon_domain::seat::{
    Choice, Held, Hold, HoldId, HoldKey, HoldRequest, Limits, MapSpec, Mapped, Over, SeatState,
    SeatStore, Snapshot,
};
use ticketon_domain::venue::SeatIndex;
use ticketon_queue::{EventId, RedisStore, StoreError, UserId};

pub(crate) const BOUND: Duration = Duration::from_secs(60);
pub(crate) const TTL_MS: i64 = 60_000;

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub(crate) fn seats(indexes: impl IntoIterator<Item = u32>) -> Vec<SeatIndex> {
    indexes.into_iter().map(SeatIndex::new).collect()
}

pub(crate) fn key(hold: &Hold) -> HoldKey {
    HoldKey {
        id: hold.id,
        user: hold.user.clone(),
        fence: Some(hold.fence),
    }
}

/// A connection of its own.
pub(crate) async fn connect(url: &str) -> RedisSeatStore {
    let builder = RedisStore::builder(url).response_timeout(BOUND);
    RedisSeatStore::on(&builder.connect().await.unwrap())
}

/// What a verb answers about a map that is ready.
pub(crate) fn ready<T: std::fmt::Debug>(answer: Result<Mapped<T>, StoreError>) -> T {
    match answer.unwrap() {
        Mapped::Ready(answer) => answer,
        other => panic!("{other:?}"),
    }
}

/// A map, as one process knows it.
#[derive(Debug, Clone)]
pub(crate) struct TestMap {
    pub(crate) store: RedisSeatStore,
    pub(crate) event: EventId,
    pub(crate) epoch: u64,
}

impl TestMap {
    pub(crate) async fn build(store: &RedisSeatStore, seats: u32) -> Self {
        let event = EventId::new("spring:tour").unwrap();
        let spec = MapSpec {
            layout: "hall-1".to_owned(),
            seats,
        };
        let begun = store.begin_rebuild(&event, &spec, Over::Any).await;
        let epoch = begun.unwrap().unwrap();
        assert!(store.finish_rebuild(&event, epoch).await.unwrap());
        let store = store.clone();
        Self {
            store,
            event,
            epoch,
        }
    }

    pub(crate) fn by(&self, store: &RedisSeatStore) -> Self {
        Self {
            store: store.clone(),
            ..self.clone()
        }
    }

    pub(crate) fn request(&self, name: &str, number: u32, choice: Choice) -> HoldRequest {
        let user = user(name);
        HoldRequest {
            id: HoldId::derive(&self.event, &user, &number.to_string()),
            user,
            request_hash: u64::MAX - 1,
            choice,
            ttl_ms: TTL_MS,
            limits: Limits {
                per_order: 100,
                per_user: 100_000,
            },
        }
    }

    pub(crate) async fn hold(&self, request: &HoldRequest) -> Held {
        ready(self.store.hold(&self.event, self.epoch, request).await)
    }

    /// Takes seats that are free.
    pub(crate) async fn take(
        &self,
        name: &str,
        number: u32,
        indexes: impl IntoIterator<Item = u32>,
    ) -> Hold {
        let request = self.request(name, number, Choice::Seats(seats(indexes)));
        match self.hold(&request).await {
            Held::Taken(hold) => hold,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        ready(self.store.snapshot(&self.event).await)
    }

    pub(crate) async fn holds_of(&self, name: &str) -> Vec<Hold> {
        let user = user(name);
        ready(self.store.holds_of(&self.event, self.epoch, &user).await)
    }

    /// The map as a text: `.` free, `h` held, `s` sold, `x` blocked.
    pub(crate) async fn picture(&self) -> String {
        let snapshot = self.snapshot().await;
        let all = (0..snapshot.head.spec.seats).map(SeatIndex::new);
        all.map(|seat| match snapshot.state(seat).unwrap() {
            SeatState::Free => '.',
            SeatState::Held => 'h',
            SeatState::Sold => 's',
            SeatState::Blocked => 'x',
        })
        .collect()
    }
}
