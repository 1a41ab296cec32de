//! That the fake keeps the provider's rules: a test of a shop is worth no more than that.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

mod cancels;
mod connection;
mod deposits;
mod idempotency;
mod page;
mod payments;
mod webhooks;

use fake_toss::{FakeToss, Settings};
use serde_json::{Value, json};

/// `test_sk_fake:` in base 64.
pub(crate) const LOGIN: (&str, &str) = ("authorization", "Basic dGVzdF9za19mYWtlOg==");
pub(crate) const ENGLISH: (&str, &str) = ("accept-language", "en-US");

pub(crate) async fn started() -> FakeToss {
    FakeToss::start(Settings::default()).await.unwrap()
}

/// A call of the shop in English; with an idempotency key unless it is empty.
pub(crate) async fn call(
    toss: &FakeToss,
    method: &str,
    path: &str,
    key: &str,
    body: &Value,
) -> (u16, Value) {
    let mut headers = vec![LOGIN, ENGLISH];
    if !key.is_empty() {
        headers.push(("idempotency-key", key));
    }
    toss.call(method, path, &headers, body).await
}

pub(crate) async fn confirm(
    toss: &FakeToss,
    key: &str,
    order: &str,
    amount: u64,
    idempotency_key: &str,
) -> (u16, Value) {
    let body = json!({ "paymentKey": key, "orderId": order, "amount": amount });
    call(toss, "POST", "/v1/payments/confirm", idempotency_key, &body).await
}

pub(crate) async fn cancel(
    toss: &FakeToss,
    key: &str,
    body: Value,
    idempotency_key: &str,
) -> (u16, Value) {
    let path = format!("/v1/payments/{key}/cancel");
    call(toss, "POST", &path, idempotency_key, &body).await
}

pub(crate) async fn look(toss: &FakeToss, key: &str) -> (u16, Value) {
    call(
        toss,
        "GET",
        &format!("/v1/payments/{key}"),
        "",
        &Value::Null,
    )
    .await
}

/// A payment of 30,000 that was charged.
pub(crate) async fn paid(toss: &FakeToss, order: &str) -> String {
    let key = toss.pay(order, 30_000).await;
    let (status, _) = confirm(toss, &key, order, 30_000, "").await;
    assert_eq!(status, 200);
    key
}

/// The answer is an error of this code.
#[track_caller]
pub(crate) fn refused(answer: &(u16, Value), status: u16, code: &str) {
    assert_eq!(
        (answer.0, answer.1["code"].as_str()),
        (status, Some(code)),
        "{answer:?}"
    );
    assert!(answer.1["message"].is_string());
}
