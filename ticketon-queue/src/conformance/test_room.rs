//! The room that a check makes for itself, with calls that take no answer but the expected kind.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, ManualClock};
use crate::config::{RoomConfig, RoomConfigBuilder};
use crate::error::StoreError;
use crate::id::{BrokerId, ConnId, EventId, LaneName, UserId, random_bytes};
use crate::state::RoomVerb;
use crate::store::{
    Fenced, JoinReply, JoinRequest, Lease, Left, Observe, ObserveReply, Observed, Presence,
    QueueStore, RoomNumbers, Standing, TakenOver, Tick,
};

/// The largest batch of a tick.
pub(super) const ALL: usize = crate::store::MAX_BATCH;

/// One room of one store. Its id is its own, so that checks may share a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct TestRoom<'a> {
    pub(super) store: &'a dyn QueueStore,
    pub(super) event: &'a EventId,
}

/// An id that no other check has.
pub(super) fn event(promise: &str) -> EventId {
    let random = u64::from_ne_bytes(random_bytes());
    EventId::new(format!("conformance-{promise}-{random:016x}")).expect("the id has a valid form")
}

/// A valid config.
pub(super) fn built(config: RoomConfigBuilder) -> RoomConfig {
    config.build().expect("the config of the check is valid")
}

/// A user of this number.
pub(super) fn user(index: usize) -> UserId {
    UserId::new(format!("user-{index}")).expect("the id has a valid form")
}

/// A lane of this name.
pub(super) fn lane(name: &str) -> LaneName {
    LaneName::new(name).expect("the name has a valid form")
}

/// Requests of these people, who come by asking again and again.
pub(super) fn polls(people: Range<usize>) -> Vec<JoinRequest> {
    people.map(|index| poll(user(index))).collect()
}

/// A request of one person who asks again and again.
pub(super) fn poll(user: UserId) -> JoinRequest {
    JoinRequest {
        user,
        lane: None,
        presence: Presence::Poll,
        resume: None,
    }
}

/// A request of one person over a stream.
pub(super) fn stream(user: UserId, broker: BrokerId, conn: u64) -> JoinRequest {
    JoinRequest {
        presence: Presence::Stream {
            broker,
            conn: ConnId(conn),
        },
        ..poll(user)
    }
}

/// Lets time pass on the clock.
pub(super) fn pass(clock: &ManualClock, ms: i64) {
    clock.set(clock.now_ms() + ms);
}

/// What a verb answers about a room that exists.
pub(super) fn answered<T>(verb: &str, answer: Result<Option<T>, StoreError>) -> T {
    match answer {
        Ok(Some(answer)) => answer,
        Ok(None) => panic!("{verb} says that the room does not exist"),
        Err(error) => panic!("{verb} failed: {error} ({error:?})"),
    }
}

impl<'a> TestRoom<'a> {
    /// Makes the room.
    pub(super) async fn make(
        store: &'a dyn QueueStore,
        event: &'a EventId,
        config: RoomConfigBuilder,
    ) -> Self {
        let saved = store.save_room(event, &built(config)).await;
        assert_eq!(
            saved.expect("save_room failed"),
            crate::store::RoomSaved::Created,
            "a new room"
        );
        Self { store, event }
    }

    /// The same room as another process has it.
    pub(super) fn by(self, store: &'a Arc<dyn QueueStore>) -> Self {
        Self {
            store: &**store,
            ..self
        }
    }

    pub(super) async fn join(&self, batch: &[JoinRequest]) -> Vec<JoinReply> {
        let replies = answered("join", self.store.join(self.event, batch).await);
        assert_eq!(replies.len(), batch.len(), "one answer for each who joins");
        replies
    }

    /// Joins one person, who then waits or is admitted; answers the sequence of the place.
    pub(super) async fn join_one(&self, request: JoinRequest) -> i64 {
        match self.join(&[request]).await.swap_remove(0) {
            JoinReply::Waiting { place, .. } => place.sequence,
            JoinReply::Admitted { lease, .. } => lease.sequence,
            other => panic!("a join led to {other:?}"),
        }
    }

