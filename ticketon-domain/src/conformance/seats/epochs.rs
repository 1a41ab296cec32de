//! S2, over rebuilds: fences grow, and whoever knows an old map changes nothing of the new one.

use std::sync::Arc;

use ticketon_queue::ManualClock;
use tokio::task::JoinSet;

use super::test_map::{TestMap, answered, key, load_blocked, load_sold, pass, refunded, sold};
use super::verbs::every_verb;
use crate::seat::{Held, Mapped, NotReady, SeatStore};

/// Fences also grow beyond those that were loaded, whatever the clock says: what was sold long ago, by a store whose clock
/// was ahead, is not taken for a new hold's.
///
/// # Panics
/// If not.
pub async fn s2_fences_grow_over_everything(store: &Arc<dyn SeatStore>, clock: &ManualClock) {
    let mut map = TestMap::build(store, "s2-fences", 3).await;
    let mut last = 0;
    for round in 0..4 {
        for key_of in 0..3 {
            let name = format!("{round}-{key_of}");
            let hold = map.take_seats("ann", &name, [1]).await;
            assert!(hold.fence > last, "{} after {last}", hold.fence);
            last = hold.fence;
            map.release(&key(&hold)).await;
        }
        pass(clock, -3_600_000);
        let far = last + (1 << 30);
        let epoch = map.epoch;
        map = map.rebuilt(3, &[load_sold(0, "ann", far)]).await;
        assert!(map.epoch > epoch, "{} after {epoch}", map.epoch);
        last = far;
    }
}

/// Whoever works with the old map after a rebuild (a request that was on the way, a keeper that slept) changes nothing, and
/// is told which epoch there is now.
///
/// # Panics
/// If not.
pub async fn s2_late_calls_of_an_old_epoch_change_nothing(
    store: &Arc<dyn SeatStore>,
    _clock: &ManualClock,
) {
    let old = TestMap::build(store, "s2-epoch", 4).await;
    let hold = old.take_seats("ann", "1", [0, 1]).await;
    let load = [load_sold(2, "eve", hold.fence)];
    let map = old.rebuilt(4, &load).await;
    let again = map.take_seats("ann", "1", [0, 3]).await;
    let before = map.snapshot().await;
    let other = Mapped::NotReady(NotReady::OtherEpoch { epoch: map.epoch });
    for epoch in [old.epoch, map.epoch + 1, 0] {
        let (of_an_epoch, _) = every_verb(&**store, &map.event, epoch).await;
        for (verb, answer) in of_an_epoch {
            assert_eq!(answer, other, "{verb} under {epoch}");
        }
        let late = map.under(epoch);
        assert!(!late.load(&[load_blocked(0)]).await);
        assert!(!late.finish().await);
    }
    let key = key(&again);
    let (event, epoch) = (&map.event, old.epoch);
    let batch = [refunded(&again, [0, 3]), sold(&hold, [0, 1])];
    let late = store.sync(event, epoch, &batch).await;
    assert_eq!(answered("sync", late).map(drop), other);
    let late = store.release(event, epoch, &key).await;
    assert_eq!(answered("release", late).map(drop), other);
    assert_eq!(map.snapshot().await, before, "nothing of this changed it");
    assert_eq!(map.holds_of("ann").await, [again]);
}

/// Processes that hold, sell and sweep while the map is rebuilt under them: whatever they were told they did, they did to
/// the map of their epoch, and nothing of it reaches the next one.
///
/// # Panics
/// If it does.
pub async fn s2_a_rebuild_cuts_off_whoever_is_at_work(
    processes: &[Arc<dyn SeatStore>],
    _clock: &ManualClock,
) {
    const SEATS: u32 = 40;
    let mut map = TestMap::build(&processes[0], "s2-cut", SEATS).await;
    for round in 0..6 {
        let mut tasks = JoinSet::new();
        for task in 0..12_u32 {
            let map = map.by(&processes[task as usize % processes.len()]);
            tasks.spawn(async move {
                let (store, event, epoch) = (&map.store, &map.event, map.epoch);
                for turn in 0..12 {
                    let name = format!("user-{task}");
                    let number = format!("{round}-{turn}");
                    let request = map.wants(&name, &number, [(task * 12 + turn) % SEATS]);
                    let held = answered("hold", store.hold(event, epoch, &request).await);
                    if let Mapped::Ready(Held::Taken(hold)) = held {
                        assert_eq!(hold.epoch, epoch, "a hold of another map");
                        let sold = [sold(&hold, hold.seats.iter().map(|seat| seat.get()))];
                        answered("sync", store.sync(event, epoch, &sold).await);
                    }
                }
            });
        }
        tokio::task::yield_now().await;
        map = map.rebuilt(SEATS, &[load_blocked(round)]).await;
        tasks.join_all().await;
        let mut wanted = ".".repeat(SEATS as usize);
        wanted.replace_range(round as usize..=round as usize, "x");
        map.shows(&wanted).await;
        assert_eq!(map.head().await.version, 0, "nobody changed the new map");
    }
}
