//! What operators do.

use super::look::Balance;
use super::{AdminOrder, AdminOrders, PurchaseError, Purchases, Shared};
use crate::purchase::command::{Command, Refused};
use crate::purchase::{Changed, OrderId, OrderRecord, OrderState, TicketId};

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
        let record = shared.known(order).await?;
        shared.admin_view(&record).await
    }

    /// Looks at an order now, whatever it waits for, and takes it off the operators' list. One whose payment has another
    /// balance at the provider than its refunds tell of stays there.
    ///
    /// # Errors
    /// [`PurchaseError::UnknownOrder`], [`PurchaseError::Running`] when somebody works on it,
    /// [`PurchaseError::Provider`] when the provider did not say what it has of a payment, or a store failed.
    pub async fn retry(&self, order: &OrderId) -> Result<AdminOrder, PurchaseError> {
        let shared = &self.0.shared;
        let before = shared.known(order).await?;
        if stands(&before)
            && before.work.attention.is_some()
            && shared.look_at_balance(&before).await? != Balance::Right
        {
            // The mark would go, and nothing would bring it back.
            return self.admin_get(order).await;
        }
        let record = match shared.changed(order, &Command::Retry).await? {
            Changed::Done(record) => shared.take_up(order).await?.unwrap_or(*record),
            Changed::Refused(Refused::NotDue, record) => *record,
            Changed::Refused(refused, _) => return Err(refused.into()),
            _ => return Err(PurchaseError::UnknownOrder),
        };
        shared.admin_view(&record).await
    }

    /// Takes an order off the operators' list because one of them has settled what its mark tells: with the buyer, or at the
    /// provider. What is gone of its payment by now besides its refunds brings no mark again. An order that is not on the
    /// list, or that something is still to be done about, stays as it is.
    ///
    /// # Errors
    /// Like [`retry`](Self::retry).
    pub async fn settle(&self, order: &OrderId) -> Result<AdminOrder, PurchaseError> {
        let shared = &self.0.shared;
        let before = shared.known(order).await?;
        let mut missing = 0;
        if stands(&before)
            && let Balance::Wrong { missing: gone } = shared.look_at_balance(&before).await?
        {
            missing = gone;
        }
        let record = match shared.changed(order, &Command::Settle { missing }).await? {
            Changed::Done(record) => {
                tracing::info!(target: "ticketon::purchase", %order, missing, "an operator has settled an order");
                record
            }
            Changed::Refused(Refused::NotDue, record) => record,
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

/// Whether an order was paid and nothing of it is under way: then its payment's balance is known.
fn stands(record: &OrderRecord) -> bool {
    let is_paid = matches!(
        record.order.state,
        OrderState::Paid | OrderState::PartiallyRefunded
    );
    is_paid && record.order.open_refunds().next().is_none()
}

impl Shared {
    async fn known(&self, order: &OrderId) -> Result<OrderRecord, PurchaseError> {
        let record = self.store.order(order).await?;
        record.ok_or(PurchaseError::UnknownOrder)
    }

    async fn admin_view(&self, record: &OrderRecord) -> Result<AdminOrder, PurchaseError> {
        let entries = self.store.entries(&record.order.id, 0, MAX_ENTRIES).await?;
        Ok(AdminOrder::new(record, &self.provider.checkout(), &entries))
    }
}
