//! The program under test, its visitors, and what they ask for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
pub(crate) use ticketon_tests::{Answer, answer, fields};
use ticketon_tests::{AppBuilder, AppProcess, SseClient, SseEvent, SseRequest};

/// The bound of every wait: generous, since two slow cores may run many tests at once.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// The operators' token.
pub(crate) const ADMIN: &str = "an-admin-token-of-the-suite";
/// The header of admission tokens.
pub(crate) const ADMISSION: &str = "ticketon-admission";
/// The header of what makes retries one.
pub(crate) const KEY: &str = "idempotency-key";
/// Requests of other sites, as browsers mark them.
pub(crate) const ELSEWHERE: [(&str, &str); 3] = [
    ("origin", "https://evil.test"),
    ("origin", "null"),
    ("sec-fetch-site", "cross-site"),
];

/// A running program.
pub(crate) struct Shop {
    pub(crate) app: AppProcess,
    http: Client,
}

impl Shop {
    /// Starts a program with seats in memory.
    pub(crate) async fn start(program: &str) -> Self {
        Self::started(AppProcess::builder(program)).await
    }

    /// Starts a program with rooms and seats in this Redis.
    pub(crate) async fn over_redis(program: &str, url: &str) -> Self {
        Self::started(AppProcess::builder(program).env("TICKETON_REDIS_URL", url)).await
    }

    async fn started(app: AppBuilder) -> Self {
        let app = app
            .env("TICKETON_ADMIN_TOKEN", ADMIN)
            .env(
                "TICKETON_ADMISSION_SECRET",
                "the seats' contract suite signs with this",
            )
            .start()
            .await;
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        Self { app, http }
    }

    /// A call by nobody in particular.
    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.app.url(path))
    }

    /// A call by somebody whom the program cannot identify: it makes no guest of them.
    pub(crate) fn stranger(&self, method: Method, path: &str) -> RequestBuilder {
        self.call(method, path).bearer_auth("of-somebody-else")
    }

    /// A call by the operator.
    pub(crate) fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.call(method, path).bearer_auth(ADMIN)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.call(Method::GET, path)).await
    }

    /// Makes a waiting room, so that people can be admitted.
    pub(crate) async fn room(&self, event: &str) {
        let put = self.admin(Method::PUT, &format!("/admin/rooms/{event}"));
        answer(put.json(&json!({"capacity": 1_000}))).await.is(200);
    }

    /// Makes or changes an event.
    pub(crate) async fn put(&self, event: &str, body: &Value) -> Answer {
        let put = self.admin(Method::PUT, &format!("/admin/events/{event}"));
        answer(put.json(body)).await
    }

    /// Puts an event in the small hall on sale, with a waiting room. These fields differ from [`event_json`]'s.
    pub(crate) async fn event(&self, event: &str, changes: Value) {
        self.room(event).await;
        self.put(event, &event_json(changes)).await.is(200);
    }

    /// An event with its numbers, as the operator sees it.
    pub(crate) async fn numbers(&self, event: &str) -> Value {
        let get = self.admin(Method::GET, &format!("/admin/events/{event}"));
        answer(get).await.is(200).json()
    }

    /// Blocks seats, or puts them back on sale.
    pub(crate) async fn block(&self, event: &str, verb: &str, seats: &Value) -> Answer {
        let post = self.admin(Method::POST, &format!("/admin/events/{event}/seats/{verb}"));
        answer(post.json(&json!({"seats": seats}))).await
    }

    /// The seat map.
    pub(crate) async fn map(&self, event: &str) -> Value {
        let answer = self.get(&format!("/events/{event}/seats")).await;
        answer.is(200).json()
    }

    /// A new visitor.
    pub(crate) async fn guest(&self) -> Guest<'_> {
        let answer = self.get("/events").await;
        let token = answer.cookie("ticketon_guest").expect("a guest's cookie");
        Guest { shop: self, token }
    }

    /// A new visitor who is admitted to the event.
    pub(crate) async fn buyer(&self, event: &str) -> Buyer<'_> {
        self.guest().await.admitted(event).await
    }
}

/// A visitor, known by the token of their cookie.
#[derive(Clone)]
pub(crate) struct Guest<'a> {
    pub(crate) shop: &'a Shop,
    pub(crate) token: String,
}

impl<'a> Guest<'a> {
    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.shop.call(method, path).bearer_auth(&self.token)
    }

    /// Joins the waiting room and comes in: there is room for all.
    pub(crate) async fn admitted(self, event: &str) -> Buyer<'a> {
        let get = self.call(Method::GET, &format!("/events/{event}/tickets/waiting"));
        let admitted = answer(get.header("accept", "application/json")).await;
        let admitted = admitted.is(200).json();
        let admission = admitted["admissionToken"].as_str().unwrap().to_owned();
        Buyer {
            guest: self,
            event: event.to_owned(),
            admission,
        }
    }
}

/// A visitor who is admitted to an event.
#[derive(Clone)]
pub(crate) struct Buyer<'a> {
    pub(crate) guest: Guest<'a>,
    pub(crate) event: String,
    pub(crate) admission: String,
}

