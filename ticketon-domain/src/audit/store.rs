//! The ports of the audit: reading all of it, and sealing it.
//!
//! Entries are written where orders are changed ([`PurchaseStore`](crate::purchase::PurchaseStore)), in the same
//! transaction. Here they are read, and what is sealed is marked, so that the next checkpoint finds what is new
//! without looking at the rest. Nothing here changes or removes an entry or a checkpoint.

use async_trait::async_trait;
use ticketon_queue::StoreError;

use super::{Checkpoint, Run, StoredChain, StoredCheckpoint, StoredEntry};

/// The most orders, or checkpoints, of one page.
pub const MAX_PAGE: usize = 200;
/// The most entries of one page.
pub const MAX_ENTRIES: usize = 1_000;

/// An audit that can be read: a store's, or an export.
///
/// Pages are in the order of the ids' bytes or of the numbers. A listing that begins "after" something begins with the
/// next one, and `""` is before every id; one that begins "from" a number begins with that one.
#[async_trait]
pub trait AuditLog: Send + Sync + std::fmt::Debug + 'static {
    /// Orders with their tickets, and how far their chains go, as of one moment for each; also orders without entries,
    /// and entries and tickets without an order. At most [`MAX_PAGE`], and fewer where they have many tickets: only an
    /// empty page is the last one.
    async fn chains(&self, after: &str, limit: usize) -> Result<Vec<StoredChain>, StoreError>;

    /// One of them.
    async fn chain(&self, order: &str) -> Result<Option<StoredChain>, StoreError>;

    /// Rows of orders, entries and tickets that are of no order, since what should be an order's id is none; each in words.
    /// No other listing has them. At most [`MAX_PAGE`].
    async fn strays(&self, limit: usize) -> Result<Vec<String>, StoreError>;

    /// Entries of an order, by their numbers; at most [`MAX_ENTRIES`].
    async fn entries(
        &self,
        order: &str,
        from_seq: i64,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError>;

    /// Entries of several orders, put together by their orders and by their numbers, at most [`MAX_ENTRIES`]: for those who
    /// walk all of them. What is left out is asked for by [`entries`](Self::entries), and by default that is all.
    async fn entries_of(&self, orders: &[&str]) -> Result<Vec<StoredEntry>, StoreError> {
        let _ = orders;
        Ok(Vec::new())
    }

    /// Entries that are marked as part of a checkpoint, put together by their orders; at most
    /// [`MAX_HEADS`](super::MAX_HEADS) orders.
    async fn sealed(
        &self,
        checkpoint: i64,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Run>, StoreError>;

    /// The numbers of checkpoints behind this one that entries are marked with, the lowest first.
    async fn marks(&self, after: i64, limit: usize) -> Result<Vec<i64>, StoreError>;

    /// Checkpoints, by their numbers; at most [`MAX_PAGE`].
    async fn checkpoints(
        &self,
        from: i64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError>;
}

/// What came of writing a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is written, and its entries are marked.
    Done,
    /// Another one was written in the meantime, or an entry was sealed by it. Nothing was changed.
    Conflict,
}

/// An audit that can be sealed.
#[async_trait]
pub trait AuditStore: AuditLog {
    /// The last checkpoint.
    async fn last_checkpoint(&self) -> Result<Option<StoredCheckpoint>, StoreError>;

    /// Entries that no checkpoint has yet, put together by their orders; at most [`MAX_HEADS`](super::MAX_HEADS)
    /// orders.
    async fn unsealed(&self, after: &str, limit: usize) -> Result<Vec<Run>, StoreError>;

    /// Writes a checkpoint behind the one it names as the one before, if that is still the last, and marks the entries
    /// that it seals: all of it or nothing.
    async fn put_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        runs: &[Run],
    ) -> Result<Put, StoreError>;
}
