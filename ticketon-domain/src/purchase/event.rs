//! What happens to an order, as it is written down for good.
//!
//! An order is what its events make of it: [`Order::apply`](super::Order::apply). The same events are the entries of its
//! audit and the messages that others hear, so they name no person: a buyer is a hash, a reason is a hash.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ticketon_queue::{EventId, UnixMs, UserId};

use super::state::RefundCause;
use super::{OrderId, PaymentKey, RefundId, TicketId};
use crate::event::Currency;
use crate::seat::HoldId;
use crate::venue::SeatLabel;

/// A seat of an order and what it costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which seat.
    pub seat: SeatLabel,
    /// Its grade.
    pub grade: String,
    /// Its price, in minor units of the order's currency.
    pub price: u64,
}

/// Something that happened to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum OrderEvent {
    /// It was made, at these prices.
    Initiated {
        /// The event whose seats it buys.
        event_id: EventId,
        /// Who buys, as [`hashed`] tells it.
        buyer: String,
        /// The hold that its seats are in.
        hold_id: HoldId,
        /// The hold's fence.
        fence: u64,
        /// The sales version of the event that the prices are of.
        sales_version: u64,
        /// The seats and their prices.
        lines: Vec<Line>,
        /// What they cost together, in minor units.
        amount: u64,
        /// The currency.
        currency: Currency,
        /// Until when it may be paid.
        pay_until_ms: UnixMs,
        /// Until when its seats are held, if it is not paid.
        hold_until_ms: UnixMs,
    },
    /// A payment began, and its seats were reserved.
    ConfirmStarted {
        /// The provider.
        provider: String,
        /// The payment.
        payment_key: PaymentKey,
    },
    /// The provider has charged; its tickets are good.
    Paid {
        /// When the provider charged.
        approved_at_ms: Option<UnixMs>,
        /// How it was paid.
        method: Option<String>,
    },
    /// It was not paid.
    Failed {
        /// Why, for programs.
        code: String,
        /// Why, for people.
        message: String,
    },
    /// Its buyer gave it up before paying.
    Canceled,
    /// It was not paid in time.
    Expired,
    /// Money is to be given back.
    RefundRequested {
        /// The refund.
        refund_id: RefundId,
        /// The tickets that are given back; none where there never were any.
        ticket_ids: Vec<TicketId>,
        /// How much, in minor units.
        amount: u64,
        /// Who wanted it.
        cause: RefundCause,
        /// The reason, as [`hashed`] tells it.
        reason: String,
    },
    /// Money was given back.
    Refunded {
        /// The refund.
        refund_id: RefundId,
        /// The provider's name of the movement.
        transaction_key: String,
    },
    /// The provider will not give the money back; the tickets are good again.
    RefundRefused {
        /// The refund.
        refund_id: RefundId,
        /// Why, for programs.
        code: String,
        /// Why, for people.
        message: String,
    },
    /// A ticket's holder is in.
    TicketUsed {
        /// The ticket.
        ticket_id: TicketId,
    },
}

impl OrderEvent {
    /// Its kind, as it is written in an entry and in the type of a message.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Initiated { .. } => "order.initiated",
            Self::ConfirmStarted { .. } => "order.confirmStarted",
            Self::Paid { .. } => "order.paid",
            Self::Failed { .. } => "order.failed",
            Self::Canceled => "order.canceled",
            Self::Expired => "order.expired",
            Self::RefundRequested { .. } => "order.refundRequested",
            Self::Refunded { .. } => "order.refunded",
            Self::RefundRefused { .. } => "order.refundRefused",
            Self::TicketUsed { .. } => "ticket.used",
        }
    }
}

/// Stands for something that must not be written down, and still proves it: a hash that differs from order to order.
#[must_use]
pub fn hashed(order: &OrderId, text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"ticketon hashed");
    hash.update(order.as_bytes());
    hash.update(text);
    let digest = hash.finalize();
    let mut written = String::with_capacity(7 + 64);
    written.push_str("sha256:");
    for byte in digest {
        written.push_str(&format!("{byte:02x}"));
    }
    written
}

/// The hash that stands for a buyer.
#[must_use]
pub fn buyer_hash(order: &OrderId, user: &UserId) -> String {
    hashed(order, user.as_str())
}
