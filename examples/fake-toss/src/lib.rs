//! A stand-in for Toss Payments: the rules of its core API, and every way in which it can break down.
//!
//! State is in memory and ends with the process. It listens on this machine alone. Besides the provider's
//! endpoints it has `/fake/...`, by which a test opens payments, moves the clock, sets faults and reads every
//! movement of money, and `/pay`, a page that behaves like the payment window, with `/v2/standard`, the script that
//! leads there. README.md lists them all.

mod api;
mod code;
mod control;
pub mod fault;
mod idempotency;
mod merchant;
mod pay;
mod payment;
mod random;
mod server;
mod state;
mod webhook;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::LOCATION;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use crate::code::{Language, Refusal};
use crate::fault::Fault;
use crate::state::State;

/// The most changes that wait for their webhook.
const MAX_NOTICES: usize = 10_000;

/// How the fake behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; an address of this machine.
    pub listen: SocketAddr,
    /// The secret keys that are known, all of one shop.
    pub secret_keys: Vec<String>,
    /// Where webhooks go.
    pub webhook_url: Option<String>,
    /// How long a minute between repetitions of webhooks is.
    pub webhook_minute: Duration,
    /// Whether a used idempotency key gets a refusal (4xx) told again, as people have seen it. Server's faults (5xx) never are.
    pub replay_refusals: bool,
    /// Holds webhooks back until none came for so long, and then sends the newest first, each twice.
    pub webhook_disorder: Option<Duration>,
}

impl Default for Settings {
    /// On a port of its own, with the key `test_sk_fake`, without webhooks.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            secret_keys: vec!["test_sk_fake".to_owned()],
            webhook_url: None,
            webhook_minute: Duration::from_secs(60),
            replay_refusals: true,
            webhook_disorder: None,
        }
    }
}

/// A running fake; it ends when this is dropped.
///
/// ```
/// use fake_toss::{FakeToss, Settings};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let toss = FakeToss::start(Settings::default()).await?;
/// assert!(toss.url().starts_with("http://127.0.0.1:"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FakeToss {
    address: SocketAddr,
    router: Router,
    tasks: [JoinHandle<()>; 2],
}

impl FakeToss {
    /// Starts it.
    ///
    /// # Errors
    /// When the address is not of this machine, or taken.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        if !settings.listen.ip().is_loopback() {
            let why = format!(
                "{} is not an address of this machine alone",
                settings.listen
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let (notices, heard) = mpsc::channel(MAX_NOTICES);
        let state = Arc::new(State::new(settings, notices));
        let webhooks = tokio::spawn(webhook::deliver(Arc::clone(&state), heard));
        let router = router(state);
        let server = tokio::spawn(server::serve(listener, router.clone()));
        Ok(Self {
            address,
            router,
            tasks: [server, webhooks],
        })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Calls an endpoint without a connection: its status, and its body if that is JSON. What sets the scene of a
    /// test goes this way; what is tested goes over HTTP.
    ///
    /// # Panics
    /// When the method, path or a header is none.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> (u16, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let request = request.body(body).expect("a request");
        let Ok(response) = self.router.clone().oneshot(request).await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap_or_default();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Calls the page with a form: the status, and the text, or where it leads.
    ///
    /// # Panics
    /// When the method or path is none.
    pub async fn text(&self, method: &str, path: &str, form: &str) -> (u16, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .expect("a request");
        let Ok(response) = self.router.clone().oneshot(request).await;
        let status = response.status().as_u16();
        let target = response
            .headers()
            .get(LOCATION)
            .and_then(|target| target.to_str().ok());
        if let Some(target) = target {
            return (status, target.to_owned());
        }
        let body = to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap_or_default();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// Does what the payment window does when the buyer approves: the key of a payment that may be confirmed.
    ///
    /// # Panics
    /// When the order's id, or the amount, is none.
    pub async fn pay(&self, order_id: &str, amount: u64) -> String {
        self.open(json!({ "orderId": order_id, "amount": amount }))
            .await
    }

    /// The same with more said: `method`, `decline`, `fault` and what else README.md lists.
    ///
    /// # Panics
    /// When the fake refuses it.
    pub async fn open(&self, payment: Value) -> String {
        let (status, body) = self.call("POST", "/fake/payments", &[], &payment).await;
        let key = body["paymentKey"].as_str().map(str::to_owned);
        key.unwrap_or_else(|| panic!("refused: {payment}: {status} {body}"))
    }

    /// Has the next call that fits go wrong.
    ///
    /// # Panics
    /// When too many faults wait.
    pub async fn fault(&self, fault: &Fault) {
        let (status, _) = self.call("POST", "/fake/faults", &[], &json!(fault)).await;
        assert_eq!(status, 200, "{fault:?}");
    }

    /// What moved for an order.
    pub async fn ledger(&self, order_id: &str) -> Ledger {
        let path = format!("/fake/ledger?orderId={order_id}");
        let (_, body) = self.call("GET", &path, &[], &Value::Null).await;
        serde_json::from_value(body["orders"][order_id].clone()).unwrap_or_default()
    }

    /// Moves the clock.
    pub async fn advance(&self, by: Duration) {
        let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.call("POST", "/fake/clock", &[], &json!({ "advanceMs": by_ms }))
            .await;
    }
}

/// What moved for an order, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub struct Ledger {
    /// How often it was charged.
    pub charges: u64,
    /// How much in all.
    pub charged: u64,
    /// How often something was given back.
    pub cancels: u64,
    /// How much in all.
    pub canceled: u64,
    /// What the shop has of it.
    pub balance: u64,
}

impl Drop for FakeToss {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn router(state: Arc<State>) -> Router {
    Router::new()
        .merge(api::routes())
        .merge(control::routes())
        .merge(pay::routes())
        .fallback(async || api::answered(&Err(Refusal::of("NOT_FOUND")), Language::English))
        .with_state(state)
}
