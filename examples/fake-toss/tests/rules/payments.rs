//! Confirming and looking up: states, times, keys, languages.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{ENGLISH, LOGIN, call, confirm, look, paid, refused, started};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_payment_is_charged_once() {
    let toss = started().await;
    let key = toss.pay("order-1", 30_000).await;
    assert_eq!(look(&toss, &key).await.1["status"], "IN_PROGRESS");
    let (status, payment) = confirm(&toss, &key, "order-1", 30_000, "").await;
    assert_eq!(status, 200);
    for (field, value) in [
        ("version", json!("2022-11-16")),
        ("paymentKey", json!(key)),
        ("orderId", json!("order-1")),
        ("status", json!("DONE")),
        ("method", json!("CARD")),
        ("currency", json!("KRW")),
        ("totalAmount", json!(30_000)),
        ("balanceAmount", json!(30_000)),
        ("suppliedAmount", json!(27_273)),
        ("vat", json!(2_727)),
        ("cancels", Value::Null),
        ("failure", Value::Null),
    ] {
        assert_eq!(payment[field], value, "{field}");
    }
    assert!(payment["approvedAt"].as_str().unwrap().ends_with("+09:00"));
    refused(
        &confirm(&toss, &key, "order-1", 30_000, "").await,
        400,
        "ALREADY_PROCESSED_PAYMENT",
    );
    let (_, of_order) = call(
        &toss,
        "GET",
        "/v1/payments/orders/order-1",
        "",
        &Value::Null,
    )
    .await;
    assert_eq!(of_order, payment);
    let ledger = toss.ledger("order-1").await;
    assert_eq!(
        (ledger.charges, ledger.charged, ledger.balance),
        (1, 30_000, 30_000)
    );
    // A paid order is not paid again.
    let again = json!({ "orderId": "order-1", "amount": 1_000 });
    refused(
        &toss.call("POST", "/fake/payments", &[], &again).await,
        400,
        "DUPLICATED_ORDER_ID",
    );
}

#[tokio::test]
async fn another_amount_or_order_is_not_charged() {
    let toss = started().await;
    let key = toss.pay("order-1", 30_000).await;
    refused(
        &confirm(&toss, &key, "order-1", 29_999, "").await,
        400,
        "INVALID_REQUEST",
    );
    refused(
        &confirm(&toss, &key, "order-2", 30_000, "").await,
        400,
        "INVALID_REQUEST",
    );
    refused(
        &confirm(&toss, "nobody", "order-1", 30_000, "").await,
        404,
        "NOT_FOUND_PAYMENT",
    );
    refused(
        &confirm(&toss, &"k".repeat(201), "order-1", 30_000, "").await,
        400,
        "INVALID_REQUEST",
    );
    for order in ["short", "with space", "ünïcode", &"o".repeat(65)] {
        refused(
            &confirm(&toss, &key, order, 30_000, "").await,
            400,
            "INVALID_REQUEST",
        );
    }
    refused(
        &call(&toss, "POST", "/v1/payments/confirm", "", &json!([1])).await,
        400,
        "INVALID_REQUEST",
    );
    let few = toss.pay("order-3", 99).await;
    refused(
        &confirm(&toss, &few, "order-3", 99, "").await,
        400,
        "BELOW_MINIMUM_AMOUNT",
    );
    assert_eq!(toss.ledger("order-1").await.charges, 0);
}

#[tokio::test]
async fn a_declined_card_ends_the_payment_and_a_passing_fault_does_not() {
    let toss = started().await;
    let key = toss
        .open(json!({ "orderId": "order-1", "amount": 1_000, "decline": "REJECT_CARD_COMPANY" }))
        .await;
    refused(
        &confirm(&toss, &key, "order-1", 1_000, "").await,
        403,
        "REJECT_CARD_COMPANY",
    );
    let (_, payment) = look(&toss, &key).await;
    assert_eq!(payment["status"], "ABORTED");
    assert_eq!(payment["failure"]["code"], "REJECT_CARD_COMPANY");

    let key = toss
        .open(json!({ "orderId": "order-2", "amount": 1_000, "decline": "PROVIDER_ERROR" }))
        .await;
    refused(
        &confirm(&toss, &key, "order-2", 1_000, "").await,
        400,
        "PROVIDER_ERROR",
    );
    assert_eq!(look(&toss, &key).await.1["status"], "IN_PROGRESS");
}

