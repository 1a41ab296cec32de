//! Idempotency keys: what is in their scope, and what is not.

use std::time::Duration;

use fake_toss::fault::{Fault, Kind};
use fake_toss::{FakeToss, Settings};
use serde_json::json;

use crate::{cancel, confirm, look, paid, refused, started};

#[tokio::test]
async fn a_used_key_gets_the_first_answer_whatever_the_body() {
    let toss = started().await;
    let first = toss.pay("order-1", 1_000).await;
    let second = toss.pay("order-2", 2_000).await;
    let (_, payment) = confirm(&toss, &first, "order-1", 1_000, "k").await;
    assert_eq!(
        confirm(&toss, &first, "order-1", 1_000, "k").await,
        (200, payment.clone())
    );
    assert_eq!(
        confirm(&toss, &second, "order-2", 2_000, "k").await,
        (200, payment)
    );
    assert_eq!(look(&toss, &second).await.1["status"], "IN_PROGRESS");
    assert_eq!(toss.ledger("order-1").await.charges, 1);
}

#[tokio::test]
async fn the_address_is_in_scope() {
    let toss = started().await;
    let (first, second) = (paid(&toss, "order-1").await, paid(&toss, "order-2").await);
    for key in [&first, &second] {
        let (_, payment) = cancel(&toss, key, json!({ "cancelReason": "r" }), "k").await;
        assert_eq!(payment["paymentKey"], json!(key));
    }
}

#[tokio::test]
async fn the_api_key_is_in_scope() {
    let settings = Settings {
        secret_keys: vec!["test_sk_fake".into(), "test_sk_else".into()],
        ..Settings::default()
    };
    let toss = FakeToss::start(settings).await.unwrap();
    let key = toss.pay("order-1", 1_000).await;
    confirm(&toss, &key, "order-1", 1_000, "k").await;
    let body = json!({ "paymentKey": key, "orderId": "order-1", "amount": 1_000 });
    let headers = [
        ("authorization", "Basic dGVzdF9za19lbHNlOg=="),
        ("idempotency-key", "k"),
    ];
    refused(
        &toss
            .call("POST", "/v1/payments/confirm", &headers, &body)
            .await,
        400,
        "ALREADY_PROCESSED_PAYMENT",
    );
}

#[tokio::test]
async fn a_key_is_forgotten_after_fifteen_days() {
    let toss = started().await;
    let key = paid(&toss, "order-1").await;
    let part = json!({ "cancelReason": "r", "cancelAmount": 1_000 });
    let day = Duration::from_secs(24 * 3_600);
    for (later, canceled) in [
        (Duration::ZERO, 1_000),
        (15 * day - Duration::from_secs(5), 1_000),
        (Duration::from_secs(5), 2_000),
    ] {
        toss.advance(later).await;
        assert_eq!(cancel(&toss, &key, part.clone(), "k").await.0, 200);
        assert_eq!(toss.ledger("order-1").await.canceled, canceled);
    }
}

#[tokio::test]
async fn a_key_has_at_most_300_characters() {
    let toss = started().await;
    let key = toss.pay("order-1", 1_000).await;
    refused(
        &confirm(&toss, &key, "order-1", 1_000, &"k".repeat(301)).await,
        400,
        "INVALID_IDEMPOTENCY_KEY",
    );
    assert_eq!(
        confirm(&toss, &key, "order-1", 1_000, &"k".repeat(300))
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn refusals_are_told_again_and_faults_of_the_server_are_not() {
    for replay_refusals in [true, false] {
        let toss = FakeToss::start(Settings {
            replay_refusals,
            ..Settings::default()
        })
        .await
        .unwrap();
        let key = paid(&toss, "order-1").await;
        let part = json!({ "cancelReason": "r", "cancelAmount": 1_000 });
        cancel(&toss, &key, part.clone(), "one").await;
        refused(
            &cancel(&toss, &key, part.clone(), "two").await,
            403,
            "FORBIDDEN_CONSECUTIVE_REQUEST",
        );
        toss.advance(Duration::from_secs(1)).await;
        let again = cancel(&toss, &key, part, "two").await;
        assert_eq!(again.0, if replay_refusals { 403 } else { 200 });

        let key = toss
            .open(json!({ "orderId": "order-2", "amount": 1_000, "decline": "COMMON_ERROR" }))
            .await;
        refused(
            &confirm(&toss, &key, "order-2", 1_000, "k").await,
            500,
            "COMMON_ERROR",
        );
        let fault = Fault {
            order_id: Some("order-2".into()),
            forget: true,
            ..Fault::new(Kind::Slow)
        };
        toss.fault(&fault).await;
        refused(
            &confirm(&toss, &key, "order-2", 1_000, "k").await,
            500,
            "COMMON_ERROR",
        );
    }
}

#[tokio::test]
async fn a_call_under_way_holds_its_key() {
    let toss = started().await;
    let key = toss.pay("order-1", 1_000).await;
    toss.fault(&Fault {
        hold_ms: 3_600_000,
        ..Fault::new(Kind::Slow)
    })
    .await;
    let held = confirm(&toss, &key, "order-1", 1_000, "k");
    tokio::pin!(held);
    // Polled once, the call is under way.
    let pending = std::future::poll_fn(|context| {
        std::task::Poll::Ready(held.as_mut().poll(context).is_pending())
    })
    .await;
    assert!(pending);
    refused(
        &confirm(&toss, &key, "order-1", 1_000, "k").await,
        409,
        "IDEMPOTENT_REQUEST_PROCESSING",
    );
    refused(
        &confirm(&toss, &key, "order-1", 1_000, "else").await,
        400,
        "ALREADY_PROCESSED_PAYMENT",
    );
}
