//! What happens to processes and servers, once without the guard that makes it harmless: each scenario runs as it is,
//! and again without the guard, and must end in the failure that the guard prevents.
//!
//! The service is `tests/examples/unguarded-service.rs`; the scripts' own guards are shown one by one by
//! `store_unguarded`.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use ticketon_queue::{
    EventId, JoinReply, JoinRequest, Left, Presence, QueueStore, RedisStore, RoomConfig,
    RoomConfigBuilder, RoomVerb, Standing, UserId, unguarded,
};
use ticketon_tests::{AppProcess, RedisSentinel, RedisServer, SseClient, eventually, test_program};
use tokio::time::Instant;

const BOUND: Duration = Duration::from_secs(60);
/// Longer than what is no outage yet (5 seconds), and than the grace of the scenario.
const OUTAGE: Duration = Duration::from_secs(6);
const GRACE_SECONDS: u32 = 3;

fn event() -> EventId {
    EventId::new("night").unwrap()
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

/// A room for one, whose admissions outlive every scenario.
fn one_slot() -> RoomConfigBuilder {
    RoomConfig::builder()
        .capacity(1)
        .claim_ttl_seconds(600)
        .entry_ttl_seconds(600)
        .away_grace_seconds(GRACE_SECONDS)
}

/// A Redis with a room, and the test's own way to it, which has all guards.
struct World {
    redis: RedisServer,
    store: RedisStore,
}

impl World {
    async fn start(config: RoomConfigBuilder) -> Self {
        Self::over(RedisServer::builder().appendonly(true), config).await
    }

    async fn over(redis: ticketon_tests::RedisBuilder, config: RoomConfigBuilder) -> Self {
        let redis = redis.setting("appendfsync", "always").start().await;
        let store = RedisStore::connect(redis.url()).await.unwrap();
        let config = config.build().unwrap();
        store.save_room(&event(), &config).await.unwrap();
        Self { redis, store }
    }

    async fn service(&self, role: &str, without: &[&str]) -> AppProcess {
        service(&self.redis.url(), role, &[], without).await
    }

    /// Joins by asking, and is not heard of again.
    async fn poll(&self, name: &str) -> JoinReply {
        let request = JoinRequest {
            user: user(name),
            lane: None,
            presence: Presence::Poll,
            resume: None,
        };
        let replies = self.store.join(&event(), &[request]).await.unwrap();
        replies.unwrap().remove(0)
    }

    async fn change(&self, verb: RoomVerb) {
        self.store.change_state(&event(), verb).await.unwrap();
    }

    async fn standing(&self, name: &str) -> Standing {
        let standing = self.store.standing(&event(), &user(name)).await;
        standing.unwrap().unwrap()
    }

    async fn is_gone(&self, name: &str) -> bool {
        matches!(self.standing(name).await, Standing::Gone { .. })
    }

    async fn waits(&self, name: &str) -> bool {
        matches!(self.standing(name).await, Standing::Waiting(_))
    }

    async fn brokers(&self) -> String {
        self.redis.cli(&["ZCARD", "ticketon:{night}:brokers"]).await
    }

    /// Waits until the broker looks at the room again: it makes a lost room as it has seen it.
    async fn seen_by_the_broker(&self) {
        let lease = [
            "ZRANGE",
            "ticketon:{night}:brokers",
            "0",
            "-1",
            "WITHSCORES",
        ];
        let before = self.redis.cli(&lease).await;
        eventually(BOUND, || async { self.redis.cli(&lease).await != before }).await;
    }

    /// Redis's own time, in milliseconds.
    async fn now_ms(&self) -> i64 {
        let time = self.redis.cli(&["TIME"]).await;
        let (seconds, micros) = time.split_once('\n').unwrap();
        seconds.parse::<i64>().unwrap() * 1_000 + micros.parse::<i64>().unwrap() / 1_000
    }

    /// Waits until a dispatcher has ticked the room at this time or later.
    async fn ticked_at(&self, at_ms: i64) {
        let tick_at = ["HGET", "ticketon:{night}:room", "tick_at"];
        eventually(BOUND, || async {
            let ticked = self.redis.cli(&tick_at).await;
            ticked.parse::<i64>().is_ok_and(|ticked| ticked >= at_ms)
        })
        .await;
    }
}

async fn service(url: &str, role: &str, more: &[&str], without: &[&str]) -> AppProcess {
    let program = test_program("unguarded-service").await;
    let mut app = AppProcess::builder(program)
        .args(["--redis-url", url, "--role", role])
        .args(more);
    for guard in without {
        app = app.args(["--without", guard]);
    }
    app.start().await
}

async fn stream(app: &AppProcess, name: &str) -> SseClient {
    let url = app.url("/events/night/tickets/waiting");
    SseClient::request(&url)
        .bearer(name)
        .connect()
        .await
        .unwrap()
}

/// The place that a stream tells of next, as `epoch-sequence`.
async fn told(stream: &mut SseClient, kind: &str) -> String {
    let event = stream.next_event(BOUND).await.unwrap();
    assert_eq!(event.event, kind, "{event:?}");
    event.id.unwrap()
}

/// Two dispatchers, 40 people, three slots: how many are in.
async fn two_dispatchers(without: &[&str]) -> u64 {
    let world = World::start(one_slot().capacity(3).admit_per_second(1_000)).await;
    world.change(RoomVerb::Pause).await;
    for index in 0..40 {
        world.poll(&format!("user-{index}")).await;
    }
    let _dispatchers = (
        world.service("dispatcher", without).await,
        world.service("dispatcher", without).await,
    );
    world.change(RoomVerb::Resume).await;
    world.ticked_at(world.now_ms().await + 500).await;
    let numbers = world.store.numbers(&event()).await.unwrap().unwrap();
    numbers.active
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_capacity_two_dispatchers_let_everybody_in() {
    let runs = tokio::join!(two_dispatchers(&[]), two_dispatchers(&["tick-capacity"]));
    assert_eq!(runs, (3, 40));
}

/// A process dies with two people's streams; one connects to the other process, and the other does not. Whether the
/// one who came back still waits when the grace of the other is over.
async fn a_killed_broker(without: &[&str]) -> bool {
    let world = World::start(one_slot()).await;
    let mut dies = world.service("broker", without).await;
    let lives = world.service("all", without).await;
    world.poll("ann").await;
    let (mut bens, mut cats) = (stream(&dies, "ben").await, stream(&dies, "cat").await);
    let place = told(&mut bens, "waiting").await;
    told(&mut cats, "waiting").await;
    dies.kill9();
    let mut bens = stream(&lives, "ben").await;
    assert_eq!(told(&mut bens, "waiting").await, place);
    eventually(BOUND, || world.is_gone("cat")).await;
    world.waits("ben").await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_owner_a_killed_brokers_people_lose_what_they_came_back_to() {
    let (guarded, one, both) = tokio::join!(
        a_killed_broker(&[]),
        // The broker that has them puts it right.
        a_killed_broker(&["take-over-owner"]),
        a_killed_broker(&["take-over-owner", "attach"]),
    );
    assert_eq!((guarded, one, both), (true, true, false));
}

/// A process stands still until it is taken over, and goes on; its stream was open all the time. Whether the person
/// still waits when the grace is over.
async fn a_paused_broker(without: &[&str]) -> bool {
    let world = World::start(one_slot()).await;
    let mut slow = world.service("broker", without).await;
    let _dispatcher = world.service("dispatcher", without).await;
    world.poll("ann").await;
    let mut bens = stream(&slow, "ben").await;
    told(&mut bens, "waiting").await;
    assert_eq!(world.brokers().await, "1");
    slow.pause();
    eventually(BOUND, || async { world.brokers().await == "0" }).await;
    slow.resume();
    // Her grace begins now, after his.
    world.poll("cat").await;
    eventually(BOUND, || world.is_gone("cat")).await;
    world.waits("ben").await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_attaching_a_paused_brokers_people_lose_their_places() {
    let runs = tokio::join!(a_paused_broker(&[]), a_paused_broker(&["attach"]));
    assert_eq!(runs, (true, false));
}

/// Redis is away for longer than the grace. Whether somebody who asks now and then still waits at the first tick
/// after it.
async fn an_outage(without: &[&str]) -> bool {
    let mut world = World::start(one_slot()).await;
    let _service = world.service("all", without).await;
    world.poll("ann").await;
    world.poll("ben").await;
    world.redis.kill9();
    let dead = Instant::now();
    eventually(BOUND, || async { dead.elapsed() > OUTAGE }).await;
    world.redis.restart().await;
    world.ticked_at(world.now_ms().await).await;
    eventually(BOUND, || async {
        world.store.numbers(&event()).await.is_ok()
    })
    .await;
    world.waits("ben").await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_outage_guard_time_without_redis_costs_places() {
    let runs = tokio::join!(
        an_outage(&[]),
        an_outage(&["outage-grace"]),
        an_outage(&["outage-away"])
    );
    assert_eq!(runs, (true, false, false));
}

/// Redis dies and is started again. Whether the place that was told before is the one that is admitted.
async fn a_dead_redis(keeps_a_file: bool) -> bool {
    let redis = RedisServer::builder().appendonly(keeps_a_file);
    let mut world = World::over(redis, one_slot().away_grace_seconds(600)).await;
    let service = world.service("all", &[]).await;
    let (mut anns, mut bens) = (stream(&service, "ann").await, stream(&service, "ben").await);
    anns.until(|event| event.event == "admitted", BOUND).await;
    let place = told(&mut bens, "waiting").await;
    world.seen_by_the_broker().await;
    world.redis.kill9();
    world.redis.restart().await;
    eventually(BOUND, || async {
        let left = world.store.leave(&event(), &user("ann"), None).await;
        matches!(left, Ok(Some(Left::Admitted)))
    })
    .await;
    let turn = bens.until(|event| event.event == "admitted", BOUND).await;
    turn.id.unwrap() == place
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_file_a_dead_redis_costs_places() {
    let runs = tokio::join!(a_dead_redis(true), a_dead_redis(false));
    assert_eq!(runs, (true, false));
}

/// What a person who asks is answered within this time.
async fn answer(app: &AppProcess, within: Duration) -> Option<StatusCode> {
    let url = app.url("/events/night/tickets/waiting");
    let request = Client::new().get(url).bearer_auth("ann").timeout(within);
    let answer = request.send().await;
    answer.ok().map(|answer| answer.status())
}

/// Redis stands still. What a person who asks is answered within five seconds.
async fn a_hung_redis(limit: &[&str]) -> Option<StatusCode> {
    let mut world = World::start(one_slot()).await;
    let service = service(&world.redis.url(), "all", limit, &[]).await;
    world.redis.pause();
    let answer = answer(&service, Duration::from_secs(5)).await;
    world.redis.resume();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_time_limit_a_hung_redis_hangs_everybody() {
    let no_limit = ["--answers-within", "86400"];
    let runs = tokio::join!(a_hung_redis(&[]), a_hung_redis(&no_limit));
    assert_eq!(runs, (Some(StatusCode::SERVICE_UNAVAILABLE), None));
}

/// A master dies, with replicas and Sentinels beside it. What a person who asks at that moment is answered.
async fn a_lost_master(without: &[&str]) -> Option<StatusCode> {
    let mut sentinel = RedisSentinel::start().await;
    let store = RedisStore::connect(sentinel.url()).await.unwrap();
    let config = one_slot().build().unwrap();
    store.save_room(&event(), &config).await.unwrap();
    // Longer than a failover takes.
    let patient = ["--answers-within", "30"];
    let service = service(&sentinel.url(), "broker", &patient, without).await;
    sentinel.wait_whole().await;
    sentinel.kill9_master().await;
    answer(&service, BOUND).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sending_again_a_lost_master_is_everybodys_error() {
    let guarded = a_lost_master(&[]).await;
    assert!(
        guarded.is_some_and(|status| status.is_success()),
        "{guarded:?}"
    );
    let unguarded = a_lost_master(&["resend"]).await;
    assert_eq!(unguarded, Some(StatusCode::SERVICE_UNAVAILABLE));
}

/// Names whose order is not that of the people.
const NAMES: [&str; 12] = [
    "mia", "bob", "zoe", "ann", "leo", "eve", "kai", "dan", "uma", "cat", "ida", "fay",
];

/// Redis forgets everything. The people in the order in which they stand afterwards; nobody, when no process makes the
/// room again.
async fn a_flush(without: &[&str]) -> Vec<&'static str> {
    let world = World::start(one_slot()).await;
    let service = world.service("all", without).await;
    let mut streams = Vec::new();
    for name in NAMES {
        let mut stream = stream(&service, name).await;
        let place = stream.next_event(BOUND).await.unwrap().id.unwrap();
        streams.push((name, stream, place));
    }
    world.seen_by_the_broker().await;
    world.redis.cli(&["FLUSHALL"]).await;
    let flushed = Instant::now();
    let made_again = eventually(BOUND, || async {
        match world.store.numbers(&event()).await {
            Ok(Some(_)) => Some(true),
            // Many times as long as it takes.
            _ => (flushed.elapsed() > Duration::from_secs(8)).then_some(false),
        }
    });
    if !made_again.await {
        return Vec::new();
    }
    let mut order = Vec::new();
    for (name, mut stream, before) in streams {
        let other = |id: &Option<String>| id.as_ref().is_some_and(|id| *id != before);
        let event = stream.until(|event| other(&event.id), BOUND).await;
        let id = event.id.unwrap();
        let (_, sequence) = id.split_once('-').unwrap();
        order.push((sequence.parse::<u64>().unwrap(), name));
    }
    order.sort_unstable();
    order.into_iter().map(|(_, name)| name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_their_guards_a_flush_costs_the_order_or_the_room() {
    let (guarded, unordered, unmade) = tokio::join!(
        a_flush(&[]),
        a_flush(&["rejoin-order"]),
        a_flush(&["remake"])
    );
    assert_eq!(guarded, NAMES);
    assert_ne!(unordered, NAMES);
    assert_eq!(unordered.len(), NAMES.len());
    assert_eq!(unmade, [""; 0]);
}

/// The guards of processes that a scenario removes.
#[test]
fn every_guard_of_a_process_is_removed_by_a_scenario() {
    let source = include_str!("service_unguarded.rs");
    let left: BTreeSet<_> = unguarded::GUARDS
        .iter()
        .filter(|guard| !source.contains(&format!("\"{guard}\"")))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
