//! S2, of what is told late: a sale that was given back since takes nothing from whoever has the seat by then.

use std::sync::Arc;

use ticketon_queue::ManualClock;

use super::test_map::{TestMap, key, load_given_back, load_sold, refunded, sold};
use crate::seat::{Hold, HoldReply, Mend, Owned, SeatStore, Synced, Truth};
use crate::venue::SeatIndex;

/// A process read that seats were sold, and stood still while others told that, and that the seats were given back. When it
/// wakes and tells it, nothing changes: whoever has the seats by then keeps them.
///
/// # Panics
/// If not.
pub async fn s2_a_late_sale_takes_nothing_from_anybody(
    store: &Arc<dyn SeatStore>,
    _clock: &ManualClock,
) {
    for since in [
        "given back",
        "given back before it was sold",
        "mended",
        "held",
        "pinned",
        "held and released",
        "sold",
        "sold and given back",
        "blocked",
        "blocked and unblocked",
    ] {
        let map = TestMap::build(store, "s2-late", 5).await;
        let ann = map.take_seats("ann", "1", [1, 2]).await;
        let told = [sold(&ann, [1, 2]), refunded(&ann, [1, 2])];
        match since {
            "given back before it was sold" => {
                map.sync(&told[1..]).await;
            }
            "mended" => {
                map.sync(&told[..1]).await;
                let found = map.owners(1).await;
                let free = |seat: u32, found: Owned| Mend {
                    seat: SeatIndex::new(seat),
                    found,
                    truth: Truth::Free,
                };
                map.mend(&[free(1, found[0]), free(2, found[1])]).await;
            }
            _ => drop(map.sync(&told).await),
        }
        let others = match since {
            "blocked" | "blocked and unblocked" => {
                map.block([1, 2]).await;
                None
            }
            "given back" | "given back before it was sold" | "mended" => None,
            _ => Some(map.take_seats("bob", "1", [2, 1, 3]).await),
        };
        match (since, &others) {
            ("pinned", Some(bob)) => drop(map.pin(&key(bob)).await),
            ("held and released", Some(bob)) => drop(map.release(&key(bob)).await),
            ("sold", Some(bob)) => drop(map.sync(&[sold(bob, [1, 2])]).await),
            ("sold and given back", Some(bob)) => {
                map.sync(&[sold(bob, [1, 2]), refunded(bob, [1])]).await;
            }
            ("blocked and unblocked", _) => drop(map.unblock([1, 2]).await),
            _ => {}
        }
        let late = match since {
            "sold" => 0,
            "sold and given back" => 1,
            _ => 2,
        };
        changes_nothing(&map, since, &told[..1], late).await;
        // What is not late counts.
        if let ("held" | "pinned", Some(bob)) = (since, &others) {
            let HoldReply::Done(found) = map.find(&key(bob)).await else {
                panic!("the hold that was {since} has ended");
            };
            assert_eq!(found.seats.len(), 3, "{since}: {found:?}");
            assert_eq!(map.sync(&[sold(bob, [1, 2, 3])]).await.changed, 3);
        }
    }
}

/// A map that is built anew is told what was given back before: a late sale changes nothing there either. What was sold anew
/// since is sold, in whatever order it is read.
///
/// # Panics
/// If not.
pub async fn s2_a_map_that_is_built_anew_knows_which_sales_are_late(
    store: &Arc<dyn SeatStore>,
    _clock: &ManualClock,
) {
    let map = TestMap::build(store, "s2-late-anew", 6).await;
    let ann = map.take_seats("ann", "1", [1, 2, 3]).await;
    let eve = map.take_seats("eve", "1", [4]).await;
    let (marked, anew) = (load_given_back(1, ann.fence), load_given_back(2, ann.fence));
    let sale = load_sold(2, "eve", eve.fence);
    let beyond = load_given_back(60, eve.fence);
    let older = load_given_back(1, ann.fence - 1);
    for reads in [
        [&marked, &older, &anew, &sale, &beyond],
        [&sale, &beyond, &anew, &marked, &older],
    ] {
        let loads: Vec<_> = reads.into_iter().cloned().collect();
        let map = map.rebuilt(6, &loads).await;
        map.shows("..s...").await;
        let bob = map.take_seats("bob", "1", [1, 3]).await;
        changes_nothing(&map, "held", &[sold(&ann, [1])], 1).await;
        changes_nothing(&map, "sold anew", &[sold(&ann, [2])], 0).await;
        changes_nothing(&map, "given back", &[refunded(&ann, [1, 2])], 0).await;
        // Of this seat the ledger knows no refund: what is sold is sold.
        let synced = map.sync(&[sold(&ann, [3])]).await;
        assert_eq!(synced.lost, [bob.id], "seat 3 was not given back");
        map.shows("..ss..").await;
        // A newer sale of a seat that was given back counts.
        let newer = Hold {
            fence: bob.fence + 1,
            ..bob
        };
        assert_eq!(map.sync(&[sold(&newer, [1])]).await.changed, 1);
        assert_eq!(map.sync(&[refunded(&eve, [2])]).await.changed, 1);
        changes_nothing(&map, "given back by both", &[sold(&eve, [2])], 1).await;
        map.shows(".s.s..").await;
    }
    // What is held from now on is newer than any of it, whatever the store's clock says.
    let far = ann.fence + (1 << 30);
    let map = map.rebuilt(6, &[load_given_back(1, far)]).await;
    let bob = map.take_seats("bob", "2", [1]).await;
    assert!(bob.fence > far, "{} is not newer than {far}", bob.fence);
    assert_eq!(map.sync(&[sold(&bob, [1])]).await.changed, 1);
    // And forgets it with the map.
    let map = map.rebuilt(6, &[]).await;
    assert_eq!(map.sync(&[sold(&ann, [1])]).await.changed, 1);
}

/// Nothing comes of messages about seats that were something else since, but so many sales that are told to be late.
async fn changes_nothing(
    map: &TestMap,
    since: &str,
    messages: &[crate::seat::SeatSync],
    late: u64,
) {
    let before = map.snapshot().await;
    let synced = map.sync(messages).await;
    let nothing = Synced {
        late,
        ..Synced::default()
    };
    assert_eq!(synced, nothing, "seats that were {since} since");
    assert_eq!(map.snapshot().await, before, "{since}");
}
