//! The stores against the model, and the model against the promises, in random lives of a room
//! ([`ticketon_tests::agreement`]); `cargo xtask soak` does the same for as long as you like.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ticketon_queue::room::Room;
use ticketon_queue::{
    BrokerId, Clock, ConnId, EventId, JoinRequest, Lane, LaneName, ManualClock, Observe,
    ObserveReply, Presence, QueueStore, RedisStore, RoomConfig, RoomVerb, UserId,
};
use ticketon_tests::RedisServer;
use ticketon_tests::agreement::{Bench, Fence, Joining, Met, Search, Step, Verb, search};
use tokio::runtime::Runtime;

const START_MS: i64 = 1_767_225_600_000;

/// Another seed in each run; a failure prints it, and the command that finds the life again.
fn any_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Lives for so many steps, but no longer than the bound.
async fn live(bench: &Bench, seed: u64, steps: u64, bound: Duration) -> Met {
    let started = Instant::now();
    let outcome = search(bench, Search { seed, steps }, |_| started.elapsed() < bound).await;
    outcome.unwrap_or_else(|failure| panic!("{failure}"))
}

#[tokio::test]
async fn in_any_life_every_store_gives_the_same_answers() {
    let bench = Bench::with_redis().await;
    live(&bench, any_seed(), 20_000, Duration::from_secs(15)).await;
}

#[tokio::test]
async fn cluster_gives_the_same_answers_in_any_life() {
    let bench = Bench::with_redis_cluster().await;
    live(&bench, any_seed(), 5_000, Duration::from_secs(4)).await;
}

#[tokio::test]
async fn in_any_life_the_model_keeps_the_promises() {
    let bench = Bench::of_the_model();
    live(&bench, any_seed(), 100_000, Duration::from_secs(12)).await;
}

#[tokio::test]
async fn lives_meet_what_they_are_for() {
    let met = live(&Bench::of_the_model(), 1, 20_000, Duration::MAX).await;
    assert!(met.admitted > 500, "{met:?}");
    assert!(met.expired > 300, "{met:?}");
    assert!(met.completed > 50, "{met:?}");
    assert!(met.left > 150, "{met:?}");
    assert!(met.repeated > 2_000, "{met:?}");
}

/// Lives that a search has found, as it printed them: each broke a store or the model with a fault in it.
#[tokio::test]
async fn lives_that_broke_something_stay_whole() {
    let stream = |user, at, by| Joining {
        user,
        lane: None,
        stream: Some((at, by)),
        resume: None,
    };
    let poll = |user| Joining {
        user,
        lane: None,
        stream: None,
        resume: None,
    };
    let lives = [
        // A fence that never was completed an admission.
        vec![
            Step::Ask(0, Verb::Join(vec![poll(4)])),
            Step::Ask(0, Verb::Complete(4, Fence::Other)),
        ],
        // The broker of an old connection ended the newest one.
        vec![
            Step::Ask(0, Verb::State(RoomVerb::Pause)),
            Step::Ask(0, Verb::Register(2)),
            Step::Ask(0, Verb::Join(vec![stream(7, 2, 0)])),
            Step::Ask(0, Verb::Disconnect(1, vec![(7, 1)])),
        ],
        // A broker that has lapsed, and a poll, told of the same person.
        vec![
            Step::Wait(90_000_000),
            Step::Ask(0, Verb::Join(vec![poll(0)])),
            Step::Ask(0, Verb::Join(vec![poll(7), stream(0, 1, 0)])),
        ],
        // The lease of a connected person ran out, and met them when they came back.
        vec![
            Step::Ask(0, Verb::Register(2)),
            Step::Lost(2, 1, Verb::Join(vec![stream(3, 2, 2), poll(3)])),
            Step::Wait(20_000),
            Step::Ask(0, Verb::Join(vec![poll(3)])),
        ],
        // Two slots were given on the spot while no dispatcher ticked, and given back when one did.
        vec![
            Step::Ask(0, Verb::Join(vec![poll(0), poll(1)])),
            Step::Wait(2_000),
            Step::Ask(0, Verb::Join(vec![poll(2)])),
            Step::Wait(4_000),
            Step::Ask(0, Verb::Tick(1_000)),
        ],
    ];
    let bench = Bench::with_redis().await;
    for life in lives {
        let lived = bench.live(&life).await;
        lived.unwrap_or_else(|broken| panic!("{}", broken.why));
    }
}

