//! The draw: fair, one-way, frozen, secret until the opening, the same over every store, and such
//! that anybody can compute it afterwards.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::Value;
use ticketon_queue::http::{Body, Endpoint, Inbound, Op, QueueHttp};
use ticketon_queue::room::Room;
use ticketon_queue::{
    BrokerId, Clock, DrawKey, DrawKeys, EventId, JoinReply, JoinRequest, Lane, LaneName,
    ManualClock, MemoryStore, Observe, Opening, Place, Presence, QueueStore, RedisStore,
    RoomConfig, RoomConfigBuilder, RoomSaved, RoomState, RoomVerb, Standing, UserId, WaitingQueue,
};
use ticketon_tests::RedisServer;
use tokio::runtime::Runtime;

const START_MS: i64 = 1_767_225_600_000;
const OPENS_MS: i64 = START_MS + 60_000;

fn user(index: usize) -> UserId {
    UserId::new(format!("사용자 {index}")).unwrap()
}

fn key() -> DrawKey {
    DrawKey::from_bytes([7; 32])
}

fn draw() -> RoomConfigBuilder {
    RoomConfig::builder()
        .capacity(10_000)
        .admit_per_second(10_000)
        .away_grace_seconds(86_400)
        .claim_ttl_seconds(3_600)
        .entry_ttl_seconds(3_600)
        .opening(Opening::Draw)
        .opens_at_ms(OPENS_MS)
}

fn joining(user: UserId) -> JoinRequest {
    JoinRequest {
        user,
        lane: None,
        presence: Presence::Poll,
        resume: None,
    }
}

/// A store on a clock of the test's own.
struct World {
    clock: ManualClock,
    event: EventId,
    store: Arc<dyn QueueStore>,
    _server: Option<RedisServer>,
}

impl World {
    async fn memory() -> Self {
        let clock = ManualClock::at(START_MS);
        let store = MemoryStore::with_clock(Arc::new(clock.clone()));
        Self::with(clock, Arc::new(store), None).await
    }

    async fn redis() -> Self {
        let server = RedisServer::start().await;
        let clock = ManualClock::at(START_MS);
        let store = RedisStore::builder(server.url())
            .clock(Arc::new(clock.clone()))
            .connect()
            .await
            .unwrap();
        Self::with(clock, Arc::new(store), Some(server)).await
    }

    async fn with(
        clock: ManualClock,
        store: Arc<dyn QueueStore>,
        server: Option<RedisServer>,
    ) -> Self {
        let event = EventId::new("draw").unwrap();
        let config = draw().build().unwrap();
        let saved = store.save_room(&event, &config).await.unwrap();
        assert_eq!(saved, RoomSaved::Created);
        Self {
            clock,
            event,
            store,
            _server: server,
        }
    }

    async fn join(&self, index: usize) -> JoinReply {
        let batch = [joining(user(index))];
        let replies = self.store.join(&self.event, &batch).await.unwrap().unwrap();
        replies.into_iter().next().unwrap()
    }

    async fn place(&self, index: usize) -> Place {
        match self.join(index).await {
            JoinReply::Waiting { place, .. } => place,
            other => panic!("{other:?}"),
        }
    }

    async fn tick(&self) -> RoomState {
        let tick = self.store.tick(&self.event, 1_000).await.unwrap().unwrap();
        tick.state
    }

    async fn save(&self, config: RoomConfigBuilder) -> RoomSaved {
        let config = config.build().unwrap();
        self.store.save_room(&self.event, &config).await.unwrap()
    }

    async fn numbers(&self) -> ticketon_queue::RoomNumbers {
        self.store.numbers(&self.event).await.unwrap().unwrap()
    }

    async fn fence(&self, index: usize) -> u64 {
        let standing = self.store.standing(&self.event, &user(index)).await;
        match standing.unwrap().unwrap() {
            Standing::Admitted(lease) => lease.fence,
            other => panic!("{other:?}"),
        }
    }
}

