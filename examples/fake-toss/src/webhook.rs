//! Webhooks: what the shop hears, again and again until it answers 200.
//!
//! Unsigned, as the provider's are. First attempts keep the order of the changes, unless they are asked to come in
//! disorder; repetitions come when they come.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde_json::{Value, json};
use ticketon_queue::UnixMs;
use tokio::sync::{Semaphore, mpsc};

use crate::code::Language;
use crate::merchant::Notice;
use crate::payment::{Payment, written};
use crate::random;
use crate::state::{State, remember};

/// After so many minutes a delivery is tried again.
const RETRY_MINUTES: [u32; 7] = [1, 4, 16, 64, 256, 1_024, 4_096];

/// How long the shop may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The most deliveries that wait for a repetition at once.
const MAX_WAITING: usize = 1_000;

/// The most webhooks that are held back to be put out of order.
const MAX_BURST: usize = 1_000;

/// An attempt to tell the shop.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    pub(crate) transmission_id: String,
    pub(crate) retried_count: usize,
    /// The shop's answer, if any came.
    pub(crate) status: Option<u16>,
    pub(crate) body: Value,
}

/// Tells the shop of each change, until the last sender is gone.
pub(crate) async fn deliver(state: Arc<State>, mut notices: mpsc::Receiver<(UnixMs, Notice)>) {
    let Some(url) = state.settings.webhook_url.clone() else {
        while notices.recv().await.is_some() {}
        return;
    };
    let waiting = Arc::new(Semaphore::new(MAX_WAITING));
    let mut repetitions = tokio::task::JoinSet::new();
    while let Some(first) = notices.recv().await {
        let (told, times) = match state.settings.webhook_disorder {
            None => (vec![first], 1),
            Some(quiet) => (newest_first(first, &mut notices, quiet).await, 2),
        };
        for (now_ms, notice) in told {
            while repetitions.try_join_next().is_some() {}
            let (body, id) = (notice.body(now_ms), random::hex(16));
            let mut heard = false;
            for _ in 0..times {
                heard |= attempt(&state, &url, &body, &id, 0).await == Some(200);
            }
            if heard {
                continue;
            }
            let Ok(permit) = Arc::clone(&waiting).try_acquire_owned() else {
                continue;
            };
            let (state, url) = (Arc::clone(&state), url.clone());
            repetitions.spawn(async move {
                let _permit = permit;
                repeat(&state, &url, &body, &id).await;
            });
        }
    }
}

/// What comes until nothing came for so long, in reverse.
async fn newest_first(
    first: (UnixMs, Notice),
    notices: &mut mpsc::Receiver<(UnixMs, Notice)>,
    quiet: Duration,
) -> Vec<(UnixMs, Notice)> {
    let mut burst = vec![first];
    while burst.len() < MAX_BURST
        && let Ok(Some(next)) = tokio::time::timeout(quiet, notices.recv()).await
    {
        burst.push(next);
    }
    burst.reverse();
    burst
}

async fn repeat(state: &State, url: &str, body: &Value, id: &str) {
    for (index, minutes) in RETRY_MINUTES.into_iter().enumerate() {
        tokio::time::sleep(state.settings.webhook_minute * minutes).await;
        if attempt(state, url, body, id, index + 1).await == Some(200) {
            return;
        }
    }
}

/// One attempt; the shop's status.
pub(crate) async fn attempt(
    state: &State,
    url: &str,
    body: &Value,
    id: &str,
    retried_count: usize,
) -> Option<u16> {
    let request = Request::post(url)
        .header("content-type", "application/json")
        .header(
            "tosspayments-webhook-transmission-time",
            written(state.now_ms()),
        )
        .header("tosspayments-webhook-transmission-id", id)
        .header(
            "tosspayments-webhook-transmission-retried-count",
            retried_count,
        )
        .body(Full::new(Bytes::from(body.to_string())));
    let status = match request {
        Ok(request) => {
            let client = Client::builder(TokioExecutor::new()).build_http();
            let answer = tokio::time::timeout(ANSWER_WITHIN, client.request(request)).await;
            answer
                .ok()
                .and_then(Result::ok)
                .map(|answer| answer.status().as_u16())
        }
        Err(_) => None,
    };
    let delivery = Delivery {
        transmission_id: id.to_owned(),
        retried_count,
        status,
        body: body.clone(),
    };
    remember(&mut state.lock().deliveries, delivery);
    status
}

impl Notice {
    fn body(&self, now_ms: UnixMs) -> Value {
        match self {
            Self::Changed(payment) => changed(payment, now_ms),
            Self::Deposit(payment) => deposit(payment, now_ms),
        }
    }
}

/// The webhook of a payment that changed.
pub(crate) fn changed(payment: &Payment, now_ms: UnixMs) -> Value {
    json!({
        "eventType": "PAYMENT_STATUS_CHANGED",
        "createdAt": written(now_ms),
        "data": payment.view(Language::Korean),
    })
}

/// The webhook of a deposit: flat, without the name of an event.
pub(crate) fn deposit(payment: &Payment, now_ms: UnixMs) -> Value {
    json!({
        "createdAt": written(now_ms),
        "secret": payment.secret,
        "status": payment.status.as_str(),
        "transactionKey": payment.last_transaction_key,
        "orderId": payment.order_id,
    })
}

/// The webhook of a cancel that took its time, as overseas payments have.
pub(crate) fn cancel_changed(payment: &Payment, now_ms: UnixMs) -> Value {
    let view = payment.view(Language::Korean);
    let last = view["cancels"]
        .as_array()
        .and_then(|cancels| cancels.last())
        .cloned();
    json!({ "eventType": "CANCEL_STATUS_CHANGED", "createdAt": written(now_ms), "data": last })
}
