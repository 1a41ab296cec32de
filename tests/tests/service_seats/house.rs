//! A house that sells an event: its waiting room and its seats, set up by the operator's calls.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use ticketon_domain::venue::Layout;
use ticketon_tests::{AppProcess, RedisServer, eventually, workspace_bin};

use super::{ADMIN_TOKEN, SOON};

/// The keys of a test's service.
pub(crate) const KEYS: &str = "a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The id of the event that a house sells.
pub(crate) const EVENT: &str = "long-night";

/// The app without its demo; over a Redis, if one is given.
pub(crate) async fn app(redis: Option<&RedisServer>) -> AppProcess {
    let mut app = AppProcess::builder(workspace_bin("reference-app").await)
        .arg("--no-demo")
        .env("TICKETON_ADMIN_TOKEN", ADMIN_TOKEN)
        .env("TICKETON_ADMISSION_KEYS", KEYS);
    if let Some(redis) = redis {
        app = app.args(["--redis-url", &redis.url()]);
    }
    app.ready_within(Duration::from_secs(60)).start().await
}

/// A house that sells [`EVENT`].
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) base_url: String,
    layout: Layout,
}

impl House {
    /// Opens room and sale. `changes` are fields of the event that differ from the usual.
    pub(crate) async fn open(app: &AppProcess, layout: Layout, changes: Value) -> Self {
        let house = Self {
            base_url: app.base_url(),
            layout,
        };
        house.open_room().await;
        house.put(changes).await;
        house
    }

    /// A waiting room in which nobody waits.
    pub(crate) async fn open_room(&self) {
        let room = json!({"capacity": 100, "admitPerSecond": 100, "claimTtlSeconds": 60, "entryTtlSeconds": 900});
        self.call(Method::PUT, &format!("/admin/rooms/{EVENT}"), room)
            .await;
    }

    /// Puts the event, with fields that differ from the usual.
    pub(crate) async fn put(&self, changes: Value) {
        let prices = self.layout.grades().iter().enumerate();
        let prices: Vec<Value> = prices
            .map(|(at, grade)| json!({"grade": grade, "amount": 165_000 - 22_000 * at}))
            .collect();
        let layout: Value = serde_json::from_str(self.layout.to_json()).unwrap();
        let mut event = json!({
            "title": {"en": "The Long Night", "ko": "긴 밤"},
            "venue": "Grand Hall",
            "startsAt": "2099-12-24T19:00:00+09:00",
            "status": "open",
            "currency": "KRW",
            "prices": prices,
            "layout": layout,
        });
        for (name, value) in changes.as_object().unwrap() {
            event[name] = value.clone();
        }
        self.call(Method::PUT, &format!("/admin/events/{EVENT}"), event)
            .await;
    }

    /// Takes seats out of the sale: what everybody sees at once.
    pub(crate) async fn block(&self, seats: &[String]) {
        self.turn("block", seats).await;
    }

    pub(crate) async fn unblock(&self, seats: &[String]) {
        self.turn("unblock", seats).await;
    }

    /// Again and again while the map is being made.
    async fn turn(&self, verb: &str, seats: &[String]) {
        let path = format!("/admin/events/{EVENT}/seats/{verb}");
        let body = json!({"seats": seats});
        eventually(SOON, async || {
            match self.send(Method::POST, &path, &body).await {
                (StatusCode::SERVICE_UNAVAILABLE, answer) => Err(answer),
                done => Ok(done),
            }
        })
        .await;
    }

    /// Free, held, sold and blocked seats.
    pub(crate) async fn counts(&self) -> Value {
        let path = format!("/admin/events/{EVENT}");
        self.call(Method::GET, &path, Value::Null).await["seats"]["counts"].take()
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, text) = self.send(method, path, &body).await;
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> (StatusCode, String) {
        let mut request = reqwest::Client::new()
            .request(method, format!("{}{path}", self.base_url))
            .bearer_auth(ADMIN_TOKEN);
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}
