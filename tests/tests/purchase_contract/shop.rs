//! The program under test with purchases, its buyers, and what they ask for.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_tests::AppProcess;
pub(crate) use ticketon_tests::{Answer, answer, eventually, fields};

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
/// What signs tickets: 32 bytes of 2.
pub(crate) const TICKET_KEYS: &str = "suite:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
/// An id that nothing has.
pub(crate) const NOBODYS: &str = "00000000000000000000000000000000";

/// A running program.
pub(crate) struct Shop {
    pub(crate) app: AppProcess,
    http: Client,
    folder: TempDir,
}

impl Shop {
    /// Starts a program that keeps orders in a file of its own.
    pub(crate) async fn start(program: &str) -> Self {
        Self::with(program, &[]).await
    }

    /// Starts a program with these settings besides.
    pub(crate) async fn with(program: &str, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut app = AppProcess::builder(program)
            .env("TICKETON_ADMIN_TOKEN", ADMIN)
            .env(
                "TICKETON_ADMISSION_SECRET",
                "the purchases' contract suite signs with this",
            )
            .env("TICKETON_TICKET_KEYS", TICKET_KEYS)
            .env("TICKETON_SQLITE", folder.path().join("shop.db"))
            .env("TICKETON_GATE", folder.path().join("gate"))
            .env("TICKETON_SANDBOX_DELAY_MS", "700");
        for (name, value) in settings {
            app = app.env(name, value);
        }
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        Self {
            app: app.start().await,
            http,
            folder,
        }
    }

    fn gate(&self) -> PathBuf {
        self.folder.path().join("gate")
    }

    /// From now on the provider takes its time.
    pub(crate) fn close_gate(&self) {
        std::fs::write(self.gate(), "closed").unwrap();
    }

    /// The provider goes on.
    pub(crate) fn open_gate(&self) {
        std::fs::remove_file(self.gate()).unwrap();
    }

    /// What the program keeps, beside it.
    pub(crate) async fn store(&self) -> SqlStore {
        let file = self.folder.path().join("shop.db");
        SqlStore::sqlite(file.to_str().unwrap()).await.unwrap()
    }

