//! Buying where several processes sell, over Redis, a database server and Kafka, set up by the commands that an operator
//! uses.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use ticketon_tests::{
    AppProcess, KafkaBroker, MariaDb, RedisServer, SlowProxy, eventually, speak_tls,
    workspace_bin_with,
};
use tokio::process::Command;

use super::buyer::Device;
use super::house::{House, KEYS};
use super::shopper::{Shopper, attic};
use super::{ADMIN_TOKEN, SOON};

const READY: Duration = Duration::from_secs(60);

/// The servers, and what every process of the service is told of them.
struct Site {
    program: PathBuf,
    environment: Vec<(String, String)>,
    broker: KafkaBroker,
    _redis: RedisServer,
    _database: MariaDb,
}

impl Site {
    async fn open() -> Self {
        speak_tls();
        let redis = RedisServer::builder().appendonly(true).start().await;
        let database = MariaDb::start().await;
        let database_url = database.url_of(&database.fresh_name().await);
        let broker = KafkaBroker::start().await;
        let environment = [
            ("TICKETON_DATABASE_URL", database_url),
            ("TICKETON_REDIS_URL", redis.url()),
            ("TICKETON_KAFKA_BROKERS", broker.bootstrap()),
            ("TICKETON_KAFKA_CREATE_TOPICS", "3:1".to_owned()),
            ("TICKETON_ADMISSION_KEYS", KEYS.to_owned()),
            ("TICKETON_TICKET_KEYS", KEYS.to_owned()),
            ("TICKETON_ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value));
        let mut site = Self {
            program: workspace_bin_with("reference-app", &["kafka"]).await,
            environment: environment.into(),
            broker,
            _redis: redis,
            _database: database,
        };
        let keys = site.run(&["audit", "keys", "--new"]).await;
        for line in keys.lines() {
            let (name, value) = line.split_once('=').unwrap();
            site.environment.push((name.to_owned(), value.to_owned()));
        }
        site.run(&["migrate"]).await;
        site
    }

    /// What a command prints that must succeed.
    async fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        command.args(words).envs(self.environment.iter().cloned());
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn process(&self) -> AppProcess {
        let mut app = AppProcess::builder(&self.program).arg("--no-demo");
        for (name, value) in &self.environment {
            app = app.env(name, value);
        }
        app.ready_within(READY).start().await
    }

    /// The kinds of an order's events, as Kafka has them: each once, though it may have been told again.
    async fn events_of(&self, order: &str) -> Vec<String> {
        let records = self.broker.records("ticketon.orders.v1").await;
        let of_order = records.iter().filter(|record| record.key == order);
        let mut seen = BTreeSet::new();
        let mut kinds = Vec::new();
        for record in of_order {
            let event: Value = serde_json::from_str(&record.value).unwrap();
            if seen.insert(event["id"].to_string()) {
                kinds.push(event["type"].as_str().unwrap().to_owned());
            }
        }
        kinds
    }
}

/// The process that a buyer paid at is killed. The other one has their tickets, gives the money for one of them back, and
/// everything that happened is told in order, and sealed.
#[tokio::test]
async fn browser_purchase_on_redis_mariadb_and_kafka_whose_process_is_killed() {
    let site = Site::open().await;
    let mut first = site.process().await;
    let mut house = House::open(&first, attic(), json!({})).await;
    let second = site.process().await;
    let balancer = SlowProxy::start(first.port()).await;
    house.base_url = format!("http://127.0.0.1:{}", balancer.port());
    let buyer = Shopper::arrive(&house.base_url, "en-US", Device::Phone).await;
    buyer.check_out().await;
    let order = buyer.order_id().await;
    buyer.pay("approve").await;
    buyer.expect("#headline", "Paid. Enjoy the show!").await;

    first.kill9();
    balancer.lead_to(second.port());
    buyer.goto("/my/tickets").await;
    eventually(SOON, async || buyer.codes_are_drawn().await).await;
    assert_eq!(buyer.count(".ticket").await, 2);
    buyer.goto("/my/orders").await;
    buyer.expect(".order", "Paid").await;
    buyer.click(".order-actions button").await;
    buyer.expect(".refund-sum", "₩286,000").await;
    buyer.click(".refund-ticket input").await;
    buyer.expect(".refund-sum", "₩143,000").await;
    buyer.click(".refund-go").await;
    buyer.expect("#note", "₩143,000 was given back.").await;
    buyer.expect(".order .chip", "Partly refunded").await;
    buyer.picture("purchase-production").await;
    buyer.hold_device(Device::Phone).await;
    assert_eq!(buyer.movements(&order).await, (1, 1));
    eventually(SOON, async || house.counts().await["sold"] == 1).await;

    let expected = [
        "initiated",
        "confirmStarted",
        "paid",
        "refundRequested",
        "refunded",
    ]
    .map(|kind| format!("com.ticketon.order.{kind}.v1"));
    eventually(READY, async || {
        let told = site.events_of(&order).await;
        (told == expected).then_some(()).ok_or(told)
    })
    .await;
    site.run(&["audit", "seal"]).await;
    let verified = site.run(&["audit", "verify"]).await;
    assert!(
        verified.contains("1 orders, 5 entries (0 not yet sealed)"),
        "{verified}"
    );
    assert!(verified.trim_end().ends_with(" 0 findings"), "{verified}");
    let rebuilt = site.run(&["audit", "rebuild"]).await;
    assert!(rebuilt.trim_end().ends_with(" 0 findings"), "{rebuilt}");
}
