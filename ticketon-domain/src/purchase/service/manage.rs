//! What operators do.

use super::{AdminOrder, AdminOrders, PurchaseError, Purchases, Shared};
use crate::purchase::command::{Command, Refused};
use crate::purchase::{Changed, OrderId, OrderRecord, TicketId};

/// The most entries of an order's audit that an operator is shown.
const MAX_ENTRIES: usize = 500;

impl Purchases {
    /// Orders that an operator should look at, the newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn attention(
        &self,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<AdminOrders, PurchaseError> {
        let shared = &self.0.shared;
        let page = shared.store.attention(before, limit).await?;
        let checkout = shared.provider.checkout();
        let orders = page
            .items
            .iter()
            .map(|record| AdminOrder::new(record, &checkout, &[]))
            .collect();
        Ok(AdminOrders {
            orders,
            next: page.next,
        })
    }

    /// An order with all that an operator needs.
    ///
    /// # Errors
    /// [`PurchaseError::UnknownOrder`], or a store failed.
    pub async fn admin_get(&self, order: &OrderId) -> Result<AdminOrder, PurchaseError> {
        let shared = &self.0.shared;
        let record = shared
            .store
            .order(order)
            .await?
            .ok_or(PurchaseError::UnknownOrder)?;
        shared.admin_view(&record).await
    }

    /// Lets an order be looked at now, whatever it waits for. One that nothing is left to do about stays as it is.
    ///
    /// # Errors
    /// [`PurchaseError::UnknownOrder`], [`PurchaseError::Running`] when somebody works on it, or a store failed.
    pub async fn retry(&self, order: &OrderId) -> Result<AdminOrder, PurchaseError> {
        let shared = &self.0.shared;
        let record = match shared.changed(order, &Command::Retry).await? {
            Changed::Done(record) => shared.take_up(order).await?.unwrap_or(*record),
            Changed::Refused(Refused::NotDue, record) => *record,
            Changed::Refused(refused, _) => return Err(refused.into()),
            _ => return Err(PurchaseError::UnknownOrder),
        };
        shared.admin_view(&record).await
    }

    /// Gives tickets back on the operator's word, all that are good when none are named.
    ///
    /// # Errors
    /// Like [`refund`](Self::refund).
    pub async fn refund_for(
        &self,
        order: &OrderId,
        tickets: &[TicketId],
        reason: &str,
    ) -> Result<AdminOrder, PurchaseError> {
        let shared = &self.0.shared;
        let record = shared.refund(None, order, tickets, reason, None).await?;
        shared.admin_view(&record).await
    }
}

impl Shared {
    async fn admin_view(&self, record: &OrderRecord) -> Result<AdminOrder, PurchaseError> {
        let entries = self.store.entries(&record.order.id, 0, MAX_ENTRIES).await?;
        Ok(AdminOrder::new(record, &self.provider.checkout(), &entries))
    }
}
