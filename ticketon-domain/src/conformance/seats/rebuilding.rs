//! S3, over rebuilds: an absent map never reads as free, and an index never means a seat of another map.

use std::sync::Arc;

use ticketon_queue::{EventId, ManualClock};
use tokio::task::JoinSet;

use super::test_map::{
    TestMap, answered, event, key, load_blocked, load_sold, picture, ready, recount, refunded, sold,
};
use super::verbs::every_verb;
use crate::seat::{
    Changes, Held, Hold, HoldReply, HoldRequest, Limits, Mapped, NotReady, Over, SeatStore,
};

async fn is_not_ready(store: &dyn SeatStore, event: &EventId, epoch: u64, why: NotReady) {
    let (of_an_epoch, others) = every_verb(store, event, epoch).await;
    for (verb, answer) in of_an_epoch.into_iter().chain(others) {
        assert_eq!(answer, Mapped::NotReady(why), "{verb}");
    }
}

/// A map that was never built: every verb says so, and nothing makes one but a rebuild.
///
/// # Panics
/// If not.
pub async fn a_map_that_was_never_built_is_absent(
    store: &Arc<dyn SeatStore>,
    _clock: &ManualClock,
) {
    let event = event("absent");
    assert_eq!(answered("ping", store.ping().await), ());
    for epoch in [0, 1, 1 << 40] {
        is_not_ready(&**store, &event, epoch, NotReady::Absent).await;
        let load = [load_sold(0, "ann", 1)];
        assert!(!answered("load", store.load(&event, epoch, &load).await));
        let finished = store.finish_rebuild(&event, epoch).await;
        assert!(!answered("finish_rebuild", finished), "nothing was begun");
    }
    is_not_ready(&**store, &event, 0, NotReady::Absent).await;
}

/// From the moment a rebuild begins until it is finished no verb works, nor changes anything; then the map is what was
/// loaded, however often, and nothing else.
///
/// # Panics
/// If not.
pub async fn s3_a_map_that_is_rebuilt_is_not_ready(
    store: &Arc<dyn SeatStore>,
    _clock: &ManualClock,
) {
    let old = TestMap::build(store, "s3-rebuilt", 6).await;
    let hold = old.take_seats("ann", "1", [0, 1]).await;
    let lost = old.take_seats("bob", "1", [4]).await;
    old.pin(&key(&lost)).await;
    let epoch = TestMap::begin(store, &old.event, 7).await;
    assert!(epoch > old.epoch, "{epoch} comes after {}", old.epoch);
    assert!(epoch < 1 << 53, "a double holds every epoch: {epoch}");
    let rebuilding = NotReady::Rebuilding { epoch };
    for asked in [old.epoch, epoch] {
        is_not_ready(&**store, &old.event, asked, rebuilding).await;
    }
    let map = old.under(epoch);
    assert!(!old.load(&[load_sold(3, "eve", 1)]).await, "an old epoch");
    assert!(!old.finish().await, "an old epoch");
    let load = [
        load_sold(0, "ann", hold.fence),
        load_blocked(2),
        load_sold(2, "ann", hold.fence),
        load_blocked(2),
    ];
    for _ in 0..2 {
        assert!(map.load(&load).await);
        assert!(map.load(&[load_blocked(6), load_blocked(60)]).await);
    }
    is_not_ready(&**store, &old.event, epoch, rebuilding).await;
    for _ in 0..2 {
        assert!(map.finish().await, "it may be said again");
    }
    map.shows("s.s...x").await;
    let head = map.head().await;
    assert_eq!((head.epoch, head.version), (epoch, 0));
    assert_eq!(map.changes(0).await, Changes::Since(Vec::new()));
    for name in ["ann", "bob"] {
        assert_eq!(map.holds_of(name).await, []);
    }
    assert_eq!(map.find(&key(&lost)).await, HoldReply::Unknown);
    assert!(!map.load(&[load_blocked(1)]).await, "it is ready");
    map.shows("s.s...x").await;
    // The seats that were loaded count for whom they are of, once.
    let limits = Limits {
        per_order: 4,
        per_user: 3,
    };
    let two = HoldRequest {
        limits,
        ..map.wants("ann", "1", [1, 3])
    };
    assert_eq!(map.try_hold(&two).await, Held::OverUserLimit { has: 2 });
    let newest = map.take_seats("ann", "1", [1]).await;
    assert!(newest.fence > lost.fence, "fences grow over a rebuild");
}

