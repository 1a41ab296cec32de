//! S1: a hold takes all its seats or none, and a seat has at most one holder.

use std::collections::HashMap;
use std::sync::Arc;

use ticketon_queue::ManualClock;
use tokio::task::JoinSet;

use super::test_map::{TTL_MS, TestMap, key, pass, ready, refunded, seats, sold};
use crate::seat::{Choice, EndReason, Held, Hold, HoldReply, HoldRequest, Limits, SeatStore};
use crate::venue::SeatIndex;

/// A hold whose seats are not all free takes none, and is told which are not, in the order of its request.
///
/// # Panics
/// If it takes some, or is told otherwise.
pub async fn s1_a_hold_takes_all_its_seats_or_none(
    store: &Arc<dyn SeatStore>,
    clock: &ManualClock,
) {
    let map = TestMap::build(store, "s1-all", 8).await;
    let ann = map.take_seats("ann", "1", [5, 2, 3]).await;
    assert_eq!(ann.seats, seats([5, 2, 3]), "in the order of the request");
    map.shows("..hh.h..").await;
    map.block([7]).await;
    pass(clock, 10);
    for (asked, taken) in [
        (vec![0, 2, 1], vec![2]),
        (vec![7, 0, 5, 3], vec![7, 5, 3]),
        (vec![6, 8, 4_000_000_000], vec![8, 4_000_000_000]),
    ] {
        let refused = map.try_hold(&map.wants("bob", "1", asked)).await;
        let seats = seats(taken);
        assert_eq!(refused, Held::Unavailable { seats }, "bob's hold");
        map.shows("..hh.h.x").await;
    }
    // A refusal is no hold: the same id may try again.
    let bob = map.take_seats("bob", "1", [6, 4]).await;
    assert!(bob.fence > ann.fence, "fences grow: {bob:?}, {ann:?}");
    assert!(bob.fence < 1 << 53, "a double holds every fence: {bob:?}");
    map.shows("..hhhhhx").await;
    map.has_holders(["ann", "bob"]).await;
    let none = map.request("cat", "1", Choice::Seats(Vec::new()));
    assert_eq!(map.try_hold(&none).await, Held::NoSeats, "of no seats");
}

/// Many tasks of many processes want the same seats: each seat has one holder, whoever was refused has nothing, and
/// every snapshot in between shows whole holds only.
///
/// # Panics
/// If a seat has two holders, or a hold is seen in parts.
pub async fn s1_many_tasks_want_the_same_seats(
    processes: &[Arc<dyn SeatStore>],
    _clock: &ManualClock,
) {
    const SEATS: u32 = 24;
    const TASKS: u32 = 48;
    let map = TestMap::build(&processes[0], "s1-contention", SEATS).await;
    for round in 0..8 {
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let map = map.by(&processes[task as usize % processes.len()]);
            tasks.spawn(async move {
                // Pairs and triples that overlap, in every order.
                let first = (task * 5 + round) % SEATS;
                let mut wanted: Vec<u32> =
                    (0..2 + task % 2).map(|at| (first + at) % SEATS).collect();
                if task % 3 == 0 {
                    wanted.reverse();
                }
                let request = map.wants(&format!("user-{task}"), &round.to_string(), wanted);
                (
                    map.store.hold(&map.event, map.epoch, &request).await,
                    request,
                )
            });
        }
        let watch = map.by(&processes[processes.len() - 1]);
        let answers = watch.watched(tasks.join_all()).await;
        let mut holders: HashMap<SeatIndex, Hold> = HashMap::new();
        for (answer, request) in answers {
            if let Held::Taken(hold) = ready("hold", answer) {
                let all = Choice::Seats(hold.seats.clone());
                assert_eq!(all, request.choice, "all of them");
                for seat in &hold.seats {
                    let other = holders.insert(*seat, hold.clone());
                    assert!(other.is_none(), "S1: {hold:?}, {other:?}");
                }
            }
        }
        assert!(!holders.is_empty(), "somebody has the seats");
        let held = map.snapshot().await.head.counts.held;
        assert_eq!(holders.len(), held as usize, "seats that were given");
        let people: Vec<String> = (0..TASKS).map(|task| format!("user-{task}")).collect();
        for hold in map.has_holders(&people).await {
            let released = map.release(&key(&hold)).await;
            assert_eq!(released, HoldReply::Done(hold));
        }
        map.shows(&".".repeat(SEATS as usize)).await;
    }
}

