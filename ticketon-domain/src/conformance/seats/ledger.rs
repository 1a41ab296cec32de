//! S3, of what others decide: the map follows the ledger and the organiser.

use std::sync::Arc;

use ticketon_queue::ManualClock;

use super::test_map::{TestMap, key, refunded, seats, sold};
use crate::seat::{Blocked, EndReason, Held, HoldKey, HoldReply, HoldRequest, Limits, SeatStore};

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
    for pinned in [true, false] {
        for order in orders {
            let map = TestMap::build(store, "s3-order", 4).await;
            let hold = map.take_seats("ann", "1", [1, 2]).await;
            if pinned {
                map.pin(&key(&hold)).await;
            }
            let messages = [sold(&hold, [1, 2]), refunded(&hold, [2])];
            for message in order {
                map.sync(&[messages[*message].clone()]).await;
            }
            map.shows(".s..").await;
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
    // The seat that eve gave back before is not sold by a message about it that comes late.
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
