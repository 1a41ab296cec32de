//! How much one client address may ask of the service, and which address counts behind a proxy.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use ticketon_tests::{AppProcess, eventually, workspace_bin};

const ADMIN: &str = "an-operators-secret";
const BOUND: Duration = Duration::from_secs(30);
/// At one a second: so many take far less than as many seconds.
const CALLS: usize = 100;
/// Addresses share a table of 131,072 buckets: of so many that come once, two meet in one run out of 26, and five pairs
/// in none that anybody will see.
const MEET: usize = 4;
const JOIN: &str = "/events/night/tickets/waiting";

struct World {
    app: AppProcess,
    http: Client,
}

impl World {
    async fn start(args: &[&str]) -> Self {
        let app = AppProcess::builder(workspace_bin("reference-app").await)
            .arg("--no-demo")
            .args(args)
            .env("TICKETON_ADMIN_TOKEN", ADMIN)
            .start()
            .await;
        let http = Client::new();
        let put = http.put(app.url("/admin/rooms/night")).bearer_auth(ADMIN);
        let put = put.json(&json!({"capacity": 1})).send().await.unwrap();
        assert_eq!(put.status(), StatusCode::OK);
        Self { app, http }
    }

    fn call(&self, method: Method, path: &str, forwarded_for: &str) -> RequestBuilder {
        let request = self.http.request(method, self.app.url(path));
        request.header("x-forwarded-for", forwarded_for)
    }

    /// Asks for a new guest and returns their token, or `None` where that was too much.
    async fn guest(&self, forwarded_for: &str) -> Option<String> {
        let answer = self.call(Method::POST, "/auth/guest", forwarded_for);
        let answer = answer.send().await.unwrap();
        if is_too_many(&answer) {
            return None;
        }
        assert_eq!(answer.status(), StatusCode::OK);
        let answer: Value = answer.json().await.unwrap();
        Some(answer["accessToken"].as_str().unwrap().to_owned())
    }

    /// How many of these callers, each of whom comes once, find a bucket empty.
    async fn refused(&self, caller: impl Fn(usize) -> String) -> usize {
        let mut refused = 0;
        for index in 0..CALLS {
            refused += usize::from(self.guest(&caller(index)).await.is_none());
        }
        refused
    }
}

/// Whether this is a refusal by the limit, which then says when to come again.
fn is_too_many(answer: &reqwest::Response) -> bool {
    if answer.status() != StatusCode::TOO_MANY_REQUESTS {
        return false;
    }
    let seconds = answer.headers()["retry-after"].to_str().unwrap();
    assert!((1..=60).contains(&seconds.parse::<u64>().unwrap()));
    assert_eq!(answer.headers()["cache-control"], "no-store");
    true
}

/// Calls again and again; the refusal that ends it.
async fn until_too_many(
    call: impl AsyncFn() -> reqwest::Result<reqwest::Response>,
) -> reqwest::Response {
    for _ in 0..CALLS {
        let answer = call().await.unwrap();
        if is_too_many(&answer) {
            return answer;
        }
        assert!(answer.status().is_success(), "{answer:?}");
    }
    panic!("{CALLS} calls passed");
}

#[tokio::test]
async fn limits_are_for_guests_and_joins_alone() {
    let world = World::start(&["--guest-limit", "1:2", "--join-limit", "1:3"]).await;
    let guest = world.guest("").await.unwrap();
    let guest_call = async || world.call(Method::POST, "/auth/guest", "").send().await;
    let refused = until_too_many(guest_call).await;
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "tooManyRequests", "{problem}");
    assert_eq!(problem["status"], 429, "{problem}");

    let ask = async |method: Method, path: &str| {
        let request = world.call(method, path, "").bearer_auth(&guest);
        request.send().await.unwrap()
    };
    until_too_many(async || Ok(ask(Method::GET, JOIN).await)).await;
    // Who may not join may still look and leave, and the operator is not meant at all.
    let status = ask(Method::GET, &format!("{JOIN}/status")).await;
    assert_eq!(status.status(), StatusCode::OK);
    assert_eq!(
        ask(Method::DELETE, JOIN).await.status(),
        StatusCode::NO_CONTENT
    );
    for _ in 0..20 {
        let numbers = world.http.get(world.app.url("/admin/rooms/night"));
        let numbers = numbers.bearer_auth(ADMIN).send().await.unwrap();
        assert_eq!(numbers.status(), StatusCode::OK);
    }
    // A moment later both pass again.
    eventually(BOUND, async || world.guest("").await).await;
    eventually(BOUND, async || {
        ask(Method::GET, JOIN).await.status() == StatusCode::OK
    })
    .await;
    let metrics = world.http.get(world.app.url("/metrics")).send().await;
    let metrics = metrics.unwrap().text().await.unwrap();
    for call in ["guests", "joins"] {
        let name = format!("ticketon_rate_limited_total{{call=\"{call}\"}}");
        assert!(metrics.contains(&name), "{metrics}");
    }
}

