//! A stampede in bad weather: 2,000 real clients in processes of their own, two brokers and two dispatchers over
//! one Redis, and one fault after the other.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use ticketon_tests::{AppProcess, RedisServer, SlowProxy, eventually, workspace_bin};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

const ADMIN: &str = "an-operators-secret";
const KEYS: &str = "a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const EVENT: &str = "storm";
const PEOPLE: usize = 2_000;
const PROCESSES: usize = 4;
const CAPACITY: u64 = 100;
const BOUND: Duration = Duration::from_secs(120);

/// What one person saw, as `people` reports it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    person: usize,
    polls: bool,
    places: Vec<String>,
    fences: Vec<u64>,
    went_back: usize,
    connections: usize,
    refusals: usize,
    closed: Vec<String>,
    entered: bool,
    waited_ms: u64,
}

async fn start(proxy: &SlowProxy, role: &str) -> AppProcess {
    let redis = format!("redis://127.0.0.1:{}/", proxy.port());
    AppProcess::builder(workspace_bin("reference-app").await)
        .args(["--no-demo", "--role", role, "--redis-url", &redis])
        // All of them have one address.
        .args(["--guest-limit", "none", "--join-limit", "none"])
        .env("TICKETON_ADMIN_TOKEN", ADMIN)
        .env("TICKETON_ADMISSION_KEYS", KEYS)
        .start()
        .await
}

/// The room's numbers, from whichever server answers.
#[derive(Clone)]
struct Operator {
    http: Client,
    servers: Arc<[String; 2]>,
}

impl Operator {
    async fn numbers(&self) -> Option<Value> {
        for server in self.servers.iter() {
            let url = format!("{server}/admin/rooms/{EVENT}");
            let sent = self.http.get(url).bearer_auth(ADMIN).send().await;
            if let Ok(answer) = sent
                && answer.status() == StatusCode::OK
            {
                return answer.json().await.ok();
            }
        }
        None
    }

    /// Waits until this many people have been in and left again. Fails if that is over already: a fault must
    /// meet people.
    async fn done(&self, count: u64) {
        let done = eventually(BOUND, || async {
            let numbers = self.numbers().await.ok_or("no server answers")?;
            let done = numbers["leftTotal"].as_u64().unwrap();
            if done >= count {
                Ok(done)
            } else {
                Err(format!("{done} are done"))
            }
        })
        .await;
        assert!(done < PEOPLE as u64, "everybody was done before the fault");
    }

    /// Whether a write of the store is refused at present: making a room, here.
    async fn is_refused(&self, look: usize) -> Result<(), String> {
        // A new one each time: saving what is there already writes nothing.
        let url = format!("{}/admin/rooms/another-{look}", self.servers[0]);
        let put = self.http.put(url).bearer_auth(ADMIN);
        let answer = put.json(&json!({"capacity": 1})).send().await;
        let answer = answer.map_err(|error| error.to_string())?;
        let refused = answer.status() == StatusCode::SERVICE_UNAVAILABLE;
        refused.then_some(()).ok_or(format!("{answer:?}"))
    }
}

