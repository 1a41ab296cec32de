//! Refusals and errors as problems of the HTTP contract.

use ticketon_queue::http::{Code, Problem};
use ticketon_queue::{FieldError, QueueError};

use super::outcome::{Refusal, SeatsError};
use crate::event::EventRefused;
use crate::http::{
    HOLD_ENDED, IDEMPOTENCY_MISMATCH, LEAVES_ORPHAN, MAP_NOT_READY, NO_SEATS, SALE_CLOSED,
    SEATS_TAKEN, UNKNOWN_HOLD, USER_LIMIT,
};
use crate::venue::SeatLabel;

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        let problem = |code| Self::new(code).detail(detail.as_str());
        match refusal {
            Refusal::SeatsTaken { seats } => {
                named(problem(SEATS_TAKEN), &seats, "seats that are free")
            }
            Refusal::LeavesOrphan { seats } => {
                let range = "seats that leave no single one";
                named(problem(LEAVES_ORPHAN), &seats, range)
            }
            Refusal::NoSeats => problem(NO_SEATS),
            Refusal::Invalid { fields } => {
                let mut problem = Self::new(Code::INVALID);
                problem.errors = fields;
                problem
            }
            Refusal::UserLimit { .. } => problem(USER_LIMIT),
            Refusal::NotOnSale(_) => problem(SALE_CLOSED),
            Refusal::Ended { reason } => Self::new(HOLD_ENDED).detail(reason.as_str()),
            Refusal::Mismatch => problem(IDEMPOTENCY_MISMATCH),
            Refusal::NotReady { retry_after } => problem(MAP_NOT_READY).retry_after(retry_after),
            Refusal::UnknownHold => problem(UNKNOWN_HOLD),
            Refusal::Forbidden => problem(Code::FORBIDDEN),
            Refusal::Pinned => problem(Code::CONFLICT),
        }
    }
}

/// One refused field a seat, so that programs need not read the sentence.
fn named(mut problem: Problem, seats: &[SeatLabel], range: &str) -> Problem {
    let field = |seat| FieldError::new("seats", seat, range);
    problem.errors = seats.iter().map(field).collect();
    problem
}

impl From<EventRefused> for Problem {
    fn from(refused: EventRefused) -> Self {
        match refused {
            EventRefused::Invalid(error) => error.into(),
            refused => Self::new(Code::CONFLICT).detail(refused.to_string()),
        }
    }
}

impl From<SeatsError> for Problem {
    fn from(error: SeatsError) -> Self {
        match error {
            SeatsError::UnknownEvent { .. } => {
                Self::new(Code::UNKNOWN_EVENT).detail(error.to_string())
            }
            SeatsError::Store(error) => QueueError::Store(error).into(),
        }
    }
}