/// Two rebuilds at a time, as when two processes found the map gone: the newer one wins, whatever the older one still does,
/// and also if the newer one stops in the middle.
///
/// # Panics
/// If not.
pub async fn s3_the_newest_rebuild_wins(store: &Arc<dyn SeatStore>, _clock: &ManualClock) {
    let event = event("s3-newest");
    let of = |epoch| TestMap {
        store: Arc::clone(store),
        event: event.clone(),
        epoch,
    };
    let older = of(TestMap::begin(store, &event, 4).await);
    assert!(older.load(&[load_blocked(0)]).await);
    let newer = of(TestMap::begin(store, &event, 4).await);
    assert!(newer.epoch > older.epoch);
    assert!(!older.load(&[load_blocked(1)]).await);
    assert!(newer.load(&[load_blocked(2)]).await);
    assert!(!older.finish().await, "a half-loaded map is never ready");
    let epoch = newer.epoch;
    is_not_ready(&**store, &event, epoch, NotReady::Rebuilding { epoch }).await;
    // The newer one dies here. Somebody begins again.
    let newest = of(TestMap::begin(store, &event, 4).await);
    assert!(newest.load(&[load_blocked(3)]).await);
    for old in [&older, &newer] {
        assert!(!old.load(&[load_blocked(0)]).await);
        assert!(!old.finish().await);
    }
    assert!(newest.finish().await);
    newest.shows("...x").await;
    for old in [&older, &newer] {
        assert!(!old.load(&[load_blocked(0)]).await);
        assert!(!old.finish().await);
    }
    newest.shows("...x").await;
}

/// Rebuilds of many processes at once, each of what it read: in the end the map is wholly what one of them read, the one
/// that began last.
///
/// # Panics
/// If it is a mixture, or not ready.
pub async fn s3_rebuilds_that_race_leave_one_map(
    processes: &[Arc<dyn SeatStore>],
    _clock: &ManualClock,
) {
    const SEATS: u32 = 12;
    for _ in 0..6 {
        let event = event("s3-race");
        let mut tasks = JoinSet::new();
        for task in 0..8_u32 {
            let store = Arc::clone(&processes[task as usize % processes.len()]);
            let event = event.clone();
            tasks.spawn(async move {
                let epoch = TestMap::begin(&store, &event, SEATS).await;
                let map = TestMap {
                    store,
                    event,
                    epoch,
                };
                for seat in 0..SEATS {
                    if (seat + task) % 8 < 4 {
                        tokio::task::yield_now().await;
                        map.load(&[load_blocked(seat)]).await;
                    }
                }
                (epoch, task, map.finish().await)
            });
        }
        let mut all = tasks.join_all().await;
        all.sort_unstable();
        let mut epochs: Vec<u64> = all.iter().map(|(epoch, ..)| *epoch).collect();
        epochs.dedup();
        assert_eq!(epochs.len(), all.len(), "each rebuild has its own epoch");
        let (epoch, task, finished) = all[all.len() - 1];
        assert!(finished, "the newest rebuild is the map: {all:?}");
        let snapshot = ready("snapshot", processes[0].snapshot(&event).await);
        recount(&snapshot);
        assert_eq!(snapshot.head.epoch, epoch);
        let wanted: String = (0..SEATS)
            .map(|seat| if (seat + task) % 8 < 4 { 'x' } else { '.' })
            .collect();
        assert_eq!(picture(&snapshot), wanted, "what the newest one read");
    }
}

/// A refund races a rebuild: the rebuild read the seat as sold, then it was refunded, and the message of that finds the map
/// not ready. It is refused, so it is sent again, and then frees the seat.
///
/// # Panics
/// If the message is swallowed.
pub async fn s3_a_refund_that_races_a_rebuild_is_not_lost(
    store: &Arc<dyn SeatStore>,
    _clock: &ManualClock,
) {
    let old = TestMap::build(store, "s3-refund", 4).await;
    let hold = old.take_seats("ann", "1", [1, 2]).await;
    old.sync(&[sold(&hold, [1, 2])]).await;
    let map = old.under(TestMap::begin(store, &old.event, 4).await);
    let read = [1, 2].map(|seat| load_sold(seat, "ann", hold.fence));
    // The refund is committed here.
    let message = [refunded(&hold, [2])];
    let send = async |epoch| answered("sync", store.sync(&map.event, epoch, &message).await);
    let epoch = map.epoch;
    let refused = Mapped::NotReady(NotReady::Rebuilding { epoch });
    assert_eq!(send(old.epoch).await, refused);
    assert!(map.load(&read).await);
    assert_eq!(send(map.epoch).await, refused);
    assert!(map.finish().await);
    map.shows(".ss.").await;
    let refused = Mapped::NotReady(NotReady::OtherEpoch { epoch });
    assert_eq!(send(old.epoch).await, refused);
    for changed in [1, 0] {
        let done = send(epoch).await.ready().expect("the map is ready");
        assert_eq!(done.changed, changed);
        map.shows(".s..").await;
    }

    // A purchase races it likewise.
    let hold: Hold = map.take_seats("bob", "1", [3]).await;
    let newest = map.rebuilt(4, &[load_sold(1, "ann", 1)]).await;
    newest.shows(".s..").await;
    assert_eq!(newest.sync(&[sold(&hold, [3])]).await.changed, 1);
    newest.shows(".s.s").await;
}

