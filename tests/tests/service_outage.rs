//! The service while its Redis is dead, hung, or has lost everything.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use ticketon_tests::{AppProcess, RedisServer, SseClient, SseEvent, eventually, workspace_bin};

const ADMIN: &str = "an-operators-secret";
const BOUND: Duration = Duration::from_secs(30);

struct World {
    redis: RedisServer,
    app: AppProcess,
    http: Client,
}

async fn process(redis: &RedisServer, role: &str) -> AppProcess {
    AppProcess::builder(workspace_bin("reference-app").await)
        .args(["--no-demo", "--role", role, "--redis-url", &redis.url()])
        .env("TICKETON_ADMIN_TOKEN", ADMIN)
        .start()
        .await
}

impl World {
    async fn start(config: Value) -> Self {
        Self::start_as("all", config).await
    }

    async fn start_as(role: &str, config: Value) -> Self {
        let redis = RedisServer::builder()
            .appendonly(true)
            .setting("appendfsync", "always")
            .start()
            .await;
        let app = process(&redis, role).await;
        let http = Client::new();
        let put = http
            .put(app.url("/admin/rooms/night"))
            .bearer_auth(ADMIN)
            .json(&config)
            .send()
            .await
            .unwrap();
        assert_eq!(put.status(), StatusCode::OK);
        Self { redis, app, http }
    }

    async fn guest(&self) -> String {
        let answer = self.http.post(self.app.url("/auth/guest")).send().await;
        let answer: Value = answer.unwrap().json().await.unwrap();
        answer["accessToken"].as_str().unwrap().to_owned()
    }

    async fn stream(&self, guest: &str) -> SseClient {
        let url = self.app.url("/events/night/tickets/waiting");
        let request = SseClient::request(&url).bearer(guest);
        request.connect().await.unwrap()
    }

    async fn numbers(&self) -> Option<Value> {
        let url = self.app.url("/admin/rooms/night");
        let answer = self.http.get(url).bearer_auth(ADMIN).send().await.ok()?;
        let fine = answer.status() == StatusCode::OK;
        if fine { answer.json().await.ok() } else { None }
    }

    /// One of the room's keys, as redis-cli shows it.
    async fn key(&self, command: &str, name: &str) -> String {
        let key = format!("ticketon:{{night}}:{name}");
        self.redis.cli(&[command, &key]).await
    }

    async fn poll(&self, guest: &str) -> (StatusCode, Option<String>, Value) {
        let url = self.app.url("/events/night/tickets/waiting");
        let answer = self.http.get(url).bearer_auth(guest).send().await.unwrap();
        let status = answer.status();
        let retry = answer.headers().get("retry-after");
        let retry = retry.map(|value| value.to_str().unwrap().to_owned());
        (status, retry, answer.json().await.unwrap())
    }

    async fn release(&self, guest: &str) {
        let url = self.app.url("/events/night/tickets/waiting");
        let left = self.http.delete(url).bearer_auth(guest).send().await;
        assert_eq!(left.unwrap().status(), StatusCode::NO_CONTENT);
    }
}

fn sequence(event: &SseEvent) -> String {
    event.id.clone().unwrap()
}