impl<'a> Buyer<'a> {
    /// The same person at another process.
    pub(crate) fn at<'b>(&self, shop: &'b Shop) -> Buyer<'b> {
        Buyer {
            guest: Guest {
                shop,
                token: self.guest.token.clone(),
            },
            event: self.event.clone(),
            admission: self.admission.clone(),
        }
    }

    /// A path of the event.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/events/{}{rest}", self.event)
    }

    /// A call on the event, with the admission.
    pub(crate) fn call(&self, method: Method, rest: &str) -> RequestBuilder {
        let call = self.guest.call(method, &self.path(rest));
        call.header(ADMISSION, &self.admission)
    }

    /// Asks for seats under this key.
    pub(crate) async fn ask(&self, key: &str, body: &Value) -> Answer {
        let post = self.call(Method::POST, "/holds").header(KEY, key);
        answer(post.json(body)).await
    }

    /// Asks for seats.
    pub(crate) async fn wants(&self, body: &Value) -> Answer {
        self.ask(&new_key(), body).await
    }

    /// Holds these seats.
    #[track_caller]
    pub(crate) fn holds(&self, seats: &[&str]) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            let held = self.wants(&json!({"seats": seats})).await;
            assert_eq!(held.status, 201, "at {caller}: {}", held.body);
            held.json()
        }
    }

    /// The labels of the seats that came of a wish.
    pub(crate) async fn gets(&self, body: &Value) -> Vec<String> {
        let hold = self.wants(body).await.is(201).json();
        labels(&hold)
    }

    pub(crate) async fn extend(&self, hold: &Value) -> Answer {
        let id = hold["id"].as_str().unwrap();
        answer(self.call(Method::POST, &format!("/holds/{id}/extend"))).await
    }

    pub(crate) async fn release(&self, hold: &Value) -> Answer {
        let id = hold["id"].as_str().unwrap();
        answer(self.call(Method::DELETE, &format!("/holds/{id}"))).await
    }

    /// The own holds.
    pub(crate) async fn own(&self) -> Vec<Value> {
        let own = answer(self.call(Method::GET, "/holds")).await;
        own.is(200).json()["holds"].as_array().unwrap().clone()
    }

    /// Prepares to follow the map; `query` is empty or begins with a question mark.
    pub(crate) fn updates(&self, query: &str) -> SseRequest {
        let path = self.path(&format!("/seats/updates{query}"));
        SseClient::request(&self.guest.shop.app.url(&path))
            .bearer(&self.guest.token)
            .header("ticketon-admission", &self.admission)
    }

    /// Follows the map.
    pub(crate) async fn follows(&self, query: &str) -> SseClient {
        self.updates(query).connect().await.expect("a stream")
    }
}

/// An idempotency key that nobody has used.
pub(crate) fn new_key() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    format!("key-{}", LAST.fetch_add(1, Ordering::Relaxed))
}

/// The labels of a hold's seats.
pub(crate) fn labels(hold: &Value) -> Vec<String> {
    let seats = hold["seats"].as_array().unwrap().iter();
    seats
        .map(|seat| seat["label"].as_str().unwrap().to_owned())
        .collect()
}

/// Two rows of eight, a row of six, and a floor for twenty. In index order: `A-1-1` to `A-1-8` (vip; the last one for
/// wheelchairs), `A-2-1` to `A-2-8`, `B-1-1` to `B-1-6`, `floor/1` to `floor/20` (all standard).
pub(crate) fn small_hall() -> Value {
    json!({
        "name": "Small Hall",
        "grades": ["vip", "standard"],
        "sections": [
            {"id": "A", "grade": "standard", "rows": [
                {"id": "1", "grade": "vip", "segments": [{"from": 1, "count": 8, "x": 0, "y": 0}], "accessible": ["8"]},
                {"id": "2", "segments": [{"from": 1, "count": 8, "x": 0, "y": 1}]}
            ]},
            {"id": "B", "grade": "standard", "rank": 5, "rows": [
                {"id": "1", "segments": [{"from": 1, "count": 6, "x": 1, "y": 4}]}
            ]}
        ],
        "areas": [{"id": "floor", "grade": "standard", "capacity": 20}]
    })
}

/// How many seats and units the small hall has.
pub(crate) const SMALL: u64 = 42;

/// An event in the small hall, with these fields changed; `null` takes one away.
pub(crate) fn event_json(changes: Value) -> Value {
    let mut event = json!({
        "title": {"en": "Recital", "ko": "독주회"},
        "venue": "Small Hall",
        "startsAt": "2099-01-01T00:00:00Z",
        "status": "open",
        "currency": "KRW",
        "prices": [{"grade": "vip", "amount": 165_000}, {"grade": "standard", "amount": 99_000}],
        "layout": small_hall(),
    });
    let (Value::Object(fields), Value::Object(changes)) = (&mut event, changes) else {
        panic!("an event's fields are an object");
    };
    for (name, value) in changes {
        if value.is_null() {
            fields.remove(&name);
        } else {
            fields.insert(name, value);
        }
    }
    event
}

/// The states of a map's seats.
pub(crate) fn states(map: &Value) -> Vec<u8> {
    map["states"]
        .as_str()
        .unwrap()
        .bytes()
        .map(|b| b - b'0')
        .collect()
}

/// `?since=` of this map.
pub(crate) fn since(map: &Value) -> String {
    format!("?since={}-{}", map["epoch"], map["version"])
}

/// The next message of a stream, apart from signs of life.
#[track_caller]
pub(crate) fn next(stream: &mut SseClient) -> impl Future<Output = SseEvent> {
    let caller = std::panic::Location::caller();
    async move {
        loop {
            match stream.next_event(SOON).await {
                Some(event) if event.event == "alive" => {}
                Some(event) => return event,
                None => panic!("at {caller}: no event came"),
            }
        }
    }
}
