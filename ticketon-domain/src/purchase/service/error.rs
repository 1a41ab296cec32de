//! Why something that was asked of purchases was not done.

use ticketon_queue::{EventId, FieldError, StoreError, UnixMs};

use crate::event::Money;
use crate::purchase::command::Refused;
use crate::purchase::order::Impossible;
use crate::purchase::provider::ProviderError;
use crate::purchase::{OrderState, TicketId, TicketState};
use crate::seat::{Refusal, SeatsError};
use crate::venue::SeatLabel;

/// An error of [`Purchases`](super::Purchases): refused, or a store failed. A `Problem` of the HTTP contract can be made
/// from each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PurchaseError {
    /// The hold cannot be bought.
    #[error("the hold: {0}")]
    Hold(Refusal),
    /// This person has no such order.
    #[error("no such order")]
    UnknownOrder,
    /// There is no such ticket, or not of this person.
    #[error("no such ticket")]
    UnknownTicket,
    /// The order is in a state in which this makes no sense.
    #[error("the order is {state}")]
    State {
        /// What it is.
        state: OrderState,
    },
    /// The order is being worked on: ask again.
    #[error("the order is being worked on")]
    Running {
        /// Until when its lease lasts, where somebody has one; as a rule it ends much sooner.
        until_ms: Option<UnixMs>,
    },
    /// The amount is another one.
    #[error("the order costs {amount}, not {asked}")]
    Amount {
        /// What it costs, in minor units.
        amount: u64,
        /// What was said.
        asked: u64,
    },
    /// The payment is another order's, or the order another payment's.
    #[error("the payment and the order do not belong together")]
    PaymentTaken,
    /// The time to pay ran out.
    #[error("the time to pay ran out")]
    TooLate {
        /// When.
        pay_until_ms: UnixMs,
    },
    /// It was not paid.
    #[error("not paid: {code}: {message}")]
    Declined {
        /// Why, for programs.
        code: String,
        /// Why, for people.
        message: String,
    },
    /// The provider does not take such an amount.
    #[error("the payment provider does not take {amount}: {reason}")]
    NotPayable {
        /// What it would cost.
        amount: Money,
        /// Why.
        reason: String,
    },
    /// Somebody else has tickets for these seats.
    #[error("others have tickets for these seats")]
    SeatsTaken {
        /// Which.
        seats: Vec<SeatLabel>,
    },
    /// What the order was made for has changed since.
    #[error("the event has changed since the order was made")]
    SalesChanged,
    /// No ticket can be given back.
    #[error("no ticket can be given back")]
    NothingToRefund,
    /// A ticket is in a state in which this makes no sense.
    #[error("ticket {ticket} is {state}")]
    Ticket {
        /// Which.
        ticket: TicketId,
        /// What it is.
        state: TicketState,
        /// When its holder came in.
        used_at_ms: Option<UnixMs>,
    },
    /// A ticket is for another event than the gate's.
    #[error("the ticket is for {event}")]
    OtherEvent {
        /// What it is for.
        event: EventId,
    },
    /// Values are refused.
    #[error("values are refused")]
    Invalid {
        /// Which; never empty.
        fields: Vec<FieldError>,
    },
    /// The payment provider did not say what became of a payment.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The seats failed.
    #[error(transparent)]
    Seats(#[from] SeatsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The order's history does not fit together; a fault of this program.
    #[error(transparent)]
    Fault(#[from] Impossible),
}

impl From<Refused> for PurchaseError {
    fn from(refused: Refused) -> Self {
        match refused {
            // Whose it is, is nobody else's business.
            Refused::NotYours => Self::UnknownOrder,
            Refused::State { state } => Self::State { state },
            Refused::Running { until_ms } => Self::Running {
                until_ms: Some(until_ms),
            },
            Refused::Amount { amount, asked } => Self::Amount { amount, asked },
            Refused::OtherPayment => Self::PaymentTaken,
            Refused::TooLate { pay_until_ms } => Self::TooLate { pay_until_ms },
            Refused::NotDue | Refused::Fenced => Self::Running { until_ms: None },
            Refused::UnknownTicket { .. } => Self::UnknownTicket,
            Refused::Ticket {
                ticket,
                state,
                used_at_ms,
            } => Self::Ticket {
                ticket,
                state,
                used_at_ms,
            },
            Refused::NothingToRefund | Refused::Asked => Self::NothingToRefund,
            Refused::Impossible(fault) => Self::Fault(fault),
        }
    }
}
