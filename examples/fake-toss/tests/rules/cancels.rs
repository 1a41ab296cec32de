//! Giving money back.

use std::time::Duration;

use serde_json::json;

use crate::{cancel, look, paid, refused, started};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_payment_is_given_back_in_parts_and_as_a_whole() {
    let toss = started().await;
    let key = paid(&toss, "order-1").await;
    let (status, payment) = cancel(
        &toss,
        &key,
        json!({ "cancelReason": "rain", "cancelAmount": 8_000 }),
        "",
    )
    .await;
    assert_eq!(status, 200, "{payment}");
    assert_eq!(payment["status"], "PARTIAL_CANCELED");
    assert_eq!(
        (&payment["totalAmount"], &payment["balanceAmount"]),
        (&json!(30_000), &json!(22_000))
    );
    assert_eq!(
        (&payment["suppliedAmount"], &payment["vat"]),
        (&json!(20_000), &json!(2_000))
    );
    let part = &payment["cancels"][0];
    assert_eq!(
        (
            &part["cancelAmount"],
            &part["refundableAmount"],
            &part["cancelReason"]
        ),
        (&json!(8_000), &json!(22_000), &json!("rain"))
    );
    assert_eq!(
        (&part["cancelStatus"], &part["transactionKey"]),
        (&json!("DONE"), &payment["lastTransactionKey"])
    );

    toss.advance(SECOND).await;
    refused(
        &cancel(
            &toss,
            &key,
            json!({ "cancelReason": "r", "cancelAmount": 22_001 }),
            "",
        )
        .await,
        403,
        "NOT_CANCELABLE_AMOUNT",
    );
    let (_, payment) = cancel(&toss, &key, json!({ "cancelReason": "the rest" }), "").await;
    assert_eq!(
        (&payment["status"], &payment["balanceAmount"]),
        (&json!("CANCELED"), &json!(0))
    );
    assert_eq!(payment["cancels"].as_array().unwrap().len(), 2);
    toss.advance(SECOND).await;
    refused(
        &cancel(&toss, &key, json!({ "cancelReason": "r" }), "").await,
        400,
        "ALREADY_CANCELED_PAYMENT",
    );
    let ledger = toss.ledger("order-1").await;
    assert_eq!(
        (ledger.cancels, ledger.canceled, ledger.balance),
        (2, 30_000, 0)
    );
}

#[tokio::test]
async fn two_cancels_within_a_second_are_one() {
    let toss = started().await;
    let key = paid(&toss, "order-1").await;
    let part = json!({ "cancelReason": "r", "cancelAmount": 1_000 });
    assert_eq!(cancel(&toss, &key, part.clone(), "").await.0, 200);
    refused(
        &cancel(&toss, &key, part.clone(), "").await,
        403,
        "FORBIDDEN_CONSECUTIVE_REQUEST",
    );
    toss.advance(SECOND).await;
    assert_eq!(cancel(&toss, &key, part, "").await.0, 200);
    assert_eq!(toss.ledger("order-1").await.canceled, 2_000);
}

#[tokio::test]
async fn what_cannot_be_given_back_is_refused() {
    let toss = started().await;
    let key = paid(&toss, "order-1").await;
    for body in [
        json!({}),
        json!({ "cancelReason": "" }),
        json!({ "cancelReason": "r".repeat(201) }),
        json!({ "cancelReason": "r", "cancelAmount": 0 }),
        json!({ "cancelReason": "r", "cancelAmount": -1 }),
        json!({ "cancelReason": "r", "currency": "USD" }),
        json!({ "cancelReason": "r", "refundReceiveAccount": { "bank": "20", "accountNumber": "1", "holderName": "h" } }),
    ] {
        refused(&cancel(&toss, &key, body, "").await, 400, "INVALID_REQUEST");
    }
    let taxed = json!({ "cancelReason": "r", "taxFreeAmount": 1 });
    refused(
        &cancel(&toss, &key, taxed, "").await,
        400,
        "NOT_MATCHES_REFUNDABLE_AMOUNT",
    );
    let why = json!({ "cancelReason": "r" });
    refused(
        &cancel(&toss, "nobody", why.clone(), "").await,
        404,
        "NOT_FOUND_PAYMENT",
    );
    let begun = toss.pay("order-2", 1_000).await;
    refused(
        &cancel(&toss, &begun, why.clone(), "").await,
        403,
        "NOT_CANCELABLE_PAYMENT",
    );
    let whole = toss
        .open(json!({ "orderId": "order-3", "amount": 1_000, "partialCancelable": false }))
        .await;
    crate::confirm(&toss, &whole, "order-3", 1_000, "").await;
    let part = json!({ "cancelReason": "r", "cancelAmount": 500 });
    refused(
        &cancel(&toss, &whole, part, "").await,
        403,
        "NOT_ALLOWED_PARTIAL_REFUND",
    );
    assert_eq!(cancel(&toss, &whole, why, "").await.0, 200);
    assert_eq!(look(&toss, &key).await.1["balanceAmount"], 30_000);
}
