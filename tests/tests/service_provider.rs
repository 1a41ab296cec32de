//! The whole service before a provider that breaks down in every way it can, loses its Redis while it pays, and is told
//! lies about payments: an order is charged once and has its tickets, or the money is back.

#![allow(clippy::unwrap_used)]

#[path = "service_payments/stage.rs"]
#[allow(dead_code, reason = "shared with the suite of processes that die")]
mod stage;

use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use stage::{DECIDED, Stage};
use ticketon_tests::{AppProcess, eventually};

/// What becomes of an answer of the provider.
const KINDS: [&str; 9] = [
    "drop",
    "error",
    "processing",
    "garbage",
    "truncated",
    "huge",
    "otherPayment",
    "hang",
    "answersTwice",
];

/// A payment and a refund that meet this fault; it is done in the end.
async fn meets(stage: &Stage, app: &AppProcess, kind: &str, money: &str) {
    let sale = stage.sale(app).await;
    let fault =
        |call: &str| json!({"call": call, "fault": kind, "money": money, "orderId": sale.order});
    stage.fault(fault("confirm")).await;
    stage.confirm(app, &sale, "pay").await.unwrap();
    let paid = stage.until(app, &sale, &["paid", "failed"]).await;
    assert_eq!(paid["status"], "paid", "{kind} {money}: {paid}");
    stage.check(&sale, &paid).await;
    let ticket = paid["tickets"][0]["ticketId"].as_str().unwrap().to_owned();
    stage.fault(fault("cancel")).await;
    stage.refund(app, &sale, &[ticket], "back").await.unwrap();
    let half = stage.until(app, &sale, &["partiallyRefunded"]).await;
    stage.check(&sale, &half).await;
    let ledger = stage.ledger(&sale).await;
    assert_eq!((ledger.charges, ledger.cancels), (1, 1), "{kind} {money}");
}

/// A payment of which nobody knows whether it was charged, and neither does who asks first.
async fn doubts(stage: &Stage, app: &AppProcess, kind: &str) {
    let sale = stage.sale(app).await;
    for fault in [
        json!({"call": "confirm", "fault": "drop", "orderId": sale.order}),
        json!({"call": "query", "fault": kind, "orderId": sale.order}),
    ] {
        stage.fault(fault).await;
    }
    stage.confirm(app, &sale, "pay").await.unwrap();
    let paid = stage.until(app, &sale, &["paid", "failed"]).await;
    assert_eq!(paid["status"], "paid", "{kind}: {paid}");
    stage.check(&sale, &paid).await;
}

#[tokio::test]
async fn whatever_becomes_of_an_answer_the_order_ends_well() {
    let stage = Stage::open().await;
    let app = stage.process().await;
    stage.put_on_sale(&app).await;
    for money in ["before", "never"] {
        join_all(KINDS.map(|kind| meets(&stage, &app, kind, money))).await;
    }
    join_all(KINDS.map(|kind| doubts(&stage, &app, kind))).await;
    stage.settled(&app).await;
}

#[tokio::test]
async fn redis_flushed_while_the_provider_charges_leaves_the_seats_sold() {
    let stage = Stage::open().await;
    let app = stage.process().await;
    stage.put_on_sale(&app).await;
    let sale = stage.sale(&app).await;
    stage
        .fault(json!({"call": "confirm", "fault": "slow", "money": "before", "holdMs": 1_000}))
        .await;
    let (answered, ()) = tokio::join!(stage.confirm(&app, &sale, "pay"), async {
        eventually(DECIDED, async || {
            (stage.ledger(&sale).await.charges == 1).then_some(())
        })
        .await;
        stage.redis.cli(&["FLUSHALL"]).await;
    });
    assert_eq!(answered.unwrap().is(200).json()["status"], "paid");
    let order = stage.until(&app, &sale, &["paid"]).await;
    stage.check(&sale, &order).await;
    stage.settled(&app).await;
}

