//! Giving money back: what may be canceled, how much, how often.

use ticketon_queue::UnixMs;

use super::{CancelRequest, Merchant, movement, payment};
use crate::code::Refusal;
use crate::payment::{Cancel, Payment, Status};
use crate::random;

/// Within this time of a cancel no other of the same payment is processed.
const APART_MS: i64 = 1_000;

impl Merchant {
    /// Gives money back.
    pub(crate) fn cancel(
        &mut self,
        key: &str,
        request: &CancelRequest,
        now_ms: UnixMs,
    ) -> Result<&Payment, Refusal> {
        request.check()?;
        let payment = payment(&mut self.payments, key)?;
        if payment
            .canceled_ms
            .is_some_and(|last_ms| now_ms < last_ms + APART_MS)
        {
            return Err(Refusal::of("FORBIDDEN_CONSECUTIVE_REQUEST"));
        }
        let amount = admissible(payment, request)?;
        payment.canceled_ms = Some(now_ms);
        if payment.status == Status::WaitingForDeposit {
            // No money came, so none goes.
            payment.become_status(Status::Canceled);
            return self.changed(key);
        }
        payment.balance -= amount;
        payment.tax_free -= request.tax_free_amount;
        payment.cancels.push(Cancel {
            amount,
            reason: request.cancel_reason.clone(),
            tax_free: request.tax_free_amount,
            left: payment.balance,
            at_ms: now_ms,
            transaction_key: random::hex(16),
        });
        payment.last_transaction_key = payment
            .cancels
            .last()
            .map(|cancel| cancel.transaction_key.clone());
        payment.become_status(if payment.balance == 0 {
            Status::Canceled
        } else {
            Status::PartialCanceled
        });
        self.movements
            .push(movement(payment, "cancel", amount, now_ms));
        self.changed(key)
    }
}

/// How much is given back, if it may be.
fn admissible(payment: &Payment, request: &CancelRequest) -> Result<u64, Refusal> {
    let refuse = |code| Err(Refusal::of(code));
    match payment.status {
        Status::Done | Status::PartialCanceled | Status::WaitingForDeposit => {}
        Status::Canceled => return refuse("ALREADY_CANCELED_PAYMENT"),
        _ => return refuse("NOT_CANCELABLE_PAYMENT"),
    }
    let amount = request.cancel_amount.unwrap_or(payment.balance);
    if amount > payment.balance {
        return refuse("NOT_CANCELABLE_AMOUNT");
    }
    let partial = amount < payment.balance;
    if partial && (!payment.partial_cancelable || payment.status == Status::WaitingForDeposit) {
        return refuse("NOT_ALLOWED_PARTIAL_REFUND");
    }
    if request.tax_free_amount > payment.tax_free.min(amount) {
        return refuse("NOT_MATCHES_REFUNDABLE_AMOUNT");
    }
    if request
        .currency
        .as_ref()
        .is_some_and(|currency| *currency != payment.currency)
    {
        return refuse("INVALID_REQUEST");
    }
    match &request.refund_receive_account {
        Some(_) if !payment.method.is_virtual_account() => return refuse("INVALID_REQUEST"),
        Some(account) => account.check()?,
        None if payment.method.is_virtual_account()
            && payment.status != Status::WaitingForDeposit =>
        {
            return refuse("INVALID_REFUND_ACCOUNT_INFO");
        }
        None => {}
    }
    Ok(amount)
}
