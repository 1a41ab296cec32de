//! Many connections at once: S1 to S3, recounted.

use std::collections::{HashMap, HashSet};

use ticketon_domain::adapter::memory::MemorySeatStore;
use ticketon_domain::seat::{
    Blocked, Choice, Counts, Held, Hold, HoldKey, HoldReply, MapSpec, Orphans, Over, Run,
    SeatState, SeatStore, SeatSync,
};
use ticketon_tests::RedisServer;
use tokio::task::JoinSet;

use super::test_map::{BOUND, TestMap, connect, key, ready, seats};

const TASKS: u32 = 64;
const CONNECTIONS: u32 = 8;

/// Numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }
}

/// The seats that a map shows are those that the living holds have, each once, and its counts add up.
async fn recount(hall: &TestMap) -> Counts {
    let snapshot = hall.snapshot().await;
    let counts = Counts::of(&snapshot.bits, snapshot.head.spec.seats);
    assert_eq!(counts, snapshot.head.counts, "S3");
    assert_eq!(counts.total(), snapshot.head.spec.seats, "S3");
    let mut held = HashSet::new();
    for task in 0..TASKS {
        for hold in hall.holds_of(&format!("user-{task}")).await {
            for seat in &hold.seats {
                assert!(held.insert(*seat), "S1: {seat} has two holders");
                assert_eq!(snapshot.state(*seat), Some(SeatState::Held), "S1: {hold:?}");
            }
        }
    }
    assert_eq!(held.len(), counts.held as usize, "S1: held by nobody");
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn random_groups_that_overlap_never_share_a_seat() {
    const SEATS: u32 = 120;
    const ROUNDS: u32 = 12;
    let redis = RedisServer::start().await;
    let mut stores = Vec::new();
    for _ in 0..CONNECTIONS {
        stores.push(connect(&redis.url()).await);
    }
    let hall = TestMap::build(&stores[0], SEATS).await;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let hall = hall.by(&stores[(task % CONNECTIONS) as usize]);
        tasks.spawn(async move {
            let mut random = Numbers(u64::from(task) + 1);
            let mut last: Option<Hold> = None;
            let mut sold: Vec<(u64, u32)> = Vec::new();
            for round in 0..ROUNDS {
                let group: HashSet<u32> = (0..1 + random.below(6))
                    .map(|_| random.below(SEATS))
                    .collect();
                let wanted = Choice::Seats(seats(group));
                let request = hall.request(&format!("user-{task}"), round, wanted.clone());
                match hall.hold(&request).await {
                    Held::Taken(hold) => {
                        assert_eq!(Choice::Seats(hold.seats.clone()), wanted, "all or none");
                        assert_eq!(hall.hold(&request).await, Held::Taken(hold.clone()));
                        // S2: what went to somebody else is not this one's to give back.
                        if let Some(old) = last.replace(hold) {
                            let mixed = HoldKey {
                                fence: Some(old.fence + 1),
                                ..key(&old)
                            };
                            let (event, epoch) = (&hall.event, hall.epoch);
                            let refused = hall.store.release(event, epoch, &mixed).await;
                            assert_eq!(ready(refused), HoldReply::NotYours);
                            if random.below(2) == 0 {
                                let done = hall.store.release(event, epoch, &key(&old)).await;
                                assert_eq!(ready(done), HoldReply::Done(old));
                            } else {
                                sold.extend(old.seats.iter().map(|seat| (old.fence, seat.get())));
                                let message = SeatSync::Sold {
                                    user: old.user,
                                    fence: old.fence,
                                    seats: old.seats,
                                };
                                let synced = hall.store.sync(event, epoch, &[message]).await;
                                assert_eq!(ready(synced).lost, [], "its own seats");
                            }
                        }
                    }
                    Held::Unavailable { seats } => {
                        let asked = matches!(&wanted, Choice::Seats(all) if seats.iter().all(|seat| all.contains(seat)));
                        assert!(asked && !seats.is_empty(), "{seats:?} of {wanted:?}");
                    }
                    other => panic!("{other:?}"),
                }
            }
            sold
        });
    }
    let sales = tokio::time::timeout(BOUND, tasks.join_all()).await.unwrap();
    let counts = recount(&hall).await;
    let mut owners: HashMap<u32, u64> = HashMap::new();
    for (fence, seat) in sales.into_iter().flatten() {
        let other = owners.insert(seat, fence);
        assert_eq!(other, None, "seat {seat} was sold twice");
    }
    assert_eq!(owners.len(), counts.sold as usize);
    assert!(
        counts.held > 0 && counts.sold > 0,
        "nothing raced: {counts:?}"
    );
}