    /// A call by nobody in particular.
    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.app.url(path))
    }

    /// A call by the operator.
    pub(crate) fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.call(method, path).bearer_auth(ADMIN)
    }

    /// What the operator gets.
    pub(crate) async fn operator(&self, path: &str) -> Value {
        let get = self.admin(Method::GET, path);
        answer(get).await.is(200).json()
    }

    /// What the operator posts.
    pub(crate) async fn operate(&self, path: &str, body: &Value) -> Answer {
        answer(self.admin(Method::POST, path).json(body)).await
    }

    /// An order as the operator sees it.
    pub(crate) async fn order(&self, order: &Value) -> Value {
        self.operator(&format!("/admin/orders/{}", id(order))).await
    }

    /// What happened to an order, by kind.
    pub(crate) async fn kinds(&self, order: &Value) -> Vec<String> {
        let order = self.order(order).await;
        let audit = order["audit"].as_array().unwrap().iter();
        audit
            .map(|entry| entry["kind"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Asks the gate about a code.
    pub(crate) async fn verify(&self, code: &Value, check_in: bool) -> Answer {
        let body = json!({"code": code, "checkIn": check_in});
        self.operate("/tickets/verify", &body).await
    }

    /// Makes or changes an event in a bar, with a waiting room. A place costs 30,000.
    pub(crate) async fn event(&self, event: &str, changes: &Value) {
        let room = self.admin(Method::PUT, &format!("/admin/rooms/{event}"));
        answer(room.json(&json!({"capacity": 1_000}))).await.is(200);
        let mut body = json!({
            "title": {"en": "Club Night"}, "venue": "Attic", "startsAt": "2099-01-01T00:00:00Z", "status": "open",
            "currency": "KRW", "prices": [{"grade": "all", "amount": 30_000}],
            "limits": {"perOrder": 4, "perUser": 100},
            "layout": {"name": "Attic", "grades": ["all"], "areas": [{"id": "bar", "capacity": 200}]},
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        let put = self.admin(Method::PUT, &format!("/admin/events/{event}"));
        answer(put.json(&body)).await.is(200);
    }

    /// How many seats of an event are in which state.
    pub(crate) async fn counts(&self, event: &str) -> Value {
        let event = self.operator(&format!("/admin/events/{event}")).await;
        event["seats"]["counts"].clone()
    }

    /// A new visitor who is admitted to the event.
    pub(crate) async fn buyer(&self, event: &str) -> Buyer<'_> {
        let seen = answer(self.call(Method::GET, "/events")).await;
        let mut buyer = Buyer {
            shop: self,
            event: event.to_owned(),
            admission: String::new(),
            token: seen.cookie("ticketon_guest").expect("a guest's cookie"),
        };
        buyer.admission = buyer.comes_in().await;
        buyer
    }
}

/// A visitor who is admitted to an event.
#[derive(Clone)]
pub(crate) struct Buyer<'a> {
    pub(crate) shop: &'a Shop,
    pub(crate) event: String,
    pub(crate) token: String,
    pub(crate) admission: String,
}

impl Buyer<'_> {
    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let call = self.shop.call(method, path).bearer_auth(&self.token);
        call.header(ADMISSION, &self.admission)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.call(Method::GET, path)).await
    }

    /// Posts under a new idempotency key.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_as(&new_key(), path, body).await
    }

    /// Posts under this idempotency key.
    pub(crate) async fn post_as(&self, key: &str, path: &str, body: &Value) -> Answer {
        let post = self.call(Method::POST, path).header(KEY, key);
        answer(post.json(body)).await
    }

    /// Joins the waiting room and comes in: there is room for all. Answers the admission.
    pub(crate) async fn comes_in(&self) -> String {
        let path = format!("/events/{}/tickets/waiting", self.event);
        let get = self.shop.call(Method::GET, &path).bearer_auth(&self.token);
        let admitted = answer(get.header("accept", "application/json")).await;
        let admitted = admitted.is(200).json();
        admitted["admissionToken"].as_str().unwrap().to_owned()
    }

    /// Posts with an admission. A payment ends the one that its buyer came in by, a moment later: then they come in
    /// again.
    async fn post_admitted(&self, path: &str, body: &Value) -> Answer {
        eventually(SOON, || async {
            let admission = self.comes_in().await;
            let post = self.shop.call(Method::POST, path).bearer_auth(&self.token);
            let post = post.header(ADMISSION, admission).header(KEY, new_key());
            let told = answer(post.json(body)).await;
            (told.status != 403).then_some(told)
        })
        .await
    }

    /// Holds places at the bar, or these seats.
    pub(crate) async fn hold(&self, seats: &Value) -> Value {
        let wanted = match seats {
            Value::Number(_) => json!({"area": "bar", "count": seats}),
            _ => json!({"seats": seats}),
        };
        let path = format!("/events/{}/holds", self.event);
        self.post_admitted(&path, &wanted).await.is(201).json()
    }

    pub(crate) async fn initiate(&self, hold: &Value) -> Answer {
        let body = json!({"eventId": self.event, "holdId": hold["id"]});
        self.post_admitted("/purchase/initiate", &body).await
    }

    /// An order for so many places at the bar.
    pub(crate) async fn order(&self, count: u64) -> Value {
        let hold = self.hold(&json!(count)).await;
        self.initiate(&hold).await.is(201).json()
    }

    /// Agrees to pay at the sandbox, which comes to this outcome.
    pub(crate) async fn payment(&self, order: &Value, outcome: &str) -> Value {
        let body = json!({
            "orderId": order["orderId"], "amount": order["amount"], "currency": order["currency"], "outcome": outcome,
        });
        let opened = self.post("/sandbox/payments", &body).await.is(201).json();
        opened["paymentKey"].clone()
    }

    pub(crate) async fn confirm_as(&self, key: &str, order: &Value, payment: &Value) -> Answer {
        self.post_as(key, "/purchase/confirm", &confirm_body(order, payment))
            .await
    }

    pub(crate) async fn confirm(&self, order: &Value, payment: &Value) -> Answer {
        self.confirm_as(&new_key(), order, payment).await
    }

    /// A paid order for so many places at the bar.
    pub(crate) async fn paid(&self, count: u64) -> Value {
        let order = self.order(count).await;
        let payment = self.payment(&order, "approve").await;
        self.confirm(&order, &payment).await.is(200).json()
    }

    /// An order as its buyer sees it.
    pub(crate) async fn see(&self, order: &Value) -> Value {
        let path = format!("/purchase/{}", id(order));
        self.get(&path).await.is(200).json()
    }

    /// Waits until an order is in a state.
    pub(crate) async fn until(&self, order: &Value, status: &str) -> Value {
        eventually(SOON, || async {
            let seen = self.see(order).await;
            (seen["status"] == status).then_some(seen)
        })
        .await
    }

    pub(crate) async fn cancel(&self, order: &Value) -> Answer {
        let path = format!("/purchase/{}/cancel", id(order));
        answer(self.call(Method::POST, &path)).await
    }

    pub(crate) async fn refund_as(&self, key: &str, order: &Value, body: &Value) -> Answer {
        let path = format!("/purchase/{}/refund", id(order));
        self.post_as(key, &path, body).await
    }

    pub(crate) async fn refund(&self, order: &Value, body: &Value) -> Answer {
        self.refund_as(&new_key(), order, body).await
    }

    /// The own tickets.
    pub(crate) async fn tickets(&self) -> Vec<Value> {
        let tickets = self.get("/tickets").await.is(200).json();
        tickets["tickets"].as_array().unwrap().clone()
    }

    /// The own orders.
    pub(crate) async fn history(&self) -> Vec<Value> {
        let orders = self.get("/purchase/history").await.is(200).json();
        orders["orders"].as_array().unwrap().clone()
    }
}

pub(crate) fn confirm_body(order: &Value, payment: &Value) -> Value {
    json!({"orderId": order["orderId"], "paymentKey": payment, "amount": order["amount"]})
}

/// The id of an order.
pub(crate) fn id(order: &Value) -> &str {
    order["orderId"].as_str().unwrap()
}

/// The id of a ticket of an order.
pub(crate) fn ticket(order: &Value, at: usize) -> &Value {
    &order["tickets"][at]["ticketId"]
}

/// An idempotency key that nobody has used.
pub(crate) fn new_key() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    format!("key-{}", LAST.fetch_add(1, Ordering::Relaxed))
}

/// Checks that two answers are the same to the byte, with all headers that say what the body is.
#[track_caller]
pub(crate) fn same(one: &Answer, other: &Answer) {
    let told = |answer: &Answer| {
        let named = ["content-type", "cache-control", "vary", "www-authenticate"];
        named.map(|name| answer.header(name).map(str::to_owned))
    };
    assert_eq!(one.status, other.status, "{} {}", one.body, other.body);
    assert_eq!(one.bytes, other.bytes, "{} {}", one.body, other.body);
    assert_eq!(told(one), told(other));
}
