//! The service while a master of its Redis Cluster, or the one behind its Sentinels, dies: what connected
//! people keep, and what they are told when the failover took something back.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use ticketon_tests::{
    AppProcess, ConnectError, RedisCluster, RedisSentinel, SseClient, SseEvent, eventually,
    workspace_bin,
};

const ADMIN: &str = "an-operators-secret";
const BOUND: Duration = Duration::from_secs(30);

/// A key in the slot of the room.
const ROOM: &str = "ticketon:{night}:room";

struct World<R> {
    redis: R,
    app: AppProcess,
    http: Client,
}

/// A person and their stream.
struct Person {
    guest: String,
    stream: SseClient,
    id: String,
}

impl World<RedisCluster> {
    async fn cluster() -> Self {
        let redis = RedisCluster::start().await;
        let url = redis.url();
        Self::over(redis, &url).await
    }
}

impl World<RedisSentinel> {
    async fn sentinel() -> Self {
        let redis = RedisSentinel::start().await;
        let url = redis.url();
        Self::over(redis, &url).await
    }
}

impl<R> World<R> {
    async fn over(redis: R, url: &str) -> Self {
        let app = AppProcess::builder(workspace_bin("reference-app").await)
            .args(["--no-demo", "--redis-url", url])
            .env("TICKETON_ADMIN_TOKEN", ADMIN)
            .start()
            .await;
        Self {
            redis,
            app,
            http: Client::new(),
        }
    }

    /// One slot, taken by the first person; the others wait.
    async fn make_room(&self) {
        let config = json!({"capacity": 1, "claimTtlSeconds": 120, "entryTtlSeconds": 120,
            "awayGraceSeconds": 60});
        let put = self
            .http
            .put(self.app.url("/admin/rooms/night"))
            .bearer_auth(ADMIN)
            .json(&config)
            .send()
            .await
            .unwrap();
        assert_eq!(put.status(), StatusCode::OK);
    }

    /// A new person's stream; somebody who is refused because the store is down comes again.
    async fn join(&self) -> Person {
        let answer = self.http.post(self.app.url("/auth/guest")).send().await;
        let answer: Value = answer.unwrap().json().await.unwrap();
        let guest = answer["accessToken"].as_str().unwrap().to_owned();
        let url = self.app.url("/events/night/tickets/waiting");
        let mut stream = eventually(BOUND, async || {
            let connected = SseClient::request(&url).bearer(&guest).connect().await;
            match connected {
                Err(ConnectError::Refused { status, .. }) => {
                    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
                    Err("the store is down")
                }
                connected => Ok(connected.unwrap()),
            }
        })
        .await;
        let first = stream.next_event(BOUND).await.unwrap();
        let id = first.id.unwrap();
        Person { guest, stream, id }
    }

    async fn join_many(&self, count: usize) -> Vec<Person> {
        let mut people = Vec::new();
        for _ in 0..count {
            people.push(self.join().await);
        }
        people
    }

    async fn numbers(&self) -> Value {
        let url = self.app.url("/admin/rooms/night");
        let answer = self.http.get(url).bearer_auth(ADMIN).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Waits until so many stand in the room, one of them admitted.
    async fn wait_for_people(&self, count: u64) {
        eventually(BOUND, async || {
            let numbers = self.numbers().await;
            let found = numbers["waiting"] == count - 1 && numbers["active"] == 1;
            found.then_some(()).ok_or(numbers)
        })
        .await;
    }

    /// One after the other is admitted and leaves, in this order; nobody is told anything else.
    async fn all_get_in(&self, people: &mut [Person]) {
        for (index, person) in people.iter_mut().enumerate() {
            let turn = |event: &SseEvent| {
                assert_ne!(event.event, "closed", "{index}: {event:?}");
                event.event == "admitted"
            };
            if !person.stream.seen().any(|event| event.event == "admitted") {
                person.stream.until(turn, BOUND).await;
            }
            eventually(BOUND, async || {
                let url = self.app.url("/events/night/tickets/waiting");
                let left = self
                    .http
                    .delete(url)
                    .bearer_auth(&person.guest)
                    .send()
                    .await;
                let left = left.unwrap().status();
                (left == StatusCode::NO_CONTENT).then_some(()).ok_or(left)
            })
            .await;
            let closed = person
                .stream
                .until(|event| event.event == "closed", BOUND)
                .await;
            assert_eq!(closed.json::<Value>()["reason"], "left");
        }
    }
}

/// Each person was told of one place alone, on one stream.
fn keep_their_places(people: &[Person]) {
    for person in people {
        let ids = person.stream.seen().filter_map(|event| event.id.as_deref());
        for id in ids.filter(|id| !id.ends_with("-end")) {
            assert_eq!(id, person.id, "the place is another");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_that_loses_a_master_costs_nobody_their_place() {
    let mut world = World::cluster().await;
    world.make_room().await;
    let mut people = world.join_many(5).await;
    world.redis.wait_copied(ROOM).await;
    let dead = world.redis.kill9_master_of(ROOM).await;
    world.redis.wait_failover(dead).await;
    world.wait_for_people(5).await;
    world.all_get_in(&mut people).await;
    keep_their_places(&people);
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinel_that_loses_its_master_costs_nobody_their_place() {
    let mut world = World::sentinel().await;
    world.make_room().await;
    let mut people = world.join_many(5).await;
    world.redis.wait_copied().await;
    let dead = world.redis.kill9_master().await;
    // Who comes while there is no master gets in line as soon as there is one.
    people.push(world.join().await);
    assert_ne!(world.redis.wait_failover(dead).await, dead);
    world.wait_for_people(6).await;
    world.all_get_in(&mut people).await;
    keep_their_places(&people);
}

/// Redis answers before its replicas have what was written: the last moments before a master's death
/// may be gone. People who are connected stand in line again.
#[tokio::test(flavor = "multi_thread")]
async fn cluster_that_forgets_the_last_joins_puts_connected_people_in_line_again() {
    let mut world = World::cluster().await;
    world.make_room().await;
    let mut people = world.join_many(2).await;
    world.redis.wait_copied(ROOM).await;
    let replica = world.redis.cut_off_replica_of(ROOM).await;
    people.extend(world.join_many(3).await);
    world.redis.kill9_master_of(ROOM).await;
    world.redis.resume(replica);
    world.wait_for_people(5).await;
    // Who came first of those that were forgotten still goes first.
    world.all_get_in(&mut people).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_that_forgets_a_room_makes_it_again_under_a_new_epoch() {
    let mut world = World::cluster().await;
    let replica = world.redis.cut_off_replica_of(ROOM).await;
    world.make_room().await;
    let mut people = world.join_many(4).await;
    world.redis.kill9_master_of(ROOM).await;
    world.redis.resume(replica);
    for person in &mut people {
        let before = person.id.clone();
        let again = person
            .stream
            .until(
                |event| event.is_message() && event.id.as_deref() != Some(&before),
                BOUND,
            )
            .await;
        assert!(
            matches!(again.event.as_str(), "waiting" | "admitted"),
            "{again:?}"
        );
        let epoch = |id: &str| id.split_once('-').unwrap().0.parse::<u64>().unwrap();
        assert!(epoch(&again.id.unwrap()) > epoch(&before));
    }
    world.wait_for_people(4).await;
    // The first admission is of the old epoch: only what came after counts.
    world.all_get_in(&mut people).await;
}
