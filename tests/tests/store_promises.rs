//! The promises of the waiting room (Q1 to Q5 and Q7 of the design), over memory and over Redis.
//!
//! The concurrent tests run on real time with several dispatchers, each over a connection of its own.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ticketon_queue::{
    EventId, Fenced, JoinReply, JoinRequest, Lane, LaneName, Left, ManualClock, MemoryStore,
    Presence, QueueStore, RedisStore, RoomConfig, RoomConfigBuilder, RoomNumbers, RoomVerb,
    Standing, UserId,
};
use ticketon_tests::{RedisServer, eventually};
use tokio::task::JoinSet;

const DISPATCHERS: usize = 4;
const BOUND: Duration = Duration::from_secs(30);

/// One room's store, as each of several processes would have it.
struct Place {
    event: EventId,
    processes: Vec<Arc<dyn QueueStore>>,
    clock: ManualClock,
    _server: Option<RedisServer>,
}

#[derive(Clone, Copy)]
enum Time {
    Real,
    Manual,
}

/// Memory and Redis, each with a room of this config.
async fn places(time: Time, config: RoomConfigBuilder) -> Vec<Place> {
    let config = config.build().unwrap();
    let event = EventId::new("promised").unwrap();
    let clock = || ManualClock::at(1_767_225_600_000);

    let memory_clock = clock();
    let memory = match time {
        Time::Real => MemoryStore::new(),
        Time::Manual => MemoryStore::with_clock(Arc::new(memory_clock.clone())),
    };
    let memory: Arc<dyn QueueStore> = Arc::new(memory);
    let in_memory = Place {
        event: event.clone(),
        processes: vec![memory; DISPATCHERS],
        clock: memory_clock,
        _server: None,
    };

    let server = RedisServer::start().await;
    let redis_clock = clock();
    let mut processes: Vec<Arc<dyn QueueStore>> = Vec::new();
    for _ in 0..DISPATCHERS {
        let builder = RedisStore::builder(server.url()).response_timeout(BOUND);
        let builder = match time {
            Time::Real => builder,
            Time::Manual => builder.clock(Arc::new(redis_clock.clone())),
        };
        processes.push(Arc::new(builder.connect().await.unwrap()));
    }
    let in_redis = Place {
        event,
        processes,
        clock: redis_clock,
        _server: Some(server),
    };

    let places = vec![in_memory, in_redis];
    for place in &places {
        place.processes[0]
            .save_room(&place.event, &config)
            .await
            .unwrap();
    }
    places
}

impl Place {
    fn store(&self) -> &Arc<dyn QueueStore> {
        &self.processes[0]
    }

    async fn join(&self, batch: &[JoinRequest]) -> Vec<JoinReply> {
        self.store()
            .join(&self.event, batch)
            .await
            .unwrap()
            .unwrap()
    }

    async fn tick(&self, batch: usize) -> u64 {
        let tick = self.store().tick(&self.event, batch).await.unwrap();
        tick.unwrap().promoted
    }

    async fn numbers(&self) -> RoomNumbers {
        self.store().numbers(&self.event).await.unwrap().unwrap()
    }

    async fn standing(&self, user: &UserId) -> Standing {
        self.store()
            .standing(&self.event, user)
            .await
            .unwrap()
            .unwrap()
    }

    async fn change(&self, verb: RoomVerb) {
        self.store().change_state(&self.event, verb).await.unwrap();
    }
}

fn user(index: usize) -> UserId {
    UserId::new(format!("user-{index}")).unwrap()
}

