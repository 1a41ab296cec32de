//! The provider's webhooks: hints that anybody can send, in any order, and that decide nothing.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::shop::{Answer, Shop, answer, id};

async fn sends(shop: &Shop, body: impl Into<reqwest::Body>) -> Answer {
    answer(shop.call(Method::POST, "/payments/toss/webhook").body(body)).await
}

fn changed(payment: &Value, order: &Value, status: &str) -> String {
    let data = json!({"paymentKey": payment, "orderId": id(order), "status": status, "totalAmount": 30_000});
    json!({"eventType": "PAYMENT_STATUS_CHANGED", "createdAt": "2026-01-01T00:00:00.000000", "data": data}).to_string()
}

const STATUSES: [&str; 5] = [
    "DONE",
    "ABORTED",
    "CANCELED",
    "EXPIRED",
    "WAITING_FOR_DEPOSIT",
];

pub(crate) async fn hints_may_come_in_any_order(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let order = ann.order(1).await;
    let payment = ann.payment(&order, "delay").await;
    ann.confirm(&order, &payment).await.is(202);
    // Each of them twice, while the payment is decided and afterwards.
    for _ in 0..2 {
        let hints = STATUSES.iter().chain(&STATUSES);
        let hints = hints.map(|status| sends(&shop, changed(&payment, &order, status)));
        for told in join_all(hints).await {
            assert_eq!(told.is(200).body, "");
        }
        let seen = ann.until(&order, "paid").await;
        assert_eq!(seen["tickets"][0]["status"], "valid");
    }
    assert_eq!(
        shop.kinds(&order).await,
        ["order.initiated", "order.confirmStarted", "order.paid"]
    );
    assert_eq!(
        shop.operator("/admin/orders?attention=true").await["orders"],
        json!([])
    );
}

pub(crate) async fn a_forged_hint_changes_nothing(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let (pending, paid, failed) = (ann.order(1).await, ann.paid(1).await, ann.order(1).await);
    let open = ann.payment(&pending, "approve").await;
    let declined = ann.payment(&failed, "decline").await;
    ann.confirm(&failed, &declined)
        .await
        .problem(402, "paymentDeclined");
    let failed = ann.see(&failed).await;
    let invented = json!("tgen_20260101000000invented");
    for status in STATUSES {
        for (payment, order) in [
            (&open, &pending),
            (&invented, &pending),
            (&paid["payment"]["paymentKey"], &paid),
            (&paid["payment"]["paymentKey"], &pending),
            (&declined, &failed),
            (&invented, &json!({"orderId": "none of ours"})),
        ] {
            sends(&shop, changed(payment, order, status)).await.is(200);
        }
        // A deposit of nobody, with a secret that nobody gave.
        let deposit = json!({
            "createdAt": "2026-01-01T00:00:00.000000", "secret": "ps_guessed", "status": status,
            "transactionKey": "t", "orderId": id(&pending),
        });
        sends(&shop, deposit.to_string()).await.is(200);
    }
    assert_eq!(ann.see(&pending).await, pending);
    assert_eq!(ann.see(&paid).await, paid);
    assert_eq!(ann.see(&failed).await, failed);
    ann.confirm(&pending, &open).await.is(200);
}

pub(crate) async fn what_is_no_hint_is_refused(program: &str) {
    let shop = Shop::start(program).await;
    for bad in ["", "{", "[]", "7", "null", "\"DONE\"", "{\"eventType\""] {
        sends(&shop, bad).await.problem(400, "malformed");
    }
    let large = |length: usize| {
        let hint = r#"{"eventType": "PAYMENT_STATUS_CHANGED", "data": {}}"#;
        format!("{hint}{}", " ".repeat(length - hint.len()))
    };
    sends(&shop, large(64 * 1024 + 1))
        .await
        .problem(413, "tooLarge");
    sends(&shop, large(64 * 1024)).await.is(200);
    // The provider may tell more than anybody listens to.
    sends(&shop, r#"{"eventType": "PAYOUT_CHANGED", "data": {}}"#)
        .await
        .is(200);
}
