//! The audit: what happened to every order, chained so that a change shows.
//!
//! Each order has a chain of entries; each entry's hash covers its text and the hash before. Who edits, reorders or
//! removes an entry breaks the chain; the removal of a whole tail shows by the signed checkpoints over many chains.

mod entry;

pub use entry::{ChainHash, Entry};