/// A rebuild begins over what its caller saw: when another one has begun or ended since, it is refused, and the map stays
/// what it is. What somebody decides begins over whatever there is.
///
/// # Panics
/// If not.
pub async fn s3_a_rebuild_begins_over_what_was_seen(
    store: &Arc<dyn SeatStore>,
    _clock: &ManualClock,
) {
    let map = TestMap {
        store: Arc::clone(store),
        event: event("s3-over"),
        epoch: 0,
    };
    let over = async |wanted: &[Over], unwanted: &[Over]| {
        for seen in unwanted {
            let before = answered("head", store.head(&map.event).await);
            assert_eq!(map.begin_over(4, *seen).await, None, "over {seen:?}");
            let after = answered("head", store.head(&map.event).await);
            assert_eq!(after, before, "a refused rebuild changed something");
        }
        let mut epoch = None;
        for seen in wanted {
            epoch = map.begin_over(4, *seen).await;
            assert!(epoch.is_some(), "over {seen:?}");
        }
        epoch.expect("one is wanted")
    };
    let of = |epoch| (Over::Rebuilding { epoch }, Over::Ready { epoch });
    let (rebuilding, ready_map) = of(1);
    let first = over(&[Over::Absent], &[rebuilding, ready_map]).await;
    let (seen, not_yet) = of(first);
    let second = over(&[seen], &[Over::Absent, not_yet, rebuilding]).await;
    let (at_it, done) = of(second);
    assert!(map.under(second).finish().await);
    let hold = map.under(second).take_seats("ann", "1", [1]).await;
    let third = over(&[done], &[Over::Absent, at_it, seen, not_yet]).await;
    assert!(first < second && second < third, "each is newer");
    assert!(map.under(third).finish().await);
    let map = map.under(third);
    assert_eq!(map.find(&key(&hold)).await, HoldReply::Unknown);
    let forced = map.begin_over(4, Over::Any).await;
    assert!(forced > Some(third), "somebody decided it: {forced:?}");
    let forced_again = map.begin_over(4, Over::Any).await;
    assert!(forced_again > forced, "{forced_again:?}");
}

/// Many processes find a map gone at the same moment. One of them builds it, and a hold that is taken as soon as it is
/// ready is not lost to the others.
///
/// # Panics
/// If it is.
pub async fn s3_of_many_who_miss_a_map_one_builds_it(
    processes: &[Arc<dyn SeatStore>],
    _clock: &ManualClock,
) {
    for round in 0..8 {
        let event = event("s3-missed");
        let mut tasks = JoinSet::new();
        let seen = Arc::new(tokio::sync::Barrier::new(8));
        for task in 0..8_usize {
            let map = TestMap {
                store: Arc::clone(&processes[task % processes.len()]),
                event: event.clone(),
                epoch: 0,
            };
            let seen = Arc::clone(&seen);
            tasks.spawn(async move {
                let head = answered("head", map.store.head(&map.event).await);
                let Mapped::NotReady(why) = head else {
                    panic!("nobody has built it: {head:?}")
                };
                seen.wait().await;
                // Some come when the first is at work, some when it is done.
                for _ in 0..task * round * 20 {
                    tokio::task::yield_now().await;
                }
                let epoch = map.begin_over(4, why.into()).await?;
                let map = map.under(epoch);
                assert!(map.load(&[load_blocked(0)]).await, "nobody else builds it");
                assert!(map.finish().await, "nobody else builds it");
                let hold = map.take_seats("ann", "1", [task as u32 % 3 + 1]).await;
                Some((map, hold))
            });
        }
        let built: Vec<(TestMap, Hold)> = tasks.join_all().await.into_iter().flatten().collect();
        assert_eq!(built.len(), 1, "so many built it: {built:?}");
        let (map, hold) = &built[0];
        let found = map.find(&key(hold)).await;
        assert_eq!(found, HoldReply::Done(hold.clone()), "the hold is lost");
    }
}
