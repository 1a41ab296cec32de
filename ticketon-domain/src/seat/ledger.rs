//! The ledger port: what is sold for good.
//!
//! The store of seats is fast and may lose its memory; the ledger may not. A map is rebuilt from it, and
//! follows it seat by seat. In production it is the SQL database of the purchases.

use async_trait::async_trait;
use ticketon_queue::{EventId, StoreError, UserId};

use crate::venue::SeatLabel;

/// A seat that is sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoldSeat {
    /// Which.
    pub seat: SeatLabel,
    /// Whose it is.
    pub user: UserId,
    /// The fence of the hold that it was sold from.
    pub fence: u64,
}

/// A page of a listing, and where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the order of their labels.
    pub items: Vec<T>,
    /// What to ask for next; `None` at the end.
    pub next: Option<SeatLabel>,
}

/// Where the truth about sold and blocked seats is.
#[async_trait]
pub trait SeatLedger: Send + Sync + std::fmt::Debug + 'static {
    /// Sold seats and seats that are being paid for, after a label, at most `limit`.
    async fn sold(
        &self,
        event: &EventId,
        after: Option<&SeatLabel>,
        limit: usize,
    ) -> Result<Page<SoldSeat>, StoreError>;

    /// Blocked seats after a label, at most `limit`.
    async fn blocked(
        &self,
        event: &EventId,
        after: Option<&SeatLabel>,
        limit: usize,
    ) -> Result<Page<SeatLabel>, StoreError>;

    /// Writes down that seats are blocked, or no longer.
    async fn set_blocked(
        &self,
        event: &EventId,
        seats: &[SeatLabel],
        blocked: bool,
    ) -> Result<(), StoreError>;
}