/// Each test over both stores.
macro_rules! both {
    ($($name:ident),+) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() { super::$name(super::World::memory().await).await; })+
        }
        mod redis {
            $(#[tokio::test]
            async fn $name() { super::$name(super::World::redis().await).await; })+
        }
    };
}

both!(
    a_script_recomputes_every_place,
    the_draw_opens_once,
    the_first_join_after_the_time_opens_the_room,
    settings_freeze_at_the_first_join,
    a_known_key_is_never_used_again
);

/// What `GET /events/{eventId}/draw` answers.
async fn published(http: &QueueHttp, event: &EventId) -> Value {
    let inbound = Inbound {
        method: "GET".parse().unwrap(),
        params: [("eventId", event.as_str())].into_iter().collect(),
        query: None,
        headers: Default::default(),
        caller: None,
        body: Default::default(),
    };
    let response = http.call(Op::DRAW, inbound).await;
    assert_eq!(response.status(), 200);
    let Body::Full(bytes) = response.into_body() else {
        panic!("a body is missing");
    };
    serde_json::from_slice(&bytes).unwrap()
}

/// Runs `docs/verify-draw.py`: the order it prints, or what it complains of.
fn verify(draw: &Value, users: &[UserId], noted: &str) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    let (json, list) = (
        folder.path().join("draw.json"),
        folder.path().join("users.txt"),
    );
    std::fs::write(&json, draw.to_string()).unwrap();
    let lines: Vec<&str> = users.iter().map(UserId::as_str).collect();
    std::fs::write(&list, lines.join("\n") + "\n").unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify-draw.py");
    let output = Command::new("python3")
        .arg(script)
        .args([json, list])
        .arg(noted)
        .env("PYTHONIOENCODING", "utf-8")
        .output()
        .expect("python3 is installed");
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    let printed = String::from_utf8(output.stdout).unwrap();
    let users = printed.lines().enumerate().map(|(index, line)| {
        let (place, user) = line.split_once(' ').unwrap();
        assert_eq!(place, (index + 1).to_string());
        user.to_owned()
    });
    Ok(users.collect())
}

async fn a_script_recomputes_every_place(world: World) {
    const PEOPLE: usize = 300;
    let queue = WaitingQueue::builder_shared(Arc::clone(&world.store))
        .clock(Arc::new(world.clock.clone()))
        .dispatch(false)
        .start()
        .await
        .unwrap();
    let http = QueueHttp::new(&queue);
    for index in 0..PEOPLE {
        let place = world.place(index).await;
        assert_eq!((place.position, place.waiting), (None, index as u64 + 1));
    }
    let before = published(&http, &world.event).await;
    let noted = before["commitment"].as_str().unwrap().to_owned();
    assert_eq!(before["opensAt"], "2026-01-01T00:01:00Z");
    assert_eq!(before.as_object().unwrap().len(), 4, "{before}");
    let users: Vec<UserId> = (0..PEOPLE).map(user).collect();
    assert!(
        verify(&before, &users, "")
            .unwrap_err()
            .contains("not published")
    );

    world.clock.set(OPENS_MS);
    // The latecomers come before anybody is admitted, and are still behind.
    for late in PEOPLE..PEOPLE + 5 {
        let place = world.place(late).await;
        assert_eq!(place.position, Some(late as u64 + 1));
    }
    let first = world.place(3).await.position.unwrap();
    world.tick().await;
    let mut admitted = Vec::new();
    for index in 0..PEOPLE + 5 {
        admitted.push((world.fence(index).await, user(index).to_string()));
    }
    admitted.sort();
    let admitted: Vec<String> = admitted.into_iter().map(|(_, user)| user).collect();
    assert_eq!(admitted[first as usize - 1], user(3).as_str());
    let late: Vec<String> = (PEOPLE..PEOPLE + 5)
        .map(|it| user(it).to_string())
        .collect();
    assert_eq!(admitted[PEOPLE..], late);

    let after = published(&http, &world.event).await;
    assert_eq!(after["drawn"], PEOPLE);
    let order = verify(&after, &users, &noted).unwrap();
    assert_eq!(order, admitted[..PEOPLE]);
    let joined: Vec<String> = users.iter().map(ToString::to_string).collect();
    assert_ne!(order, joined, "chance, not the order of joining");
    // Another key than the one that was committed to is noticed.
    let mut forged = after.clone();
    forged["key"] = "00".repeat(32).into();
    forged["commitment"] = DrawKey::from_bytes([0; 32]).commitment().into();
    assert!(
        verify(&forged, &users, &noted)
            .unwrap_err()
            .contains("NOT the one")
    );
    queue.shutdown().await;
}

