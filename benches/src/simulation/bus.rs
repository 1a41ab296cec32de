//! The bus of the sale, and the consumer at its end that counts.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use ticketon_domain::adapter::memory::{Delivery, MemoryBus};
use ticketon_domain::outbox::{BusError, Envelope, EventBus, PublishError};

use super::plan::Sabotage;

/// How far the consumer may fall behind.
const QUEUE: usize = 65_536;

/// What the consumer has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consumed {
    /// The last version of each order, in the order of arrival.
    pub last: HashMap<String, u64>,
    /// Events that were new.
    pub new: u64,
    /// Events that had come before.
    pub again: u64,
    /// Events in front of which others are missing.
    pub gaps: u64,
    /// The consumer was too slow, and missed events.
    pub cut_off: bool,
}

#[derive(Debug)]
pub(super) struct Listener {
    seen: Arc<Mutex<Consumed>>,
}

impl Listener {
    /// Listens from now on.
    pub(super) fn at(bus: &MemoryBus) -> Self {
        let mut subscription = bus
            .subscribe("simulation", QUEUE)
            .unwrap_or_else(|| panic!("a new bus has room"));
        let seen = Arc::new(Mutex::new(Consumed::default()));
        let taken = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let delivery = subscription.next().await;
                let mut seen = taken.lock().unwrap_or_else(PoisonError::into_inner);
                match delivery {
                    Delivery::Event(event) => seen.take(&event),
                    Delivery::CutOff => {
                        seen.cut_off = true;
                        return;
                    }
                }
            }
        });
        Self { seen }
    }

    pub(super) fn seen(&self) -> Consumed {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Consumed {
    fn take(&mut self, event: &Envelope) {
        let last = self.last.entry(event.key().to_owned()).or_default();
        match event.version().cmp(&(*last + 1)) {
            std::cmp::Ordering::Less => self.again += 1,
            std::cmp::Ordering::Equal => {
                *last += 1;
                self.new += 1;
            }
            std::cmp::Ordering::Greater => {
                *last = event.version();
                self.gaps += 1;
            }
        }
    }
}

/// A bus that loses what it acknowledged, where that is wanted.
#[derive(Debug)]
pub(super) struct SaleBus {
    bus: MemoryBus,
    sabotage: Sabotage,
    published: AtomicU64,
}

impl SaleBus {
    pub(super) fn new(bus: MemoryBus, sabotage: Sabotage) -> Self {
        Self {
            bus,
            sabotage,
            published: AtomicU64::new(0),
        }
    }
}

#[async_trait]
impl EventBus for SaleBus {
    fn name(&self) -> &'static str {
        self.bus.name()
    }

    async fn publish(&self, events: &[Envelope]) -> Result<(), PublishError> {
        if self.sabotage != Sabotage::LoseEvents {
            return self.bus.publish(events).await;
        }
        let kept = |_: &&Envelope| {
            !self
                .published
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(50)
        };
        let events: Vec<Envelope> = events.iter().filter(kept).cloned().collect();
        self.bus.publish(&events).await
    }

    async fn ping(&self) -> Result<(), BusError> {
        self.bus.ping().await
    }
}
