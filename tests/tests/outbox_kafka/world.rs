//! A database with an outbox, a broker, relays in processes of their own, and what the topic must look like after.

use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::outbox::{Aggregate, Envelope, NewMessage, OutboxStore as _};
use ticketon_tests::{KafkaBroker, KafkaRecord, MariaDb, Process, eventually};

use super::ORDERS;

/// How long anything may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(90);

pub(crate) fn message(order: u64, version: u64) -> NewMessage {
    NewMessage {
        aggregate: Aggregate::order(order),
        version,
        kind: "order.paid".to_owned(),
        occurred_at_ms: 1_767_225_600_000,
        correlation: Some("req-7".to_owned()),
        payload: format!(r#"{{"version":{version}}}"#),
    }
}

/// Which database.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Sqlite,
    MariaDb,
}

/// An outbox that processes can share.
pub(crate) struct Outbox {
    pub(crate) store: SqlStore,
    pub(crate) url: String,
    /// How many versions each order has so far.
    written: HashMap<u64, u64>,
    _folder: TempDir,
    _server: Option<MariaDb>,
}

impl Outbox {
    pub(crate) async fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = None;
        let url = match kind {
            Kind::Sqlite => format!("sqlite:{}", folder.path().join("shop.db").display()),
            Kind::MariaDb => server.insert(MariaDb::start().await).fresh_database().await,
        };
        let store = SqlStore::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        Self {
            store,
            url,
            written: HashMap::new(),
            _folder: folder,
            _server: server,
        }
    }

    /// Commits the next events of these orders.
    pub(crate) async fn write(&mut self, orders: impl IntoIterator<Item = u64>) {
        for order in orders {
            let version = self.written.entry(order).or_default();
            *version += 1;
            self.store
                .append_messages(&[message(order, *version)])
                .await
                .unwrap();
        }
    }

    pub(crate) async fn pending(&self) -> u64 {
        self.store.backlog().await.unwrap().pending
    }

    pub(crate) async fn until_empty(&self) {
        eventually(SOON, || async {
            match self.pending().await {
                0 => Ok(()),
                pending => Err(pending),
            }
        })
        .await;
    }

    /// A relay in a process of its own, once it works.
    pub(crate) async fn relay(&self, broker: &str) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relay"));
        let process = Process::spawn("relay", command.args([&self.url, broker]));
        eventually(SOON, || async {
            let output = process.output();
            if output.contains("relaying") {
                Ok(())
            } else {
                Err(output)
            }
        })
        .await;
        process
    }

    /// Waits until everything that was committed is in the topic (a reader may be some moments behind an acknowledgement),
    /// each order in one partition, each version behind the one before it at its first time; and nothing else. The answer
    /// is how many records are repetitions.
    pub(crate) async fn until_whole(&self, broker: &KafkaBroker) -> usize {
        eventually(SOON, || async { self.check(&broker.records(ORDERS).await) }).await
    }

    fn check(&self, records: &[KafkaRecord]) -> Result<usize, String> {
        let mut first_times: HashMap<u64, Vec<u64>> = HashMap::new();
        let mut partitions: HashMap<u64, HashSet<i32>> = HashMap::new();
        let mut seen = HashSet::new();
        for record in records {
            let event = Envelope::from_json(&record.value).unwrap();
            assert_eq!(record.key, event.key());
            let order: u64 = event.key().parse().unwrap();
            assert_eq!(
                event,
                Envelope::of(&message(order, event.version()), "/ticketon")
            );
            partitions
                .entry(order)
                .or_default()
                .insert(record.partition);
            assert_eq!(
                partitions[&order].len(),
                1,
                "order {order} is in two partitions"
            );
            if seen.insert((order, event.version())) {
                let versions = first_times.entry(order).or_default();
                versions.push(event.version());
                let next = u64::try_from(versions.len()).unwrap();
                assert_eq!(event.version(), next, "order {order} is out of order");
                assert!(
                    self.written.get(&order) >= Some(&next),
                    "nobody committed version {next} of order {order}"
                );
            }
        }
        for (order, count) in &self.written {
            let found = first_times.get(order).map_or(0, Vec::len);
            if u64::try_from(found).unwrap() != *count {
                return Err(format!("order {order} has {found} events of {count}"));
            }
        }
        Ok(records.len() - seen.len())
    }
}

/// A broker with the topic of orders.
pub(crate) async fn broker() -> KafkaBroker {
    let broker = KafkaBroker::start().await;
    broker.create_topic(ORDERS, 3).await;
    broker
}
