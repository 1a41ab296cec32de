//! What real processes tell Kafka of what they sell: over a broker that comes late, and beside a process that has none.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

#[path = "service_payments/stage.rs"]
#[allow(dead_code, reason = "shared with the suite of payments")]
mod stage;

use serde_json::Value;
use stage::{CORRELATION, DECIDED, Sale, Stage};
use ticketon_tests::{AppProcess, KafkaBroker, eventually, workspace_bin, workspace_bin_with};

const ORDERS: &str = "ticketon.orders.v1";

/// A process that has these brokers.
async fn with_kafka(stage: &Stage, port: u16) -> AppProcess {
    let program = workspace_bin_with("reference-app", &["kafka"]).await;
    stage
        .builder(program)
        .env("TICKETON_KAFKA_BROKERS", format!("127.0.0.1:{port}"))
        .env("TICKETON_KAFKA_CREATE_TOPICS", "3:1")
        .start()
        .await
}

/// What health says of events.
async fn events(app: &AppProcess) -> String {
    let ready = reqwest::get(app.url("/health/ready")).await.unwrap();
    assert_eq!(ready.status(), 200, "events that wait stop no sale");
    let ready: Value = ready.json().await.unwrap();
    ready["events"].as_str().unwrap().to_owned()
}

async fn until_events(app: &AppProcess, state: &str) {
    eventually(DECIDED, async || {
        let seen = events(app).await;
        if seen == state { Ok(()) } else { Err(seen) }
    })
    .await;
}

/// Somebody buys two seats.
async fn buy(stage: &Stage, app: &AppProcess) -> Sale {
    let sale = stage.sale(app).await;
    stage.confirm(app, &sale, "pay").await.unwrap();
    stage.until(app, &sale, &["paid"]).await;
    sale
}

/// Waits until the topic has all events of a sale, in order and with what ties them to its requests.
async fn until_told(broker: &KafkaBroker, sale: &Sale) {
    eventually(DECIDED, async || {
        let records = broker.records(ORDERS).await;
        let of_sale = records.iter().filter(|record| record.key == sale.order);
        let told: Vec<Value> = of_sale
            .map(|record| serde_json::from_str(&record.value).unwrap())
            .collect();
        let kinds: Vec<&str> = told
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect();
        let expected = ["initiated", "confirmStarted", "paid"]
            .map(|kind| format!("com.ticketon.order.{kind}.v1"));
        if kinds != expected {
            return Err(format!("{kinds:?}"));
        }
        for event in &told {
            assert_eq!(event["correlationid"], CORRELATION, "{event}");
            assert_eq!(event["data"]["orderId"], sale.order.as_str());
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_shop_whose_broker_is_away_opens_and_sells_and_tells_of_it_when_the_broker_comes() {
    let stage = Stage::open().await;
    let broker = KafkaBroker::builder();
    let app = with_kafka(&stage, broker.port()).await;
    stage.put_on_sale(&app).await;
    let sale = buy(&stage, &app).await;
    until_events(&app, "waiting").await;

    let broker = broker.start().await;
    until_told(&broker, &sale).await;
    until_events(&app, "ok").await;
    stage.settled(&app).await;
    // The relay counts what waits every few seconds.
    eventually(DECIDED, async || {
        let metrics = reqwest::get(app.url("/metrics")).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let names = ["ticketon_outbox_parked 0", "ticketon_outbox_pending 0"];
        let all = names.iter().all(|name| metrics.contains(name));
        all.then_some(()).ok_or(metrics)
    })
    .await;
}

#[tokio::test]
async fn a_process_without_kafka_takes_no_events_that_kafka_is_to_hear() {
    let stage = Stage::open().await;
    let broker = KafkaBroker::start().await;
    let plain = workspace_bin("reference-app").await;
    let mut first = with_kafka(&stage, broker.port()).await;
    stage.put_on_sale(&first).await;
    until_events(&first, "ok").await;
    first.terminate();
    assert!(first.wait_exit(DECIDED).await.success());

    // As if the brokers had been forgotten in one process's environment.
    let forgetful = stage.builder(&plain).start().await;
    let sale = buy(&stage, &forgetful).await;
    until_events(&forgetful, "otherBus").await;
    assert!(
        forgetful.output().contains("the outbox belongs to kafka"),
        "{}",
        forgetful.output()
    );
    let operator = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(&plain);
        command
            .args(arguments)
            .env("TICKETON_DATABASE_URL", &stage.database_url);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = operator(&["outbox", "list"]).await;
    assert!(listed.contains("belongs to kafka"), "{listed}");
    assert!(listed.contains("3 events wait"), "{listed}");

    let _second = with_kafka(&stage, broker.port()).await;
    until_told(&broker, &sale).await;

    // An operator decides otherwise.
    let changed = operator(&["outbox", "bus", "--free"]).await;
    assert!(
        changed.contains("belongs to no bus yet; before: kafka"),
        "{changed}"
    );
}

#[tokio::test]
async fn a_build_without_kafka_refuses_brokers() {
    let program = workspace_bin("reference-app").await;
    let app = AppProcess::builder(program)
        .arg("--no-demo")
        .args(["--database", "sqlite::memory:"])
        .env("TICKETON_KAFKA_BROKERS", "127.0.0.1:9092");
    let exit = app.run_to_exit(DECIDED).await;
    assert!(!exit.status.success());
    assert!(
        exit.output.contains("TICKETON_KAFKA_BROKERS")
            && exit.output.contains("--features production"),
        "{}",
        exit.output
    );
}
