//! S3, of what others decide: the map follows the ledger and the organiser.

use std::sync::Arc;

use ticketon_queue::ManualClock;

use super::test_map::{TTL_MS, TestMap, key, pass, picture, refunded, seats, sold};
use crate::seat::{
    Blocked, EndReason, Held, Hold, HoldKey, HoldReply, HoldRequest, Limits, MAX_PINNED, Mend,
    Owned, SeatState, SeatStore, Synced, Truth,
};
use crate::venue::SeatIndex;

/// The message that repeats, arrives late or in the wrong order: the map ends up as the ledger is.
///
/// # Panics
/// If not.
pub async fn s3_messages_of_the_ledger_in_any_order(
    store: &Arc<dyn SeatStore>,
    _clock: &ManualClock,
) {
    // Ann buys two seats and gives one back; the messages come in each order, and each may come twice.
    let orders: [&[usize]; 8] = [
        &[0, 1],
        &[0, 0, 1],
        &[0, 1, 1],
        &[0, 1, 0],
        &[0, 1, 0, 1],
        &[1, 0],
        &[1, 1, 0],
        &[1, 0, 1, 0],
    ];
    for is in ["pinned", "held", "over"] {
        for order in orders {
            let map = TestMap::build(store, "s3-order", 4).await;
            let hold = map.take_seats("ann", "1", [1, 2]).await;
            match is {
                "pinned" => drop(map.pin(&key(&hold)).await),
                "over" => drop(map.release(&key(&hold)).await),
                _ => {}
            }
            let messages = [sold(&hold, [1, 2]), refunded(&hold, [2])];
            for message in order {
                map.sync(&[messages[*message].clone()]).await;
            }
            let shown = picture(&map.snapshot().await);
            assert_eq!(shown, ".s..", "the hold is {is}, then {order:?}");
            assert_eq!(map.holds_of("ann").await, [], "{order:?}");
            // All of it counts for the person once.
            let limits = Limits {
                per_order: 9,
                per_user: 3,
            };
            let three = HoldRequest {
                limits,
                ..map.wants("ann", "2", [0, 2, 3])
            };
            let over = Held::OverUserLimit { has: 1 };
            assert_eq!(map.try_hold(&three).await, over, "{order:?}");
        }
    }
}

/// The store forgot that a hold was pinned, so it ended; then the ledger says that its seats were sold. They are, however
/// the hold ended and whatever became of the seats since.
///
/// # Panics
/// If the message is taken for one that comes late.
pub async fn s3_a_sale_counts_after_its_hold_ended(
    store: &Arc<dyn SeatStore>,
    clock: &ManualClock,
) {
    for how in [
        "swept",
        "released",
        "unpinned",
        "lost",
        "stepped over",
        "blocked since",
        "held since",
        "given back since",
    ] {
        let map = TestMap::build(store, "s3-ended", 6).await;
        let rest = map.take_seats("eve", "1", [5]).await;
        let hold = map.take_seats("ann", "1", [1, 2]).await;
        match how {
            "swept" => {
                pass(clock, TTL_MS);
                map.sweep().await;
            }
            "unpinned" => {
                map.pin(&key(&hold)).await;
                map.unpin(&key(&hold), 0).await;
            }
            "lost" => {
                map.sync(&[sold(&rest, [2])]).await;
                map.sync(&[refunded(&rest, [2])]).await;
            }
            "stepped over" => {
                pass(clock, TTL_MS);
                let other = map.take_seats("bob", "1", [1]).await;
                map.release(&key(&other)).await;
            }
            _ => drop(map.release(&key(&hold)).await),
        }
        match how {
            "blocked since" => {
                map.block([1, 2]).await;
                map.unblock([1, 2]).await;
            }
            "held since" => {
                let other = map.take_seats("bob", "1", [1, 3]).await;
                map.release(&key(&other)).await;
                map.take_seats("bob", "2", [2, 3]).await;
            }
            "given back since" => {
                map.sync(&[sold(&rest, [1])]).await;
                map.sync(&[refunded(&rest, [1])]).await;
            }
            _ => {}
        }
        map.sync(&[sold(&hold, [1, 2])]).await;
        let shown = picture(&map.snapshot().await);
        assert!(
            shown.starts_with(".ss.."),
            "the hold was {how}, and its seats were sold: {shown}"
        );
        assert_eq!(map.sync(&[refunded(&hold, [1, 2])]).await.changed, 2);
        assert_eq!(map.sync(&[sold(&hold, [1, 2])]).await.changed, 0, "{how}");
    }
}

