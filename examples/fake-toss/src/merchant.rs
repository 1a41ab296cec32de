//! A shop at the provider: its payments, and every movement of money. No I/O; the time is passed in.
//!
//! Each verb takes effect as a whole or refuses with the provider's code. What the shop is to hear by webhook is
//! collected and fetched by [`Merchant::take_notices`].

mod cancel;
mod request;

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use ticketon_queue::UnixMs;

pub(crate) use request::{CancelRequest, ConfirmRequest, NewPayment};

use crate::code::{Refusal, ends_payment};
use crate::payment::{Method, Payment, Status};
use crate::random;

/// The most payments that are kept.
const MAX_PAYMENTS: usize = 100_000;

/// The least that a confirm takes.
const LEAST_AMOUNT: u64 = 100;

/// A movement of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Movement {
    pub(crate) order_id: String,
    pub(crate) payment_key: String,
    /// `charge`, `cancel`, or `depositUndone`.
    pub(crate) kind: &'static str,
    pub(crate) amount: u64,
    pub(crate) transaction_key: String,
    pub(crate) at_ms: UnixMs,
}

/// What the shop is to hear.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    /// The payment changed.
    Changed(Box<Payment>),
    /// A deposit came, or was undone.
    Deposit(Box<Payment>),
}

/// A shop at the provider.
#[derive(Debug, Default)]
pub(crate) struct Merchant {
    payments: BTreeMap<String, Payment>,
    by_order: HashMap<String, String>,
    movements: Vec<Movement>,
    notices: Vec<Notice>,
}

impl Merchant {
    /// Opens a payment, as the payment window does.
    pub(crate) fn open(&mut self, new: &NewPayment, now_ms: UnixMs) -> Result<&Payment, Refusal> {
        new.check()?;
        let method = Method::parse(&new.method).ok_or_else(|| Refusal::of("INVALID_REQUEST"))?;
        if self.payments.len() >= MAX_PAYMENTS {
            return Err(Refusal::of("COMMON_ERROR"));
        }
        let earlier = self
            .by_order
            .get(&new.order_id)
            .and_then(|key| self.payments.get(key));
        if earlier.is_some_and(|payment| payment.last_transaction_key.is_some()) {
            return Err(Refusal::of("DUPLICATED_ORDER_ID"));
        }
        let key = format!("tgen_{}", random::hex(16));
        self.by_order.insert(new.order_id.clone(), key.clone());
        let status = if new.authenticated {
            Status::InProgress
        } else {
            Status::Ready
        };
        let payment = Payment {
            key: key.clone(),
            order_id: new.order_id.clone(),
            order_name: new.order_name.clone(),
            currency: new.currency.clone(),
            method,
            total: new.amount,
            balance: new.amount,
            tax_free: new.tax_free_amount,
            status,
            requested_ms: now_ms,
            authenticated_ms: new.authenticated.then_some(now_ms),
            approved_ms: None,
            deposit_by_ms: None,
            canceled_ms: None,
            last_transaction_key: None,
            secret: format!("ps_{}", random::hex(12)),
            partial_cancelable: new.partial_cancelable,
            cancels: Vec::new(),
            decline: new.decline.clone(),
            failure: None,
        };
        Ok(self.payments.entry(key).or_insert(payment))
    }

    /// The buyer authenticated.
    pub(crate) fn authenticate(&mut self, key: &str, now_ms: UnixMs) -> Result<&Payment, Refusal> {
        let payment = payment(&mut self.payments, key)?;
        if payment.status != Status::Ready {
            return Err(Refusal::of("ALREADY_PROCESSED_PAYMENT"));
        }
        payment.become_status(Status::InProgress);
        payment.authenticated_ms = Some(now_ms);
        self.changed(key)
    }

    /// The buyer's side refused before a confirm.
    pub(crate) fn abort(&mut self, key: &str, code: &str) -> Result<&Payment, Refusal> {
        let payment = payment(&mut self.payments, key)?;
        if !payment.status.may_become(Status::Aborted) {
            return Err(Refusal::of("ALREADY_PROCESSED_PAYMENT"));
        }
        payment.failure = Some(code.to_owned());
        payment.become_status(Status::Aborted);
        self.changed(key)
    }

    /// Has a later confirm refused with this code.
    pub(crate) fn decline(&mut self, key: &str, code: &str) {
        if let Some(payment) = self.payments.get_mut(key) {
            payment.decline = Some(code.to_owned());
        }
    }

