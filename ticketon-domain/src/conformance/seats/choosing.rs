//! S1, of seats that the store chooses: units of an area, and seats side by side.

use std::sync::Arc;

use ticketon_queue::ManualClock;
use tokio::task::JoinSet;

use super::test_map::{TTL_MS, TestMap, pass, seats};
use crate::seat::{Choice, Held, HoldRequest, Orphans, Run, SeatStore};

fn units(count: u32, offset: u32) -> Choice {
    Choice::Units {
        count,
        start: 2,
        len: 6,
        offset,
    }
}

/// Units of an area: any that are free, looked for from an offset and around the end; none beside the area.
///
/// # Panics
/// If others are taken, or none although there are.
pub async fn s1_units_of_an_area(store: &Arc<dyn SeatStore>, clock: &ManualClock) {
    let map = TestMap::build(store, "s1-units", 10).await;
    map.block([3]).await;
    let first = map.take(&map.request("ann", "1", units(2, 4))).await;
    assert_eq!(first.seats, seats([6, 7]));
    let around = map.take(&map.request("bob", "1", units(2, 5))).await;
    assert_eq!(around.seats, seats([2, 4]), "around the end of the area");
    map.shows("..hxh.hh..").await;
    let none = map.try_hold(&map.request("cat", "1", units(2, 0))).await;
    assert_eq!(none, Held::NoSeats, "one unit is free");
    map.shows("..hxh.hh..").await;
    let last = map.take(&map.request("cat", "2", units(1, 100))).await;
    assert_eq!(last.seats, seats([5]));
    map.has_holders(["ann", "bob", "cat"]).await;
    // Nobody is told that nothing is left while holds are only not swept yet.
    pass(clock, TTL_MS);
    let all = map.take(&map.request("dan", "1", units(5, 0))).await;
    assert_eq!(all.seats, seats([2, 4, 5, 6, 7]));
    map.shows("..hxhhhh..").await;
    let none = map.try_hold(&map.request("eve", "1", units(0, 0))).await;
    assert_eq!(none, Held::NoSeats, "of no units");
}

/// Many buyers empty an area at once: each unit is taken once, and nobody hears that none is left while one is.
///
/// # Panics
/// If not.
pub async fn s1_many_buyers_empty_an_area(processes: &[Arc<dyn SeatStore>], _clock: &ManualClock) {
    const UNITS: u32 = 60;
    let map = TestMap::build(&processes[0], "s1-area", UNITS).await;
    let mut tasks = JoinSet::new();
    for task in 0..40 {
        let map = map.by(&processes[task as usize % processes.len()]);
        tasks.spawn(async move {
            let choice = Choice::Units {
                count: 2,
                start: 0,
                len: UNITS,
                offset: task * 31 % UNITS,
            };
            let name = format!("user-{task}");
            map.try_hold(&map.request(&name, "1", choice)).await
        });
    }
    let answers = tasks.join_all().await;
    let taken = answers
        .iter()
        .filter(|held| matches!(held, Held::Taken(_)))
        .count();
    assert_eq!(taken, 30, "30 pairs of 60 units: {answers:?}");
    let none = answers.iter().filter(|held| **held == Held::NoSeats);
    assert_eq!(none.count(), 10, "10 buyers come too late: {answers:?}");
    let people = (0..40).map(|task| format!("user-{task}"));
    assert_eq!(map.has_holders(people).await.len(), 30);
    map.shows(&"h".repeat(UNITS as usize)).await;
}

/// Two rows of ten; the middle of a row is best.
fn rows() -> Arc<[Run]> {
    let row = |start| Run {
        start,
        len: 10,
        segment_start: start,
        segment_len: 10,
        centre_twice: 2 * start + 9,
    };
    Arc::from([row(0), row(10)])
}

fn adjacent(count: u32, orphans: Orphans) -> Choice {
    let runs = rows();
    Choice::Adjacent {
        count,
        runs,
        orphans,
    }
}

