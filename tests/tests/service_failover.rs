//! The service while a master of its Redis Cluster dies: what connected people keep, and what they are
//! told when the failover took something back.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use ticketon_tests::{AppProcess, RedisCluster, SseClient, SseEvent, eventually, workspace_bin};

const ADMIN: &str = "an-operators-secret";
const BOUND: Duration = Duration::from_secs(30);

/// A key in the slot of the room.
const ROOM: &str = "ticketon:{night}:room";

struct World {
    cluster: RedisCluster,
    app: AppProcess,
    http: Client,
}

/// A person and their stream.
struct Person {
    guest: String,
    stream: SseClient,
    id: String,
}

impl World {
    async fn start() -> Self {
        let program = workspace_bin("reference-app").await;
        let cluster = RedisCluster::start().await;
        let app = AppProcess::builder(program)
            .args(["--no-demo", "--redis-url", &cluster.url()])
            .env("TICKETON_ADMIN_TOKEN", ADMIN)
            .start()
            .await;
        Self {
            cluster,
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

    async fn join(&self) -> (Person, SseEvent) {
        let answer = self.http.post(self.app.url("/auth/guest")).send().await;
        let answer: Value = answer.unwrap().json().await.unwrap();
        let guest = answer["accessToken"].as_str().unwrap().to_owned();
        let url = self.app.url("/events/night/tickets/waiting");
        let request = SseClient::request(&url).bearer(&guest);
        let mut stream = request.connect().await.unwrap();
        let first = stream.next_event(BOUND).await.unwrap();
        let id = first.id.clone().unwrap();
        (Person { guest, stream, id }, first)
    }

    async fn join_many(&self, count: usize) -> Vec<Person> {
        let mut people = Vec::new();
        for _ in 0..count {
            people.push(self.join().await.0);
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

#[tokio::test(flavor = "multi_thread")]
async fn cluster_that_loses_a_master_costs_nobody_their_place() {
    let mut world = World::start().await;
    world.make_room().await;
    let mut people = world.join_many(5).await;
    world.cluster.wait_copied(ROOM).await;
    let dead = world.cluster.kill9_master_of(ROOM).await;
    world.cluster.wait_failover(dead).await;
    world.wait_for_people(5).await;
    world.all_get_in(&mut people).await;
    for person in &people {
        let ids = person.stream.seen().filter_map(|event| event.id.as_deref());
        for id in ids.filter(|id| !id.ends_with("-end")) {
            assert_eq!(id, person.id, "the place is another");
        }
    }
}

/// Redis answers before its replicas have what was written: the last moments before a master's death
/// may be gone. People who are connected stand in line again.
#[tokio::test(flavor = "multi_thread")]
async fn cluster_that_forgets_the_last_joins_puts_connected_people_in_line_again() {
    let mut world = World::start().await;
    world.make_room().await;
    let mut people = world.join_many(2).await;
    world.cluster.wait_copied(ROOM).await;
    let replica = world.cluster.cut_off_replica_of(ROOM).await;
    people.extend(world.join_many(3).await);
    world.cluster.kill9_master_of(ROOM).await;
    world.cluster.resume(replica);
    world.wait_for_people(5).await;
    // Who came first of those that were forgotten still goes first.
    world.all_get_in(&mut people).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_that_forgets_a_room_makes_it_again_under_a_new_epoch() {
    let mut world = World::start().await;
    let replica = world.cluster.cut_off_replica_of(ROOM).await;
    world.make_room().await;
    let mut people = world.join_many(4).await;
    world.cluster.kill9_master_of(ROOM).await;
    world.cluster.resume(replica);
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
