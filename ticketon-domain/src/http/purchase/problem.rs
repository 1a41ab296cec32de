//! Errors of purchases as problems of the HTTP contract.

use std::time::Duration;

use ticketon_queue::clock::rfc3339;
use ticketon_queue::http::{Code, Problem};
use ticketon_queue::{FieldError, QueueError};

use crate::http::{
    AMOUNT_MISMATCH, FAULT, HOLD_ENDED, NOT_PAYABLE, NOTHING_TO_REFUND, ORDER_EXPIRED, ORDER_STATE,
    OTHER_EVENT, PAYMENT_DECLINED, PAYMENT_TAKEN, PROVIDER_UNAVAILABLE, SALES_CHANGED, SEATS_TAKEN,
    STILL_RUNNING, TICKET_STATE, UNKNOWN_ORDER, UNKNOWN_TICKET,
};
use crate::purchase::PurchaseError;

/// What runs has ended soon as a rule, whatever its lease says.
pub(super) const SOON: Duration = Duration::from_secs(1);

impl From<PurchaseError> for Problem {
    fn from(error: PurchaseError) -> Self {
        let detail = error.to_string();
        let problem = |code| Self::new(code).detail(detail.as_str());
        match error {
            PurchaseError::Hold(refusal) => refusal.into(),
            PurchaseError::UnknownOrder => Self::new(UNKNOWN_ORDER),
            PurchaseError::UnknownTicket => Self::new(UNKNOWN_TICKET),
            PurchaseError::State { .. } => problem(ORDER_STATE),
            PurchaseError::Running { .. } => problem(STILL_RUNNING).retry_after(SOON),
            PurchaseError::Amount { amount, asked } => {
                let mut problem = problem(AMOUNT_MISMATCH);
                problem.errors = vec![FieldError::new("amount", asked, amount.to_string())];
                problem
            }
            PurchaseError::PaymentTaken => problem(PAYMENT_TAKEN),
            PurchaseError::TooLate { pay_until_ms } => Self::new(ORDER_EXPIRED).detail(format!(
                "the order had to be paid before {}",
                rfc3339(pay_until_ms)
            )),
            // It says more than that it was not paid: other seats help, another card does not.
            PurchaseError::Declined { code, message } if code == HOLD_ENDED.as_str() => {
                Self::new(HOLD_ENDED).detail(message)
            }
            PurchaseError::Declined { code, message } => {
                Self::new(PAYMENT_DECLINED).detail(format!("{message} ({code})"))
            }
            PurchaseError::SeatsTaken { seats } => {
                let mut problem = problem(SEATS_TAKEN);
                let field = |seat| FieldError::new("seats", seat, "seats that are free");
                problem.errors = seats.iter().map(field).collect();
                problem
            }
            PurchaseError::SalesChanged => problem(SALES_CHANGED),
            PurchaseError::NothingToRefund => problem(NOTHING_TO_REFUND),
            PurchaseError::Ticket { used_at_ms, .. } => match used_at_ms {
                Some(at_ms) => {
                    Self::new(TICKET_STATE).detail(format!("{detail} since {}", rfc3339(at_ms)))
                }
                None => problem(TICKET_STATE),
            },
            PurchaseError::NotPayable { .. } => problem(NOT_PAYABLE),
            PurchaseError::OtherEvent { .. } => problem(OTHER_EVENT),
            PurchaseError::Invalid { fields } => {
                let mut problem = Self::new(Code::INVALID);
                problem.errors = fields;
                problem
            }
            PurchaseError::Provider(_) => problem(PROVIDER_UNAVAILABLE).retry_after(SOON),
            PurchaseError::Seats(error) => error.into(),
            PurchaseError::Store(error) => QueueError::Store(error).into(),
            PurchaseError::Fault(fault) => {
                tracing::error!(target: "ticketon::http", %fault, "an order's history does not fit together");
                Self::new(FAULT)
            }
        }
    }
}