/// Seats side by side: of the first run that has a place, the place that is nearest to the middle; a lone seat is
/// left according to what was asked for.
///
/// # Panics
/// If other seats are taken.
pub async fn s1_seats_side_by_side(store: &Arc<dyn SeatStore>, clock: &ManualClock) {
    let cases: [(&[u32], u32, Orphans, Option<u32>); 11] = [
        (&[], 2, Orphans::Lenient, Some(4)),
        // The middle of 5 free seats, then without leaving one alone.
        (&[0, 1, 2, 8, 9], 2, Orphans::Allow, Some(4)),
        (&[0, 1, 2, 3, 9], 3, Orphans::Allow, Some(4)),
        (&[0, 1, 2, 3, 9], 4, Orphans::Allow, Some(4)),
        // 3 seats are free: two of them leave one alone, which lenient does where it cannot be helped.
        (&[0, 1, 2, 3, 7, 8, 9], 2, Orphans::Lenient, Some(4)),
        (&[0, 1, 2, 3, 7, 8, 9], 2, Orphans::Strict, Some(14)),
        (&[0, 1, 2, 3, 7, 8, 9], 2, Orphans::Allow, Some(4)),
        // 4 seats are free: two in the middle leave two alone; lenient takes those at a side.
        (&[0, 1, 2, 7, 8, 9], 2, Orphans::Allow, Some(4)),
        (&[0, 1, 2, 7, 8, 9], 2, Orphans::Lenient, Some(3)),
        // Strict gives way where every run has only such places.
        (
            &[0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13, 17, 18, 19],
            2,
            Orphans::Strict,
            Some(4),
        ),
        (&[5, 15], 6, Orphans::Allow, None),
    ];
    for (taken, count, orphans, wanted) in cases {
        let map = TestMap::build(store, "s1-adjacent", 20).await;
        if !taken.is_empty() {
            map.block(taken.iter().copied()).await;
        }
        let choice = adjacent(count, orphans);
        let held = map.try_hold(&map.request("ann", "1", choice)).await;
        let got = match held {
            Held::Taken(hold) => Some(hold.seats),
            Held::NoSeats => None,
            other => panic!("{other:?}"),
        };
        let wanted = wanted.map(|first| seats(first..first + count));
        assert_eq!(got, wanted, "{count} of what {taken:?} leave, {orphans:?}");
        map.has_holders(["ann"]).await;
    }
    // Nobody is told that nothing is left while holds are only not swept yet.
    let map = TestMap::build(store, "s1-adjacent-late", 20).await;
    let short = HoldRequest {
        ttl_ms: TTL_MS / 2,
        ..map.wants("bob", "1", [5, 15])
    };
    map.take(&short).await;
    let six = map.request("ann", "1", adjacent(6, Orphans::Lenient));
    assert_eq!(map.try_hold(&six).await, Held::NoSeats);
    pass(clock, TTL_MS / 2);
    assert_eq!(map.take(&six).await.seats, seats(2..8));
}

/// Many groups choose side by side at once: nobody sits on another's lap, and nobody hears that there is no place
/// while there is.
///
/// # Panics
/// If not.
pub async fn s1_many_groups_sit_side_by_side(
    processes: &[Arc<dyn SeatStore>],
    _clock: &ManualClock,
) {
    let map = TestMap::build(&processes[0], "s1-groups", 20).await;
    let mut tasks = JoinSet::new();
    for task in 0..16 {
        let map = map.by(&processes[task % processes.len()]);
        tasks.spawn(async move {
            let choice = adjacent(2, Orphans::Strict);
            let name = format!("user-{task}");
            map.try_hold(&map.request(&name, "1", choice)).await
        });
    }
    let answers = tasks.join_all().await;
    for answer in &answers {
        match answer {
            Held::Taken(hold) => {
                let [first, second] = hold.seats[..] else {
                    panic!("{hold:?} is not of two seats")
                };
                assert_eq!(first.get() + 1, second.get(), "{hold:?} sits side by side");
                assert_ne!(second.get(), 10, "{hold:?} sits in two rows");
            }
            other => assert_eq!(*other, Held::NoSeats),
        }
    }
    let people = (0..16).map(|task| format!("user-{task}"));
    let holds = map.has_holders(people).await.len();
    assert_eq!(holds, 10, "ten pairs fit two rows of ten: {answers:?}");
}