const LANES: [&str; 2] = ["vip", "general"];

fn broker(index: u8) -> BrokerId {
    BrokerId::from_u64(u64::MAX - u64::from(index))
}

/// A Redis of the test's own, and a store of it on the test's clock.
fn redis(runtime: &Runtime) -> (RedisServer, ManualClock, RedisStore) {
    runtime.block_on(async {
        let server = RedisServer::start().await;
        let clock = ManualClock::at(START_MS);
        let store = RedisStore::builder(server.url())
            .clock(Arc::new(clock.clone()))
            .response_timeout(Duration::from_secs(10))
            .connect()
            .await
            .unwrap();
        (server, clock, store)
    })
}

#[test]
fn thousands_at_once_give_the_same_answers() {
    const PEOPLE: usize = 2_500;
    let runtime = Runtime::new().unwrap();
    let (_server, clock, redis) = redis(&runtime);
    runtime.block_on(async {
        let event = EventId::new("crowd").unwrap();
        let config = RoomConfig::builder()
            .capacity(10_000)
            .admit_per_second(10_000)
            .claim_ttl_seconds(2)
            .away_grace_seconds(3)
            .lanes(vec![
                Lane {
                    name: LaneName::new("vip").unwrap(),
                    weight: 3,
                },
                Lane {
                    name: LaneName::new("general").unwrap(),
                    weight: 2,
                },
            ])
            .build()
            .unwrap();
        redis.save_room(&event, &config).await.unwrap();
        let mut model = Room::new(config, START_MS);
        model.register_broker(broker(0), START_MS);
        redis.register_broker(&event, broker(0)).await.unwrap();
        model.change_state(RoomVerb::Pause);
        redis.change_state(&event, RoomVerb::Pause).await.unwrap();

        let request = |index: usize| JoinRequest {
            user: UserId::new(format!("u{index}")).unwrap(),
            lane: Some(LaneName::new(LANES[index % 2]).unwrap()),
            presence: Presence::Stream {
                broker: broker(0),
                conn: ConnId(index as u64),
            },
            resume: None,
        };
        let join = async |model: &mut Room, people: std::ops::Range<usize>| {
            let batch: Vec<_> = people.map(request).collect();
            let now = clock.now_ms();
            let wanted: Vec<_> = batch.iter().map(|one| model.join(one, now)).collect();
            assert_eq!(redis.join(&event, &batch).await.unwrap(), Some(wanted));
        };
        let tick_until_idle = async |model: &mut Room| {
            for _ in 0..10 {
                let wanted = model.tick(1_000, clock.now_ms());
                assert_eq!(
                    redis.tick(&event, 1_000).await.unwrap().as_ref(),
                    Some(&wanted)
                );
                if !wanted.more {
                    return;
                }
            }
            panic!("ten ticks were not enough");
        };
        let compare = async |model: &Room| {
            let wanted = model.numbers(clock.now_ms());
            assert_eq!(redis.numbers(&event).await.unwrap(), Some(wanted.clone()));
            wanted
        };

        join(&mut model, 0..PEOPLE).await;
        model.change_state(RoomVerb::Resume);
        redis.change_state(&event, RoomVerb::Resume).await.unwrap();
        tick_until_idle(&mut model).await;
        assert_eq!(compare(&model).await.admitted_total, PEOPLE as u64);

        // All of them are no-shows.
        clock.advance(Duration::from_secs(2));
        tick_until_idle(&mut model).await;
        assert_eq!(compare(&model).await.expired_total, PEOPLE as u64);

        // Thousands wait whose broker dies; they stay away, and leave.
        model.change_state(RoomVerb::Pause);
        redis.change_state(&event, RoomVerb::Pause).await.unwrap();
        join(&mut model, 0..PEOPLE).await;
        for _ in 0..2 {
            clock.advance(Duration::from_secs(5));
            tick_until_idle(&mut model).await;
        }
        for _ in 0..3 {
            let wanted = model.take_over(broker(0), clock.now_ms());
            assert_eq!(
                redis.take_over(&event, broker(0)).await.unwrap(),
                Some(wanted)
            );
        }
        clock.advance(Duration::from_secs(3));
        tick_until_idle(&mut model).await;
        assert_eq!(compare(&model).await.left_total, PEOPLE as u64);

        // The room closes on thousands, and forgets them.
        redis.register_broker(&event, broker(0)).await.unwrap();
        model.register_broker(broker(0), clock.now_ms());
        join(&mut model, 0..PEOPLE).await;
        model.change_state(RoomVerb::Close);
        redis.change_state(&event, RoomVerb::Close).await.unwrap();
        tick_until_idle(&mut model).await;
        assert_eq!(compare(&model).await.left_total, 2 * PEOPLE as u64);
        clock.advance(Duration::from_secs(400));
        tick_until_idle(&mut model).await;
        let observe = Observe {
            samples: vec![],
            users: (0..PEOPLE).map(|i| request(i).user).collect(),
        };
        let wanted = model.observe(broker(0), &observe, clock.now_ms());
        assert!(matches!(wanted, ObserveReply::Observed(_)));
        assert_eq!(
            redis.observe(&event, broker(0), &observe).await.unwrap(),
            Some(wanted)
        );
    });
}