#[tokio::test]
async fn payments_run_out() {
    let toss = started().await;
    let ready = toss
        .open(json!({ "orderId": "order-1", "amount": 1_000, "authenticated": false }))
        .await;
    let begun = toss.pay("order-2", 1_000).await;
    refused(
        &confirm(&toss, &ready, "order-1", 1_000, "").await,
        400,
        "UNAPPROVED_ORDER_ID",
    );
    toss.advance(10 * MINUTE - Duration::from_secs(5)).await;
    assert_eq!(look(&toss, &begun).await.1["status"], "IN_PROGRESS");
    toss.advance(Duration::from_secs(5)).await;
    assert_eq!(look(&toss, &begun).await.1["status"], "EXPIRED");
    refused(
        &confirm(&toss, &begun, "order-2", 1_000, "").await,
        404,
        "NOT_FOUND_PAYMENT_SESSION",
    );
    assert_eq!(look(&toss, &ready).await.1["status"], "READY");
    toss.advance(20 * MINUTE).await;
    assert_eq!(look(&toss, &ready).await.1["status"], "EXPIRED");
    // What was charged stays.
    let key = paid(&toss, "order-3").await;
    toss.advance(60 * MINUTE).await;
    assert_eq!(look(&toss, &key).await.1["status"], "DONE");
}

#[tokio::test]
async fn only_the_shop_is_let_in() {
    let toss = started().await;
    let path = "/v1/payments/nobody";
    for (login, status, code) in [
        ("", 403, "INCORRECT_BASIC_AUTH_FORMAT"),
        ("Bearer x", 403, "INCORRECT_BASIC_AUTH_FORMAT"),
        ("Basic %%%", 403, "INCORRECT_BASIC_AUTH_FORMAT"),
        // `test_sk_fake`, without the colon.
        ("Basic dGVzdF9za19mYWtl", 403, "INCORRECT_BASIC_AUTH_FORMAT"),
        // `my_key:`
        ("Basic bXlfa2V5Og==", 400, "INVALID_API_KEY"),
        // `test_sk_else:`
        ("Basic dGVzdF9za19lbHNlOg==", 401, "UNAUTHORIZED_KEY"),
        (LOGIN.1, 404, "NOT_FOUND_PAYMENT"),
    ] {
        let answer = toss
            .call("GET", path, &[("authorization", login)], &Value::Null)
            .await;
        refused(&answer, status, code);
    }
}

#[tokio::test]
async fn a_code_asked_for_comes_before_the_payment_is_looked_at() {
    let toss = started().await;
    let key = toss.pay("order-1", 1_000).await;
    for (code, status) in [
        ("REJECT_CARD_PAYMENT", 403),
        ("FAILED_INTERNAL_SYSTEM_PROCESSING", 500),
        ("A_CODE_OF_NEXT_YEAR", 400),
    ] {
        for key in [key.as_str(), "nobody"] {
            let body = json!({ "paymentKey": key, "orderId": "order-1", "amount": 1_000 });
            let headers = [LOGIN, ENGLISH, ("tosspayments-test-code", code)];
            refused(
                &toss
                    .call("POST", "/v1/payments/confirm", &headers, &body)
                    .await,
                status,
                code,
            );
        }
    }
    assert_eq!(look(&toss, &key).await.1["status"], "IN_PROGRESS");
}

#[tokio::test]
async fn words_follow_the_language() {
    let toss = started().await;
    let key = paid(&toss, "order-1").await;
    let path = format!("/v1/payments/{key}");
    let (_, korean) = toss.call("GET", &path, &[LOGIN], &Value::Null).await;
    assert_eq!(korean["method"], "카드");
    let (_, english) = toss
        .call("GET", &path, &[LOGIN, ENGLISH], &Value::Null)
        .await;
    assert_eq!(english["method"], "CARD");
    let (_, none) = toss
        .call("GET", "/v1/payments/nobody", &[LOGIN], &Value::Null)
        .await;
    assert_eq!(none["message"], "존재하지 않는 결제 정보 입니다.");
    refused(
        &call(&toss, "GET", "/v1/elsewhere", "", &Value::Null).await,
        404,
        "NOT_FOUND",
    );
}
