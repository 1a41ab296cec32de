//! The ledger port: what is sold for good.
//!
//! The store of seats is fast and may lose its memory; the ledger may not. A map is rebuilt from it,
//! follows it seat by seat, and is compared with it every few minutes. In production it is the SQL database of the
//! purchases.

use async_trait::async_trait;
use ticketon_queue::{EventId, StoreError, UserId};

use super::hold::HoldId;
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

/// A seat that was sold and given back, whatever it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenBack {
    /// Which.
    pub seat: SeatLabel,
    /// The newest fence under which it was.
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

/// What of an event the map has yet to be told. Each change that the map must hear of has a number, above those that were
/// committed before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Untold {
    /// The ledger does not keep that: then the map is not compared with it.
    Unknown,
    /// Nothing: the map has heard all that is committed.
    Nothing,
    /// Changes of these numbers, and perhaps some between them.
    Changes {
        /// The oldest.
        oldest: u64,
        /// The newest.
        newest: u64,
    },
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

    /// Seats that were ever sold and given back, after a label, at most `limit`: a map that is built anew knows by them
    /// which messages of sales come late. None, where the ledger does not keep that; whoever wraps a ledger passes this on.
    async fn given_back(
        &self,
        _event: &EventId,
        _after: Option<&SeatLabel>,
        _limit: usize,
    ) -> Result<Page<GivenBack>, StoreError> {
        let (items, next) = (Vec::new(), None);
        Ok(Page { items, next })
    }

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

    /// Which of these holds an order is being paid with: those must stay pinned. All of them, where the ledger does not
    /// keep that.
    async fn paid_for(
        &self,
        _event: &EventId,
        holds: &[HoldId],
    ) -> Result<Vec<HoldId>, StoreError> {
        Ok(holds.to_vec())
    }

    /// What the map of an event has yet to be told. Whoever wraps a ledger passes this on, or the map is not mended where
    /// it differs.
    async fn untold(&self, _event: &EventId) -> Result<Untold, StoreError> {
        Ok(Untold::Unknown)
    }
}