/// What the script chooses is what the model chooses, over random maps and runs.
#[tokio::test(flavor = "multi_thread")]
async fn the_script_chooses_the_seats_that_the_model_chooses() {
    const SEATS: u32 = 97;
    let redis = RedisServer::start().await;
    let hall = TestMap::build(&connect(&redis.url()).await, SEATS).await;
    let model = MemorySeatStore::new();
    let mut random = Numbers(7);
    let mut found = [0; 2];
    for case in 0..600 {
        let hall = TestMap::build(&hall.store, SEATS).await;
        let spec = MapSpec {
            layout: "hall-1".to_owned(),
            seats: SEATS,
        };
        let begun = model.begin_rebuild(&hall.event, &spec, Over::Any).await;
        let epoch = begun.unwrap().unwrap();
        assert!(model.finish_rebuild(&hall.event, epoch).await.unwrap());
        let density = 1 + random.below(6);
        let taken = seats((0..SEATS).filter(|_| random.below(6) < density));
        for (store, epoch) in [(&hall.store as &dyn SeatStore, hall.epoch), (&model, epoch)] {
            let blocked = store.block(&hall.event, epoch, &taken).await;
            assert_eq!(ready(blocked), Blocked::Done);
        }
        let count = 1 + random.below(5);
        let choice = if case % 4 == 0 {
            let start = random.below(SEATS + 9);
            let (len, offset) = (random.below(SEATS), random.below(2 * SEATS));
            Choice::Units {
                count,
                start,
                len,
                offset,
            }
        } else {
            // In every other case the first runs have no place, and there are many.
            let none = if case % 2 == 0 {
                0
            } else {
                60 + random.below(8)
            };
            let runs = (0..none + random.below(8)).map(|run| {
                let segment_start = random.below(SEATS + 3);
                let segment_len = random.below(40);
                Run {
                    start: (segment_start + random.below(6)).saturating_sub(2),
                    len: if run < none { 0 } else { random.below(30) },
                    segment_start,
                    segment_len,
                    centre_twice: 2 * segment_start + random.below(30),
                }
            });
            Choice::Adjacent {
                count,
                runs: runs.collect(),
                orphans: [Orphans::Allow, Orphans::Lenient, Orphans::Strict][(case % 3) as usize],
            }
        };
        let request = hall.request("ann", 1, choice);
        let chosen = hall.hold(&request).await;
        let wanted = ready(model.hold(&hall.event, epoch, &request).await);
        match (&chosen, &wanted) {
            (Held::Taken(chosen), Held::Taken(wanted)) => {
                found[0] += 1;
                assert_eq!(chosen.seats, wanted.seats, "case {case}: {request:?}");
            }
            _ => {
                found[1] += 1;
                assert_eq!(chosen, wanted, "case {case}: {request:?}");
            }
        }
        let shown = ready(model.snapshot(&hall.event).await);
        assert_eq!(hall.snapshot().await.bits, shown.bits, "case {case}");
    }
    assert!(
        found.iter().all(|cases| *cases > 50),
        "seats, none: {found:?}"
    );
}

/// After many runs without a place the script looks at all blocks of the map: those of one run still end with its segment.
#[tokio::test]
async fn lone_seats_are_judged_within_the_segment_however_many_runs_there_are() {
    let redis = RedisServer::start().await;
    let hall = TestMap::build(&connect(&redis.url()).await, 40).await;
    let run = |len| Run {
        start: 10,
        len,
        segment_start: 10,
        segment_len: 10,
        centre_twice: 23,
    };
    // The best place is 11 and 12, which would leave seat 10 alone although seat 9 is free.
    for (number, runs) in (1..).zip([0, 63, 64, 500]) {
        let runs = std::iter::repeat_n(run(0), runs).chain([run(10)]);
        let choice = Choice::Adjacent {
            count: 2,
            runs: runs.collect(),
            orphans: Orphans::Lenient,
        };
        let request = hall.request("ann", number, choice);
        let hold = match hall.hold(&request).await {
            Held::Taken(hold) => hold,
            other => panic!("{other:?}"),
        };
        assert_eq!(hold.seats, seats([10, 11]), "after many runs");
        let (event, epoch) = (&hall.event, hall.epoch);
        ready(hall.store.release(event, epoch, &key(&hold)).await);
    }
}
