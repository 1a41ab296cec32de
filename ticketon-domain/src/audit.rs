//! The audit: what happened to every order, chained so that a change shows.
//!
//! Each order has a chain of entries; each entry's hash covers its text and the hash before. Who edits, reorders or
//! removes an entry breaks the chain. The removal of a chain's end shows by the order, and by the [`Checkpoint`]s that
//! a [`Sealer`] signs over the heads of many chains, up to the last one. [`Verifier`] tells all of it; [`rebuild`]
//! makes orders anew from their entries. `docs/audit.md` has the format to the byte.

mod checkpoint;
mod entry;
mod export;
mod finding;
mod keys;
mod note;
mod rebuild;
mod row;
mod rows;
mod seal;
mod sealer;
mod store;
mod verify;

pub use checkpoint::{Checkpoint, CheckpointError, CheckpointSignature, MAX_HEADS, SealedHead};
pub use entry::{ChainHash, Entry};
pub use export::{Archive, CheckpointLine, ExportError, Extent, Line, export, read_export};
pub use finding::{Finding, Findings, Place, Wrong};
pub use keys::{AuditKeys, AuditPublicKeys};
pub use note::{CheckpointNote, MemoryNote, Noted};
pub use rebuild::{Rebuilt, rebuild, rebuild_order};
pub use row::{Run, StoredChain, StoredCheckpoint, StoredEntry, StoredOrder};
pub use seal::{MAX_BATCHES, Sealed, seal, seal_noted};
pub use sealer::{Sealer, SealerBuilder, SealerHealth};
pub use store::{AuditLog, AuditStore, MAX_ENTRIES, MAX_PAGE, Put};
pub use verify::{Verified, Verifier};