/// A retry with the same id finds its own hold, as it is now; with another body it is refused; after the hold has ended
/// it is told how. It never takes seats a second time.
///
/// # Panics
/// If a retry takes seats, or is told otherwise.
pub async fn s1_a_retry_finds_its_own_hold(store: &Arc<dyn SeatStore>, clock: &ManualClock) {
    let map = TestMap::build(store, "s1-retry", 6).await;
    let request = map.wants("ann", "1", [1, 2]);
    let hold = map.take(&request).await;
    let version = map.head().await.version;
    pass(clock, 500);
    assert_eq!(map.take(&request).await, hold, "sent again");
    // The limits that hold now do not take a hold back.
    let limits = Limits {
        per_order: 1,
        per_user: 1,
    };
    let stricter = HoldRequest {
        limits,
        ..request.clone()
    };
    assert_eq!(map.take(&stricter).await, hold, "sent again");
    let other = HoldRequest {
        request_hash: 2,
        ..map.wants("ann", "1", [4])
    };
    assert_eq!(map.try_hold(&other).await, Held::Mismatch, "another body");
    let version_now = map.head().await.version;
    assert_eq!(version_now, version, "nothing of this changed a seat");

    let mut ends: Vec<(Hold, EndReason)> = Vec::new();
    map.release(&key(&hold)).await;
    ends.push((hold, EndReason::Released));
    let bought = map.take_seats("ann", "2", [1, 2]).await;
    map.sync(&[sold(&bought, [1, 2])]).await;
    ends.push((bought, EndReason::Sold));
    let over = map.take_seats("ann", "3", [3]).await;
    pass(clock, TTL_MS);
    ends.push((over, EndReason::Expired));
    for (number, (hold, reason)) in ["1", "2", "3"].into_iter().zip(ends) {
        let indexes: Vec<u32> = hold.seats.iter().map(|seat| seat.get()).collect();
        let retry = map.wants("ann", number, indexes);
        let ended = Held::Ended { reason };
        assert_eq!(map.try_hold(&retry).await, ended, "{hold:?} sent again");
        let other = HoldRequest {
            request_hash: 2,
            ..retry
        };
        assert_eq!(map.try_hold(&other).await, Held::Mismatch, "another body");
        let found = map.find(&key(&hold)).await;
        assert_eq!(found, HoldReply::Ended { reason }, "{hold:?}");
    }
    map.shows(".ss...").await;
}

/// The same request from many tasks at once, as of an impatient client: one hold, and every answer tells of it.
///
/// # Panics
/// If there are two holds, or answers that differ.
pub async fn s1_a_request_that_races_itself_takes_one_hold(
    processes: &[Arc<dyn SeatStore>],
    _clock: &ManualClock,
) {
    const SEATS: u32 = 60;
    let map = TestMap::build(&processes[0], "s1-impatient", SEATS).await;
    for round in 0..6 {
        let choice = Choice::Units {
            count: 3,
            start: 0,
            len: SEATS,
            offset: round * 7,
        };
        let request = map.request("ann", &round.to_string(), choice);
        let mut tasks = JoinSet::new();
        for task in 0..12 {
            let (map, request) = (map.by(&processes[task % processes.len()]), request.clone());
            tasks.spawn(async move { map.take(&request).await });
        }
        let holds = tasks.join_all().await;
        for hold in &holds {
            assert_eq!(hold, &holds[0], "every answer tells of one hold");
        }
        let held = map.has_holders(["ann"]).await.len();
        assert_eq!(
            held,
            round as usize + 1,
            "holds after {} requests",
            round + 1
        );
    }
}