/// What each seat is and whose can be read; a seat that is otherwise than the ledger has it is mended, and only if it still
/// is as it was found.
///
/// # Panics
/// If not.
pub async fn s3_what_differs_is_read_and_mended(store: &Arc<dyn SeatStore>, _clock: &ManualClock) {
    let map = TestMap::build(store, "s3-mended", 11).await;
    let ann = map.take_seats("ann", "1", [1, 2]).await;
    let bob = map.take_seats("bob", "1", [3, 4]).await;
    let cat = map.take_seats("cat", "1", [6, 7]).await;
    map.pin(&key(&cat)).await;
    let eve = map.take_seats("eve", "1", [0, 5]).await;
    map.sync(&[sold(&eve, [0, 5]), refunded(&eve, [5])]).await;
    map.block([8]).await;
    map.shows("shhhh.hhx..").await;
    let is = |state, owner| Owned { state, owner };
    let blocked = map.owners(8).await[0];
    let wanted = [
        is(SeatState::Sold, eve.fence),
        is(SeatState::Held, ann.fence),
        is(SeatState::Held, ann.fence),
        is(SeatState::Held, bob.fence),
        is(SeatState::Held, bob.fence),
        is(SeatState::Free, eve.fence),
        is(SeatState::Held, cat.fence),
        is(SeatState::Held, cat.fence),
        is(SeatState::Blocked, blocked.owner),
        is(SeatState::Free, 0),
        is(SeatState::Free, 0),
    ];
    assert!(blocked.owner > eve.fence, "{blocked:?}");
    for from in 0..=12 {
        let rest = wanted.get(from as usize..).unwrap_or_default();
        assert_eq!(map.owners(from).await, rest, "from {from} on");
    }

    let sell = |seat: u32, found: Owned, hold: &Hold| Mend {
        seat: SeatIndex::new(seat),
        found,
        truth: Truth::Sold {
            user: hold.user.clone(),
            fence: hold.fence,
        },
    };
    let free = |seat: u32, found: Owned| Mend {
        seat: SeatIndex::new(seat),
        found,
        truth: Truth::Free,
    };
    // Nothing is as these found it, or it need not be mended.
    let before = map.snapshot().await;
    let stale = [
        sell(1, is(SeatState::Free, 0), &eve),
        sell(1, is(SeatState::Held, bob.fence), &eve),
        sell(9, is(SeatState::Free, eve.fence), &eve),
        sell(60, is(SeatState::Blocked, 0), &eve),
        free(0, is(SeatState::Sold, ann.fence)),
        free(1, is(SeatState::Sold, ann.fence)),
        free(1, wanted[1]),
        free(8, wanted[8]),
    ];
    assert_eq!(
        map.mend(&stale).await,
        Synced::default(),
        "it was overtaken"
    );
    assert_eq!(map.snapshot().await, before);
    // Whatever a seat was; also what was given back under the same fence, and what a newer sale has.
    let batch = [
        free(0, wanted[0]),
        sell(1, wanted[1], &eve),
        sell(3, wanted[3], &bob),
        sell(5, wanted[5], &eve),
        sell(6, wanted[6], &eve),
        sell(8, wanted[8], &eve),
        sell(9, wanted[9], &eve),
    ];
    let mended = map.mend(&batch).await;
    let lost = vec![ann.id];
    let late = 0;
    assert_eq!(
        mended,
        Synced {
            changed: 7,
            lost,
            late
        }
    );
    map.shows(".s.shsshss.").await;
    assert_eq!(map.mend(&batch).await, Synced::default(), "it is done");
    assert_eq!(map.has_holders(["ann", "bob", "cat"]).await.len(), 2);
    let newer = map.owners(9).await[0];
    let older = sell(9, newer, &ann);
    assert_eq!(map.mend(&[older]).await.changed, 1, "the ledger decides");
    map.shows(".s.shsshss.").await;
    for (name, has) in [("ann", 1), ("bob", 2), ("eve", 4)] {
        let limits = Limits {
            per_order: 9,
            per_user: 0,
        };
        let request = HoldRequest {
            limits,
            ..map.wants(name, "limit", [10])
        };
        let over = Held::OverUserLimit { has };
        assert_eq!(map.try_hold(&request).await, over, "what {name} has");
    }
    // A sale of a fence that this map never gave: the next is above it.
    let far = Hold {
        fence: ann.fence + (1 << 30),
        ..ann
    };
    map.mend(&[sell(10, wanted[10], &far)]).await;
    assert!(map.take_seats("bob", "2", [0]).await.fence > far.fence);
}

/// The pinned holds, and only those, can be listed: the oldest first, page by page.
///
/// # Panics
/// If not.
pub async fn s4_pinned_holds_are_listed(store: &Arc<dyn SeatStore>, clock: &ManualClock) {
    let all = MAX_PINNED as u32 + 40;
    let map = TestMap::build(store, "s4-pinned", all + 1).await;
    assert_eq!(map.pinned(0).await, []);
    let mut pinned = Vec::new();
    for seat in 0..all {
        let hold = map.take_seats("ann", &seat.to_string(), [seat]).await;
        match map.pin(&key(&hold)).await {
            HoldReply::Done(hold) => pinned.push(hold),
            other => panic!("{other:?}"),
        }
        // Those that were let go, sold and given up are none.
        match seat % 50 {
            1 => drop(map.unpin(&key(&hold), TTL_MS).await),
            2 => drop(map.sync(&[sold(&hold, [seat])]).await),
            3 => drop(map.unpin(&key(&hold), 0).await),
            _ => continue,
        }
        pinned.pop();
    }
    map.take_seats("bob", "1", [all]).await;
    assert!(pinned.len() > MAX_PINNED, "there are two pages");
    for _ in 0..2 {
        assert_eq!(map.pinned(0).await, pinned[..MAX_PINNED]);
        for skip in [40, MAX_PINNED] {
            let rest = map.pinned(skip as u32).await;
            assert_eq!(rest, pinned[skip..], "without {skip} of the oldest");
        }
        // No sweep ends them.
        pass(clock, TTL_MS * 2);
        map.sweep().await;
    }
}

