//! The problem codes of seats.

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