async fn the_draw_opens_once(world: World) {
    world.place(1).await;
    world.clock.set(OPENS_MS - 1);
    assert_eq!(world.tick().await, RoomState::Scheduled);
    let drawn = world.place(2).await;
    assert!(drawn.sequence < 0 && drawn.position.is_none());
    assert_eq!(world.numbers().await.draw.unwrap().key, None);
    world.clock.set(OPENS_MS);
    assert_eq!(world.tick().await, RoomState::Open);
    let published = world.numbers().await.draw.unwrap();
    assert_eq!((published.drawn, published.key.is_some()), (2, true));
    // The clock is set back: whoever joins now knows the key, and must not be drawn.
    for at in [OPENS_MS - 1, START_MS, START_MS - 1_000_000] {
        world.clock.set(at);
        assert_eq!(world.tick().await, RoomState::Open);
        match world
            .join((at - START_MS).unsigned_abs() as usize + 10)
            .await
        {
            JoinReply::Waiting { place, .. } => assert!(place.sequence > 0, "{place:?}"),
            JoinReply::Admitted { lease, .. } => assert!(lease.sequence > 0, "{lease:?}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(world.numbers().await.draw.unwrap(), published);
}

async fn the_first_join_after_the_time_opens_the_room(world: World) {
    let early = world.place(1).await;
    world.clock.set(OPENS_MS);
    // No tick has seen the time yet.
    assert_eq!(world.numbers().await.state, RoomState::Scheduled);
    let late = world.place(2).await;
    assert_eq!(
        (late.sequence, late.position, late.state),
        (1, Some(2), RoomState::Open)
    );
    world.clock.set(OPENS_MS - 30_000);
    let later = world.place(3).await;
    assert_eq!((later.sequence, later.position), (2, Some(3)));
    assert_eq!(world.place(1).await.sequence, early.sequence);
    // Leaving a drawn place gives it up.
    let left = world.store.leave(&world.event, &user(1), None).await;
    left.unwrap().unwrap();
    assert_eq!(world.place(1).await.position, Some(3));
    assert_eq!(world.numbers().await.draw.unwrap().drawn, 1);
}

async fn settings_freeze_at_the_first_join(world: World) {
    let later = || draw().opens_at_ms(OPENS_MS + 5_000);
    let commitment = world.numbers().await.draw.unwrap().commitment;
    assert_eq!(world.save(later()).await, RoomSaved::Changed);
    // Nobody knows the key: it stays, and so does what was published.
    assert_eq!(world.numbers().await.draw.unwrap().commitment, commitment);
    let before = world.place(1).await.sequence;
    let fifo = || draw().opening(Opening::Fifo);
    let frozen = |field| RoomSaved::Frozen { field };
    assert_eq!(world.save(draw()).await, frozen("opensAt"));
    assert_eq!(world.save(fifo()).await, frozen("opening"));
    // Everything else may change.
    assert_eq!(world.save(later().capacity(7)).await, RoomSaved::Changed);
    // Leaving does not thaw it.
    let left = world.store.leave(&world.event, &user(1), None).await;
    left.unwrap().unwrap();
    assert_eq!(world.save(draw()).await, frozen("opensAt"));
    assert_eq!(world.place(1).await.sequence, before);
    world.clock.set(OPENS_MS + 5_000);
    world.tick().await;
    assert_eq!(world.save(draw()).await, frozen("opensAt"));
    assert_eq!(world.numbers().await.draw.unwrap().commitment, commitment);
}

async fn a_known_key_is_never_used_again(world: World) {
    let first = world.numbers().await.draw.unwrap();
    world.clock.set(OPENS_MS);
    assert_eq!(world.tick().await, RoomState::Open);
    let known = world.numbers().await.draw.unwrap();
    assert_eq!(known.commitment, first.commitment);
    assert_eq!(known.key.unwrap().commitment(), first.commitment);
    // Nobody came, so it may start over: with another key.
    let again = draw().opens_at_ms(OPENS_MS + 60_000);
    assert_eq!(world.save(again).await, RoomSaved::Changed);
    let second = world.numbers().await.draw.unwrap();
    assert!(second.key.is_none() && second.commitment != first.commitment);
    assert!(world.place(1).await.sequence < 0);

    // A room of its own has a key of its own, and a line becomes a draw only while it is empty.
    let other = EventId::new("other").unwrap();
    let fifo = draw().opening(Opening::Fifo).build().unwrap();
    world.store.save_room(&other, &fifo).await.unwrap();
    let numbers =
        |event: EventId| async { world.store.numbers(&{ event }).await.unwrap().unwrap() };
    assert_eq!(numbers(other.clone()).await.draw, None);
    let config = draw().build().unwrap();
    let _ = world.store.save_room(&other, &config).await.unwrap();
    let third = numbers(other.clone()).await.draw.unwrap().commitment;
    assert!(third != second.commitment && third != first.commitment);
    world.store.save_room(&other, &fifo).await.unwrap();
    assert_eq!(numbers(other).await.draw, None);
}

#[derive(Debug, Clone)]
enum Step {
    Wait(i64),
    Join(Vec<(usize, u8)>),
    Leave(usize),
    Tick(usize),
    State(RoomVerb),
    Save(u8),
    Observe,
}

fn step() -> impl Strategy<Value = Step> {
    let waits = vec![1_i64, 500, 2_000, 4_900, 20_000, 60_000, -700, -30_000];
    prop_oneof![
        4 => proptest::sample::select(waits).prop_map(Step::Wait),
        8 => proptest::collection::vec((0..12_usize, 0..3_u8), 0..4).prop_map(Step::Join),
        3 => (0..12_usize).prop_map(Step::Leave),
        5 => proptest::sample::select(vec![0_usize, 1, 3]).prop_map(Step::Tick),
        1 => proptest::sample::select(RoomVerb::ALL[..5].to_vec()).prop_map(Step::State),
        2 => (0..5_u8).prop_map(Step::Save),
        2 => Just(Step::Observe),
    ]
}

fn config(index: u8) -> RoomConfig {
    let lane = |name: &str, weight| Lane {
        name: LaneName::new(name).unwrap(),
        weight,
    };
    let config = draw()
        .capacity(3)
        .admit_per_second(2)
        .max_waiting(8)
        .lanes(vec![lane("vip", 3), lane("general", 1)]);
    match index {
        0 => config,
        1 => config.capacity(5),
        2 => config.opens_at_ms(OPENS_MS + 30_000),
        3 => config.opening(Opening::Fifo),
        _ => config.lanes(vec![lane("general", 1), lane("late", 2), lane("vip", 2)]),
    }
    .build()
    .unwrap()
}

async fn agree(
    steps: &[Step],
    clock: &ManualClock,
    stores: &[Arc<dyn QueueStore>],
    event: &EventId,
) -> Result<u64, TestCaseError> {
    clock.set(START_MS);
    let broker = BrokerId::from_u64(1);
    let mut model = Room::with_draw_keys(config(0), DrawKeys::fixed(key()), START_MS);
    model.register_broker(broker, START_MS);
    for store in stores {
        store.save_room(event, &config(0)).await.unwrap();
        store.register_broker(event, broker).await.unwrap();
    }
    macro_rules! same {
        ($step:expr, $verb:ident($($arg:expr),*), $wanted:expr) => {{
            let wanted = $wanted;
            for store in stores {
                let got = store.$verb(event, $($arg),*).await.unwrap();
                prop_assert_eq!(got.as_ref(), Some(&wanted), "{:?} of {}", $step, store.name());
            }
        }};
    }
    for step in steps {
        let now = clock.now_ms();
        match step {
            Step::Wait(ms) => clock.set(now + ms),
            Step::Join(people) => {
                let batch: Vec<JoinRequest> = people
                    .iter()
                    .map(|(index, lane)| JoinRequest {
                        lane: LaneName::new(["vip", "general", "late"][usize::from(*lane)]).ok(),
                        ..joining(user(*index))
                    })
                    .collect();
                let wanted: Vec<_> = batch.iter().map(|it| model.join(it, now)).collect();
                same!(step, join(&batch), wanted);
            }
            Step::Leave(index) => {
                let who = user(*index);
                same!(step, leave(&who, None), model.leave(&who, None, now));
            }
            Step::Tick(batch) => same!(step, tick(*batch), model.tick(*batch, now)),
            Step::State(verb) => same!(step, change_state(*verb), model.change_state(*verb)),
            Step::Save(index) => {
                let config = config(*index);
                let wanted = model.save(&config, now);
                for store in stores {
                    let got = store.save_room(event, &config).await.unwrap();
                    prop_assert_eq!(&got, &wanted, "{:?} of {}", step, store.name());
                }
            }
            Step::Observe => {
                let scores = (0..12).map(|index| key().score(&user(index)));
                let probes = scores.flat_map(|score| [score, score + 1]).chain([0, 1, 5]);
                let request = Observe {
                    samples: probes.map(|probe| (0, probe)).collect(),
                    users: (0..12).map(user).collect(),
                };
                model.register_broker(broker, now);
                same!(step, register_broker(broker), ());
                same!(
                    step,
                    observe(broker, &request),
                    model.observe(broker, &request, now)
                );
            }
        }
        let now = clock.now_ms();
        same!(step, numbers(), model.numbers(now));
        for who in (0..12).map(user) {
            same!(step, standing(&who), model.standing(&who, now));
        }
    }
    let drawn = model.numbers(clock.now_ms()).draw;
    Ok(drawn.map_or(0, |draw| draw.drawn))
}

#[test]
fn any_sequence_of_verbs_gives_the_same_answers() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(RedisServer::start());
    let clock = ManualClock::at(START_MS);
    let keys = DrawKeys::fixed(key());
    let redis = runtime.block_on(
        RedisStore::builder(server.url())
            .clock(Arc::new(clock.clone()))
            .response_timeout(Duration::from_secs(10))
            .connect(),
    );
    let memory = MemoryStore::with_clock(Arc::new(clock.clone())).draw_keys(keys.clone());
    let stores: [Arc<dyn QueueStore>; 2] =
        [Arc::new(memory), Arc::new(redis.unwrap().draw_keys(keys))];
    let cases = std::cell::Cell::new((0, 0));
    let mut runner = TestRunner::new(Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&proptest::collection::vec(step(), 1..60), |steps| {
        let (case, drawn) = cases.get();
        let event = EventId::new(format!("case-{case}")).unwrap();
        let more = runtime.block_on(agree(&steps, &clock, &stores, &event))?;
        cases.set((case + 1, drawn + more));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    assert!(cases.get().1 > 20, "hardly anybody was drawn: {cases:?}");
}