/// What is sold is sold: whoever held one of the seats loses the hold and is named, but an order that is being paid for
/// keeps its other seats; a newer sale takes over from an older one; a blocked seat can have been sold.
///
/// # Panics
/// If not.
pub async fn s3_the_map_follows_the_ledger(store: &Arc<dyn SeatStore>, _clock: &ManualClock) {
    let map = TestMap::build(store, "s3-ledger", 10).await;
    let ghost = map.take_seats("eve", "1", [0]).await;
    map.release(&key(&ghost)).await;
    let ann = map.take_seats("ann", "1", [1, 2]).await;
    let bob = map.take_seats("bob", "1", [3, 4]).await;
    map.pin(&key(&bob)).await;
    map.block([5]).await;
    map.shows(".hhhhx....").await;
    let synced = map.sync(&[sold(&ghost, [2, 3, 5, 6, 50])]).await;
    assert_eq!(synced.lost, [ann.id], "whose hold ended over it");
    assert_eq!(synced.changed, 5, "1 is free; 2, 3, 5, 6 are sold");
    map.shows("..sshss...").await;
    let reason = EndReason::Lost;
    let ended = HoldReply::Ended { reason };
    assert_eq!(map.find(&key(&ann)).await, ended);
    let rest = map.has_holders(["ann", "bob", "eve"]).await;
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert_eq!(rest[0].seats, seats([4]), "what bob is still paying for");
    // Eve's hold is long over, and its seat was sold nevertheless; then it is given back, and the message comes again.
    assert_eq!(map.sync(&[sold(&ghost, [0])]).await.changed, 1);
    assert_eq!(map.sync(&[refunded(&ghost, [0])]).await.changed, 1);
    assert_eq!(map.sync(&[sold(&ghost, [0])]).await.changed, 0);

    // Bob's sale of a seat is newer than eve's; then an older one comes late.
    let newer = map.sync(&[sold(&bob, [3, 4])]).await;
    assert_eq!((newer.changed, newer.lost), (1, Vec::new()));
    assert_eq!(map.sync(&[sold(&ghost, [3])]).await.changed, 0);
    assert_eq!(map.sync(&[refunded(&ghost, [3])]).await.changed, 0);
    map.shows("..sssss...").await;
    assert_eq!(map.sync(&[refunded(&bob, [3])]).await.changed, 1);
    map.shows("..s.sss...").await;
    for (name, has) in [("ann", 0), ("bob", 1), ("eve", 3)] {
        let limits = Limits {
            per_order: 9,
            per_user: 0,
        };
        let request = HoldRequest {
            limits,
            ..map.wants(name, "limit", [9])
        };
        let over = Held::OverUserLimit { has };
        assert_eq!(map.try_hold(&request).await, over, "what {name} has");
    }
    // A whole batch is one change.
    let version = map.head().await.version;
    let batch = [sold(&bob, [7, 8]), refunded(&bob, [8]), sold(&ghost, [9])];
    map.sync(&batch).await;
    map.shows("..s.ssss.s").await;
    assert_eq!(map.head().await.version, version + 1);
}

/// Seats are blocked all or none, and only free ones; unblocking leaves others as they are.
///
/// # Panics
/// If not.
pub async fn s3_seats_are_blocked_all_or_none(store: &Arc<dyn SeatStore>, _clock: &ManualClock) {
    let map = TestMap::build(store, "s3-blocked", 6).await;
    let hold = map.take_seats("ann", "1", [1]).await;
    let other = map.take_seats("ann", "2", [2]).await;
    map.sync(&[sold(&other, [2])]).await;
    let seats = seats([2, 1, 6]);
    let refused = map.block([0, 2, 3, 1, 6]).await;
    assert_eq!(refused, Blocked::Unavailable { seats });
    map.shows(".hs...").await;
    for _ in 0..2 {
        assert_eq!(map.block([0, 3]).await, Blocked::Done);
        map.shows("xhsx..").await;
    }
    let refused = map.try_hold(&map.wants("bob", "1", [0])).await;
    assert!(matches!(refused, Held::Unavailable { .. }), "{refused:?}");
    for _ in 0..2 {
        assert_eq!(map.unblock([0, 1, 2, 4, 9]).await, Blocked::Done);
        map.shows(".hsx..").await;
    }
    let holder = HoldKey {
        fence: None,
        ..key(&hold)
    };
    map.release(&holder).await;
    map.shows("..sx..").await;
    // A message about the seat as it was before it was blocked.
    map.block([1]).await;
    assert_eq!(map.sync(&[refunded(&hold, [1])]).await.changed, 0);
    map.shows(".xsx..").await;
}