    /// Joins people while nobody is admitted, so that all of them wait.
    pub(super) async fn line_up(&self, batch: &[JoinRequest]) {
        self.change(RoomVerb::Pause).await;
        for reply in self.join(batch).await {
            assert!(
                matches!(reply, JoinReply::Waiting { new: true, .. }),
                "a join of a paused room led to {reply:?}"
            );
        }
        self.change(RoomVerb::Resume).await;
    }

    pub(super) async fn tick(&self, batch: usize) -> Tick {
        answered("tick", self.store.tick(self.event, batch).await)
    }

    /// Lets time pass as it does with a dispatcher: a tick every two seconds. Answers the last tick.
    pub(super) async fn live(&self, clock: &ManualClock, seconds: u64) -> Tick {
        let mut last = None;
        for _ in 0..seconds.div_ceil(2) {
            clock.advance(Duration::from_secs(2));
            last = Some(self.tick(ALL).await);
        }
        last.expect("some time passes")
    }

    pub(super) async fn numbers(&self) -> RoomNumbers {
        answered("numbers", self.store.numbers(self.event).await)
    }

    pub(super) async fn standing(&self, user: &UserId) -> Standing {
        answered("standing", self.store.standing(self.event, user).await)
    }

    /// The lease of a person who is admitted.
    pub(super) async fn lease(&self, user: &UserId) -> Lease {
        match self.standing(user).await {
            Standing::Admitted(lease) => lease,
            other => panic!("{user} should be admitted, but is {other:?}"),
        }
    }

    /// The sequence of a person who waits.
    pub(super) async fn sequence(&self, user: &UserId) -> i64 {
        match self.standing(user).await {
            Standing::Waiting(place) => place.sequence,
            other => panic!("{user} should wait, but is {other:?}"),
        }
    }

    pub(super) async fn change(&self, verb: RoomVerb) {
        let changed = answered(
            "change_state",
            self.store.change_state(self.event, verb).await,
        );
        assert!(
            matches!(changed, crate::store::StateChanged::Now(_)),
            "{verb:?} led to {changed:?}"
        );
    }

    pub(super) async fn leave(&self, user: &UserId) -> Left {
        answered("leave", self.store.leave(self.event, user, None).await)
    }

    pub(super) async fn claim(&self, user: &UserId, fence: u64) -> Fenced<Lease> {
        answered("claim", self.store.claim(self.event, user, fence).await)
    }

    pub(super) async fn complete(&self, user: &UserId, fence: u64) -> Fenced<()> {
        answered(
            "complete",
            self.store.complete(self.event, user, fence).await,
        )
    }

    pub(super) async fn register(&self, broker: BrokerId) {
        answered(
            "register_broker",
            self.store.register_broker(self.event, broker).await,
        );
    }

    pub(super) async fn try_observe(&self, broker: BrokerId, users: Vec<UserId>) -> ObserveReply {
        let request = Observe {
            samples: Vec::new(),
            users,
        };
        answered(
            "observe",
            self.store.observe(self.event, broker, &request).await,
        )
    }

    /// What a registered broker is told of these people.
    pub(super) async fn observe(&self, broker: BrokerId, users: Vec<UserId>) -> Observed {
        let count = users.len();
        match self.try_observe(broker, users).await {
            ObserveReply::Observed(observed) => {
                assert_eq!(observed.users.len(), count, "one answer for each user");
                *observed
            }
            ObserveReply::BrokerLapsed => panic!("a broker that renews its lease has lapsed"),
        }
    }

    pub(super) async fn disconnect(&self, broker: BrokerId, user: &UserId, conn: u64) {
        let batch = [(user.clone(), ConnId(conn))];
        let done = self.store.disconnect(self.event, broker, &batch).await;
        answered("disconnect", done);
    }

    pub(super) async fn take_over(&self, broker: BrokerId) -> TakenOver {
        answered("take_over", self.store.take_over(self.event, broker).await)
    }
}
