//! Payments by real processes, over Redis, MariaDB and a provider that breaks down: whatever is killed or stands still,
//! an order is charged once and has its tickets, or the money is back.

#![allow(clippy::unwrap_used)]

#[path = "service_payments/stage.rs"]
mod stage;

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, MySqlConnection};
use stage::{DECIDED, Stage};
use ticketon_tests::{AppProcess, eventually};

/// What the provider does while the process that called it is killed.
fn steps(call: &str) -> [Value; 4] {
    [
        // The call has come, and no money moved before the process died; it does afterwards.
        json!({"call": call, "fault": "slow", "money": "after", "holdMs": 1_500}),
        // Money moved; the answer had not come yet.
        json!({"call": call, "fault": "slow", "money": "before", "holdMs": 1_500}),
        // Nothing ever came of it.
        json!({"call": call, "fault": "slow", "money": "never", "holdMs": 1_500}),
        // Money moved, and the key is forgotten.
        json!({"call": call, "fault": "slow", "money": "before", "holdMs": 1_500, "forget": true}),
    ]
}

/// Waits until the provider has seen as many calls of a path as that.
async fn seen(stage: &Stage, path: &str, calls: usize) {
    eventually(DECIDED, async || {
        let (_, made) = stage
            .toss
            .call("GET", "/fake/calls", &[], &Value::Null)
            .await;
        let made = made
            .as_array()
            .or_else(|| made["calls"].as_array())
            .cloned()
            .unwrap_or_default();
        let of_path = made.iter().filter(|call| {
            call["path"]
                .as_str()
                .is_some_and(|other| other.ends_with(path))
        });
        let count = of_path.count();
        if count >= calls {
            Ok(())
        } else {
            Err(format!("{count} calls: {made:?}"))
        }
    })
    .await;
}

async fn calls(stage: &Stage, path: &str) -> usize {
    let (_, made) = stage
        .toss
        .call("GET", "/fake/calls", &[], &Value::Null)
        .await;
    let made = made
        .as_array()
        .or_else(|| made["calls"].as_array())
        .cloned()
        .unwrap_or_default();
    made.iter()
        .filter(|call| {
            call["path"]
                .as_str()
                .is_some_and(|other| other.ends_with(path))
        })
        .count()
}

#[tokio::test]
async fn killed_while_the_provider_is_asked_to_charge() {
    let stage = Stage::open().await;
    let mut app = stage.process().await;
    stage.put_on_sale(&app).await;
    for step in steps("confirm") {
        let sale = stage.sale(&app).await;
        let before = calls(&stage, "/confirm").await;
        stage.fault(step.clone()).await;
        let (answered, ()) = tokio::join!(stage.confirm(&app, &sale, "pay"), async {
            seen(&stage, "/confirm", before + 1).await;
            kill(&app).await;
        });
        assert!(
            answered.is_err(),
            "{step}: it was killed before it could answer: {answered:?}"
        );
        app.restart().await;
        let order = stage.until(&app, &sale, &["paid", "failed"]).await;
        assert_eq!(
            order["status"], "paid",
            "{step}: the buyer had authorized it: {order}"
        );
        stage.check(&sale, &order).await;
        let again = stage
            .confirm(&app, &sale, "again")
            .await
            .unwrap()
            .is(200)
            .json();
        assert_eq!(again["tickets"], order["tickets"]);
    }
    stage.settled(&app).await;
}

#[tokio::test]
async fn killed_at_any_moment_of_a_confirm() {
    let stage = Stage::open().await;
    let mut app = stage.process().await;
    stage.put_on_sale(&app).await;
    for ms in [0, 2, 4, 6, 8, 11, 15, 20, 30] {
        let sale = stage.sale(&app).await;
        let (_, ()) = tokio::join!(stage.confirm(&app, &sale, "pay"), async {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            kill(&app).await;
        });
        app.restart().await;
        // What had not begun is still to be paid, and is.
        let order = eventually(DECIDED, async || {
            let order = stage.order(&app, &sale).await?;
            match order["status"].as_str() {
                Some("pending") => {
                    // The key of before runs until its lease ends.
                    let answered = stage.confirm(&app, &sale, "again").await?;
                    Err(answered.body)
                }
                Some("confirming") => Err(order.to_string()),
                _ => Ok(order),
            }
        })
        .await;
        assert_eq!(order["status"], "paid", "killed after {ms} ms: {order}");
        stage.check(&sale, &order).await;
    }
    stage.settled(&app).await;
}

