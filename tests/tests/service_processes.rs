//! The service as several processes over one Redis: real people's streams, and a process that dies.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use ticketon_tests::{AppProcess, ConnectError, RedisServer, SseClient, eventually, workspace_bin};
use tokio::sync::watch;
use tokio::task::JoinSet;

const ADMIN: &str = "an-operators-secret";
const KEYS: &str = "a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const EVENT: &str = "big-night";
const PEOPLE: usize = 500;
const CAPACITY: u64 = 50;
const BOUND: Duration = Duration::from_secs(60);

async fn start(redis: &RedisServer, role: &str) -> AppProcess {
    AppProcess::builder(workspace_bin("reference-app").await)
        .args(["--no-demo", "--role", role, "--redis-url", &redis.url()])
        .env("TICKETON_ADMIN_TOKEN", ADMIN)
        .env("TICKETON_ADMISSION_KEYS", KEYS)
        .start()
        .await
}

/// What a person remembers in the end.
#[derive(Debug)]
struct Visit {
    sequence: i64,
    fence: u64,
    servers: usize,
}

/// What all people share.
struct World {
    servers: [String; 2],
    http: Client,
    joined: AtomicUsize,
    done: AtomicUsize,
    highest_active: AtomicU64,
    /// The first people stay until everybody has come.
    everybody_is_here: watch::Receiver<bool>,
}

impl World {
    async fn guest(&self) -> String {
        let url = format!("{}/auth/guest", self.servers[0]);
        let answer = self.http.post(url).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["accessToken"].as_str().unwrap().to_owned()
    }

    /// Calls one server, or the other when the first is dead.
    async fn call(
        &self,
        method: Method,
        path: &str,
        guest: &str,
        admission: &str,
        at: usize,
    ) -> StatusCode {
        for server in [at, 1 - at] {
            let sent = self
                .http
                .request(method.clone(), format!("{}{path}", self.servers[server]))
                .bearer_auth(guest)
                .header("ticketon-admission", admission)
                .send()
                .await;
            if let Ok(answer) = sent {
                return answer.status();
            }
        }
        panic!("no server answers");
    }

    async fn numbers(&self, server: usize) -> Option<Value> {
        let url = format!("{}/admin/rooms/{EVENT}", self.servers[server]);
        let answer = self.http.get(url).bearer_auth(ADMIN).send().await.ok()?;
        answer.json().await.ok()
    }

    /// Joins, waits, comes in, looks around, leaves; changes servers when one dies.
    async fn visit(&self, index: usize) -> Visit {
        let guest = self.guest().await;
        let path = format!("/events/{EVENT}/tickets/waiting");
        let (mut at, mut servers) = (index % 2, 0);
        let mut last_id: Option<String> = None;
        let mut position = u64::MAX;
        loop {
            let mut request =
                SseClient::request(&format!("{}{path}", self.servers[at])).bearer(&guest);
            if let Some(id) = &last_id {
                request = request.last_event_id(id);
            }
            let mut stream = match request.connect().await {
                Ok(stream) => stream,
                Err(ConnectError::Transport(_)) => {
                    at = 1 - at;
                    continue;
                }
                Err(refused) => panic!("person {index}: {refused}"),
            };
            servers += 1;
            while let Some(event) = stream.next_event(BOUND).await {
                let id = event.id.clone().unwrap();
                let data: Value = event.json();
                if last_id.is_none() {
                    self.joined.fetch_add(1, Ordering::SeqCst);
                }
                // The same place, whichever server tells of it.
                assert_eq!(
                    last_id.get_or_insert_with(|| id.clone()),
                    &id,
                    "person {index}"
                );
                match event.event.as_str() {
                    "waiting" => {
                        let now = data["position"].as_u64().unwrap();
                        // A server that was just changed to knows the exact rank, the other an upper bound.
                        assert!(now <= position, "person {index}: {now} after {position}");
                        position = now;
                    }
                    "admitted" => {
                        let token = data["admissionToken"].as_str().unwrap();
                        self.look_around(&guest, token, at).await;
                        self.done.fetch_add(1, Ordering::SeqCst);
                        let (_, sequence) = id.split_once('-').unwrap();
                        return Visit {
                            sequence: sequence.parse().unwrap(),
                            fence: data["fence"].as_u64().unwrap(),
                            servers,
                        };
                    }
                    other => panic!("person {index}: {other} {data}"),
                }
            }
            at = 1 - at;
        }
    }

