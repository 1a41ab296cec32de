//! Virtual accounts: money that comes later, and may go again.

use std::time::Duration;

use fake_toss::FakeToss;
use serde_json::{Value, json};

use crate::{cancel, confirm, look, refused, started};

async fn waiting(toss: &FakeToss, order: &str) -> String {
    let key = toss
        .open(json!({ "orderId": order, "amount": 5_000, "method": "VIRTUAL_ACCOUNT" }))
        .await;
    let (_, payment) = confirm(toss, &key, order, 5_000, "").await;
    assert_eq!(payment["status"], "WAITING_FOR_DEPOSIT");
    assert!(
        payment["secret"]
            .as_str()
            .is_some_and(|secret| secret.starts_with("ps_"))
    );
    assert_eq!(payment["approvedAt"], Value::Null);
    assert_eq!(toss.ledger(order).await.charges, 0);
    key
}

async fn bank(toss: &FakeToss, key: &str, act: &str) -> Value {
    toss.call(
        "POST",
        &format!("/fake/payments/{key}/{act}"),
        &[],
        &Value::Null,
    )
    .await
    .1
}

#[tokio::test]
async fn a_deposit_charges_and_may_be_undone() {
    let toss = started().await;
    let key = waiting(&toss, "order-1").await;
    assert_eq!(bank(&toss, &key, "deposit").await["status"], "DONE");
    assert_eq!(
        bank(&toss, &key, "undo-deposit").await["status"],
        "WAITING_FOR_DEPOSIT"
    );
    assert_eq!(toss.ledger("order-1").await.balance, 0);
    assert_eq!(bank(&toss, &key, "deposit").await["status"], "DONE");
    assert_eq!(toss.ledger("order-1").await.balance, 5_000);
}

#[tokio::test]
async fn an_account_that_nobody_pays_ends_without_money() {
    let toss = started().await;
    let key = waiting(&toss, "order-1").await;
    toss.advance(Duration::from_secs(7 * 24 * 3_600)).await;
    assert_eq!(look(&toss, &key).await.1["status"], "CANCELED");
    let key = waiting(&toss, "order-2").await;
    let part = json!({ "cancelReason": "r", "cancelAmount": 1 });
    refused(
        &cancel(&toss, &key, part, "").await,
        403,
        "NOT_ALLOWED_PARTIAL_REFUND",
    );
    let (_, payment) = cancel(&toss, &key, json!({ "cancelReason": "r" }), "").await;
    assert_eq!(payment["status"], "CANCELED");
    assert_eq!(toss.ledger("order-2").await.cancels, 0);
}

#[tokio::test]
async fn a_paid_account_is_given_back_to_an_account() {
    let toss = started().await;
    let key = waiting(&toss, "order-1").await;
    bank(&toss, &key, "deposit").await;
    let to = |bank: &str, number: &str, holder: &str| {
        let account = json!({ "bank": bank, "accountNumber": number, "holderName": holder });
        json!({ "cancelReason": "r", "refundReceiveAccount": account })
    };
    for (body, code) in [
        (
            json!({ "cancelReason": "r" }),
            "INVALID_REFUND_ACCOUNT_INFO",
        ),
        (to("", "1", "h"), "INVALID_BANK"),
        (to("20", "1-2", "h"), "INVALID_REFUND_ACCOUNT_NUMBER"),
        (
            to("20", &"1".repeat(21), "h"),
            "INVALID_REFUND_ACCOUNT_NUMBER",
        ),
        (
            to("20", "1", &"h".repeat(61)),
            "INVALID_REFUND_ACCOUNT_INFO",
        ),
    ] {
        refused(&cancel(&toss, &key, body, "").await, 400, code);
    }
    assert_eq!(
        cancel(&toss, &key, to("20", "12345678901234567890", "h"), "")
            .await
            .1["status"],
        "CANCELED"
    );
    assert_eq!(toss.ledger("order-1").await.canceled, 5_000);
}
