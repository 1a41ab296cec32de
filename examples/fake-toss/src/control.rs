//! The test's side: opens payments, moves the clock, sets faults, sends odd webhooks, and reads what moved.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::answered;
use crate::code::{Language, Refusal};
use crate::fault::Fault;
use crate::merchant::{Merchant, Movement, NewPayment};
use crate::payment::Payment;
use crate::random;
use crate::state::State;
use crate::webhook;

/// The most webhooks that are sent by one call.
const MAX_SENT: usize = 1_000;

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/fake/payments", post(open))
        .route(
            "/fake/payments/{payment_key}/authenticate",
            post(authenticate),
        )
        .route("/fake/payments/{payment_key}/deposit", post(deposit))
        .route(
            "/fake/payments/{payment_key}/undo-deposit",
            post(undo_deposit),
        )
        .route("/fake/clock", get(clock).post(move_clock))
        .route(
            "/fake/faults",
            get(faults).post(add_faults).delete(clear_faults),
        )
        .route("/fake/webhooks", get(deliveries).post(send_webhooks))
        .route("/fake/ledger", get(ledger))
        .route("/fake/calls", get(calls))
}

type Context = Shared<Arc<State>>;

/// A payment, and what shall go wrong with it.
#[derive(Debug, Deserialize)]
struct Opened {
    #[serde(flatten)]
    payment: NewPayment,
    #[serde(default)]
    fault: Option<Several>,
}

/// One fault, or a queue of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Several {
    One(Box<Fault>),
    Many(Vec<Fault>),
}

impl Several {
    fn list(self) -> Vec<Fault> {
        match self {
            Self::One(fault) => vec![*fault],
            Self::Many(faults) => faults,
        }
    }
}

async fn open(Shared(state): Context, Json(opened): Json<Opened>) -> Response {
    let faults = opened.fault.map_or_else(Vec::new, Several::list);
    let answer = state.now(|inner, now_ms| {
        let payment = inner.merchant.open(&opened.payment, now_ms).cloned()?;
        for mut fault in faults {
            fault.order_id = Some(payment.order_id.clone());
            inner.faults.add(fault);
        }
        Ok(Box::new(payment))
    });
    answered(&answer, Language::English)
}

fn changed(
    state: &State,
    change: impl FnOnce(&mut Merchant, i64) -> Result<Payment, Refusal>,
) -> Response {
    let answer = state.now(|inner, now_ms| change(&mut inner.merchant, now_ms));
    answered(&answer.map(Box::new), Language::English)
}

async fn authenticate(Shared(state): Context, Path(key): Path<String>) -> Response {
    changed(&state, |merchant, now_ms| {
        merchant.authenticate(&key, now_ms).cloned()
    })
}

async fn deposit(Shared(state): Context, Path(key): Path<String>) -> Response {
    changed(&state, |merchant, now_ms| {
        merchant.deposit(&key, now_ms).cloned()
    })
}

