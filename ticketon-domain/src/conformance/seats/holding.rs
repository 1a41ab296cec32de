//! S2: only the holder releases, extends or buys; a stale fence changes nothing.

use std::sync::Arc;

use ticketon_queue::{Clock, ManualClock};

use super::test_map::{TTL_MS, TestMap, key, pass, refunded, seats, sold, user};
use crate::seat::{EndReason, Hold, HoldKey, HoldReply, HoldRequest, SeatStore, Synced};

/// Everything that one may try with a hold by this key.
async fn tries(map: &TestMap, key: &HoldKey) -> [HoldReply; 6] {
    [
        map.find(key).await,
        map.extend(key, TTL_MS * 2, TTL_MS * 9).await,
        map.pin(key).await,
        map.unpin(key, TTL_MS).await,
        map.unpin(key, 0).await,
        map.release(key).await,
    ]
}

/// Another user, another fence and an unknown id get nowhere with a hold, and pinning needs the fence.
///
/// # Panics
/// If they do, or the holder does not.
pub async fn s2_only_the_holder_with_the_right_fence(
    store: &Arc<dyn SeatStore>,
    clock: &ManualClock,
) {
    let map = TestMap::build(store, "s2-holder", 4).await;
    let hold = map.take_seats("ann", "1", [1, 2]).await;
    let mine = key(&hold);
    let foreign = HoldKey {
        user: user("bob"),
        ..mine.clone()
    };
    let unfenced = HoldKey {
        fence: None,
        ..mine.clone()
    };
    let (version, started) = (map.head().await.version, clock.now_ms());
    for fence in [hold.fence - 1, hold.fence + 1, 0] {
        let stale = HoldKey {
            fence: Some(fence),
            ..mine.clone()
        };
        for reply in tries(&map, &stale).await {
            assert_eq!(reply, HoldReply::NotYours, "with the fence {fence}");
        }
    }
    let unfenced_and_foreign = HoldKey {
        fence: None,
        ..foreign.clone()
    };
    for key in [&foreign, &unfenced_and_foreign] {
        for reply in tries(&map, key).await {
            assert_eq!(reply, HoldReply::NotYours, "of another user");
        }
    }
    let unknown = HoldKey {
        id: map.wants("ann", "never", [0]).id,
        ..mine.clone()
    };
    for reply in tries(&map, &unknown).await {
        assert_eq!(reply, HoldReply::Unknown, "of an id that never was");
    }
    assert_eq!(map.pin(&unfenced).await, HoldReply::NotYours);
    assert_eq!(map.unpin(&unfenced, 1).await, HoldReply::NotYours);
    assert_eq!(map.holds_of("bob").await, []);
    let holds = map.holds_of("ann").await;
    assert_eq!(holds, std::slice::from_ref(&hold), "as it was taken");
    assert_eq!(map.head().await.version, version, "no seat changed");
    assert_eq!(hold.deadline_ms, Some(started + TTL_MS));

    // The holder needs no fence to look, to extend and to release.
    assert_eq!(map.find(&unfenced).await, HoldReply::Done(hold.clone()));
    pass(clock, 1_000);
    let longer = Hold {
        deadline_ms: Some(started + 1_000 + TTL_MS),
        ..hold
    };
    let extended = map.extend(&unfenced, TTL_MS, TTL_MS * 9).await;
    assert_eq!(extended, HoldReply::Done(longer.clone()));
    assert_eq!(map.release(&unfenced).await, HoldReply::Done(longer));
    map.shows("....").await;
}

/// What an old holder knows of seats that another one has by now is worth nothing: neither their late calls nor the
/// ledger's late messages about them.
///
/// # Panics
/// If it is.
pub async fn s2_a_stale_fence_changes_nothing(store: &Arc<dyn SeatStore>, clock: &ManualClock) {
    let map = TestMap::build(store, "s2-stale", 4).await;
    let first = map.take_seats("ann", "1", [0, 1]).await;
    pass(clock, TTL_MS);
    let second = map.take_seats("ann", "2", [1, 2]).await;
    assert!(second.fence > first.fence, "fences grow");
    // Under the id of the new hold with the fence of the old one, and the other way round.
    let mixed = HoldKey {
        fence: Some(first.fence),
        ..key(&second)
    };
    for reply in tries(&map, &mixed).await {
        assert_eq!(reply, HoldReply::NotYours);
    }
    let reason = EndReason::Expired;
    for reply in tries(&map, &key(&first)).await {
        assert_eq!(reply, HoldReply::Ended { reason });
    }
    let late = map.sync(&[refunded(&first, [0, 1, 2])]).await;
    assert_eq!(late, Synced::default(), "a refund of what is another's now");
    map.shows(".hh.").await;

    // Sold, given back and held by somebody else: the first sale's messages come again.
    map.sync(&[sold(&second, [1, 2])]).await;
    map.sync(&[refunded(&second, [1, 2])]).await;
    let third = map.take_seats("bob", "1", [2]).await;
    assert!(third.fence > second.fence, "fences grow");
    let late = map.sync(&[refunded(&second, [1, 2])]).await;
    assert_eq!(late, Synced::default(), "a refund that came again");
    map.shows("..h.").await;
    assert_eq!(map.holds_of("bob").await, [third]);
}

