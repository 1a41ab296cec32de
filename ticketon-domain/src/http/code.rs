//! The problem codes of seats and purchases.

use ticketon_queue::http::Code;

/// 409: some of the seats that were named are not free; `detail` names them.
pub const SEATS_TAKEN: Code = Code::new(409, "seatsTaken", "These seats are not free");
/// 409: no seats fit what was asked for.
pub const NO_SEATS: Code = Code::new(409, "noSeats", "No seats fit");
/// 409: the person would have more seats than they may.
pub const USER_LIMIT: Code = Code::new(409, "userLimit", "No more seats for this person");
/// 409: the event is not on sale now.
pub const SALE_CLOSED: Code = Code::new(409, "saleClosed", "Not on sale");
/// 409: the seats that were picked would leave one alone.
pub const LEAVES_ORPHAN: Code = Code::new(409, "leavesOrphan", "A single seat would be left");
/// 410: the hold has ended; `detail` says why.
pub const HOLD_ENDED: Code = Code::new(410, "holdEnded", "The hold has ended");
/// 404: no such hold of this person.
pub const UNKNOWN_HOLD: Code = Code::new(404, "unknownHold", "No such hold");
/// 422: the idempotency key was used for another request.
pub const IDEMPOTENCY_MISMATCH: Code = Code::new(
    422,
    "idempotencyMismatch",
    "The idempotency key was used for another request",
);
/// 503: the seat map is being rebuilt.
pub const MAP_NOT_READY: Code = Code::new(503, "mapNotReady", "The seat map is being prepared");

// Of purchases.

/// 404: no such order of this person.
pub const UNKNOWN_ORDER: Code = Code::new(404, "unknownOrder", "No such order");
/// 404: no such ticket, or not of this person.
pub const UNKNOWN_TICKET: Code = Code::new(404, "unknownTicket", "No such ticket");
/// 409: the order is in a state in which this makes no sense; `detail` names it.
pub const ORDER_STATE: Code = Code::new(409, "orderState", "The order's state does not allow this");
/// 409: the same is being done at this moment.
pub const STILL_RUNNING: Code = Code::new(409, "stillRunning", "It is still being worked on");
/// 409: the order costs another amount.
pub const AMOUNT_MISMATCH: Code =
    Code::new(409, "amountMismatch", "The order costs another amount");
/// 409: the payment is another order's, or the order another payment's.
pub const PAYMENT_TAKEN: Code = Code::new(
    409,
    "paymentTaken",
    "The payment and the order do not belong together",
);
/// 410: the order's time to pay has run out.
pub const ORDER_EXPIRED: Code = Code::new(410, "orderExpired", "The time to pay has run out");
/// 402: the provider did not charge; `detail` is its message.
pub const PAYMENT_DECLINED: Code = Code::new(402, "paymentDeclined", "The payment was declined");
/// 409: the event has changed since the order was made.
pub const SALES_CHANGED: Code = Code::new(409, "salesChanged", "The event has changed");
/// 409: no ticket can be given back.
pub const NOTHING_TO_REFUND: Code =
    Code::new(409, "nothingToRefund", "No ticket can be given back");
/// 409: the ticket is in a state in which this makes no sense; `detail` names it.
pub const TICKET_STATE: Code =
    Code::new(409, "ticketState", "The ticket's state does not allow this");
/// 409: the payment provider does not take such an amount or currency.
pub const NOT_PAYABLE: Code = Code::new(409, "notPayable", "This cannot be paid here");
/// 503: the payment provider does not say what became of a payment.
pub const PROVIDER_UNAVAILABLE: Code = Code::new(
    503,
    "providerUnavailable",
    "The payment provider does not answer",
);
/// 409: the ticket is for another event than the gate's; `detail` names it.
pub const OTHER_EVENT: Code = Code::new(409, "otherEvent", "The ticket is for another event");
/// 500: what is stored does not fit together; a fault of the service.
pub const FAULT: Code = Code::new(500, "fault", "The service is at fault");
