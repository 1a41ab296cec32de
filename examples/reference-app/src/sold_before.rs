//! The demo's hall was part sold before anybody came: a ledger that adds those seats to what the database says.

use async_trait::async_trait;
use ticketon_domain::adapter::memory::MemoryLedger;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::seat::{GivenBack, HoldId, Page, SeatLedger, SoldSeat, Untold};
use ticketon_domain::venue::SeatLabel;
use ticketon_queue::{EventId, StoreError};

/// What the database says is sold, and what was sold before. Nobody can hold the latter, so they never meet.
#[derive(Debug, Clone)]
pub(crate) struct SoldBefore {
    store: SqlStore,
    before: MemoryLedger,
}

impl SoldBefore {
    /// Adds what was sold before.
    pub(crate) fn new(store: &SqlStore, before: MemoryLedger) -> Self {
        Self {
            store: store.clone(),
            before,
        }
    }
}

#[async_trait]
impl SeatLedger for SoldBefore {
    async fn sold(
        &self,
        event: &EventId,
        after: Option<&SeatLabel>,
        limit: usize,
    ) -> Result<Page<SoldSeat>, StoreError> {
        let stored = self.store.sold(event, after, limit).await?;
        let before = self.before.sold(event, after, limit).await?;
        let more = stored.next.is_some() || before.next.is_some();
        let mut items = [stored.items, before.items].concat();
        items.sort_by(|one, other| one.seat.cmp(&other.seat));
        items.dedup_by(|one, other| one.seat == other.seat);
        let more = more || items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|sold| sold.seat.clone());
        Ok(Page { items, next })
    }

    async fn given_back(
        &self,
        event: &EventId,
        after: Option<&SeatLabel>,
        limit: usize,
    ) -> Result<Page<GivenBack>, StoreError> {
        self.store.given_back(event, after, limit).await
    }

    async fn blocked(
        &self,
        event: &EventId,
        after: Option<&SeatLabel>,
        limit: usize,
    ) -> Result<Page<SeatLabel>, StoreError> {
        self.store.blocked(event, after, limit).await
    }

    async fn set_blocked(
        &self,
        event: &EventId,
        seats: &[SeatLabel],
        blocked: bool,
    ) -> Result<(), StoreError> {
        self.store.set_blocked(event, seats, blocked).await
    }

    async fn paid_for(&self, event: &EventId, holds: &[HoldId]) -> Result<Vec<HoldId>, StoreError> {
        self.store.paid_for(event, holds).await
    }

    async fn untold(&self, event: &EventId) -> Result<Untold, StoreError> {
        self.store.untold(event).await
    }
}