/// A process of clients; yields their reports.
async fn people(servers: &[String; 2], process: usize) -> Vec<Report> {
    let each = PEOPLE / PROCESSES;
    let mut child = Command::new(env!("CARGO_BIN_EXE_people"))
        .args(["--servers", &servers.join(","), "--event", EVENT])
        .args(["--first", &(process * each).to_string()])
        .args(["--count", &each.to_string(), "--pollers", "4"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut reports = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        reports.push(serde_json::from_str(&line).unwrap());
    }
    assert!(child.wait().await.unwrap().success());
    reports
}

#[tokio::test(flavor = "multi_thread")]
async fn storm_loses_nobody() {
    let mut redis = RedisServer::builder()
        .appendonly(true)
        .setting("appendfsync", "always")
        .start()
        .await;
    let proxy = SlowProxy::start(redis.port()).await;
    let mut first = start(&proxy, "broker").await;
    let mut second = start(&proxy, "broker").await;
    let mut dispatcher = start(&proxy, "dispatcher").await;
    let _other_dispatcher = start(&proxy, "dispatcher").await;
    let operator = Operator {
        http: Client::builder()
            .timeout(Duration::from_secs(5))
            .build()
            .unwrap(),
        servers: Arc::new([first.base_url(), second.base_url()]),
    };
    let config = json!({"capacity": CAPACITY, "admitPerSecond": 80, "claimTtlSeconds": 240,
        "entryTtlSeconds": 480, "awayGraceSeconds": 240});
    let put = operator
        .http
        .put(first.url(&format!("/admin/rooms/{EVENT}")))
        .bearer_auth(ADMIN)
        .json(&config)
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), StatusCode::OK);

    let over = Arc::new(AtomicBool::new(false));
    let highest = Arc::new(AtomicU64::new(0));
    let watching = {
        let (operator, over, highest) = (operator.clone(), Arc::clone(&over), Arc::clone(&highest));
        tokio::spawn(async move {
            while !over.load(Ordering::SeqCst) {
                if let Some(numbers) = operator.numbers().await {
                    highest.fetch_max(numbers["active"].as_u64().unwrap(), Ordering::SeqCst);
                }
            }
        })
    };
    let mut crowd = JoinSet::new();
    for process in 0..PROCESSES {
        let servers = Arc::clone(&operator.servers);
        crowd.spawn(async move { people(&servers, process).await });
    }

    operator.done(50).await;
    first.kill9();
    eventually(BOUND, || async { operator.numbers().await.is_some() }).await;
    first.restart().await;

    operator.done(200).await;
    dispatcher.kill9();

    operator.done(300).await;
    redis.kill9();
    redis.restart().await;

    operator.done(400).await;
    redis.cli(&["CONFIG", "SET", "maxmemory", "1mb"]).await;
    let mut looks = 0..;
    eventually(BOUND, || operator.is_refused(looks.next().unwrap())).await;
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;

    operator.done(500).await;
    proxy.delay(Duration::from_millis(100));
    operator.done(600).await;
    proxy.delay(Duration::ZERO);

    // Paused for longer than the broker lease: its people are taken over.
    operator.done(700).await;
    let key = format!("ticketon:{{{EVENT}}}:brokers");
    let brokers = async || redis.cli(&["ZRANGE", &key, "0", "-1"]).await;
    let before = brokers().await;
    assert!(!before.is_empty(), "nobody is connected");
    second.pause();
    // Whether people had come back to the first one after its death or not: one of them goes.
    eventually(BOUND, || async {
        let now = brokers().await;
        let all_are_left = before.lines().all(|broker| now.contains(broker));
        (!all_are_left).then_some(()).ok_or(now)
    })
    .await;
    second.resume();
    // Its people have gone elsewhere; it serves whoever comes next.
    let ready = second.url("/health/ready");
    eventually(BOUND, || async {
        let answer = operator.http.get(&ready).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    })
    .await;

    let mut reports: Vec<Report> = crowd.join_all().await.into_iter().flatten().collect();
    over.store(true, Ordering::SeqCst);
    watching.await.unwrap();
    print_report(&reports);
    assert_eq!(reports.len(), PEOPLE);
    for report in &reports {
        assert!(report.entered, "not in: {report:?}");
        assert_eq!(
            report.fences.len(),
            1,
            "admitted more than once: {report:?}"
        );
        assert_eq!(report.went_back, 0, "went back in line: {report:?}");
        assert_eq!(
            report.places.len(),
            usize::from(!report.polls),
            "lost a place: {report:?}"
        );
        assert!(
            report.closed.iter().all(|reason| reason == "replaced"),
            "{report:?}"
        );
    }
    reports.retain(|report| !report.polls);
    let sequence = |report: &Report| -> i64 {
        let (_, sequence) = report.places[0].split_once('-').unwrap();
        sequence.parse().unwrap()
    };
    reports.sort_by_key(sequence);
    for pair in reports.windows(2) {
        assert!(pair[0].fences < pair[1].fences, "out of order: {pair:?}");
    }
    let highest = highest.load(Ordering::SeqCst);
    assert!(highest <= CAPACITY, "{highest} were active");
    let numbers = operator.numbers().await.unwrap();
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

/// A few lines on what people saw.
fn print_report(reports: &[Report]) {
    for (kind, polls) in [("streams", false), ("pollers", true)] {
        let of = |value: fn(&Report) -> u64| {
            let mut values: Vec<u64> = reports
                .iter()
                .filter(|report| report.polls == polls)
                .map(value)
                .collect();
            values.sort_unstable();
            let at = |share: usize| values.get(values.len() * share / 100).copied().unwrap_or(0);
            format!(
                "median {}, p90 {}, most {}",
                at(50),
                at(90),
                values.last().unwrap_or(&0)
            )
        };
        println!("{kind}: waited ms {}", of(|report| report.waited_ms));
        println!(
            "{kind}: connections {}",
            of(|report| report.connections as u64)
        );
        println!("{kind}: refusals {}", of(|report| report.refusals as u64));
    }
    if let Some(worst) = reports.iter().max_by_key(|report| report.waited_ms) {
        println!("the longest wait: person {} {worst:?}", worst.person);
    }
}
