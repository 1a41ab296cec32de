//! What the seat map must be told after an order changed: durable, in order, told until it is applied.

use serde::{Deserialize, Serialize};
use ticketon_queue::{UnixMs, UserId};

use super::event::OrderEvent;
use super::record::OrderRecord;
use super::state::OrderState;
use crate::seat::HoldId;
use crate::venue::SeatLabel;

/// One thing that the seat map must be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum SeatMessage {
    /// Seats were sold under the fence of their hold.
    Sold {
        /// Whose they are.
        user: UserId,
        /// The fence of the hold.
        fence: u64,
        /// Which.
        seats: Vec<SeatLabel>,
        /// The admission that has fulfilled its purpose.
        admission: Option<u64>,
    },
    /// Seats that were sold or kept under this fence are not any more.
    Released {
        /// Whose they were.
        user: UserId,
        /// The fence of the hold.
        fence: u64,
        /// Which.
        seats: Vec<SeatLabel>,
    },
    /// The hold is not being paid for any more: it has a deadline again, and may be bought by another order. A map that was
    /// rebuilt meanwhile knows no such hold, and has the seats as sold: there they are free.
    Unpin {
        /// Whose it is.
        user: UserId,
        /// The hold.
        hold: HoldId,
        /// Its fence.
        fence: u64,
        /// Until when its seats stay held.
        until_ms: UnixMs,
        /// Its seats.
        seats: Vec<SeatLabel>,
    },
}

impl SeatMessage {
    /// The hold of this order is not being paid for any more.
    pub(super) fn unpin(record: &OrderRecord) -> Self {
        let order = &record.order;
        Self::Unpin {
            user: record.user.clone(),
            hold: order.hold,
            fence: order.fence,
            until_ms: order.hold_until_ms,
            seats: order.seats(),
        }
    }
}

/// What follows for the map from an event that made an order, which was in a state before, what it is now.
pub(super) fn seat_messages(
    before: OrderState,
    record: &OrderRecord,
    event: &OrderEvent,
) -> Vec<SeatMessage> {
    let (order, user, fence) = (&record.order, record.user.clone(), record.order.fence);
    match event {
        OrderEvent::Paid { .. } => {
            vec![SeatMessage::Sold {
                user,
                fence,
                seats: order.seats(),
                admission: record.admission,
            }]
        }
        OrderEvent::Failed { .. } if before == OrderState::Confirming => {
            vec![SeatMessage::unpin(record)]
        }
        OrderEvent::Refunded { refund_id, .. } => {
            let refund = order.refunds.iter().find(|refund| refund.id == *refund_id);
            let ids = refund
                .map(|refund| refund.tickets.as_slice())
                .unwrap_or_default();
            let tickets = ids.iter().filter_map(|id| order.ticket(id));
            let seats: Vec<SeatLabel> = tickets.map(|ticket| ticket.seat.clone()).collect();
            if seats.is_empty() {
                Vec::new()
            } else {
                vec![SeatMessage::Released { user, fence, seats }]
            }
        }
        _ => Vec::new(),
    }
}
