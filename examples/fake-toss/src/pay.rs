//! The payment window as a page: the buyer approves, declines or closes it, and is sent back to the shop. `/v2/standard`
//! is the script by which shops open it.

use std::sync::Arc;

use axum::extract::{Form, Query, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{from_value, json};
use url::Url;

use crate::code::{Language, Refusal};
use crate::fault::{Fault, Kind};
use crate::merchant::NewPayment;
use crate::state::State;

const PAGE: &str = include_str!("../assets/pay.html");
const SCRIPT: &str = include_str!("../assets/standard.js");

/// Shops of this machine may lay the page over their own.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self' http://127.0.0.1:* http://localhost:*";

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/pay", get(page))
        .route("/pay/decide", post(decide))
        .route("/v2/standard", get(script))
}

/// What the shop asks the window for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    order_id: String,
    amount: u64,
    #[serde(default)]
    order_name: Option<String>,
    success_url: String,
    fail_url: String,
}

/// What the buyer chose.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chosen {
    payment_key: String,
    success_url: String,
    fail_url: String,
    decision: Decision,
    #[serde(default)]
    trouble: Trouble,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Decision {
    Approve,
    Decline,
    Close,
}

/// What goes wrong with the confirm.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Trouble {
    #[default]
    None,
    Declined,
    AnswerLost,
    Slow,
    ServerError,
}

async fn script() -> Response {
    let kind = (header::CONTENT_TYPE, "text/javascript; charset=utf-8");
    ([kind, (header::CACHE_CONTROL, "no-store")], SCRIPT).into_response()
}

async fn page(Shared(state): Shared<Arc<State>>, Query(asked): Query<Asked>) -> Response {
    if back(&asked.success_url).is_none() || back(&asked.fail_url).is_none() {
        return (
            StatusCode::BAD_REQUEST,
            "successUrl and failUrl are web addresses",
        )
            .into_response();
    }
    let name = asked.order_name.unwrap_or_else(|| "Order".to_owned());
    let wanted = json!({ "orderId": asked.order_id, "amount": asked.amount, "orderName": name, "authenticated": false });
    let opened = from_value::<NewPayment>(wanted).map_err(|_| Refusal::of("INVALID_REQUEST"));
    let opened = opened
        .and_then(|new| state.now(|inner, now_ms| inner.merchant.open(&new, now_ms).cloned()));
    let payment = match opened {
        Ok(payment) => payment,
        Err(refusal) => return refused(&refusal),
    };
    let mut html = PAGE.to_owned();
    for (place, text) in [
        ("{{paymentKey}}", payment.key.as_str()),
        ("{{orderId}}", &payment.order_id),
        ("{{amount}}", &grouped(payment.total)),
        ("{{successUrl}}", &asked.success_url),
        ("{{failUrl}}", &asked.fail_url),
        // Last, so that a name cannot have a place of its own filled.
        ("{{orderName}}", &payment.order_name),
    ] {
        html = html.replace(place, &escaped(text));
    }
    (
        [
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::CACHE_CONTROL, "no-store"),
        ],
        Html(html),
    )
        .into_response()
}

async fn decide(Shared(state): Shared<Arc<State>>, Form(chosen): Form<Chosen>) -> Response {
    let (Some(success), Some(fail)) = (back(&chosen.success_url), back(&chosen.fail_url)) else {
        return refused(&Refusal::of("INVALID_REQUEST"));
    };
    let key = &chosen.payment_key;
    let decided = state.now(|inner, now_ms| {
        let payment = match chosen.decision {
            Decision::Approve => inner.merchant.authenticate(key, now_ms),
            Decision::Decline => inner.merchant.abort(key, "REJECT_CARD_COMPANY"),
            // Nothing came of it: it runs out by itself.
            Decision::Close => inner.merchant.payment(key),
        };
        let payment = payment?.clone();
        if let Some(mut fault) = chosen.trouble.fault() {
            fault.order_id = Some(payment.order_id.clone());
            inner.faults.add(fault);
        }
        if matches!(chosen.trouble, Trouble::Declined) {
            inner.merchant.decline(key, "REJECT_CARD_PAYMENT");
        }
        Ok(payment)
    });
    let payment = match decided {
        Ok(payment) => payment,
        Err(refusal) => return refused(&refusal),
    };
    let refusal = |code: &str| {
        let body = Refusal::of(code).body(Language::English);
        let message = body["message"].as_str().unwrap_or_default().to_owned();
        vec![("code", code.to_owned()), ("message", message)]
    };
    let (mut target, answers) = match chosen.decision {
        Decision::Approve => (
            success,
            vec![
                ("paymentType", "NORMAL".to_owned()),
                ("orderId", payment.order_id),
                ("paymentKey", payment.key),
                ("amount", payment.total.to_string()),
            ],
        ),
        Decision::Decline => {
            let mut answers = refusal("REJECT_CARD_COMPANY");
            answers.push(("orderId", payment.order_id));
            (fail, answers)
        }
        // The provider names no order here.
        Decision::Close => (fail, refusal("PAY_PROCESS_CANCELED")),
    };
    target.query_pairs_mut().extend_pairs(answers);
    Redirect::to(target.as_str()).into_response()
}

impl Trouble {
    fn fault(self) -> Option<Fault> {
        let kind = match self {
            Self::None | Self::Declined => return None,
            Self::AnswerLost => Kind::Drop,
            Self::Slow => Kind::Slow,
            Self::ServerError => Kind::Error,
        };
        let call = crate::fault::Call::Confirm;
        Some(Fault {
            call,
            hold_ms: if kind == Kind::Slow { 5_000 } else { 0 },
            ..Fault::new(kind)
        })
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, Json(refusal.body(Language::English))).into_response()
}

/// A web address to send the buyer back to.
fn back(url: &str) -> Option<Url> {
    Url::parse(url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
}

fn grouped(amount: u64) -> String {
    let digits = amount.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
