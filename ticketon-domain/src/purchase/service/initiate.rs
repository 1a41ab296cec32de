//! From a hold to an order.

use std::time::Duration;

use ticketon_queue::{EventId, UserId};

use super::{OrderView, PurchaseError, Purchases, Shared};
use crate::purchase::command::Command;
use crate::purchase::correlation::correlation;
use crate::purchase::event::{Line, OrderEvent, buyer_hash};
use crate::purchase::{Created, OrderId, OrderRecord, OrderState};
use crate::seat::{EndReason, HoldId, Holder, Outcome, Refusal, SeatHold};

/// How often, and how far apart, a hold that its last order has yet to let go is looked at.
const LOOKS: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Purchases {
    /// Makes an order of a hold, at the prices of now, and lets the hold last until it must be paid. The same hold leads
    /// to the same order as long as that may be paid.
    ///
    /// # Errors
    /// [`PurchaseError::Hold`] when the hold cannot be bought, or a store failed.
    pub async fn initiate<H: Holder + ?Sized>(
        &self,
        holder: &H,
        hold: HoldId,
    ) -> Result<OrderView, PurchaseError> {
        let shared = &self.0.shared;
        let (event, user) = (holder.event(), holder.user());
        if let Some(record) = shared.claim(event, user, &hold).await? {
            return Ok(shared.view(&record));
        }
        let hold = shared.hold_to_pay(event, user, hold).await?;
        let now_ms = shared.now_ms();
        let sold = shared.seats.event(event).await?;
        if hold.total.amount > 0
            && let Err(reason) = shared.provider.accepts(hold.total)
        {
            let amount = hold.total;
            return Err(PurchaseError::NotPayable { amount, reason });
        }
        let hold_until_ms = hold.expires_at_ms.unwrap_or(now_ms);
        let pay_until_ms =
            (now_ms + sold.payment_deadline_ms()).min(hold_until_ms - sold.payment_margin_ms());
        if pay_until_ms <= now_ms {
            // The hold cannot be made to last until anybody could pay.
            return Err(PurchaseError::Hold(Refusal::Ended {
                reason: EndReason::Expired,
            }));
        }
        let id = OrderId::random(now_ms);
        let initiated = OrderEvent::Initiated {
            event_id: event.clone(),
            buyer: buyer_hash(&id, user),
            hold_id: hold.id,
            fence: hold.fence,
            sales_version: hold.sales_version,
            amount: hold.total.amount,
            currency: hold.total.currency,
            lines: hold
                .seats
                .into_iter()
                .map(|seat| Line {
                    seat: seat.label,
                    grade: seat.grade,
                    price: seat.price,
                })
                .collect(),
            pay_until_ms,
            hold_until_ms,
        };
        let change = OrderRecord::initiate(
            id,
            user.clone(),
            now_ms,
            &initiated,
            holder.admission_fence(),
            correlation(),
        )?;
        match shared.store.create(&change).await? {
            Created::Done => {
                shared.news.wake();
                metrics::counter!("ticketon_orders_total", "state" => OrderState::Pending.as_str())
                    .increment(1);
                Ok(shared.view(&change.record))
            }
            Created::Claimed(record) if record.user == *user => Ok(shared.view(&record)),
            Created::Claimed(_) => Err(PurchaseError::Hold(Refusal::UnknownHold)),
        }
    }
}

impl Shared {
    /// The order that this person has for a hold already, if that may still be paid or was.
    async fn claim(
        &self,
        event: &EventId,
        user: &UserId,
        hold: &HoldId,
    ) -> Result<Option<OrderRecord>, PurchaseError> {
        let Some(record) = self.store.order_of_hold(event, hold).await? else {
            return Ok(None);
        };
        if record.user != *user {
            return Err(PurchaseError::Hold(Refusal::UnknownHold));
        }
        let late =
            record.order.state == OrderState::Pending && self.now_ms() >= record.order.pay_until_ms;
        if late {
            // Whoever else ends it in this moment leads to the same: the hold has no order any more.
            self.changed(&record.order.id, &Command::Expire).await?;
            return Ok(None);
        }
        Ok(Some(record))
    }

    /// The hold, with enough time left to pay. After a payment that failed, the map is told a moment later that the hold
    /// may be bought again: that moment is waited for.
    async fn hold_to_pay(
        &self,
        event: &EventId,
        user: &UserId,
        hold: HoldId,
    ) -> Result<SeatHold, PurchaseError> {
        let holder = (event, user);
        for look in 1.. {
            match self.seats.extend_to_pay(&holder, hold).await? {
                Outcome::Done(hold) => return Ok(hold),
                Outcome::Refused(Refusal::Pinned) if look < LOOKS => {
                    self.messages.notify_one();
                    self.clock.sleep(LOOK_EVERY).await;
                }
                Outcome::Refused(refusal) => return Err(PurchaseError::Hold(refusal)),
            }
        }
        Err(PurchaseError::Hold(Refusal::Ended {
            reason: EndReason::Expired,
        }))
    }
}
