//! The relay and the inbox, over an outbox in memory and a bus that fails in every way that a bus can.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

mod buses;
mod failing;
mod inbox;
mod leases;
mod order;
mod test_bus;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ticketon_domain::adapter::memory::MemoryOutbox;
use ticketon_domain::outbox::{Aggregate, NewMessage, OutboxStore, Relay, RelayBuilder};
use ticketon_queue::ManualClock;

use test_bus::TestBus;

/// A message of an order.
pub(crate) fn message(order: u64, version: u64) -> NewMessage {
    NewMessage {
        aggregate: Aggregate::order(order),
        version,
        kind: "order.paid".to_owned(),
        occurred_at_ms: 1_000,
        correlation: None,
        payload: format!(r#"{{"version":{version}}}"#),
    }
}

/// An outbox, a clock, and relays between the outbox and buses of the test.
pub(crate) struct House {
    pub(crate) outbox: MemoryOutbox,
    pub(crate) clock: ManualClock,
}

impl House {
    pub(crate) fn new() -> Self {
        Self {
            outbox: MemoryOutbox::new(),
            clock: ManualClock::at(1_000_000),
        }
    }

    pub(crate) fn relay(&self, bus: &TestBus) -> RelayBuilder {
        Relay::builder(Arc::new(self.outbox.clone()), Arc::new(bus.clone()))
            .clock(Arc::new(self.clock.clone()))
            .lease(Duration::from_secs(3))
            // Only the clock of the test passes.
            .pace(Duration::ZERO)
    }

    pub(crate) async fn pending(&self) -> u64 {
        self.outbox.backlog().await.unwrap().pending
    }

    /// Lets time pass in small steps until the condition holds, an hour at the most.
    #[track_caller]
    pub(crate) fn until<F, Fut>(&self, mut condition: F) -> impl Future<Output = ()>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = bool>,
    {
        let caller = std::panic::Location::caller();
        async move {
            for _ in 0..72_000 {
                if condition().await {
                    return;
                }
                settle().await;
                self.clock.advance(Duration::from_millis(50));
                settle().await;
            }
            panic!("not within an hour of the test's clock, at {caller}");
        }
    }

    pub(crate) async fn until_empty(&self) {
        self.until(|| async { self.pending().await == 0 }).await;
    }
}

/// Lets every task of this test go as far as it can without time.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