    /// Charges.
    pub(crate) fn confirm(
        &mut self,
        request: &ConfirmRequest,
        now_ms: UnixMs,
    ) -> Result<&Payment, Refusal> {
        request.check()?;
        let payment = payment(&mut self.payments, &request.payment_key)?;
        match payment.status {
            Status::InProgress => {}
            Status::Ready => return Err(Refusal::of("UNAPPROVED_ORDER_ID")),
            Status::Expired => return Err(Refusal::of("NOT_FOUND_PAYMENT_SESSION")),
            _ => return Err(Refusal::of("ALREADY_PROCESSED_PAYMENT")),
        }
        if payment.order_id != request.order_id || payment.total != request.amount {
            return Err(Refusal::of("INVALID_REQUEST"));
        }
        if payment.total < LEAST_AMOUNT {
            return Err(Refusal::of("BELOW_MINIMUM_AMOUNT"));
        }
        if let Some(code) = payment.decline.clone() {
            if ends_payment(&code) {
                payment.failure = Some(code.clone());
                payment.become_status(Status::Aborted);
                self.changed(&request.payment_key)?;
            }
            return Err(Refusal::of(&code));
        }
        payment.approve(now_ms);
        if payment.status == Status::Done {
            self.movements
                .push(movement(payment, "charge", payment.total, now_ms));
        }
        self.changed(&request.payment_key)
    }

    /// A deposit comes in for a virtual account.
    pub(crate) fn deposit(&mut self, key: &str, now_ms: UnixMs) -> Result<&Payment, Refusal> {
        let payment = payment(&mut self.payments, key)?;
        if payment.status != Status::WaitingForDeposit {
            return Err(Refusal::of("INVALID_REQUEST"));
        }
        payment.approve(now_ms);
        self.movements
            .push(movement(payment, "charge", payment.total, now_ms));
        self.notices
            .push(Notice::Deposit(Box::new(payment.clone())));
        self.changed(key)
    }

    /// The bank takes a deposit back: it was an error.
    pub(crate) fn undo_deposit(&mut self, key: &str, now_ms: UnixMs) -> Result<&Payment, Refusal> {
        let payment = payment(&mut self.payments, key)?;
        if payment.status != Status::Done || !payment.method.is_virtual_account() {
            return Err(Refusal::of("INVALID_REQUEST"));
        }
        payment.become_status(Status::WaitingForDeposit);
        payment.approved_ms = None;
        self.movements
            .push(movement(payment, "depositUndone", payment.total, now_ms));
        self.notices
            .push(Notice::Deposit(Box::new(payment.clone())));
        self.changed(key)
    }

    /// A payment.
    pub(crate) fn payment(&self, key: &str) -> Result<&Payment, Refusal> {
        self.payments
            .get(key)
            .ok_or_else(|| Refusal::of("NOT_FOUND_PAYMENT"))
    }

    /// The payment of an order; the latest, if the buyer began anew.
    pub(crate) fn payment_of(&self, order_id: &str) -> Result<&Payment, Refusal> {
        let key = self
            .by_order
            .get(order_id)
            .ok_or_else(|| Refusal::of("NOT_FOUND_PAYMENT"))?;
        self.payment(key)
    }

    /// Ends what ran out.
    pub(crate) fn expire(&mut self, now_ms: UnixMs) {
        for payment in self.payments.values_mut() {
            if payment.expire(now_ms) {
                self.notices
                    .push(Notice::Changed(Box::new(payment.clone())));
            }
        }
    }

    /// Every movement, the oldest first.
    pub(crate) fn movements(&self) -> &[Movement] {
        &self.movements
    }

    /// What the shop is to hear since the last time.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn changed(&mut self, key: &str) -> Result<&Payment, Refusal> {
        let payment = self
            .payments
            .get(key)
            .ok_or_else(|| Refusal::of("NOT_FOUND_PAYMENT"))?;
        self.notices
            .push(Notice::Changed(Box::new(payment.clone())));
        Ok(payment)
    }
}

fn payment<'a>(
    payments: &'a mut BTreeMap<String, Payment>,
    key: &str,
) -> Result<&'a mut Payment, Refusal> {
    payments
        .get_mut(key)
        .ok_or_else(|| Refusal::of("NOT_FOUND_PAYMENT"))
}

fn movement(payment: &Payment, kind: &'static str, amount: u64, at_ms: UnixMs) -> Movement {
    Movement {
        order_id: payment.order_id.clone(),
        payment_key: payment.key.clone(),
        kind,
        amount,
        transaction_key: payment.last_transaction_key.clone().unwrap_or_default(),
        at_ms,
    }
}