#[tokio::test]
async fn killed_while_the_provider_is_asked_to_give_back() {
    let stage = Stage::open().await;
    let mut app = stage.process().await;
    stage.put_on_sale(&app).await;
    for step in steps("cancel") {
        let sale = stage.sale(&app).await;
        let paid = stage
            .confirm(&app, &sale, "pay")
            .await
            .unwrap()
            .is(200)
            .json();
        let ticket = paid["tickets"][0]["ticketId"].as_str().unwrap().to_owned();
        let before = calls(&stage, "/cancel").await;
        stage.fault(step.clone()).await;
        let (answered, ()) = tokio::join!(
            stage.refund(&app, &sale, std::slice::from_ref(&ticket), "back"),
            async {
                seen(&stage, "/cancel", before + 1).await;
                kill(&app).await;
            }
        );
        assert!(answered.is_err(), "{step}: {answered:?}");
        app.restart().await;
        let order = stage.until(&app, &sale, &["partiallyRefunded"]).await;
        stage.check(&sale, &order).await;
        let ledger = stage.ledger(&sale).await;
        assert_eq!(
            (ledger.cancels, ledger.canceled),
            (1, 50_000),
            "{step}: {order}"
        );
        let state = |id: &str| {
            let tickets = order["tickets"].as_array().unwrap();
            tickets
                .iter()
                .find(|ticket| ticket["ticketId"] == id)
                .unwrap()["status"]
                .clone()
        };
        assert_eq!(state(&ticket), "refunded");
    }
    stage.settled(&app).await;
}

#[tokio::test]
async fn a_process_that_stands_still_is_taken_over_and_changes_nothing_when_it_wakes() {
    let stage = Stage::open().await;
    let mut app = stage.process().await;
    stage.put_on_sale(&app).await;
    let other = stage.process().await;
    let sale = stage.sale(&app).await;
    let before = calls(&stage, "/confirm").await;
    stage
        .fault(json!({"call": "confirm", "fault": "slow", "money": "before", "holdMs": 1_000}))
        .await;
    let confirm = stage.confirm(&app, &sale, "pay");
    let stands_still = async {
        seen(&stage, "/confirm", before + 1).await;
        rustix::process::kill_process(pid(&app), rustix::process::Signal::STOP).unwrap();
        let order = stage.until(&other, &sale, &["paid", "failed"]).await;
        rustix::process::kill_process(pid(&app), rustix::process::Signal::CONT).unwrap();
        order
    };
    let (answered, order) = tokio::join!(confirm, stands_still);
    assert_eq!(order["status"], "paid", "{order}");
    assert_eq!(answered.unwrap().is(200).json()["status"], "paid");
    stage.check(&sale, &order).await;
    stage.settled(&app).await;
    assert_eq!(stage.order(&app, &sale).await.unwrap(), order);
    app.terminate();
}