async fn undo_deposit(Shared(state): Context, Path(key): Path<String>) -> Response {
    changed(&state, |merchant, now_ms| {
        merchant.undo_deposit(&key, now_ms).cloned()
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Moved {
    advance_ms: i64,
}

async fn clock(Shared(state): Context) -> Json<Value> {
    Json(json!({ "nowMs": state.now_ms(), "offsetMs": state.advance(0) }))
}

async fn move_clock(Shared(state): Context, Json(moved): Json<Moved>) -> Json<Value> {
    let offset_ms = state.advance(moved.advance_ms);
    // What ran out ends now, and the shop hears of it.
    Json(json!({ "nowMs": state.now(|_, now_ms| now_ms), "offsetMs": offset_ms }))
}

async fn faults(Shared(state): Context) -> Json<Vec<Fault>> {
    Json(state.lock().faults.list())
}

async fn add_faults(Shared(state): Context, Json(several): Json<Several>) -> Response {
    let mut inner = state.lock();
    let added = several
        .list()
        .into_iter()
        .all(|fault| inner.faults.add(fault));
    if added {
        Json(inner.faults.list()).into_response()
    } else {
        (
            StatusCode::BAD_REQUEST,
            "too many faults, or one of no times",
        )
            .into_response()
    }
}

async fn clear_faults(Shared(state): Context) -> StatusCode {
    state.lock().faults.clear();
    StatusCode::NO_CONTENT
}

async fn calls(Shared(state): Context) -> Response {
    Json(&state.lock().calls).into_response()
}

async fn deliveries(Shared(state): Context) -> Response {
    Json(&state.lock().deliveries).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    order_id: Option<String>,
}

async fn ledger(Shared(state): Context, Query(asked): Query<Asked>) -> Json<Value> {
    state.now(|inner, _| {
        let of_order = |movement: &&Movement| {
            asked
                .order_id
                .as_ref()
                .is_none_or(|id| movement.order_id == *id)
        };
        let movements: Vec<&Movement> =
            inner.merchant.movements().iter().filter(of_order).collect();
        let mut orders: Map<String, Value> = Map::new();
        for movement in &movements {
            orders
                .entry(&movement.order_id)
                .or_insert_with(|| totals(&movement.order_id, &movements));
        }
        Json(json!({ "movements": movements, "orders": orders }))
    })
}

fn totals(order_id: &str, movements: &[&Movement]) -> Value {
    let of = |kind: &str| {
        let those = movements
            .iter()
            .filter(|movement| movement.order_id == order_id && movement.kind == kind);
        those.fold((0_u64, 0_u64), |(count, sum), movement| {
            (count + 1, sum + movement.amount)
        })
    };
    let ((charges, charged), (cancels, canceled), (_, undone)) =
        (of("charge"), of("cancel"), of("depositUndone"));
    json!({
        "charges": charges, "charged": charged, "cancels": cancels, "canceled": canceled,
        "balance": charged - canceled - undone,
    })
}

/// Webhooks to send, one after another in this order, once each.
#[derive(Debug, Deserialize)]
struct Sending {
    /// Where to, if not to the shop's address.
    #[serde(default)]
    url: Option<String>,
    send: Vec<Sent>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    form: Form,
    #[serde(default)]
    payment_key: Option<String>,
    /// Laid over the payment, or over the flat form: how a forgery is made.
    #[serde(default)]
    with: Map<String, Value>,
    /// The whole body, of [`Form::Raw`].
    #[serde(default)]
    body: Value,
    #[serde(default)]
    transmission_id: Option<String>,
    #[serde(default = "once")]
    times: usize,
}

const fn once() -> usize {
    1
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Form {
    PaymentStatusChanged,
    DepositCallback,
    CancelStatusChanged,
    Raw,
}

impl Sent {
    fn body(&self, merchant: &Merchant, now_ms: i64) -> Result<Value, Refusal> {
        if self.form == Form::Raw {
            return Ok(self.body.clone());
        }
        let payment = merchant.payment(self.payment_key.as_deref().unwrap_or_default())?;
        let (mut body, nested) = match self.form {
            Form::DepositCallback => (webhook::deposit(payment, now_ms), false),
            Form::CancelStatusChanged => (webhook::cancel_changed(payment, now_ms), true),
            _ => (webhook::changed(payment, now_ms), true),
        };
        let target = if nested { &mut body["data"] } else { &mut body };
        for (field, value) in &self.with {
            target[field] = value.clone();
        }
        Ok(body)
    }
}

async fn send_webhooks(Shared(state): Context, Json(sending): Json<Sending>) -> Response {
    let Some(url) = sending.url.or_else(|| state.settings.webhook_url.clone()) else {
        return (StatusCode::BAD_REQUEST, "there is no address to send to").into_response();
    };
    let mut statuses = Vec::new();
    for sent in sending.send {
        let body = match state.now(|inner, now_ms| sent.body(&inner.merchant, now_ms)) {
            Ok(body) => body,
            Err(refusal) => return answered(&Err(refusal), Language::English),
        };
        let id = sent.transmission_id.unwrap_or_else(|| random::hex(16));
        for _ in 0..sent.times {
            if statuses.len() >= MAX_SENT {
                return (StatusCode::BAD_REQUEST, "too many at once").into_response();
            }
            statuses.push(webhook::attempt(&state, &url, &body, &id, 0).await);
        }
    }
    Json(json!({ "statuses": statuses })).into_response()
}
