//! What a member of a consumer group is told: which partitions it has to give up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use tokio::sync::Notify;

use super::context::Logs;

/// The context of a consumer. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Membership(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How often each partition was given up.
    revocations: Mutex<HashMap<(String, i32), u64>>,
    told: Notify,
}

impl Membership {
    /// How often this member gave the partition up. A message that came before the last time is somebody else's by now.
    pub(super) fn revocations(&self, topic: &str, partition: i32) -> u64 {
        let key = (topic.to_owned(), partition);
        self.lock().get(&key).copied().unwrap_or(0)
    }

    /// Returns after partitions were given up.
    pub(super) async fn revoked(&self) {
        self.0.told.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, i32), u64>> {
        self.0
            .revocations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Logs.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Logs.error(error, reason);
    }
}

impl ConsumerContext for Membership {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(partitions) = rebalance else {
            return;
        };
        let mut revocations = self.lock();
        for partition in partitions.elements() {
            let key = (partition.topic().to_owned(), partition.partition());
            *revocations.entry(key).or_default() += 1;
        }
        drop(revocations);
        self.0.told.notify_one();
    }
}
