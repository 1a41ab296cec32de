//! P5 over processes, a database and a broker: an event reaches Kafka at least once after its commit, in order per
//! aggregate, however relays, answers and the broker fail; and consumers see each version once.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

mod broker_faults;
mod consumers;
mod relay_faults;
mod world;

/// The topic of orders.
pub(crate) const ORDERS: &str = "ticketon.orders.v1";
