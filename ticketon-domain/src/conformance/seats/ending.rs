//! S4: an expired hold is sellable within one sweep, and to whoever asks for its seats at once.

use std::sync::Arc;

use ticketon_queue::ManualClock;
use tokio::task::JoinSet;

use super::test_map::{TTL_MS, TestMap, key, pass, ready, seats};
use crate::seat::{
    Blocked, Choice, ENDED_TTL_MS, EndReason, Held, HoldReply, MAX_SWEEP, SeatState, SeatStore,
    Swept,
};

/// A hold lasts until its deadline and not a millisecond longer, whether or not anybody sweeps: its seats can be held
/// and blocked by others at once, and a retry or extension does not bring it back.
///
/// # Panics
/// If it lasts longer, or not as long.
pub async fn s4_an_expired_hold_is_sellable_at_once(
    store: &Arc<dyn SeatStore>,
    clock: &ManualClock,
) {
    let map = TestMap::build(store, "s4-at-once", 6).await;
    let hold = map.take_seats("ann", "1", [0, 1, 2]).await;
    map.take_seats("ann", "2", [4]).await;
    pass(clock, TTL_MS - 1);
    let early = map.try_hold(&map.wants("bob", "1", [1])).await;
    assert_eq!(early, Held::Unavailable { seats: seats([1]) });
    let early = map.block([4]).await;
    assert_eq!(early, Blocked::Unavailable { seats: seats([4]) });
    pass(clock, 1);
    map.take_seats("bob", "1", [1]).await;
    assert_eq!(map.block([4, 5]).await, Blocked::Done);
    map.shows(".h..xx").await;
    let reason = EndReason::Expired;
    let ended = HoldReply::Ended { reason };
    assert_eq!(map.extend(&key(&hold), TTL_MS, TTL_MS * 9).await, ended);
    let retry = map.try_hold(&map.wants("ann", "1", [0, 1, 2])).await;
    assert_eq!(retry, Held::Ended { reason });
    assert_eq!(map.holds_of("ann").await, []);
    map.has_holders(["ann", "bob"]).await;
    // Also if the clock goes back: an end is an end.
    pass(clock, -TTL_MS);
    assert_eq!(map.find(&key(&hold)).await, ended);
    map.shows(".h..xx").await;
}

/// One sweep frees every seat of the holds that are over, however many, in steps of [`MAX_SWEEP`], and no other seat;
/// those who follow the map are told.
///
/// # Panics
/// If not.
pub async fn s4_a_sweep_frees_what_is_over(store: &Arc<dyn SeatStore>, clock: &ManualClock) {
    const SEATS: u32 = MAX_SWEEP as u32 + 50;
    let map = TestMap::build(store, "s4-sweep", SEATS + 2).await;
    for seat in 0..SEATS {
        let request = map.wants(&format!("user-{seat}"), "1", [seat]);
        let held = map.store.hold(&map.event, map.epoch, &request).await;
        assert!(matches!(ready("hold", held), Held::Taken(_)));
    }
    let pinned = map.take_seats("ann", "1", [SEATS]).await;
    map.pin(&key(&pinned)).await;
    pass(clock, 1);
    map.take_seats("bob", "1", [SEATS + 1]).await;
    pass(clock, TTL_MS - 2);
    assert_eq!(map.sweep().await, Swept::default(), "nothing is over");
    let version = map.head().await.version;
    pass(clock, 1);
    let (mut swept, mut sweeps) = (0, 0);
    loop {
        let Swept { holds, seats, more } = map.sweep().await;
        assert!(holds <= MAX_SWEEP as u64, "one sweep ended {holds} holds");
        assert_eq!(holds, seats, "holds of one seat each");
        (swept, sweeps) = (swept + holds, sweeps + 1);
        if !more {
            break;
        }
        assert!(holds > 0, "a sweep does some of what is due");
    }
    assert_eq!(swept, u64::from(SEATS));
    assert_eq!(map.sweep().await, Swept::default(), "all is swept");
    map.shows(&format!("{}hh", ".".repeat(SEATS as usize)))
        .await;
    let changes = map.since(version).await;
    assert_eq!(changes.len(), sweeps, "one change a sweep");
    let mut freed: Vec<u32> = Vec::new();
    for (seat, state) in changes.iter().flat_map(|change| &change.seats) {
        assert_eq!(*state, SeatState::Free);
        freed.push(seat.get());
    }
    freed.sort_unstable();
    assert!(freed.into_iter().eq(0..SEATS), "each seat is told once");
}

/// Many sweepers at once: each hold ends once, and nobody's hold that is not over.
///
/// # Panics
/// If not.
pub async fn s4_many_sweepers_end_each_hold_once(
    processes: &[Arc<dyn SeatStore>],
    clock: &ManualClock,
) {
    let map = TestMap::build(&processes[0], "s4-sweepers", 40).await;
    for round in 0..5 {
        for hold in 0..20 {
            let key = round.to_string();
            map.take_seats(&format!("user-{hold}"), &key, [hold * 2, hold * 2 + 1])
                .await;
        }
        pass(clock, TTL_MS);
        let mut tasks = JoinSet::new();
        for task in 0..12 {
            let map = map.by(&processes[task % processes.len()]);
            tasks.spawn(async move {
                if task % 3 == 0 {
                    let choice = Choice::Seats(seats([task as u32]));
                    let request = map.request(&format!("late-{task}"), &round.to_string(), choice);
                    map.take(&request).await;
                    Swept::default()
                } else {
                    map.sweep().await
                }
            });
        }
        let swept = tasks.join_all().await;
        let holds: u64 = swept.iter().map(|swept| swept.holds).sum();
        assert!(holds <= 20, "20 holds ended {holds} times");
        map.sweep().await;
        let late = map
            .has_holders((0..12).map(|task| format!("late-{task}")))
            .await;
        assert_eq!(late.len(), 4, "who took a seat of an expired hold keeps it");
        for hold in late {
            map.release(&key(&hold)).await;
        }
        map.shows(&".".repeat(40)).await;
    }
}

/// An ended hold is remembered for [`ENDED_TTL_MS`], so that a late retry takes nothing; then it is forgotten, and the
/// id is as good as new.
///
/// # Panics
/// If it is forgotten sooner, or never.
pub async fn s4_an_end_is_remembered_for_a_while(store: &Arc<dyn SeatStore>, clock: &ManualClock) {
    let map = TestMap::build(store, "s4-memory", 4).await;
    let request = map.wants("ann", "1", [1]);
    let first = map.take(&request).await;
    assert_eq!(
        map.release(&key(&first)).await,
        HoldReply::Done(first.clone())
    );
    let reason = EndReason::Released;
    let ended = HoldReply::Ended { reason };
    assert_eq!(map.release(&key(&first)).await, ended, "sent again");
    pass(clock, ENDED_TTL_MS);
    assert_eq!(map.sweep().await, Swept::default());
    assert_eq!(map.find(&key(&first)).await, ended);
    assert_eq!(map.try_hold(&request).await, Held::Ended { reason });
    pass(clock, 1);
    assert_eq!(
        map.find(&key(&first)).await,
        HoldReply::Unknown,
        "not swept yet"
    );
    assert_eq!(map.sweep().await, Swept::default());
    assert_eq!(map.find(&key(&first)).await, HoldReply::Unknown);
    let second = map.take(&request).await;
    assert!(second.fence > first.fence, "fences grow");
    let stale = map.release(&key(&first)).await;
    assert_eq!(stale, HoldReply::NotYours, "the fence is another");
    map.shows(".h..").await;
}
