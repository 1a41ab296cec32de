//! Events to Kafka and from it (feature `kafka`).
//!
//! [`KafkaBus`] is the outbox's way to Kafka: an idempotent producer that waits for all replicas, with the id of the aggregate
//! as key, so that an aggregate's events are in one partition and in order. [`KafkaConsumer`] brings them to a handler
//! behind an inbox, and commits an offset after its event was handled. The client is librdkafka; none of its types
//! leaves this module, and its settings are passed on by their names. TLS and SCRAM need the feature `kafka-tls`.

mod bus;
mod consumer;
mod context;
mod membership;
mod producer;
mod settings;
#[cfg(test)]
mod tests;
mod topics;

pub use bus::{KafkaBus, KafkaBusBuilder};
pub use consumer::{KafkaConsumer, KafkaConsumerBuilder};