#[tokio::test]
async fn webhooks_are_hints_however_they_come() {
    let stage = Stage::open().await;
    let app = stage.process().await;
    stage.put_on_sale(&app).await;
    let (paid, pending, unknown) = (
        stage.sale(&app).await,
        stage.sale(&app).await,
        stage.sale(&app).await,
    );
    stage.confirm(&app, &paid, "pay").await.unwrap().is(200);
    // Charged, and nobody here knows.
    for fault in [
        json!({"call": "confirm", "fault": "drop", "orderId": unknown.order}),
        json!({"call": "query", "fault": "error", "orderId": unknown.order}),
    ] {
        stage.fault(fault).await;
    }
    stage.confirm(&app, &unknown, "pay").await.unwrap().is(202);
    let forged = |payment: &str, status: &str, times: u32| {
        let lies = json!({"status": status, "balanceAmount": 0, "totalAmount": 1});
        json!({"form": "paymentStatusChanged", "paymentKey": payment, "times": times, "with": lies})
    };
    let send = json!([
        forged(&paid.payment, "CANCELED", 3),
        forged(&pending.payment, "DONE", 2),
        forged(&unknown.payment, "EXPIRED", 2),
        forged(&paid.payment, "ABORTED", 1),
        {"form": "paymentStatusChanged", "paymentKey": unknown.payment, "times": 3},
        {"form": "paymentStatusChanged", "paymentKey": paid.payment, "times": 2},
        {"form": "cancelStatusChanged", "paymentKey": paid.payment},
        {"form": "raw", "body": {"eventType": "PAYMENT_STATUS_CHANGED", "data": {"paymentKey": "nobody"}}},
        {"form": "raw", "body": ["any", "thing"]},
    ]);
    let webhooks = json!({"url": app.url("/payments/toss/webhook"), "send": send});
    let (status, told) = stage
        .toss
        .call("POST", "/fake/webhooks", &[], &webhooks)
        .await;
    assert_eq!(status, 200, "{told}");
    for (sale, state) in [(&unknown, "paid"), (&paid, "paid")] {
        let order = stage.until(&app, sale, &[state]).await;
        stage.check(sale, &order).await;
    }
    let order = stage.order(&app, &pending).await.unwrap();
    assert_eq!(order["status"], "pending", "{order}");
    assert_eq!(stage.ledger(&pending).await.charges, 0);
    stage.settled(&app).await;
    let (_, sent) = stage
        .toss
        .call("GET", "/fake/webhooks", &[], &Value::Null)
        .await;
    assert!(!sent.is_null(), "what was sent is listed");
}

/// Waits until a gauge has this value.
async fn shows(app: &AppProcess, gauge: &str, value: u32) {
    let line = format!("{gauge} {value}");
    eventually(DECIDED, async || {
        let metrics = reqwest::get(app.url("/metrics")).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let is_so = metrics.lines().any(|one| one == line);
        is_so.then_some(()).ok_or(format!("{line} in:\n{metrics}"))
    })
    .await;
}

async fn pid_of_redis(stage: &Stage) -> Pid {
    let info = stage.redis.cli(&["INFO", "server"]).await;
    let pid = info
        .lines()
        .find_map(|line| line.strip_prefix("process_id:"))
        .and_then(|pid| Pid::from_raw(pid.trim().parse().ok()?));
    pid.unwrap_or_else(|| panic!("a server has an id: {info}"))
}

#[tokio::test]
async fn what_the_map_has_not_heard_and_what_a_person_should_see_is_counted() {
    let stage = Stage::open().await;
    let app = stage.process().await;
    stage.put_on_sale(&app).await;
    let sale = stage.sale(&app).await;
    shows(&app, "ticketon_orders_untold", 0).await;
    shows(&app, "ticketon_orders_attention", 0).await;

    // Redis stands still from the charge on: the order is paid, and the map is told when it can hear.
    let redis = pid_of_redis(&stage).await;
    stage
        .fault(json!({"call": "confirm", "fault": "slow", "money": "before", "holdMs": 2_500}))
        .await;
    let (answered, ()) = tokio::join!(stage.confirm(&app, &sale, "pay"), async {
        eventually(DECIDED, async || {
            (stage.ledger(&sale).await.charges == 1).then_some(())
        })
        .await;
        kill_process(redis, Signal::STOP).unwrap();
    });
    assert_eq!(answered.unwrap().is(200).json()["status"], "paid");
    shows(&app, "ticketon_orders_untold", 1).await;
    kill_process(redis, Signal::CONT).unwrap();
    shows(&app, "ticketon_orders_untold", 0).await;
    stage.settled(&app).await;

    // Somebody gives a part back in the provider's own pages, and the provider says that something happened.
    let path = format!("/v1/payments/{}/cancel", sale.payment);
    let login = [("authorization", "Basic dGVzdF9za19mYWtlOg==")];
    let part = json!({"cancelReason": "by hand", "cancelAmount": 1_000});
    let (status, canceled) = stage.toss.call("POST", &path, &login, &part).await;
    assert_eq!(status, 200, "{canceled}");
    let send = json!([{"form": "paymentStatusChanged", "paymentKey": sale.payment}]);
    let hint = json!({"url": app.url("/payments/toss/webhook"), "send": send});
    let (status, told) = stage.toss.call("POST", "/fake/webhooks", &[], &hint).await;
    assert_eq!(status, 200, "{told}");
    shows(&app, "ticketon_orders_attention", 1).await;
}