fn joins(people: std::ops::Range<usize>) -> Vec<JoinRequest> {
    people
        .map(|index| JoinRequest {
            user: user(index),
            lane: None,
            presence: Presence::Poll,
            resume: None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn q1_many_dispatchers_never_admit_beyond_the_capacity() {
    const PEOPLE: usize = 300;
    const CAPACITY: u64 = 7;
    let config = RoomConfig::builder()
        .capacity(CAPACITY as u32)
        .admit_per_second(100_000);
    for place in places(Time::Real, config).await {
        place.change(RoomVerb::Pause).await;
        place.join(&joins(0..PEOPLE)).await;
        place.change(RoomVerb::Resume).await;
        let place = Arc::new(place);
        let mut tasks = JoinSet::new();
        for process in place.processes.clone() {
            let event = place.event.clone();
            tasks.spawn(async move {
                let mut promoted = 0;
                loop {
                    let tick = process.tick(&event, 5).await.unwrap().unwrap();
                    assert!(
                        tick.active <= CAPACITY,
                        "{} are admitted at a time",
                        tick.active
                    );
                    promoted += tick.promoted;
                    if tick.waiting == 0 {
                        return promoted;
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
        // The people: each leaves as soon as they are in, in any order.
        for (index, process) in place.processes.iter().cloned().enumerate() {
            let event = place.event.clone();
            tasks.spawn(async move {
                for who in (index..PEOPLE).step_by(DISPATCHERS) {
                    let who = user(who);
                    let lease = eventually(BOUND, async || {
                        match process.standing(&event, &who).await.unwrap() {
                            Some(Standing::Admitted(lease)) => Ok(lease),
                            other => Err(other),
                        }
                    })
                    .await;
                    let done = process.complete(&event, &who, lease.fence).await.unwrap();
                    assert_eq!(done, Some(Fenced::Done(())));
                }
                0
            });
        }
        let promoted: u64 = tokio::time::timeout(BOUND, tasks.join_all())
            .await
            .unwrap()
            .into_iter()
            .sum();
        assert_eq!(promoted, PEOPLE as u64);
        assert_eq!(place.numbers().await.completed_total, PEOPLE as u64);
    }
}

#[tokio::test]
async fn q1_a_lapsed_lease_that_nobody_swept_takes_no_slot() {
    let config = RoomConfig::builder().capacity(1).claim_ttl_seconds(2);
    for place in places(Time::Manual, config).await {
        let first = place.join(&joins(0..1)).await;
        assert!(matches!(first[0], JoinReply::Admitted { new: true, .. }));
        place.clock.advance(Duration::from_millis(1_999));
        assert_eq!(place.numbers().await.active, 1);
        place.clock.advance(Duration::from_millis(1));
        assert_eq!(place.numbers().await.active, 0);
        let second = place.join(&joins(1..2)).await;
        assert!(matches!(second[0], JoinReply::Admitted { new: true, .. }));
        assert_eq!(place.numbers().await.active, 1);
    }
}

#[tokio::test]
async fn q2_a_lane_keeps_its_order_and_lanes_share_by_weight() {
    const WEIGHTS: [(&str, u32); 3] = [("vip", 5), ("general", 3), ("late", 2)];
    let lanes = WEIGHTS.map(|(name, weight)| Lane {
        name: LaneName::new(name).unwrap(),
        weight,
    });
    let config = RoomConfig::builder()
        .capacity(10_000)
        .admit_per_second(10_000)
        .lanes(lanes.to_vec());
    for place in places(Time::Manual, config).await {
        place.change(RoomVerb::Pause).await;
        let people: Vec<JoinRequest> = joins(0..300)
            .into_iter()
            .enumerate()
            .map(|(index, request)| JoinRequest {
                lane: Some(lanes[index % 3].name.clone()),
                ..request
            })
            .collect();
        place.join(&people).await;
        place.change(RoomVerb::Resume).await;

        let mut admitted: Vec<usize> = Vec::new();
        let mut shares: BTreeMap<usize, u32> = BTreeMap::new();
        for batch in [1, 1, 1, 7, 30, 1, 50, 9] {
            assert_eq!(place.tick(batch).await, batch as u64);
            let mut fresh: Vec<(u64, usize)> = Vec::new();
            for index in (0..300).filter(|index| !admitted.contains(index)) {
                if let Standing::Admitted(lease) = place.standing(&user(index)).await {
                    fresh.push((lease.fence, index));
                }
            }
            // By fence, which rises with each admission.
            fresh.sort_unstable();
            for (_, index) in fresh {
                *shares.entry(index % 3).or_default() += 1;
                admitted.push(index);
                let total = admitted.len() as f64;
                for (lane, (name, weight)) in WEIGHTS.iter().enumerate() {
                    let due = total * f64::from(*weight) / 10.0;
                    let has = f64::from(shares.get(&lane).copied().unwrap_or(0));
                    assert!(
                        (due - has).abs() <= 1.0,
                        "after {total}, {name} has {has} of {due}"
                    );
                }
            }
        }
        for lane in 0..3 {
            let order: Vec<usize> = admitted
                .iter()
                .copied()
                .filter(|index| index % 3 == lane)
                .collect();
            assert!(order.is_sorted(), "lane {lane} moved out of order");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn q3_everybody_is_in_exactly_one_place() {
    const PEOPLE: usize = 240;
    let config = RoomConfig::builder()
        .capacity(11)
        .admit_per_second(20_000)
        .claim_ttl_seconds(1)
        .away_grace_seconds(2)
        .max_waiting(150);
    for place in places(Time::Manual, config).await {
        for round in 0..12_usize {
            let mut tasks = JoinSet::new();
            for (part, process) in place.processes.iter().cloned().enumerate() {
                let event = place.event.clone();
                tasks.spawn(async move {
                    for index in (part..PEOPLE).step_by(DISPATCHERS) {
                        match (index * 7 + round * 13) % 5 {
                            // Some come once, and are not heard of again.
                            _ if index % 3 == 0 && round % 6 != 0 => {}
                            0 => drop(process.leave(&event, &user(index), None).await.unwrap()),
                            1 => {
                                let standing = process.standing(&event, &user(index)).await;
                                if let Some(Standing::Admitted(lease)) = standing.unwrap() {
                                    let who = user(index);
                                    let done = process.complete(&event, &who, lease.fence);
                                    done.await.unwrap();
                                }
                            }
                            _ => {
                                process
                                    .join(&event, &joins(index..index + 1))
                                    .await
                                    .unwrap();
                            }
                        }
                        if index % 16 == part {
                            process.tick(&event, 3).await.unwrap();
                        }
                    }
                });
            }
            tasks.join_all().await;
            place.clock.advance(Duration::from_millis(700));

            // Whoever ran out is counted as such by a tick; then every place is somewhere.
            place.tick(0).await;
            let numbers = place.numbers().await;
            let ended = numbers.completed_total + numbers.expired_total + numbers.left_total;
            assert_eq!(
                numbers.joined_total,
                numbers.waiting() + numbers.active + ended,
                "{numbers:?}"
            );
            let mut found: HashMap<&str, u64> = HashMap::new();
            for index in 0..PEOPLE {
                let kind = match place.standing(&user(index)).await {
                    Standing::Waiting(_) => "waiting",
                    Standing::Admitted(_) => "admitted",
                    _ => "neither",
                };
                *found.entry(kind).or_default() += 1;
            }
            let count = |kind| found.get(kind).copied().unwrap_or(0);
            assert_eq!(count("waiting"), numbers.waiting());
            assert_eq!(count("admitted"), numbers.active);
        }
        let numbers = place.numbers().await;
        assert!(numbers.left_total > 0 && numbers.completed_total > 0 && numbers.expired_total > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn q4_a_join_may_be_sent_any_number_of_times() {
    const PEOPLE: usize = 100;
    let config = RoomConfig::builder().capacity(3);
    for place in places(Time::Real, config).await {
        let mut tasks = JoinSet::new();
        for process in place.processes.clone() {
            let event = place.event.clone();
            tasks.spawn(async move {
                for _ in 0..3 {
                    process.join(&event, &joins(0..PEOPLE)).await.unwrap();
                }
                process
                    .join(&event, &joins(0..PEOPLE))
                    .await
                    .unwrap()
                    .unwrap()
            });
        }
        let answers = tasks.join_all().await;
        assert_eq!(place.numbers().await.joined_total, PEOPLE as u64);
        let sequence = |reply: &JoinReply| match reply {
            JoinReply::Waiting { place, new: false } => place.sequence,
            JoinReply::Admitted { lease, new: false } => lease.sequence,
            other => panic!("{other:?} is not a kept place"),
        };
        let first: Vec<i64> = answers[0].iter().map(sequence).collect();
        for other in &answers[1..] {
            assert_eq!(other.iter().map(sequence).collect::<Vec<_>>(), first);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn q5_many_dispatchers_together_keep_the_pace() {
    const PEOPLE: usize = 250;
    const RATE: i64 = 200;
    const BURST: i64 = 30;
    let config = RoomConfig::builder()
        .capacity(10_000)
        .admit_per_second(RATE as u32)
        .admit_burst(BURST as u32);
    for place in places(Time::Real, config).await {
        let mut tasks = JoinSet::new();
        place.change(RoomVerb::Pause).await;
        place.join(&joins(0..PEOPLE)).await;
        place.change(RoomVerb::Resume).await;
        for process in place.processes.clone() {
            let event = place.event.clone();
            tasks.spawn(async move {
                loop {
                    let tick = process.tick(&event, 1_000).await.unwrap().unwrap();
                    if tick.waiting == 0 {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
        tokio::time::timeout(BOUND, tasks.join_all()).await.unwrap();

        let mut admitted_at: Vec<i64> = Vec::new();
        for index in 0..PEOPLE {
            match place.standing(&user(index)).await {
                Standing::Admitted(lease) => admitted_at.push(lease.admitted_at_ms),
                other => panic!("{other:?}"),
            }
        }
        admitted_at.sort_unstable();
        for (first, begin) in admitted_at.iter().enumerate() {
            for (last, end) in admitted_at.iter().enumerate().skip(first) {
                let admitted = (last - first + 1) as i64;
                let allowed_milli = (end - begin) * RATE + BURST * 1_000;
                assert!(
                    admitted * 1_000 <= allowed_milli,
                    "{admitted} admissions within {} ms",
                    end - begin
                );
            }
        }
    }
}

#[tokio::test]
async fn q5_neither_a_pause_nor_a_clock_step_lends_admissions() {
    let config = RoomConfig::builder()
        .capacity(10_000)
        .admit_per_second(10)
        .admit_burst(5)
        .away_grace_seconds(60);
    for place in places(Time::Manual, config).await {
        place.change(RoomVerb::Pause).await;
        place.join(&joins(0..500)).await;
        place.change(RoomVerb::Resume).await;
        assert_eq!(place.tick(1_000).await, 5);
        assert_eq!(place.tick(1_000).await, 0);
        place.clock.advance(Duration::from_millis(100));
        assert_eq!(place.tick(1_000).await, 1);
        // An hour of nothing fills the budget, and no more.
        place.clock.advance(Duration::from_secs(3_600));
        assert_eq!(place.tick(1_000).await, 5);
        // A clock that goes back gives nothing.
        place.clock.set(1_767_225_600_000);
        assert_eq!(place.tick(1_000).await, 0);
        place.clock.advance(Duration::from_millis(200));
        assert_eq!(place.tick(1_000).await, 2);
    }
}

#[tokio::test]
async fn q5_quiet_time_is_not_saved_up_beyond_the_burst() {
    let config = RoomConfig::builder()
        .capacity(10_000)
        .admit_per_second(10)
        .admit_burst(5);
    for place in places(Time::Manual, config).await {
        for _ in 0..20 {
            place.clock.advance(Duration::from_millis(300));
            assert_eq!(place.tick(1_000).await, 0);
        }
        let replies = place.join(&joins(0..50)).await;
        let admitted = replies
            .iter()
            .filter(|reply| matches!(reply, JoinReply::Admitted { .. }));
        assert_eq!(admitted.count(), 5);
    }
}

#[tokio::test]
async fn q7_a_tick_admits_whenever_it_may() {
    let config = RoomConfig::builder().capacity(2).admit_per_second(1_000);
    for place in places(Time::Manual, config).await {
        place.join(&joins(0..20)).await;
        assert_eq!(place.numbers().await.active, 2);
        for index in 0..18 {
            assert_eq!(place.tick(1_000).await, 0);
            let left = place
                .store()
                .leave(&place.event, &user(index), None)
                .await
                .unwrap();
            assert_eq!(left, Some(Left::Admitted));
            assert_eq!(place.tick(1_000).await, 1, "with a slot and budget free");
            place.clock.advance(Duration::from_millis(10));
        }
        assert_eq!(place.numbers().await.waiting(), 0);
    }
}
