//! The stores against the model: whatever is asked of a room, in whatever order and at whatever
//! time, the pure model, the memory store and the Redis store give the same answer.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use ticketon_queue::room::Room;
use ticketon_queue::{
    Attach, BrokerId, Clock, ConnId, EventId, JoinRequest, Lane, LaneName, ManualClock,
    MemoryStore, Observe, ObserveReply, Presence, QueueStore, RedisStore, RoomConfig, RoomVerb,
    Standing, UserId,
};
use ticketon_tests::RedisServer;
use tokio::runtime::Runtime;

const START_MS: i64 = 1_767_225_600_000;
const USERS: u8 = 12;
const BROKERS: u8 = 3;
const LANES: [&str; 4] = ["vip", "general", "late", "unknown"];

/// Which fence a caller has.
#[derive(Debug, Clone, Copy)]
enum Fence {
    /// The one of the user's lease, or of their ended place.
    Own,
    /// One that is not.
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Joining {
    user: u8,
    lane: Option<u8>,
    stream: Option<(u8, u8)>,
    resume: Option<bool>,
}

#[derive(Debug, Clone)]
enum Step {
    /// Moves the clock, also back.
    Wait(i64),
    Save(u8),
    State(RoomVerb),
    Join(Vec<Joining>),
    Standing(u8),
    Leave(u8, Option<Fence>),
    Claim(u8, Fence),
    Complete(u8, Fence),
    Extend(u8, Fence, i64),
    Tick(usize),
    Register(u8),
    Observe(u8),
    Attach(u8, u8, Vec<(u8, u8)>),
    Disconnect(u8, Vec<(u8, u8)>),
    TakeOver(u8),
}

fn fence() -> impl Strategy<Value = Fence> {
    prop_oneof![4 => Just(Fence::Own), 1 => Just(Fence::Other)]
}

fn joining() -> impl Strategy<Value = Joining> {
    let lane = proptest::option::of(0..LANES.len() as u8);
    let stream = proptest::option::of((0..BROKERS, 0..3_u8));
    let resume = prop_oneof![3 => Just(None), 1 => Just(Some(true)), 1 => Just(Some(false))];
    (0..USERS, lane, stream, resume).prop_map(|(user, lane, stream, resume)| Joining {
        user,
        lane,
        stream,
        resume,
    })
}

/// A step; the last state verb, which ends the room for good, only where that is wanted.
fn step(closes: bool) -> impl Strategy<Value = Step> {
    let verbs = RoomVerb::ALL[..if closes { 6 } else { 5 }].to_vec();
    let forward = proptest::sample::select(vec![
        1, 40, 100, 250, 900, 1_000, 2_000, 4_000, 5_000, 5_001, 8_000, 10_000, 12_000, 20_000,
        300_000, 90_000_000,
    ]);
    let back = proptest::sample::select(vec![-1, -300, -6_000, -100_000]);
    let connections = proptest::collection::vec((0..USERS, 0..3_u8), 0..5);
    let for_ms = proptest::sample::select(vec![-5, 0, 1_500, 60_000, 1_000_000_000]);
    prop_oneof![
        8 => proptest::sample::select(vec![1_i64, 40, 100, 250, 900, 1_000, 2_000]).prop_map(Step::Wait),
        3 => forward.prop_map(Step::Wait),
        1 => back.prop_map(Step::Wait),
        2 => (0..CONFIGS).prop_map(Step::Save),
        1 => proptest::sample::select(verbs).prop_map(Step::State),
        3 => proptest::sample::select(vec![RoomVerb::Open, RoomVerb::Resume]).prop_map(Step::State),
        10 => proptest::collection::vec(joining(), 0..5).prop_map(Step::Join),
        2 => (0..USERS).prop_map(Step::Standing),
        2 => (0..USERS, proptest::option::of(fence())).prop_map(|(user, fence)| Step::Leave(user, fence)),
        5 => (0..USERS, fence()).prop_map(|(user, fence)| Step::Claim(user, fence)),
        4 => (0..USERS, fence()).prop_map(|(user, fence)| Step::Complete(user, fence)),
        2 => (0..USERS, fence(), for_ms).prop_map(|(user, fence, ms)| Step::Extend(user, fence, ms)),
        8 => proptest::sample::select(vec![0_usize, 1, 2, 1_000, 5_000]).prop_map(Step::Tick),
        4 => (0..BROKERS).prop_map(Step::Register),
        3 => (0..BROKERS).prop_map(Step::Observe),
        2 => (0..BROKERS, 0..BROKERS, connections.clone()).prop_map(|(from, to, all)| Step::Attach(from, to, all)),
        2 => (0..BROKERS, connections).prop_map(|(broker, all)| Step::Disconnect(broker, all)),
        3 => (0..BROKERS).prop_map(Step::TakeOver),
    ]
}

const CONFIGS: u8 = 5;

/// Small rooms, so that every bound is met.
fn config(index: u8) -> RoomConfig {
    let lane = |name: &str, weight| Lane {
        name: LaneName::new(name).unwrap(),
        weight,
    };
    let builder = RoomConfig::builder()
        .capacity(2)
        .admit_per_second(2)
        .admit_burst(3)
        .claim_ttl_seconds(2)
        .entry_ttl_seconds(10)
        .away_grace_seconds(8)
        .max_waiting(7)
        .lanes(vec![lane("vip", 3), lane("general", 1)]);
    let builder = match index {
        0 => builder,
        1 => builder.capacity(5).admit_per_second(7).admit_burst(1),
        2 => builder.lanes(vec![lane("general", 1), lane("late", 7), lane("vip", 2)]),
        3 => builder.lanes(vec![lane("general", 5)]).max_waiting(3),
        _ => builder.opens_at_ms(START_MS + 30_000).entry_ttl_seconds(2),
    };
    builder.build().unwrap()
}

fn user(index: u8) -> UserId {
    UserId::new(format!("사용자:{index}")).unwrap()
}

fn broker(index: u8) -> BrokerId {
    BrokerId::from_u64(u64::MAX - u64::from(index))
}

fn conn(index: u8) -> ConnId {
    ConnId((1 << 60) + u64::from(index))
}

fn connections(all: &[(u8, u8)]) -> Vec<(UserId, ConnId)> {
    all.iter()
        .map(|(who, by)| (user(*who), conn(*by)))
        .collect()
}

/// The three that must agree, on one clock.
struct Trio {
    clock: ManualClock,
    event: EventId,
    model: Room,
    stores: [Arc<dyn QueueStore>; 2],
}

impl Trio {
    async fn new(clock: &ManualClock, redis: &RedisStore, event: &str) -> Self {
        clock.set(START_MS);
        let event = EventId::new(event).unwrap();
        let memory = MemoryStore::with_clock(Arc::new(clock.clone()));
        let stores: [Arc<dyn QueueStore>; 2] = [Arc::new(memory), Arc::new(redis.clone())];
        for store in &stores {
            store.save_room(&event, &config(0)).await.unwrap();
        }
        Self {
            model: Room::new(config(0), START_MS),
            clock: clock.clone(),
            event,
            stores,
        }
    }

