//! A service of real processes over Redis, MariaDB and a provider that breaks down as told.

use std::path::Path;
use std::time::Duration;

use fake_toss::fault::Fault;
use fake_toss::{FakeToss, Ledger, Settings};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::venue::{Layout, sample};
use ticketon_tests::{
    Answer, AppBuilder, AppProcess, MariaDb, RedisServer, answer, eventually, speak_tls,
    workspace_bin,
};

/// For what another process takes up after a lease, on a busy machine.
pub(crate) const DECIDED: Duration = Duration::from_secs(60);
pub(crate) const ADMIN_TOKEN: &str = "a-key-for-the-operator-of-a-test";
const KEYS: &str = "a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// What ties a request to what it caused.
pub(crate) const CORRELATION: &str = "the-request-of-a-test";
const EVENT: &str = "long-night";

/// The servers; the processes are the test's.
pub(crate) struct Stage {
    pub(crate) redis: RedisServer,
    pub(crate) database: MariaDb,
    pub(crate) toss: FakeToss,
    pub(crate) database_url: String,
    database_name: String,
    http: Client,
}

/// An order and how to pay it.
#[derive(Debug, Clone)]
pub(crate) struct Sale {
    pub(crate) order: String,
    pub(crate) payment: String,
    pub(crate) amount: u64,
    /// Who buys.
    token: String,
}

impl Stage {
    pub(crate) async fn open() -> Self {
        speak_tls();
        let database = MariaDb::start().await;
        let database_name = database.fresh_name().await;
        let database_url = database.url_of(&database_name);
        SqlStore::connect(&database_url)
            .await
            .unwrap()
            .migrate()
            .await
            .unwrap();
        Self {
            redis: RedisServer::builder().appendonly(true).start().await,
            database,
            toss: FakeToss::start(Settings::default()).await.unwrap(),
            database_url,
            database_name,
            http: Client::new(),
        }
    }

    /// A process of the service; the first one puts the event on sale.
    pub(crate) async fn process(&self) -> AppProcess {
        self.builder(workspace_bin("reference-app").await)
            .start()
            .await
    }