/// An order that pays with a hold takes its deadline off: then only the order ends it, however long that takes.
///
/// # Panics
/// If something else does, or the order cannot.
pub async fn s2_a_pinned_hold_is_ended_by_its_order_alone(
    store: &Arc<dyn SeatStore>,
    clock: &ManualClock,
) {
    let map = TestMap::build(store, "s2-pinned", 6).await;
    let hold = map.take_seats("ann", "1", [1, 2]).await;
    let pinned = Hold {
        deadline_ms: None,
        ..hold.clone()
    };
    for _ in 0..2 {
        assert_eq!(map.pin(&key(&hold)).await, HoldReply::Done(pinned.clone()));
    }
    pass(clock, TTL_MS * 100);
    assert_eq!(map.sweep().await.holds, 0);
    assert_eq!(map.find(&key(&hold)).await, HoldReply::Done(pinned.clone()));
    assert_eq!(map.release(&key(&hold)).await, HoldReply::Pinned);
    let extended = map.extend(&key(&hold), TTL_MS, TTL_MS).await;
    assert_eq!(extended, HoldReply::Pinned);
    let retry = map.wants("ann", "1", [1, 2]);
    assert_eq!(map.take(&retry).await, pinned, "sent again");
    let blocked = map.block([0, 2]).await;
    let taken = seats([2]);
    assert_eq!(blocked, crate::seat::Blocked::Unavailable { seats: taken });
    map.shows(".hh...").await;

    // The order gives up: there is a deadline again, from now.
    let again = Hold {
        deadline_ms: Some(clock.now_ms() + 5_000),
        ..hold.clone()
    };
    let unpinned = map.unpin(&key(&hold), 5_000).await;
    assert_eq!(unpinned, HoldReply::Done(again.clone()));
    for ttl_ms in [60_000, 0] {
        let twice = map.unpin(&key(&hold), ttl_ms).await;
        assert_eq!(twice, HoldReply::Done(again.clone()), "it is not pinned");
    }
    pass(clock, 4_999);
    assert_eq!(map.find(&key(&hold)).await, HoldReply::Done(again));
    pass(clock, 1);
    let reason = EndReason::Expired;
    assert_eq!(map.pin(&key(&hold)).await, HoldReply::Ended { reason });
    map.shows("......").await;

    // Or it gives the seats back at once.
    let hold = map.take_seats("ann", "2", [3]).await;
    map.pin(&key(&hold)).await;
    let ended = map.unpin(&key(&hold), 0).await;
    assert!(matches!(ended, HoldReply::Done(ended) if ended.seats == hold.seats));
    map.shows("......").await;
    let reason = EndReason::Released;
    assert_eq!(map.find(&key(&hold)).await, HoldReply::Ended { reason });

    // Or it buys them, some of them first.
    let hold = map.take_seats("ann", "3", [3, 4, 5]).await;
    map.pin(&key(&hold)).await;
    map.sync(&[sold(&hold, [4])]).await;
    let rest = Hold {
        seats: seats([3, 5]),
        deadline_ms: None,
        ..hold.clone()
    };
    assert_eq!(map.find(&key(&hold)).await, HoldReply::Done(rest));
    map.sync(&[sold(&hold, [3, 4, 5])]).await;
    let reason = EndReason::Sold;
    assert_eq!(map.find(&key(&hold)).await, HoldReply::Ended { reason });
    map.shows("...sss").await;
}

/// Holds of a person are listed while they live, the oldest first; an extension never shortens, nor passes its cap.
///
/// # Panics
/// If not.
pub async fn s2_holds_are_listed_and_extended(store: &Arc<dyn SeatStore>, clock: &ManualClock) {
    let map = TestMap::build(store, "s2-extend", 6).await;
    let started = clock.now_ms();
    let long = map.take_seats("ann", "1", [4]).await;
    let short = HoldRequest {
        ttl_ms: 1_000,
        ..map.wants("ann", "2", [0, 1])
    };
    let short = map.take(&short).await;
    assert_eq!(map.holds_of("ann").await, [long.clone(), short.clone()]);
    for (ttl_ms, cap_ms, deadline) in [
        (500, 60_000, 1_000),
        (-5, 60_000, 1_000),
        (1_500, 60_000, 1_500),
        (9_000, 4_000, 4_000),
        (9_000, 2_000, 4_000),
        (4_000, 60_000, 4_000),
    ] {
        let wanted = Hold {
            deadline_ms: Some(started + deadline),
            ..short.clone()
        };
        let extended = map.extend(&key(&short), ttl_ms, cap_ms).await;
        assert_eq!(extended, HoldReply::Done(wanted), "by {ttl_ms} of {cap_ms}");
    }
    assert_eq!(map.head().await.version, 2, "an extension changes no seat");
    pass(clock, 3_999);
    assert_eq!(map.sweep().await.holds, 0);
    pass(clock, 1);
    assert_eq!(map.holds_of("ann").await, [long], "the other one is over");
    let reason = EndReason::Expired;
    let late = map.extend(&key(&short), 9_000, 60_000).await;
    assert_eq!(late, HoldReply::Ended { reason }, "nothing revives it");
}
