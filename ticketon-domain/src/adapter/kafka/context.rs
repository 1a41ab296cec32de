//! Where the client's own words go: to `tracing`, under `ticketon::kafka`.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

/// The context of producers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logs;

impl ClientContext for Logs {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "ticketon::kafka", facility, "{message}");
            }
            // A broker that is away makes several of these a second; who waits for it says so once.
            _ => tracing::debug!(target: "ticketon::kafka", facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::info!(target: "ticketon::kafka", %error, "{reason}");
    }
}
