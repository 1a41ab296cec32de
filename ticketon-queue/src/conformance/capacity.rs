//! Q1: no admission is made while there are as many live leases as the capacity.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::test_room::{ALL, TestRoom, answered, built, event, pass, polls, user};
use crate::clock::ManualClock;
use crate::config::RoomConfig;
use crate::id::{BrokerId, UserId};
use crate::state::Reason;
use crate::store::{Fenced, JoinReply, QueueStore, Standing};

/// However many dispatchers tick at once, and whoever leaves meanwhile: the capacity is never exceeded,
/// and nobody is admitted twice.
///
/// # Panics
/// If it is.
pub async fn q1_many_dispatchers_never_admit_beyond_the_capacity(
    processes: &[Arc<dyn QueueStore>],
    clock: &ManualClock,
) {
    const PEOPLE: usize = 300;
    const CAPACITY: u64 = 7;
    let event = event("q1-dispatchers");
    let config = RoomConfig::builder()
        .capacity(CAPACITY as u32)
        .admit_per_second(100_000);
    let room = TestRoom::make(&*processes[0], &event, config).await;
    room.line_up(&polls(0..PEOPLE)).await;
    let broker = BrokerId::random();
    room.register(broker).await;

    let mut inside: Vec<(UserId, u64)> = Vec::new();
    let (mut promoted, mut completed) = (0, 0);
    for round in 0..PEOPLE {
        let mut tasks = JoinSet::new();
        for (part, process) in processes.iter().enumerate() {
            let (process, event) = (Arc::clone(process), event.clone());
            let done: Vec<_> = inside
                .iter()
                .skip(part)
                .step_by(processes.len())
                .cloned()
                .collect();
            tasks.spawn(async move {
                let mut promoted = 0;
                for turn in 0..3 {
                    let tick = answered("tick", process.tick(&event, 5).await);
                    assert!(
                        tick.active <= CAPACITY,
                        "{} people are admitted at a time, with a capacity of {CAPACITY}",
                        tick.active
                    );
                    promoted += tick.promoted;
                    if let Some((user, fence)) = done.get(turn) {
                        let done = process.complete(&event, user, *fence).await;
                        assert_eq!(answered("complete", done), Fenced::Done(()));
                    }
                }
                (promoted, done.len().min(3))
            });
        }
        for (admitted, done) in tasks.join_all().await {
            promoted += admitted;
            completed += done;
        }
        inside.clear();
        let observed = room.observe(broker, (0..PEOPLE).map(user).collect()).await;
        for (index, (standing, _)) in observed.users.into_iter().enumerate() {
            if let Standing::Admitted(lease) = standing {
                inside.push((user(index), lease.fence));
            }
        }
        assert!(
            inside.len() as u64 <= CAPACITY,
            "{} have a live lease",
            inside.len()
        );
        if completed == PEOPLE {
            break;
        }
        assert!(round + 1 < PEOPLE, "only {completed} people came through");
        pass(clock, 10);
    }
    assert_eq!(promoted, PEOPLE as u64, "each person is promoted once");
    assert_eq!(room.numbers().await.admitted_total, PEOPLE as u64);
}

/// A lease is live until its deadline and not a millisecond longer, whether a tick swept it or not.
///
/// # Panics
/// If it takes a slot for longer, or not as long.
pub async fn q1_a_lapsed_lease_that_nobody_swept_takes_no_slot(
    store: &dyn QueueStore,
    clock: &ManualClock,
) {
    let event = event("q1-lapsed");
    let config = RoomConfig::builder().capacity(1).claim_ttl_seconds(2);
    let room = TestRoom::make(store, &event, config).await;
    let first = room.join(&polls(0..1)).await;
    assert!(
        matches!(first[0], JoinReply::Admitted { new: true, .. }),
        "{first:?}"
    );
    pass(clock, 1_999);
    assert_eq!(
        room.numbers().await.active,
        1,
        "a millisecond before the deadline"
    );
    pass(clock, 1);
    assert_eq!(room.numbers().await.active, 0, "at the deadline");
    let second = room.join(&polls(1..2)).await;
    assert!(
        matches!(second[0], JoinReply::Admitted { new: true, .. }),
        "{second:?}"
    );
    assert_eq!(room.numbers().await.active, 1);
}

/// The slot of a lapsed admission is given on the spot while no dispatcher ticks: that ends the admission, so
/// that whatever comes afterwards (an outage, a clock that goes back, a late claim) cannot give it back.
///
/// # Panics
/// If it is given back, and two people are in where one may be; or if the end is not counted and told.
pub async fn q1_a_slot_given_on_the_spot_is_not_given_back(
    store: &dyn QueueStore,
    clock: &ManualClock,
) {
    for later_ms in [4_000, 20_000, -1_500] {
        let event = event("q1-given");
        let config = RoomConfig::builder()
            .capacity(1)
            .admit_per_second(1_000)
            .claim_ttl_seconds(2)
            .entry_ttl_seconds(7_200);
        let room = TestRoom::make(store, &event, config).await;
        room.join(&polls(0..1)).await;
        let lapsed = room.lease(&user(0)).await;
        pass(clock, 2_000);
        let joined = room.join(&polls(1..3)).await;
        assert!(
            matches!(
                joined[..],
                [
                    JoinReply::Admitted { new: true, .. },
                    JoinReply::Waiting { new: true, .. }
                ]
            ),
            "{joined:?}"
        );
        assert_eq!(
            room.numbers().await.expired_total,
            1,
            "the slot was given by ending the admission that had it"
        );
        let fence = room.lease(&user(1)).await.fence;
        assert!(matches!(room.claim(&user(1), fence).await, Fenced::Done(_)));

        pass(clock, later_ms);
        let expired = Standing::Gone {
            reason: Reason::Expired,
            fence: lapsed.fence,
        };
        assert_eq!(room.standing(&user(0)).await, expired, "before the tick");
        let tick = room.tick(ALL).await;
        assert_eq!(
            (tick.active, tick.expired, tick.promoted),
            (1, 0, 0),
            "{later_ms} ms after the slot was given"
        );
        assert_eq!(room.standing(&user(0)).await, expired, "after the tick");
        let late = room.claim(&user(0), lapsed.fence).await;
        let ended = Fenced::Ended {
            reason: Reason::Expired,
        };
        assert_eq!(late, ended, "a claim that comes late");
        assert_eq!(room.numbers().await.active, 1);
    }
}

/// A capacity that shrinks ends no lease, and admits nobody before enough of them have ended.
///
/// # Panics
/// If it does.
pub async fn q1_a_smaller_capacity_admits_nobody_until_leases_end(
    store: &dyn QueueStore,
    _clock: &ManualClock,
) {
    let event = event("q1-smaller");
    let config = || RoomConfig::builder().admit_per_second(1_000);
    let room = TestRoom::make(store, &event, config().capacity(5)).await;
    room.join(&polls(0..10)).await;
    assert_eq!(room.numbers().await.active, 5);
    let smaller = built(config().capacity(2));
    store
        .save_room(&event, &smaller)
        .await
        .expect("save_room failed");
    assert_eq!(
        room.numbers().await.active,
        5,
        "no lease ends by a change of the config"
    );
    for index in 0..4 {
        assert_eq!(
            room.tick(ALL).await.promoted,
            0,
            "with {} live leases of 2",
            5 - index
        );
        room.leave(&user(index)).await;
    }
    assert_eq!(room.tick(ALL).await.promoted, 1, "with one live lease of 2");
}