    async fn look_around(&self, guest: &str, token: &str, at: usize) {
        let entry = format!("/events/{EVENT}/tickets/entry");
        let mut everybody = self.everybody_is_here.clone();
        let claimed = self.call(Method::GET, &entry, guest, token, at).await;
        assert_eq!(claimed, StatusCode::OK);
        everybody.wait_for(|here| *here).await.unwrap();
        let again = self.call(Method::GET, &entry, guest, token, 1 - at).await;
        assert_eq!(again, StatusCode::OK);
        let path = format!("/events/{EVENT}/tickets/waiting");
        let left = self.call(Method::DELETE, &path, guest, token, at).await;
        assert_eq!(left, StatusCode::NO_CONTENT);
    }

    /// Looks at the room again and again: never over capacity.
    async fn watch_capacity(&self, server: usize) {
        while self.done.load(Ordering::SeqCst) < PEOPLE {
            if let Some(numbers) = self.numbers(server).await {
                let active = numbers["active"].as_u64().unwrap();
                assert!(active <= CAPACITY, "{active} are active");
                self.highest_active.fetch_max(active, Ordering::SeqCst);
            }
        }
    }
}

/// 500 people over two processes, a room for 50, and one process killed in the middle: never over capacity, in
/// the order in which they came, everybody gets in, and who was connected to the dead process keeps the place.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_serve_one_line_and_one_may_die() {
    let redis = RedisServer::builder().appendonly(true).start().await;
    let (mut first, second) = (start(&redis, "all").await, start(&redis, "all").await);
    let http = Client::new();
    let config = json!({"capacity": CAPACITY, "admitPerSecond": 500, "claimTtlSeconds": 60,
        "entryTtlSeconds": 120, "awayGraceSeconds": 60});
    let put = http
        .put(second.url(&format!("/admin/rooms/{EVENT}")))
        .bearer_auth(ADMIN)
        .json(&config)
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), StatusCode::OK);
    let (everybody, everybody_is_here) = watch::channel(false);
    let world = Arc::new(World {
        servers: [first.base_url(), second.base_url()],
        http,
        joined: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        highest_active: AtomicU64::new(0),
        everybody_is_here,
    });
    let watching = {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.watch_capacity(1).await })
    };
    let mut people = JoinSet::new();
    for index in 0..PEOPLE {
        let world = Arc::clone(&world);
        people.spawn(async move { world.visit(index).await });
    }
    eventually(BOUND, || async {
        let joined = world.joined.load(Ordering::SeqCst);
        (joined == PEOPLE)
            .then_some(())
            .ok_or(format!("{joined} joined"))
    })
    .await;
    let numbers = world.numbers(1).await.unwrap();
    assert_eq!(numbers["active"], CAPACITY);
    assert_eq!(numbers["waiting"], PEOPLE as u64 - CAPACITY);
    everybody.send_replace(true);
    eventually(BOUND, || async {
        world.done.load(Ordering::SeqCst) >= PEOPLE / 4
    })
    .await;
    first.kill9();
    let mut visits: Vec<Visit> = people.join_all().await;
    watching.await.unwrap();

    visits.sort_by_key(|visit| visit.sequence);
    assert!(
        visits
            .windows(2)
            .all(|pair| pair[0].sequence < pair[1].sequence && pair[0].fence < pair[1].fence),
        "fences follow the order of joining"
    );
    let changed = visits.iter().filter(|visit| visit.servers > 1).count();
    assert!(changed > 50, "only {changed} people changed servers");
    assert_eq!(world.highest_active.load(Ordering::SeqCst), CAPACITY);
    let numbers = world.numbers(1).await.unwrap();
    for (name, expected) in [
        ("joinedTotal", PEOPLE),
        ("admittedTotal", PEOPLE),
        ("leftTotal", PEOPLE),
        ("expiredTotal", 0),
        ("waiting", 0),
        ("active", 0),
    ] {
        assert_eq!(numbers[name], expected, "{name}: {numbers}");
    }
}

