//! Lost answers: a verb that was sent, whose answer was lost, and that is sent again by another process, has the effect
//! of once, and the second answer tells what the first would have told.

use std::sync::Arc;

use ticketon_queue::ManualClock;

use super::test_map::{TTL_MS, TestMap, key, pass, refunded, sold};
use crate::seat::{
    Blocked, EndReason, Held, Hold, HoldReply, HoldRequest, Load, SeatStore, Swept, Synced,
};
use crate::venue::SeatIndex;

/// Each verb, twice.
///
/// # Panics
/// If a verb takes effect twice, or its second answer misleads.
pub async fn s1_a_lost_answer_may_be_asked_for_again(
    processes: &[Arc<dyn SeatStore>],
    clock: &ManualClock,
) {
    let first = TestMap::build(&processes[0], "s1-again", 6).await;
    let second = first.by(&processes[processes.len() - 1]);
    let request = first.wants("ann", "1", [1, 2]);
    drop(first.try_hold(&request).await);
    pass(clock, 200);
    let hold = second.take(&request).await;
    let unavailable = first.wants("bob", "1", [0, 1]);
    let refused = first.try_hold(&unavailable).await;
    assert_eq!(second.try_hold(&unavailable).await, refused);
    second.shows(".hh...").await;

    let extended = first.extend(&key(&hold), TTL_MS, TTL_MS * 9).await;
    let again = second.extend(&key(&hold), TTL_MS, TTL_MS * 9).await;
    assert_eq!(again, extended, "extended until the same moment");
    let pinned = first.pin(&key(&hold)).await;
    assert_eq!(second.pin(&key(&hold)).await, pinned);
    let unpinned = first.unpin(&key(&hold), 1_000).await;
    pass(clock, 100);
    assert_eq!(second.unpin(&key(&hold), 1_000).await, unpinned);
    let Hold { deadline_ms, .. } = second.take(&request).await;
    assert!(matches!(unpinned, HoldReply::Done(hold) if hold.deadline_ms == deadline_ms));

    let released = first.release(&key(&hold)).await;
    assert!(matches!(released, HoldReply::Done(_)), "{released:?}");
    let reason = EndReason::Released;
    let ended = HoldReply::Ended { reason };
    assert_eq!(second.release(&key(&hold)).await, ended, "it is released");
    assert_eq!(second.try_hold(&request).await, Held::Ended { reason });

    let given_up = first.take_seats("ann", "2", [3]).await;
    first.pin(&key(&given_up)).await;
    drop(first.unpin(&key(&given_up), 0).await);
    assert_eq!(second.unpin(&key(&given_up), 0).await, ended);
    second.shows("......").await;

    let bought = first.take_seats("ann", "3", [3, 4]).await;
    first.pin(&key(&bought)).await;
    for (message, picture) in [
        (sold(&bought, [3, 4]), "...ss."),
        (refunded(&bought, [4]), "...s.."),
    ] {
        let batch = [message];
        drop(first.sync(&batch).await);
        second.shows(picture).await;
        assert_eq!(second.sync(&batch).await, Synced::default());
        second.shows(picture).await;
    }
    for map in [&first, &second] {
        assert_eq!(map.block([0, 5]).await, Blocked::Done);
        map.shows("x..s.x").await;
    }
    for map in [&first, &second] {
        assert_eq!(map.unblock([0]).await, Blocked::Done);
        map.shows("...s.x").await;
    }
    let short = HoldRequest {
        ttl_ms: 10,
        ..first.wants("ann", "4", [1, 2])
    };
    first.take(&short).await;
    pass(clock, 10);
    assert_eq!(first.sweep().await.seats, 2);
    assert_eq!(second.sweep().await, Swept::default());
    let retry = second.try_hold(&short).await;
    let reason = EndReason::Expired;
    assert_eq!(retry, Held::Ended { reason }, "nothing is taken again");
    second.shows("...s.x").await;

    // The answer of the first beginning was lost with its process.
    let lost = TestMap::begin(&first.store, &first.event, 6).await;
    let again = second.under(TestMap::begin(&second.store, &first.event, 6).await);
    let load = [Load::Blocked {
        seat: SeatIndex::new(4),
    }];
    assert!(!first.under(lost).load(&load).await);
    for map in [again.by(&first.store), again.clone()] {
        assert!(map.load(&load).await);
    }
    for map in [again.by(&first.store), again.clone()] {
        assert!(map.finish().await);
        map.shows("....x.").await;
    }
}
