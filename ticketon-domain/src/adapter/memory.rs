//! Ports in this process's memory: the embedded default. A restart loses what they have.

mod bus;
mod catalog;
mod embedded;
mod ledger;
mod outbox;
mod sandbox;
mod seats;

pub use bus::{Delivery, MemoryBus, Subscription};
pub use catalog::{MAX_EVENTS, MemoryCatalog};
pub use ledger::MemoryLedger;
pub use outbox::{MemoryInbox, MemoryOutbox};
pub use sandbox::{MAX_PAYMENTS, MemorySandboxBook};
pub use seats::{MAX_MAPS, MemorySeatStore};
