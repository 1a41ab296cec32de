//! What operators do, and what webhooks lead to.

use super::{AdminOrder, AdminOrders, PurchaseError, Purchases, Shared};
use crate::purchase::command::{Command, Refused};
use crate::purchase::provider::PaymentStatus;
use crate::purchase::{Changed, OrderId, OrderRecord, OrderState, PaymentKey, TicketId};

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
        let record = shared.refund(None, order, tickets, reason).await?;
        shared.admin_view(&record).await
    }

    /// Somebody said that a payment has changed: the provider is asked, and only what it says counts. Unknown payments
    /// and orders are passed over.
    ///
    /// # Errors
    /// A store failed.
    pub async fn hint(
        &self,
        key: Option<&PaymentKey>,
        order: Option<&OrderId>,
    ) -> Result<(), PurchaseError> {
        let shared = &self.0.shared;
        let record = match (key, order) {
            (Some(key), _) => shared.store.order_of_payment(key).await?,
            (None, Some(order)) => shared.store.order(order).await?,
            (None, None) => None,
        };
        let Some(record) = record else {
            return Ok(());
        };
        let id = record.order.id;
        match record.order.state {
            OrderState::Confirming => {
                // Refused while somebody works on it, who will see the same.
                if let Changed::Done(_) = shared.changed(&id, &Command::LookNow).await? {
                    shared.take_up(&id).await?;
                }
            }
            OrderState::Failed => shared.look_for_charge(&record).await?,
            OrderState::Paid | OrderState::PartiallyRefunded => {
                shared.look_at_balance(&record).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Shared {
    async fn admin_view(&self, record: &OrderRecord) -> Result<AdminOrder, PurchaseError> {
        let entries = self.store.entries(&record.order.id, 0, MAX_ENTRIES).await?;
        Ok(AdminOrder::new(record, &self.provider.checkout(), &entries))
    }

    /// A failed order was perhaps charged after all: then the money goes back now, not only after the provider's window.
    async fn look_for_charge(&self, record: &OrderRecord) -> Result<(), PurchaseError> {
        let Some(claim) = &record.order.payment else {
            return Ok(());
        };
        if self.is_elsewhere(claim).is_some() {
            return Ok(());
        }
        let charged = match self.provider.payment(&claim.key).await {
            Ok(Some(payment)) => {
                payment.is_for(&claim.key, &record.order.id, record.order.total())
                    && payment.status == PaymentStatus::Done
            }
            _ => false,
        };
        if charged && let Changed::Done(_) = self.changed(&record.order.id, &Command::Retry).await?
        {
            self.take_up(&record.order.id).await?;
        }
        Ok(())
    }

    /// A paid order whose money was given back elsewhere needs an operator.
    async fn look_at_balance(&self, record: &OrderRecord) -> Result<(), PurchaseError> {
        let order = &record.order;
        let (Some(claim), None) = (&order.payment, order.open_refunds().next()) else {
            return Ok(());
        };
        if self.is_elsewhere(claim).is_some() {
            return Ok(());
        }
        let Ok(Some(payment)) = self.provider.payment(&claim.key).await else {
            return Ok(());
        };
        // A refund of ours may have come in between.
        let now = self.store.order(&order.id).await?;
        if now.is_none_or(|now| now.order.version != order.version) {
            return Ok(());
        }
        let expected = order.amount.saturating_sub(order.refunded());
        if payment.is_for(&claim.key, &order.id, order.total()) && payment.balance < expected {
            let detail = format!(
                "of the payment {} are left, though {expected} should be: money was given back elsewhere, and the tickets are still good",
                payment.balance
            );
            let code = "refundedElsewhere".to_owned();
            self.changed(&order.id, &Command::Attend { code, detail })
                .await?;
        }
        Ok(())
    }
}