#[tokio::test]
async fn a_process_that_stands_still_in_a_transaction_keeps_no_rows_from_the_others() {
    let stage = Stage::open().await;
    let one = stage.process().await;
    stage.put_on_sale(&one).await;
    let other = stage.process().await;
    let sale = stage.sale(&one).await;
    let mut rows = MySqlConnection::connect(&stage.database_url).await.unwrap();
    let patient = "SET SESSION innodb_lock_wait_timeout = 40";
    let lock = "SELECT id FROM orders FOR UPDATE";
    for statement in [patient, "BEGIN", lock] {
        rows.execute(statement).await.unwrap();
    }
    let stands_still = async {
        eventually(DECIDED, async || stage.database.lock_waits().await == 1).await;
        rustix::process::kill_process(pid(&one), rustix::process::Signal::STOP).unwrap();
        rows.execute("ROLLBACK").await.unwrap();
        // It has the row now, and does not know.
        eventually(DECIDED, async || stage.database.lock_waits().await == 0).await;
        for statement in ["BEGIN", lock, "ROLLBACK"] {
            rows.execute(statement).await.unwrap();
        }
        let paid = stage.confirm(&other, &sale, "other").await.unwrap();
        rustix::process::kill_process(pid(&one), rustix::process::Signal::CONT).unwrap();
        paid.is(200).json()
    };
    let (answered, paid) = tokio::join!(stage.confirm(&one, &sale, "pay"), stands_still);
    assert_eq!(paid["status"], "paid", "{paid}");
    // It was away for longer than a call may take; asked again, it knows.
    let answered = answered.unwrap();
    assert!(
        [200, 503].contains(&answered.status),
        "{}: {}",
        answered.status,
        answered.body
    );
    let again = eventually(DECIDED, async || {
        let again = stage.confirm(&one, &sale, "pay").await?;
        if again.status == 200 {
            Ok(again.json())
        } else {
            Err(again.body)
        }
    })
    .await;
    assert_eq!(again["tickets"], paid["tickets"]);
    assert_eq!(stage.ledger(&sale).await.charges, 1);
    stage.check(&sale, &paid).await;
    stage.settled(&other).await;
}

#[tokio::test]
async fn two_confirms_at_once_in_two_processes_charge_once() {
    let stage = Stage::open().await;
    let one = stage.process().await;
    stage.put_on_sale(&one).await;
    let other = stage.process().await;
    for _ in 0..5 {
        let sale = stage.sale(&one).await;
        let (first, second) = tokio::join!(
            stage.confirm(&one, &sale, "a"),
            stage.confirm(&other, &sale, "b")
        );
        for answered in [first.unwrap(), second.unwrap()] {
            assert!(
                [200, 409].contains(&answered.status),
                "{}: {}",
                answered.status,
                answered.body
            );
        }
        let order = stage.until(&one, &sale, &["paid"]).await;
        stage.check(&sale, &order).await;
        assert_eq!(stage.ledger(&sale).await.charges, 1);
    }
    stage.settled(&one).await;
}

#[tokio::test]
async fn redis_flushed_between_hold_and_confirm_costs_nobody_money() {
    let stage = Stage::open().await;
    let app = stage.process().await;
    stage.put_on_sale(&app).await;
    let sold = stage.sale(&app).await;
    stage.confirm(&app, &sold, "pay").await.unwrap().is(200);
    let sale = stage.sale(&app).await;
    stage.redis.cli(&["FLUSHALL"]).await;
    let answered = stage.confirm(&app, &sale, "pay").await.unwrap();
    assert!(
        [200, 402].contains(&answered.status),
        "{}: {}",
        answered.status,
        answered.body
    );
    let order = stage.until(&app, &sale, &["paid", "failed"]).await;
    stage.check(&sale, &order).await;
    // What was sold before is sold still.
    let first = stage.until(&app, &sold, &["paid"]).await;
    stage.check(&sold, &first).await;
    stage.settled(&app).await;
}

#[tokio::test]
async fn a_database_that_dies_in_the_middle_of_a_payment_forgets_nothing() {
    let mut stage = Stage::open().await;
    let app = stage.process().await;
    stage.put_on_sale(&app).await;
    let sale = stage.sale(&app).await;
    let before = calls(&stage, "/confirm").await;
    stage
        .fault(json!({"call": "confirm", "fault": "slow", "money": "before", "holdMs": 800}))
        .await;
    let request = {
        let (stage, app) = (&stage, &app);
        let (answered, ()) = tokio::join!(stage.confirm(app, &sale, "pay"), async {
            seen(stage, "/confirm", before + 1).await;
            stage.database.cut_connections().await;
        });
        answered
    };
    assert!(request.is_ok_and(|answered| [200, 202, 503].contains(&answered.status)));
    stage.database.kill9();
    stage.database.restart().await;
    let order = stage.until(&app, &sale, &["paid"]).await;
    stage.check(&sale, &order).await;
    stage.settled(&app).await;
}

fn pid(app: &AppProcess) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(i32::try_from(app.id()).unwrap()).unwrap()
}

/// As `kill -9`, while a call to it is under way.
async fn kill(app: &AppProcess) {
    rustix::process::kill_process(pid(app), rustix::process::Signal::KILL).unwrap();
}