/// What an operator made of the event `demo` stays through restarts, which make the room only if there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_operators_demo() {
    let redis = RedisServer::start().await;
    let mut app = AppProcess::builder(workspace_bin("reference-app").await)
        .args(["--redis-url", &redis.url()])
        .env("TICKETON_ADMIN_TOKEN", ADMIN)
        .start()
        .await;
    let http = Client::new();
    let room = app.url("/admin/rooms/demo");
    let numbers = async || -> Value {
        let answer = http.get(&room).bearer_auth(ADMIN).send().await.unwrap();
        answer.json().await.unwrap()
    };
    let made = numbers().await;
    assert_eq!(made["admitPerSecond"], 6);
    let config = json!({"capacity": 77, "admitPerSecond": 24, "maxWaiting": 5_000});
    let put = http.put(&room).bearer_auth(ADMIN).json(&config);
    assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
    let pause = http.post(format!("{room}/pause")).bearer_auth(ADMIN);
    assert_eq!(pause.send().await.unwrap().status(), StatusCode::OK);

    app.restart().await;
    let kept = numbers().await;
    for (name, expected) in [
        ("capacity", json!(77)),
        ("admitPerSecond", json!(24)),
        ("state", json!("paused")),
    ] {
        assert_eq!(kept[name], expected, "{name}: {kept}");
    }
    let greeting = app.output();
    assert!(greeting.contains("about 10 seconds"), "{greeting}");
}

/// A broker alone admits nobody; with a dispatcher beside it the line moves.
#[tokio::test(flavor = "multi_thread")]
async fn roles_share_the_work() {
    let redis = RedisServer::start().await;
    let broker = start(&redis, "broker").await;
    let http = Client::new();
    let room = broker.url(&format!("/admin/rooms/{EVENT}"));
    let config = json!({"capacity": 1, "claimTtlSeconds": 1, "entryTtlSeconds": 2});
    let put = http
        .put(&room)
        .bearer_auth(ADMIN)
        .json(&config)
        .send()
        .await;
    assert_eq!(put.unwrap().status(), StatusCode::OK);
    let mut streams = Vec::new();
    for _ in 0..2 {
        let guest = http.post(broker.url("/auth/guest")).send().await.unwrap();
        let guest: Value = guest.json().await.unwrap();
        let url = broker.url(&format!("/events/{EVENT}/tickets/waiting"));
        let token = guest["accessToken"].as_str().unwrap();
        streams.push(
            SseClient::request(&url)
                .bearer(token)
                .connect()
                .await
                .unwrap(),
        );
    }
    let first = streams[0].next_event(BOUND).await.unwrap();
    assert_eq!(first.event, "admitted");
    let second = streams[1].next_event(BOUND).await.unwrap();
    assert_eq!(second.event, "waiting");
    // Nobody ends the first admission or admits the second person, until a dispatcher comes.
    let dispatcher = start(&redis, "dispatcher").await;
    streams[0]
        .until(|event| event.event == "closed", BOUND)
        .await;
    streams[1]
        .until(|event| event.event == "admitted", BOUND)
        .await;
    let page = http.get(dispatcher.url("/")).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    let metrics = http.get(dispatcher.url("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("ticketon_admitted_total 1"), "{metrics}");
}

/// Who bought as a guest is known after a restart, where orders are kept in a file and nobody named any keys.
#[tokio::test]
async fn a_guest_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let mut app = AppProcess::builder(workspace_bin("reference-app").await)
        .arg("--no-demo")
        .env(
            "TICKETON_DATABASE_URL",
            format!("sqlite:{}", file.display()),
        )
        .start()
        .await;
    let http = Client::new();
    let guest = async |app: &AppProcess, token: &str| -> Value {
        let post = http.post(app.url("/auth/guest")).bearer_auth(token);
        post.send().await.unwrap().json().await.unwrap()
    };
    let before = guest(&app, "").await;
    app.restart().await;
    let after = guest(&app, before["accessToken"].as_str().unwrap()).await;
    assert_eq!(after["userId"], before["userId"]);
    let keys = std::fs::metadata(file.with_extension("db.admission-keys")).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(keys.permissions().mode() & 0o777, 0o600);
}
