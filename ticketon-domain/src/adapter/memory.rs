//! Ports in this process's memory: the embedded default. A restart loses what they have.

mod seats;

pub use seats::{MAX_MAPS, MemorySeatStore};