/// One slot, taken by the first person; the others wait.
fn one_slot() -> Value {
    json!({"capacity": 1, "claimTtlSeconds": 120, "entryTtlSeconds": 120, "awayGraceSeconds": 60})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_redis_costs_nobody_their_place() {
    let mut world = World::start(one_slot()).await;
    let (ann, ben) = (world.guest().await, world.guest().await);
    let mut anns = world.stream(&ann).await;
    assert_eq!(anns.next_event(BOUND).await.unwrap().event, "admitted");
    let mut bens = world.stream(&ben).await;
    let place = bens.next_event(BOUND).await.unwrap();
    assert_eq!(place.event, "waiting");

    world.redis.kill9();
    let asked = Instant::now();
    let (status, retry_after, problem) = world.poll(&world.guest().await).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(problem["code"], "storeUnavailable");
    assert!(retry_after.is_some());
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    let ready = world.http.get(world.app.url("/health/ready")).send().await;
    assert_eq!(ready.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    let live = world.http.get(world.app.url("/health/live")).send().await;
    assert_eq!(live.unwrap().status(), StatusCode::OK);

    world.redis.restart().await;
    eventually(BOUND, || async {
        world.poll(&ben).await.0 == StatusCode::ACCEPTED
    })
    .await;
    // The stream was open all the time; the line moves as soon as the slot is free.
    world.release(&ann).await;
    let turn = bens.until(|event| event.event == "admitted", BOUND).await;
    assert_eq!(sequence(&turn), sequence(&place));
    let closed = anns.until(|event| event.event == "closed", BOUND).await;
    assert_eq!(closed.json::<Value>()["reason"], "left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_redis_is_a_refusal_not_a_hang() {
    let mut world = World::start(one_slot()).await;
    let ann = world.guest().await;
    world.redis.pause();
    let asked = Instant::now();
    let (status, _, problem) = world.poll(&ann).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (503, &json!("storeUnavailable"))
    );
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    world.redis.resume();
    eventually(BOUND, || async { world.poll(&ann).await.0.is_success() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_flush_connected_people_stand_in_the_same_order_under_a_new_epoch() {
    let world = World::start(one_slot()).await;
    let mut streams = Vec::new();
    let mut guests = Vec::new();
    for _ in 0..6 {
        let guest = world.guest().await;
        let mut stream = world.stream(&guest).await;
        let first = stream.next_event(BOUND).await.unwrap();
        streams.push((stream, sequence(&first)));
        guests.push(guest);
    }
    world.redis.cli(&["FLUSHALL"]).await;
    // The process that made the room makes it again; the first slot goes to whoever was first.
    let mut positions = Vec::new();
    for (stream, before) in &mut streams {
        let before = before.clone();
        let event = stream
            .until(|event| event.id.as_deref() != Some(before.as_str()), BOUND)
            .await;
        let position = event.json::<Value>()["position"].as_u64();
        positions.push((event.event.clone(), position));
    }
    assert_eq!(positions[0].0, "admitted");
    let waiting: Vec<Option<u64>> = positions[1..]
        .iter()
        .map(|(_, position)| *position)
        .collect();
    assert_eq!(waiting, (1..6).map(Some).collect::<Vec<_>>());
    world.release(&guests[0]).await;
    let next = streams[1]
        .0
        .until(|event| event.event == "admitted", BOUND)
        .await;
    assert_ne!(sequence(&next), streams[1].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_without_redis_is_not_held_against_people() {
    let config =
        json!({"capacity": 1, "claimTtlSeconds": 60, "entryTtlSeconds": 60, "awayGraceSeconds": 4});
    let mut world = World::start(config).await;
    let (ann, ben) = (world.guest().await, world.guest().await);
    assert_eq!(world.poll(&ann).await.0, StatusCode::OK);
    assert_eq!(world.poll(&ben).await.0, StatusCode::ACCEPTED);
    // Longer than the grace, and longer than what is no outage yet.
    world.redis.kill9();
    let dead = Instant::now();
    eventually(BOUND, || async { dead.elapsed() > Duration::from_secs(7) }).await;
    world.redis.restart().await;
    let waiting = |numbers: Option<Value>| numbers.and_then(|numbers| numbers["waiting"].as_u64());
    eventually(BOUND, || async { waiting(world.numbers().await).is_some() }).await;
    // A tick has seen the outage: the place is still there, and a grace later it is not.
    let guarded = || async {
        world
            .redis
            .cli(&["HGET", "ticketon:{night}:room", "guard_until"])
            .await
    };
    eventually(BOUND, || async {
        guarded().await.parse::<i64>().is_ok_and(|until| until > 0)
    })
    .await;
    assert_eq!(waiting(world.numbers().await), Some(1));
    eventually(BOUND, || async {
        waiting(world.numbers().await) == Some(0)
    })
    .await;
    let numbers = world.numbers().await.unwrap();
    assert_eq!(
        (&numbers["leftTotal"], &numbers["active"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_paused_past_its_lease_comes_back_with_its_people() {
    let config = json!({"capacity": 1, "claimTtlSeconds": 120, "entryTtlSeconds": 120, "awayGraceSeconds": 60});
    let mut world = World::start_as("broker", config).await;
    let _dispatcher = process(&world.redis, "dispatcher").await;
    let (ann, ben) = (world.guest().await, world.guest().await);
    let mut anns = world.stream(&ann).await;
    assert_eq!(anns.next_event(BOUND).await.unwrap().event, "admitted");
    let mut bens = world.stream(&ben).await;
    let place = bens.next_event(BOUND).await.unwrap();
    assert_eq!(world.key("ZCARD", "brokers").await, "1");

    world.app.pause();
    eventually(BOUND, || async {
        world.key("ZCARD", "brokers").await == "0"
    })
    .await;
    assert_eq!(world.key("ZCARD", "away").await, "1");
    world.app.resume();
    eventually(BOUND, || async {
        world.key("ZCARD", "brokers").await == "1"
    })
    .await;
    // The stream was open all the time: under the new incarnation its person is present again.
    eventually(BOUND, || async { world.key("ZCARD", "away").await == "0" }).await;
    world.release(&ann).await;
    let turn = bens.until(|event| event.event == "admitted", BOUND).await;
    assert_eq!(sequence(&turn), sequence(&place));
}