    fn fence_of(&self, who: u8, fence: Fence) -> u64 {
        let own = match self.model.standing(&user(who), self.clock.now_ms()) {
            Standing::Admitted(lease) => lease.fence,
            Standing::Gone { fence, .. } => fence,
            _ => 0,
        };
        match fence {
            Fence::Own => own,
            Fence::Other => own + 1,
        }
    }

    fn request(&self, joining: &Joining) -> JoinRequest {
        let epoch = self.model.numbers(self.clock.now_ms()).epoch;
        JoinRequest {
            user: user(joining.user),
            lane: joining
                .lane
                .map(|lane| LaneName::new(LANES[usize::from(lane)]).unwrap()),
            presence: joining
                .stream
                .map_or(Presence::Poll, |(at, by)| Presence::Stream {
                    broker: broker(at),
                    conn: conn(by),
                }),
            resume: joining
                .resume
                .map(|same| if same { epoch } else { u64::MAX }),
        }
    }

    fn observe(&self) -> Observe {
        Observe {
            samples: vec![
                (0, 1),
                (1, 5),
                (0, i64::MIN),
                (1, i64::MAX),
                (2, 3),
                (usize::MAX, 1),
            ],
            users: (0..USERS).map(user).collect(),
        }
    }

    /// Takes one step everywhere, and compares the answers and the numbers after it.
    async fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        // A verb of a store, and the same of the model.
        macro_rules! agree {
            ($verb:ident($($arg:expr),*), $wanted:expr) => {{
                let wanted = $wanted;
                for store in &self.stores {
                    let got = store.$verb(&self.event, $($arg),*).await;
                    let got = got.map_err(|error| TestCaseError::fail(format!("{step:?}: {error}")))?;
                    prop_assert_eq!(got.as_ref(), Some(&wanted), "{:?} of {:?}", step, store);
                }
            }};
        }
        let now = self.clock.now_ms();
        match step {
            Step::Wait(ms) => self.clock.set(now + ms),
            Step::Save(index) => {
                let config = config(*index);
                let wanted = self.model.save(&config, now);
                for store in &self.stores {
                    let got = store.save_room(&self.event, &config).await.unwrap();
                    prop_assert_eq!(&got, &wanted, "{:?} of {:?}", step, store);
                }
            }
            Step::State(verb) => agree!(change_state(*verb), self.model.change_state(*verb)),
            Step::Join(batch) => {
                let batch: Vec<_> = batch.iter().map(|item| self.request(item)).collect();
                let wanted: Vec<_> = batch
                    .iter()
                    .map(|request| self.model.join(request, now))
                    .collect();
                agree!(join(&batch), wanted);
            }
            Step::Standing(who) => {
                let who = user(*who);
                agree!(standing(&who), self.model.standing(&who, now));
            }
            Step::Leave(who, fence) => {
                let fence = fence.map(|fence| self.fence_of(*who, fence));
                let who = user(*who);
                agree!(leave(&who, fence), self.model.leave(&who, fence, now));
            }
            Step::Claim(who, fence) => {
                let (fence, who) = (self.fence_of(*who, *fence), user(*who));
                agree!(claim(&who, fence), self.model.claim(&who, fence, now));
            }
            Step::Complete(who, fence) => {
                let (fence, who) = (self.fence_of(*who, *fence), user(*who));
                agree!(complete(&who, fence), self.model.complete(&who, fence, now));
            }
            Step::Extend(who, fence, ms) => {
                let (fence, who) = (self.fence_of(*who, *fence), user(*who));
                agree!(
                    extend(&who, fence, *ms),
                    self.model.extend(&who, fence, *ms, now)
                );
            }
            Step::Tick(batch) => agree!(tick(*batch), self.model.tick(*batch, now)),
            Step::Register(at) => {
                self.model.register_broker(broker(*at), now);
                agree!(register_broker(broker(*at)), ());
            }
            Step::Observe(at) => {
                let request = self.observe();
                let wanted = self.model.observe(broker(*at), &request, now);
                agree!(observe(broker(*at), &request), wanted);
            }
            Step::Attach(from, to, all) => {
                let (from, to) = (broker(*from), broker(*to));
                let batch: Vec<_> = connections(all)
                    .into_iter()
                    .map(|(user, conn)| Attach { user, conn })
                    .collect();
                agree!(
                    attach(from, to, &batch),
                    self.model.attach(from, to, &batch, now)
                );
            }
            Step::Disconnect(at, all) => {
                let all = connections(all);
                self.model.disconnect(broker(*at), &all, now);
                agree!(disconnect(broker(*at), &all), ());
            }
            Step::TakeOver(at) => {
                agree!(
                    take_over(broker(*at)),
                    self.model.take_over(broker(*at), now)
                );
            }
        }
        let now = self.clock.now_ms();
        agree!(numbers(), self.model.numbers(now));
        Ok(())
    }

