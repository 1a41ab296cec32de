//! S3: while a map is ready, its states add up to its seats; and whoever follows its changes sees what it shows.

use std::sync::Arc;

use ticketon_queue::ManualClock;
use tokio::task::JoinSet;

use super::test_map::{TTL_MS, TestMap, key, pass, refunded, seats, sold};
use crate::seat::{
    Blocked, Changes, Held, KEPT_CHANGES, MAX_CHANGES, SeatState, SeatStore, Snapshot,
};

/// A copy of a map that was taken at a version, kept by its changes.
struct Follower {
    version: u64,
    bits: Vec<u8>,
}

impl Follower {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            version: snapshot.head.version,
            bits: snapshot.bits.to_vec(),
        }
    }

    /// Reads on until nothing is left.
    async fn catch_up(&mut self, map: &TestMap) {
        loop {
            let changes = map.since(self.version).await;
            assert!(changes.len() <= MAX_CHANGES, "{} at a time", changes.len());
            if changes.is_empty() {
                return;
            }
            for change in changes {
                self.version = change.version;
                assert!(!change.seats.is_empty(), "a change of nothing");
                for (seat, state) in change.seats {
                    state.put(&mut self.bits, seat);
                }
            }
        }
    }

    fn sees(&self, snapshot: &Snapshot) {
        assert_eq!(self.version, snapshot.head.version, "the version followed");
        assert_eq!(self.bits, snapshot.bits, "the map followed");
    }
}

/// Each call that changes seats is one version and one change, which says all that it changed; a call that changes
/// none leaves the version.
///
/// # Panics
/// If not.
pub async fn s3_every_change_is_told(store: &Arc<dyn SeatStore>, clock: &ManualClock) {
    let map = TestMap::build(store, "s3-told", 9).await;
    assert_eq!(map.changes(0).await, Changes::Since(Vec::new()));
    assert_eq!(map.changes(1).await, Changes::Gap, "after what never was");
    let mut follower = Follower::of(&map.snapshot().await);
    let mut versions = 0;
    macro_rules! step {
        ($call:expr, $changes:literal) => {{
            let done = $call.await;
            versions += $changes;
            follower.catch_up(&map).await;
            follower.sees(&map.snapshot().await);
            let version = map.head().await.version;
            assert_eq!(version, versions, "{}", stringify!($call));
            done
        }};
    }
    let ann = step!(map.take_seats("ann", "1", [7, 0]), 1);
    step!(map.take_seats("ann", "1", [7, 0]), 0);
    step!(map.extend(&key(&ann), TTL_MS * 2, TTL_MS * 9), 0);
    step!(map.try_hold(&map.wants("bob", "1", [0, 1])), 0);
    step!(map.block([1, 2, 0]), 0);
    step!(map.block([1, 2]), 1);
    step!(map.block([2, 1]), 0);
    step!(map.unblock([2, 3]), 1);
    step!(map.unblock([2]), 0);
    step!(map.pin(&key(&ann)), 0);
    step!(map.sync(&[sold(&ann, [7])]), 1);
    step!(map.sync(&[sold(&ann, [7])]), 0);
    let bob = step!(map.take_seats("bob", "1", [4, 5]), 1);
    step!(map.sync(&[sold(&ann, [0, 5]), refunded(&ann, [7])]), 1);
    step!(map.release(&key(&bob)), 0);
    step!(map.take_seats("bob", "2", [4, 7]), 1);
    step!(map.take_seats("bob", "3", [8]), 1);
    pass(clock, TTL_MS);
    step!(map.sweep(), 1);
    step!(map.sweep(), 0);
    map.shows("sx...s...").await;
    let since = map.since(versions - 1).await;
    let freed = seats([4, 7, 8])
        .into_iter()
        .map(|seat| (seat, SeatState::Free));
    let mut told = since[0].seats.clone();
    told.sort_unstable();
    assert!(told.into_iter().eq(freed), "{since:?}");
}