#[tokio::test]
async fn forwarded_addresses_count_from_trusted_proxies_alone() {
    let one_bucket = |refused: usize| refused > CALLS / 2;
    let own_buckets = |refused: usize| refused <= MEET;
    let another = |index: usize| format!("198.51.100.{index}");
    let direct = World::start(&["--guest-limit", "1:1"]).await;
    let invented = direct.refused(another).await;
    assert!(one_bucket(invented), "{invented} of {CALLS}");

    let trusting = [
        "--guest-limit",
        "1:1",
        "--trusted-proxies",
        "10.0.0.0/8,127.0.0.1",
    ];
    let behind = World::start(&trusting).await;
    let forwarded = behind.refused(another).await;
    assert!(own_buckets(forwarded), "{forwarded} of {CALLS}");
    // What the client puts before what the proxy adds changes nothing.
    let invented = |index: usize| format!("1.1.1.{index}, 203.0.113.9");
    let invented = behind.refused(invented).await;
    assert!(one_bucket(invented), "{invented} of {CALLS}");
    // A subscriber of IPv6 has 2^64 addresses, and one bucket.
    let subscriber = |index: usize| format!("2001:db8:7:7::{index}");
    let subscriber = behind.refused(subscriber).await;
    assert!(one_bucket(subscriber), "{subscriber} of {CALLS}");
    let subscribers = |index: usize| format!("2001:db8:8:{index}::7");
    let subscribers = behind.refused(subscribers).await;
    assert!(own_buckets(subscribers), "{subscribers} of {CALLS}");
}

/// Every process of a shop has to sign tickets alike.
#[tokio::test]
async fn a_server_database_needs_ticket_keys() {
    let app = AppProcess::builder(workspace_bin("reference-app").await);
    let app = app.args(["--no-demo", "--database", "mysql://shop@127.0.0.1:1/shop"]);
    let exit = app.run_to_exit(BOUND).await;
    assert!(!exit.status.success());
    let named = exit
        .output
        .contains("TICKETON_TICKET_KEYS or --ticket-keys must be set");
    assert!(named, "{}", exit.output);
}

/// Else an order could be taken from a process that still waits for the provider's answer.
#[tokio::test]
async fn a_lease_outlasts_the_providers_time_out() {
    let app = AppProcess::builder(workspace_bin("reference-app").await);
    let app = app.args([
        "--payments",
        "toss",
        "--payment-lease",
        "30",
        "--toss-timeout",
        "30",
    ]);
    let exit = app.run_to_exit(BOUND).await;
    assert!(!exit.status.success());
    for flag in ["--payment-lease", "--toss-timeout", "30 s"] {
        assert!(exit.output.contains(flag), "{}", exit.output);
    }
}

#[tokio::test]
async fn settings_that_make_no_sense_are_named() {
    for (flag, value) in [
        ("--guest-limit", "10"),
        ("--join-limit", "0:5"),
        ("--trusted-proxies", "10.0.0.1,proxy.test"),
    ] {
        let app = AppProcess::builder(workspace_bin("reference-app").await);
        let exit = app.args([flag, value]).run_to_exit(BOUND).await;
        assert!(!exit.status.success());
        let named = exit.output.contains(flag) && exit.output.contains("like 10");
        assert!(named, "{flag}: {}", exit.output);
    }
}