    /// This build of the service, on these servers.
    pub(crate) fn builder(&self, program: impl AsRef<Path>) -> AppBuilder {
        AppProcess::builder(program)
            .arg("--no-demo")
            .args(["--redis-url", &self.redis.url()])
            .env("TICKETON_DATABASE_URL", &self.database_url)
            .args(["--payments", "toss", "--toss-secret-key", "test_sk_fake"])
            .args([
                "--toss-url",
                &self.toss.url(),
                "--toss-timeout",
                "3",
                "--payment-lease",
                "4",
            ])
            .env("TICKETON_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("TICKETON_ADMISSION_KEYS", KEYS)
            .env("TICKETON_TICKET_KEYS", KEYS)
            .ready_within(DECIDED)
    }

    pub(crate) async fn put_on_sale(&self, app: &AppProcess) {
        let layout: Layout = sample::concert(300, 20);
        let prices = layout
            .grades()
            .iter()
            .map(|grade| json!({"grade": grade, "amount": 50_000}));
        let prices: Vec<Value> = prices.collect();
        let layout: Value = serde_json::from_str(layout.to_json()).unwrap();
        let room = json!({"capacity": 100, "admitPerSecond": 100, "claimTtlSeconds": 300, "entryTtlSeconds": 900});
        let path = format!("/admin/rooms/{EVENT}");
        self.call(app, Method::PUT, &path, ADMIN_TOKEN, &[], room)
            .await;
        let event = json!({
            "title": {"en": "The Long Night", "ko": "긴 밤"}, "venue": "Grand Hall",
            "startsAt": "2099-12-24T19:00:00+09:00", "status": "open", "currency": "KRW",
            "prices": prices, "layout": layout,
        });
        let path = format!("/admin/events/{EVENT}");
        let put = self
            .call(app, Method::PUT, &path, ADMIN_TOKEN, &[], event)
            .await;
        assert!((200..300).contains(&put.status), "{}", put.body);
    }

    /// Somebody holds two seats and is about to pay.
    pub(crate) async fn sale(&self, app: &AppProcess) -> Sale {
        let guest = self
            .call(app, Method::POST, "/auth/guest", "", &[], Value::Null)
            .await
            .is(200)
            .json();
        let token = guest["accessToken"].as_str().unwrap().to_owned();
        let line = format!("/events/{EVENT}/tickets/waiting");
        let admission = eventually(DECIDED, async || {
            let accept = [("accept", "application/json")];
            let joined = self
                .call(app, Method::GET, &line, &token, &accept, Value::Null)
                .await;
            let admission = joined.json()["admissionToken"].as_str().map(str::to_owned);
            admission.ok_or(joined.body)
        })
        .await;
        let path = format!("/events/{EVENT}/holds");
        let wanted = json!({"bestAvailable": {"count": 2}});
        let hold = eventually(DECIDED, async || {
            let headers = [
                ("ticketon-admission", admission.as_str()),
                ("idempotency-key", "hold"),
            ];
            let held = self
                .call(app, Method::POST, &path, &token, &headers, wanted.clone())
                .await;
            if held.status == 201 {
                Ok(held.json())
            } else {
                Err(held.body)
            }
        })
        .await;
        let admission = [("ticketon-admission", admission.as_str())];
        let wanted = json!({"eventId": EVENT, "holdId": hold["id"]});
        let order = self
            .call(
                app,
                Method::POST,
                "/purchase/initiate",
                &token,
                &admission,
                wanted,
            )
            .await;
        let order = order.is(201).json();
        let id = order["orderId"].as_str().unwrap().to_owned();
        let amount = order["amount"].as_u64().unwrap();
        let payment = self.toss.pay(&id, amount).await;
        Sale {
            order: id,
            payment,
            amount,
            token,
        }
    }

    /// Sends the confirm without waiting for more than the connection bears.
    pub(crate) async fn confirm(
        &self,
        app: &AppProcess,
        sale: &Sale,
        key: &str,
    ) -> Result<Answer, String> {
        let body =
            json!({"orderId": sale.order, "paymentKey": sale.payment, "amount": sale.amount});
        self.try_call(
            app,
            Method::POST,
            "/purchase/confirm",
            &sale.token,
            &[("idempotency-key", key)],
            body,
        )
        .await
    }

    pub(crate) async fn refund(
        &self,
        app: &AppProcess,
        sale: &Sale,
        tickets: &[String],
        key: &str,
    ) -> Result<Answer, String> {
        let path = format!("/purchase/{}/refund", sale.order);
        let body = json!({"tickets": tickets, "reason": "cannot come"});
        self.try_call(
            app,
            Method::POST,
            &path,
            &sale.token,
            &[("idempotency-key", key)],
            body,
        )
        .await
    }

    pub(crate) async fn order(&self, app: &AppProcess, sale: &Sale) -> Result<Value, String> {
        let path = format!("/purchase/{}", sale.order);
        let seen = self
            .try_call(app, Method::GET, &path, &sale.token, &[], Value::Null)
            .await?;
        if seen.status == 200 {
            Ok(seen.json())
        } else {
            Err(seen.body)
        }
    }

    /// Waits until an order is in one of these states.
    pub(crate) async fn until(&self, app: &AppProcess, sale: &Sale, states: &[&str]) -> Value {
        eventually(DECIDED, async || {
            let order = self.order(app, sale).await?;
            let status = order["status"].as_str().unwrap_or_default();
            let open = order["refunds"]
                .as_array()
                .unwrap()
                .iter()
                .any(|refund| refund["status"] == "requested");
            if states.contains(&status) && !open {
                Ok(order)
            } else {
                Err(order.to_string())
            }
        })
        .await
    }

    pub(crate) async fn fault(&self, fault: Value) {
        let fault: Fault = serde_json::from_value(fault).unwrap();
        self.toss.fault(&fault).await;
    }

    pub(crate) async fn ledger(&self, sale: &Sale) -> Ledger {
        self.toss.ledger(&sale.order).await
    }

    /// What must be true of an order that has ended, whatever happened on the way.
    pub(crate) async fn check(&self, sale: &Sale, order: &Value) {
        let ledger = self.ledger(sale).await;
        assert!(
            ledger.charges <= 1,
            "charged more than once: {ledger:?}: {order}"
        );
        let kept = ledger.charged - ledger.canceled;
        let worth = match order["status"].as_str().unwrap() {
            "paid" | "partiallyRefunded" => sale.amount - order["refundedAmount"].as_u64().unwrap(),
            "failed" | "refunded" | "expired" | "canceled" => 0,
            other => panic!("an order that has not ended: {other}"),
        };
        assert_eq!(kept, worth, "{ledger:?}: {order}");
    }

    /// Waits until nothing is left to do, and compares seats, tickets and messages.
    pub(crate) async fn settled(&self, app: &AppProcess) {
        let path = format!("/admin/events/{EVENT}");
        eventually(DECIDED, async || {
            let event = self.call(app, Method::GET, &path, ADMIN_TOKEN, &[], Value::Null).await.json();
            let tickets = self.count("tickets WHERE live = 1 AND state <> 'reserved'").await;
            let reserved = self.count("tickets WHERE state = 'reserved'").await;
            let told = self.count("seat_messages").await + self.count("outbox").await;
            let sold = event["seats"]["counts"]["sold"].as_u64();
            let held = event["seats"]["counts"]["held"].as_u64();
            let done = sold == Some(tickets) && reserved == 0 && told == 0;
            if done { Ok(()) } else { Err(format!("{tickets} tickets, {reserved} reserved, {sold:?} sold, {held:?} held, {told} untold")) }
        })
        .await;
    }

    async fn count(&self, of: &str) -> u64 {
        let sql = format!("USE {}; SELECT COUNT(*) FROM {of}", self.database_name);
        self.database.sql(&sql).await.trim().parse().unwrap()
    }

    async fn call(
        &self,
        app: &AppProcess,
        method: Method,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        answer(self.request(app, method, path, token, headers, &body)).await
    }

    async fn try_call(
        &self,
        app: &AppProcess,
        method: Method,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Result<Answer, String> {
        let sent = self
            .request(app, method, path, token, headers, &body)
            .timeout(DECIDED)
            .send()
            .await;
        let sent = sent.map_err(|error| error.to_string())?;
        let (status, headers) = (sent.status().as_u16(), sent.headers().clone());
        let bytes = sent
            .bytes()
            .await
            .map_err(|error| error.to_string())?
            .to_vec();
        Ok(Answer {
            status,
            headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
            bytes,
        })
    }

    fn request(
        &self,
        app: &AppProcess,
        method: Method,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method, app.url(path));
        request = request.header("x-correlation-id", CORRELATION);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_null() {
            request
        } else {
            request.json(body)
        }
    }
}
