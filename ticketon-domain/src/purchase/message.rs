//! What the seat map must be told after an order changed: durable, in order, told until it is applied.

use serde::{Deserialize, Serialize};
use ticketon_queue::{UnixMs, UserId};

use super::event::OrderEvent;
use super::order::Order;
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
    /// The hold is not being paid for any more: it has a deadline again.
    Unpin {
        /// Whose it is.
        user: UserId,
        /// The hold.
        hold: HoldId,
        /// Its fence.
        fence: u64,
        /// Until when its seats stay held.
        until_ms: UnixMs,
    },
}

/// What follows for the map from an event that made `after` of `before`.
pub(super) fn seat_messages(
    before: &Order,
    after: &Order,
    user: &UserId,
    event: &OrderEvent,
) -> Vec<SeatMessage> {
    let (user, fence) = (user.clone(), after.fence);
    match event {
        OrderEvent::Paid { .. } => vec![SeatMessage::Sold {
            user,
            fence,
            seats: after.seats(),
        }],
        OrderEvent::Failed { .. } if before.state == OrderState::Confirming => {
            // A map that was rebuilt meanwhile has the seats as sold; one that was not, as a pinned hold.
            let released = SeatMessage::Released {
                user: user.clone(),
                fence,
                seats: after.seats(),
            };
            let unpin = SeatMessage::Unpin {
                user,
                hold: after.hold,
                fence,
                until_ms: after.hold_until_ms,
            };
            vec![released, unpin]
        }
        OrderEvent::Refunded { refund_id, .. } => {
            let refund = after.refunds.iter().find(|refund| refund.id == *refund_id);
            let ids = refund
                .map(|refund| refund.tickets.as_slice())
                .unwrap_or_default();
            let seats: Vec<SeatLabel> = ids
                .iter()
                .filter_map(|id| after.ticket(id))
                .map(|ticket| ticket.seat.clone())
                .collect();
            if seats.is_empty() {
                Vec::new()
            } else {
                vec![SeatMessage::Released { user, fence, seats }]
            }
        }
        _ => Vec::new(),
    }
}