    /// Compares where everybody is and who is connected where.
    async fn compare_all(&mut self) -> Result<(), TestCaseError> {
        for step in (0..USERS).map(Step::Standing) {
            self.step(&step).await?;
        }
        self.step(&Step::Register(0)).await?;
        self.step(&Step::Observe(0)).await
    }
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
fn any_sequence_of_verbs_gives_the_same_answers() {
    let runtime = Runtime::new().unwrap();
    let (_server, clock, store) = redis(&runtime);
    let cases = AtomicU64::new(0);
    let mut runner = TestRunner::new(Config {
        cases: 40,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&proptest::collection::vec(step(true), 1..240), |steps| {
        let case = cases.fetch_add(1, Ordering::Relaxed);
        runtime.block_on(async {
            let mut trio = Trio::new(&clock, &store, &format!("case-{case}")).await;
            for step in &steps {
                trio.step(step).await?;
            }
            trio.compare_all().await
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn a_long_life_gives_the_same_answers() {
    let runtime = Runtime::new().unwrap();
    let (_server, clock, store) = redis(&runtime);
    let mut runner = TestRunner::deterministic();
    let one = step(false);
    runtime.block_on(async {
        let mut trio = Trio::new(&clock, &store, "long").await;
        for count in 0..6_000 {
            let step = one.new_tree(&mut runner).unwrap().current();
            trio.step(&step)
                .await
                .unwrap_or_else(|failure| panic!("step {count}: {failure}"));
        }
        trio.compare_all().await.unwrap();
        let numbers = trio.model.numbers(clock.now_ms());
        // The run met what it is for.
        assert!(numbers.admitted_total > 200, "{numbers:?}");
        assert!(numbers.expired_total > 100, "{numbers:?}");
        assert!(numbers.completed_total > 30, "{numbers:?}");
        assert!(numbers.left_total > 100, "{numbers:?}");
        assert!(numbers.config_version > 20, "{numbers:?}");
    });
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
fn a_room_that_does_not_exist_answers_nothing() {
    let runtime = Runtime::new().unwrap();
    let (_server, clock, redis) = redis(&runtime);
    let memory = MemoryStore::with_clock(Arc::new(clock));
    let stores: [Arc<dyn QueueStore>; 2] = [Arc::new(memory), Arc::new(redis)];
    runtime.block_on(async {
        let (event, who) = (EventId::new("nowhere").unwrap(), user(0));
        for store in stores {
            assert_eq!(store.rooms().await.unwrap(), []);
            assert_eq!(store.numbers(&event).await.unwrap(), None);
            assert_eq!(
                store.change_state(&event, RoomVerb::Close).await.unwrap(),
                None
            );
            assert_eq!(store.join(&event, &[]).await.unwrap(), None);
            assert_eq!(store.standing(&event, &who).await.unwrap(), None);
            assert_eq!(store.leave(&event, &who, None).await.unwrap(), None);
            assert_eq!(store.claim(&event, &who, 1).await.unwrap(), None);
            assert_eq!(store.complete(&event, &who, 1).await.unwrap(), None);
            assert_eq!(store.extend(&event, &who, 1, 1).await.unwrap(), None);
            assert_eq!(store.tick(&event, 1).await.unwrap(), None);
            assert_eq!(
                store.register_broker(&event, broker(0)).await.unwrap(),
                None
            );
            assert_eq!(
                store
                    .observe(&event, broker(0), &Observe::default())
                    .await
                    .unwrap(),
                None
            );
            assert_eq!(
                store
                    .attach(&event, broker(0), broker(1), &[])
                    .await
                    .unwrap(),
                None
            );
            assert_eq!(
                store.disconnect(&event, broker(0), &[]).await.unwrap(),
                None
            );
            assert_eq!(store.take_over(&event, broker(0)).await.unwrap(), None);
            store.save_room(&event, &config(0)).await.unwrap();
            assert_eq!(store.rooms().await.unwrap(), std::slice::from_ref(&event));
            store.ping().await.unwrap();
        }
    });
}
