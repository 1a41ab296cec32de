//! What can be asked of an order, and why it may be refused.

use ticketon_queue::{UnixMs, UserId};

use super::state::{OrderState, RefundCause, TicketState};
use super::{PaymentKey, RefundId, TicketId};

/// Something that is asked of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begin to pay, or go on where that was broken off. Takes the lease.
    Confirm {
        /// Who asks.
        user: UserId,
        /// The provider.
        provider: String,
        /// The payment.
        key: PaymentKey,
        /// The amount that the caller believes; it is only compared.
        amount: u64,
        /// How long the lease lasts, in milliseconds.
        lease_ms: i64,
    },
    /// Take the lease of an order that is due.
    TakeUp {
        /// How long it lasts, in milliseconds.
        lease_ms: i64,
    },
    /// The provider charged.
    Paid {
        /// The lease's fence.
        fence: u64,
        /// When the provider charged.
        approved_at_ms: Option<UnixMs>,
        /// How it was paid.
        method: Option<String>,
    },
    /// Nothing was charged, and nothing will be.
    Fail {
        /// The lease's fence; `None` for an order that no payment is bound to.
        fence: Option<u64>,
        /// Why, for programs.
        code: String,
        /// Why, for people.
        message: String,
        /// When the provider is asked once more whether it charged.
        late_check_ms: Option<UnixMs>,
    },
    /// Nobody knows yet: give the lease back and look again later.
    PutOff {
        /// The lease's fence.
        fence: u64,
        /// When to look again.
        next_ms: UnixMs,
        /// What was seen: an operator is shown it after too many attempts.
        code: String,
        /// The same for people.
        detail: String,
        /// An operator should look now.
        attend: bool,
        /// The next cancel needs another idempotency key: the provider refused the last one for a moment only.
        new_key: bool,
    },
    /// The buyer gives it up before paying.
    Cancel {
        /// Who asks.
        user: UserId,
    },
    /// Its time to pay ran out.
    Expire,
    /// Give money back.
    Refund {
        /// Who asks; `None` for an operator.
        user: Option<UserId>,
        /// Which tickets; all that are good when empty.
        tickets: Vec<TicketId>,
        /// Why.
        reason: String,
        /// Names who asks: the same again is refused as [`Refused::Asked`], whatever became of the first.
        request: Option<String>,
    },
    /// The provider gave the money back.
    Refunded {
        /// The lease's fence.
        fence: u64,
        /// Which refund.
        refund: RefundId,
        /// The provider's name of the movement.
        transaction_key: String,
    },
    /// The provider will not give the money back.
    RefundRefused {
        /// The lease's fence.
        fence: u64,
        /// Which refund.
        refund: RefundId,
        /// Why, for programs.
        code: String,
        /// Why, for people.
        message: String,
    },
    /// The provider was asked once more about an order that had failed.
    LateChecked {
        /// The lease's fence.
        fence: u64,
        /// Whether it had charged: then that is given back.
        charged: bool,
    },
    /// A ticket's holder comes in.
    CheckIn {
        /// The ticket.
        ticket: TicketId,
        /// What the caller calls it: asked again under this name, it is refused as done.
        request: Option<String>,
    },
    /// Whoever works on it is about to ask the provider for more.
    Renew {
        /// The lease's fence.
        fence: u64,
        /// How long the lease lasts from now on, in milliseconds.
        lease_ms: i64,
    },
    /// Something is not as it should be: an operator should look.
    Attend {
        /// For programs.
        code: String,
        /// For people.
        detail: String,
    },
    /// Somebody said that its payment has changed: it need not wait for its next attempt, or, once it failed, for its late
    /// check. What was tried stays counted, and what an operator should see stays: anybody may say so, again and again.
    LookNow,
    /// An operator wants it looked at now.
    Retry,
    /// An operator has settled what the mark tells, with the buyer or at the provider.
    Settle {
        /// How much less the provider has of the payment than the order tells of, in minor units.
        missing: u64,
    },
}

/// Why something that was asked of an order was not done. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is somebody else's order.
    #[error("the order is somebody else's")]
    NotYours,
    /// It is in a state in which this makes no sense.
    #[error("the order is {state}")]
    State {
        /// What it is.
        state: OrderState,
    },
    /// It is being worked on.
    #[error("the order is being worked on until {until_ms}")]
    Running {
        /// Until when, at the latest.
        until_ms: UnixMs,
    },
    /// The amount is another one.
    #[error("the amount is {amount}, not {asked}")]
    Amount {
        /// What the order costs, in minor units.
        amount: u64,
        /// What was said.
        asked: u64,
    },
    /// It is being paid by another payment.
    #[error("the order is bound to another payment")]
    OtherPayment,
    /// Its time to pay has run out.
    #[error("the order had to be paid before {pay_until_ms}")]
    TooLate {
        /// Until when it could be paid.
        pay_until_ms: UnixMs,
    },
    /// It is not due, or somebody else has taken it.
    #[error("nothing is due")]
    NotDue,
    /// The lease is somebody else's by now.
    #[error("the lease is not the last one any more")]
    Fenced,
    /// A ticket is not one of this order.
    #[error("the order has no ticket {ticket}")]
    UnknownTicket {
        /// Which.
        ticket: TicketId,
    },
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
    /// No ticket can be given back.
    #[error("no ticket can be given back")]
    NothingToRefund,
    /// The same request asked for it before.
    #[error("this was asked for before")]
    Asked,
    /// What was asked for cannot have happened; a fault of this program.
    #[error("{0}")]
    Impossible(#[from] super::order::Impossible),
}

/// Who a refund was asked by.
pub(super) const fn cause(user: Option<&UserId>) -> RefundCause {
    match user {
        Some(_) => RefundCause::Buyer,
        None => RefundCause::Operator,
    }
}