/// What many processes do to a map at once is told in one order, without a gap, and adds up at every moment; following
/// it from any snapshot leads to what the map shows.
///
/// # Panics
/// If not.
pub async fn s3_a_busy_map_adds_up_and_can_be_followed(
    processes: &[Arc<dyn SeatStore>],
    _clock: &ManualClock,
) {
    const SEATS: u32 = 30;
    let map = TestMap::build(&processes[0], "s3-busy", SEATS).await;
    let mut tasks = JoinSet::new();
    for task in 0..16_u32 {
        let map = map.by(&processes[task as usize % processes.len()]);
        tasks.spawn(async move {
            for round in 0..12 {
                let first = (task * 7 + round * 11) % SEATS;
                let pair = [first, (first + 1) % SEATS];
                let name = format!("user-{task}");
                let request = map.wants(&name, &round.to_string(), pair);
                if task % 8 == 7 {
                    if map.block(pair).await == Blocked::Done {
                        map.unblock(pair).await;
                    }
                } else if let Held::Taken(hold) = map.try_hold(&request).await {
                    match round % 3 {
                        0 => drop(map.release(&key(&hold)).await),
                        1 => {
                            map.sync(&[sold(&hold, pair)]).await;
                            map.sync(&[refunded(&hold, [first])]).await;
                        }
                        _ => {}
                    }
                }
            }
        });
    }
    let watch = map.by(&processes[processes.len() - 1]);
    let mut followers = Vec::new();
    while !tasks.is_empty() {
        let joined = watch.watched(tasks.join_next()).await;
        joined.expect("a task is left").expect("no task panics");
        let mut follower = Follower::of(&watch.snapshot().await);
        follower.catch_up(&watch).await;
        followers.push(follower);
    }
    let last = map.snapshot().await;
    for mut follower in followers {
        follower.catch_up(&map).await;
        follower.sees(&last);
    }
    let mut from_the_start = Follower {
        version: 0,
        bits: vec![0; SeatState::packed_len(SEATS)],
    };
    from_the_start.catch_up(&map).await;
    from_the_start.sees(&last);
    map.has_holders((0..16).map(|task| format!("user-{task}")))
        .await;
}

/// About [`KEPT_CHANGES`] are kept: whoever followed longer ago is told that there is a gap, and never misses a change
/// without being told.
///
/// # Panics
/// If somebody does, or everything is kept.
pub async fn s3_what_is_forgotten_is_a_gap(processes: &[Arc<dyn SeatStore>], _clock: &ManualClock) {
    let each = (KEPT_CHANGES + KEPT_CHANGES / 4).div_ceil(processes.len() * 2) as u64;
    let map = TestMap::build(&processes[0], "s3-gap", processes.len() as u32).await;
    let mut tasks = JoinSet::new();
    for (seat, process) in (0..).zip(processes) {
        let map = map.by(process);
        tasks.spawn(async move {
            for _ in 0..each {
                for state in [SeatState::Blocked, SeatState::Free] {
                    let (event, epoch, seat) = (&map.event, map.epoch, &seats([seat]));
                    let done = match state {
                        SeatState::Free => map.store.unblock(event, epoch, seat).await,
                        _ => map.store.block(event, epoch, seat).await,
                    };
                    let done = super::test_map::ready("block", done);
                    assert_eq!(done, Blocked::Done);
                }
            }
        });
    }
    tasks.join_all().await;
    let version = map.head().await.version;
    assert_eq!(version, each * 2 * processes.len() as u64, "one a call");
    assert_eq!(
        map.changes(0).await,
        Changes::Gap,
        "{version} changes are kept"
    );
    let kept = version - KEPT_CHANGES as u64;
    for after in [kept, kept + 1, version - 1, version] {
        let mut at = after;
        while at < version {
            let changes = map.since(at).await;
            let most = changes.len().min(MAX_CHANGES) as u64;
            assert!(most > 0, "nothing after {at} of {version}");
            at += most;
        }
        assert_eq!(map.since(at).await, []);
    }
    assert_eq!(map.changes(version + 1).await, Changes::Gap);
}
