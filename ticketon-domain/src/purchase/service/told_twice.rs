//! What the seat map was told twice, perhaps too late.
//!
//! Any process tells the map, so two may tell it the same. Harmless, unless one of them stood still in between: then the
//! map hears an old thing after newer ones. It knows which sales were given back, unless it lost its last writes, but would
//! have a seat as free that was sold again from the same hold. Whoever finds that a message was gone when it had told it
//! therefore tells the map what the store says by now.

use std::collections::BTreeSet;

use ticketon_queue::EventId;

use super::{PurchaseError, Shared};
use crate::purchase::store::MAX_MESSAGES;
use crate::purchase::{OrderId, OrderRecord, OrderState, PendingMessage, TicketState};
use crate::seat::{HoldKey, LedgerChange, Outcome, Refusal};
use crate::venue::SeatLabel;

impl Shared {
    /// The orders of those messages, told just now, that somebody else had told before. The messages are in the order of
    /// their numbers.
    pub(super) async fn told_before(
        &self,
        batch: &[&PendingMessage],
    ) -> Result<BTreeSet<OrderId>, PurchaseError> {
        let Some(first) = batch.first() else {
            return Ok(BTreeSet::new());
        };
        let before = first.id.saturating_sub(1);
        let left = self.store.seat_messages(before, MAX_MESSAGES).await?;
        let read_until = match left.last() {
            Some(last) if left.len() >= MAX_MESSAGES => last.id,
            _ => u64::MAX,
        };
        let left: BTreeSet<u64> = left.iter().map(|one| one.id).collect();
        let gone = batch
            .iter()
            .filter(|one| one.id <= read_until && !left.contains(&one.id));
        Ok(gone.map(|one| one.order).collect())
    }

    /// Tells the map what the store says of these orders' seats by now.
    pub(super) async fn tell_anew(
        &self,
        event: &EventId,
        orders: &BTreeSet<OrderId>,
    ) -> Result<(), PurchaseError> {
        for order in orders {
            let Some(record) = self.store.order(order).await? else {
                continue;
            };
            let claims = self.store.order_of_hold(event, &record.order.hold).await?;
            let is_paid_since = claims.as_ref().is_some_and(|claims| {
                claims.order.id != record.order.id && claims.order.state != OrderState::Pending
            });
            if is_paid_since {
                // The hold was let go, and its seats freed, after another order had bought it: a map that let go under a
                // fence takes nothing more for sold under it.
                tracing::warn!(target: "ticketon::purchase", %event, %order, "a message came too late: the map is built anew");
                self.seats.rebuild(event).await?;
                return Ok(());
            }
            let mut changes = Vec::new();
            let live = claims.as_ref().map(live).unwrap_or_default();
            let given_back = given_back(&record, &live);
            if !given_back.is_empty() {
                changes.push(LedgerChange::Released {
                    user: record.user.clone(),
                    fence: record.order.fence,
                    seats: given_back,
                });
            }
            if let Some(claims) = claims
                && !live.is_empty()
                && !self.is_pinned_anew(event, &claims).await?
            {
                changes.push(LedgerChange::Sold {
                    user: claims.user.clone(),
                    fence: claims.order.fence,
                    seats: live,
                });
            }
            // A map that is not ready is built from what the store says.
            let _ = self.seats.sync(event, &changes).await?;
        }
        Ok(())
    }

    /// Pins the hold of an order that is being paid; answers whether that keeps its seats.
    async fn is_pinned_anew(
        &self,
        event: &EventId,
        record: &OrderRecord,
    ) -> Result<bool, PurchaseError> {
        if record.order.state != OrderState::Confirming {
            return Ok(false);
        }
        let key = HoldKey {
            id: record.order.hold,
            user: record.user.clone(),
            fence: Some(record.order.fence),
        };
        Ok(matches!(
            self.seats.pin(event, &key).await?,
            Outcome::Done(_) | Outcome::Refused(Refusal::NotReady { .. })
        ))
    }
}

/// The seats that an order has tickets for.
pub(super) fn live(record: &OrderRecord) -> Vec<SeatLabel> {
    let live = record.order.tickets.iter();
    let live = live.filter(|ticket| ticket.state.is_live());
    live.map(|ticket| ticket.seat.clone()).collect()
}

/// Seats that an order gave back and that nobody has under its hold.
fn given_back(record: &OrderRecord, live: &[SeatLabel]) -> Vec<SeatLabel> {
    let tickets = record.order.tickets.iter();
    let refunded = tickets.filter(|ticket| ticket.state == TicketState::Refunded);
    let seats = refunded.map(|ticket| ticket.seat.clone());
    seats.filter(|seat| !live.contains(seat)).collect()
}
