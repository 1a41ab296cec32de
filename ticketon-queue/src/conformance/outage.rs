//! Q1 and Q8 in the moments after an outage in which not everything has been put right yet.

use super::test_room::{ALL, TestRoom, event, pass, polls, user};
use crate::clock::ManualClock;
use crate::config::RoomConfig;
use crate::store::{Fenced, MAX_BATCH, QueueStore, Standing};

/// The store was away for an hour, and whoever was admitted asks before any dispatcher does: the admission
/// is theirs.
///
/// # Panics
/// If it has ended, or is given to somebody else.
pub async fn q8_an_admission_outlives_an_outage_that_no_tick_has_seen(
    store: &dyn QueueStore,
    clock: &ManualClock,
) {
    let event = event("q8-unseen");
    let config = RoomConfig::builder()
        .capacity(1)
        .admit_per_second(1_000)
        .claim_ttl_seconds(2)
        .entry_ttl_seconds(7_200);
    let room = TestRoom::make(store, &event, config).await;
    room.join(&polls(0..1)).await;
    let fence = room.lease(&user(0)).await.fence;
    pass(clock, 3_600_000);
    room.join(&polls(1..2)).await;
    room.sequence(&user(1)).await;
    let claimed = room.claim(&user(0), fence).await;
    assert!(
        matches!(claimed, Fenced::Done(_)),
        "an hour of no store ended an admission: {claimed:?}"
    );
    let tick = room.tick(ALL).await;
    assert_eq!((tick.active, tick.expired, tick.promoted), (1, 0, 0));
}

/// More unclaimed admissions than one tick can renew outlive an outage: those that wait for the next tick
/// keep their slots as well.
///
/// # Panics
/// If somebody else is admitted to one of them.
pub async fn q1_admissions_that_outlive_an_outage_keep_their_slots(
    store: &dyn QueueStore,
    clock: &ManualClock,
) {
    const CAPACITY: usize = MAX_BATCH + 100;
    let event = event("q1-outage");
    let config = RoomConfig::builder()
        .capacity(CAPACITY as u32)
        .admit_per_second(100_000)
        .claim_ttl_seconds(2)
        .entry_ttl_seconds(7_200)
        .away_grace_seconds(3_600);
    let room = TestRoom::make(store, &event, config).await;
    room.join(&polls(0..MAX_BATCH)).await;
    room.join(&polls(MAX_BATCH..CAPACITY + 200)).await;
    assert_eq!(room.numbers().await.active, CAPACITY as u64);
    pass(clock, 60_000);
    for _ in 0..3 {
        let tick = room.tick(ALL).await;
        assert_eq!(
            tick.promoted, 0,
            "people were admitted to slots whose owners lost them to nobody's absence"
        );
    }
    assert_eq!(room.numbers().await.active, CAPACITY as u64);
    for index in [0, MAX_BATCH, CAPACITY - 1] {
        let standing = room.standing(&user(index)).await;
        assert!(
            matches!(standing, Standing::Admitted(_)),
            "user {index} is {standing:?}"
        );
    }
}