#[test]
fn more_than_one_sweep_ends_keep_their_slots() {
    const PEOPLE: usize = 2_500;
    let runtime = Runtime::new().unwrap();
    let (_server, clock, redis) = redis(&runtime);
    runtime.block_on(async {
        let event = EventId::new("no-shows").unwrap();
        let config = |capacity| {
            let config = RoomConfig::builder()
                .capacity(capacity)
                .admit_per_second(10_000)
                .claim_ttl_seconds(2);
            config.build().unwrap()
        };
        let poll = |index: usize| JoinRequest {
            user: UserId::new(format!("u{index}")).unwrap(),
            lane: None,
            presence: Presence::Poll,
            resume: None,
        };
        redis.save_room(&event, &config(2_500)).await.unwrap();
        let mut model = Room::new(config(2_500), START_MS);
        let join = async |model: &mut Room, people: std::ops::Range<usize>| {
            let batch: Vec<_> = people.map(poll).collect();
            let now = clock.now_ms();
            let wanted: Vec<_> = batch.iter().map(|one| model.join(one, now)).collect();
            let got = redis.join(&event, &batch).await.unwrap();
            assert_eq!(got.as_ref(), Some(&wanted));
            let numbers = model.numbers(now);
            assert_eq!(
                redis.numbers(&event).await.unwrap().as_ref(),
                Some(&numbers)
            );
            (numbers.admitted_total, numbers.expired_total)
        };
        let tick = async |model: &mut Room| {
            let wanted = model.tick(1_000, clock.now_ms());
            let got = redis.tick(&event, 1_000).await.unwrap();
            assert_eq!(got.as_ref(), Some(&wanted));
            (wanted.expired, wanted.promoted, wanted.more)
        };

        let all = PEOPLE as u64;
        assert_eq!(join(&mut model, 0..PEOPLE).await, (all, 0));
        clock.advance(Duration::from_secs(2));
        let newcomers = PEOPLE..PEOPLE + 2;
        assert_eq!(
            join(&mut model, newcomers).await,
            (all, 1_000),
            "one sweep, and the rest is the tick's"
        );
        model.save(&config(100), clock.now_ms());
        redis.save_room(&event, &config(100)).await.unwrap();
        assert_eq!(
            tick(&mut model).await,
            (1_000, 0, true),
            "500 of 100 slots are not free yet"
        );
        assert_eq!(tick(&mut model).await, (500, 2, false));
    });
}