/// Nobody holds more than an order may have, nor more than a person may have in all, held and sold together; what is
/// over does not count, what was refused or given back neither.
///
/// # Panics
/// If somebody does, or somebody within the limits is refused.
pub async fn s1_limits_of_an_order_and_of_a_person(
    store: &Arc<dyn SeatStore>,
    clock: &ManualClock,
) {
    let map = TestMap::build(store, "s1-limits", 12).await;
    let limits = Limits {
        per_order: 3,
        per_user: 5,
    };
    let wants = |number: &str, indexes: &[u32]| HoldRequest {
        limits,
        ..map.wants("ann", number, indexes.iter().copied())
    };
    let asked = 4;
    let over = map.try_hold(&wants("1", &[0, 1, 2, 3])).await;
    assert_eq!(over, Held::OverOrderLimit { asked });
    let first = map.take(&wants("1", &[0, 1, 2])).await;
    let over = map.try_hold(&wants("2", &[3, 4, 5])).await;
    assert_eq!(over, Held::OverUserLimit { has: 3 });
    // Limits come before seats: a refusal does not tell which seats others have.
    let over = map.try_hold(&wants("2", &[0, 4, 5])).await;
    assert_eq!(over, Held::OverUserLimit { has: 3 });
    let second = map.take(&wants("2", &[3, 4])).await;
    map.sync(&[sold(&first, [0, 1, 2])]).await;
    let over = map.try_hold(&wants("3", &[5])).await;
    assert_eq!(over, Held::OverUserLimit { has: 5 }, "three sold, two held");
    map.take_seats("bob", "1", [5]).await;
    map.release(&key(&second)).await;
    let third = map.take(&wants("3", &[6])).await;
    map.sync(&[refunded(&first, [1])]).await;
    let over = map.try_hold(&wants("4", &[7, 8, 9])).await;
    assert_eq!(over, Held::OverUserLimit { has: 3 }, "two sold, one held");
    pass(clock, TTL_MS);
    // The third hold is over, although nothing swept it.
    map.take(&wants("4", &[7, 8, 9])).await;
    let expired = HoldReply::Ended {
        reason: EndReason::Expired,
    };
    assert_eq!(map.find(&key(&third)).await, expired);
    let area = Choice::Units {
        count: 4,
        start: 0,
        len: 12,
        offset: 0,
    };
    let over = HoldRequest {
        limits,
        ..map.request("cat", "1", area)
    };
    let asked = 4;
    assert_eq!(map.try_hold(&over).await, Held::OverOrderLimit { asked });
    let limits = Limits {
        per_order: 1_000,
        per_user: 1_000,
    };
    let over = HoldRequest {
        limits,
        ..map.wants("cat", "1", 0..101)
    };
    let asked = 101;
    assert_eq!(map.try_hold(&over).await, Held::OverOrderLimit { asked });
}

/// One person asks from many processes at once: together they get no more than the person may have.
///
/// # Panics
/// If they do, or get less although there is enough.
pub async fn s1_one_person_in_many_tasks_keeps_the_limit(
    processes: &[Arc<dyn SeatStore>],
    _clock: &ManualClock,
) {
    let map = TestMap::build(&processes[0], "s1-greedy", 64).await;
    let limits = Limits {
        per_order: 2,
        per_user: 5,
    };
    let mut tasks = JoinSet::new();
    for task in 0..32 {
        let map = map.by(&processes[task as usize % processes.len()]);
        tasks.spawn(async move {
            let wants = map.wants("ann", &task.to_string(), [task * 2, task * 2 + 1]);
            map.try_hold(&HoldRequest { limits, ..wants }).await
        });
    }
    let answers = tasks.join_all().await;
    let taken = answers
        .iter()
        .filter(|held| matches!(held, Held::Taken(_)))
        .count();
    assert_eq!(
        taken, 2,
        "two holds of two fit a limit of five: {answers:?}"
    );
    let refused = |held: &&Held| !matches!(held, Held::Taken(_));
    for answer in answers.iter().filter(refused) {
        let over = matches!(answer, Held::OverUserLimit { has: 4 });
        assert!(over, "{answer:?}");
    }
    assert_eq!(map.has_holders(["ann"]).await.len(), 2);
}
