//! Ports in this process's memory: the embedded default. A restart loses what they have.

mod catalog;
mod embedded;
mod ledger;
mod seats;

pub use catalog::{MAX_EVENTS, MemoryCatalog};
pub use ledger::MemoryLedger;
pub use seats::{MAX_MAPS, MemorySeatStore};
