//! One payment of the sandbox: a pure state machine, with time passed in.
//!
//! Money moves at most once a call and key: a confirm charges once, a cancel that comes again under its
//! idempotency key answers what it did the first time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ticketon_queue::UnixMs;

use crate::event::{Currency, Money};
use crate::purchase::{
    CancelPayment, Cancellation, ConfirmPayment, OrderId, Payment, PaymentKey, PaymentStatus,
};

/// How long an open payment can be confirmed.
pub const PAYABLE_FOR: Duration = Duration::from_secs(600);
const PAYABLE_FOR_MS: i64 = 600_000;

/// What a payment comes to once it is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SandboxOutcome {
    /// Charged at once.
    Approve,
    /// Refused by the card's bank.
    Decline,
    /// Nobody knows for some seconds, and then it is charged.
    Delay,
    /// Charged at once, but the answer is lost.
    LoseAnswer,
}

impl SandboxOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Approve, Self::Decline, Self::Delay, Self::LoseAnswer];

    /// Its name on the wire and in stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Decline => "decline",
            Self::Delay => "delay",
            Self::LoseAnswer => "loseAnswer",
        }
    }
}

/// Where a payment stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "state",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum Stage {
    /// The buyer has agreed; nobody has confirmed.
    Open,
    /// Confirmed; charged at its time.
    Confirmed {
        idempotency_key: String,
        charge_at_ms: UnixMs,
    },
    /// Charged.
    Charged {
        idempotency_key: String,
        at_ms: UnixMs,
    },
    /// Refused for good.
    Declined,
    /// Nobody confirmed in time.
    Expired,
}

/// Money that was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cancel {
    idempotency_key: String,
    /// What was asked for: `None` was all that was left.
    asked: Option<u64>,
    amount: u64,
    reason: String,
    transaction_key: String,
    at_ms: UnixMs,
}

/// A payment as the sandbox keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SandboxPayment {
    key: PaymentKey,
    order: OrderId,
    amount: u64,
    currency: Currency,
    outcome: SandboxOutcome,
    opened_at_ms: UnixMs,
    stage: Stage,
    cancels: Vec<Cancel>,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The payment says it.
    Done,
    /// Refused: a code, and why.
    Refused(&'static str, &'static str),
    /// Nobody knows: a code, why, and when asking makes sense.
    Unknown(&'static str, &'static str, Option<Duration>),
}

const OTHER_REQUEST: Step = Step::Refused(
    "INVALID_IDEMPOTENCY_KEY",
    "This idempotency key was used for another amount.",
);

impl SandboxPayment {
    /// A payment that its buyer has agreed to.
    pub(super) const fn open(
        key: PaymentKey,
        order: OrderId,
        amount: Money,
        outcome: SandboxOutcome,
        now_ms: UnixMs,
    ) -> Self {
        Self {
            key,
            order,
            amount: amount.amount,
            currency: amount.currency,
            outcome,
            opened_at_ms: now_ms,
            stage: Stage::Open,
            cancels: Vec::new(),
        }
    }

    /// Its key.
    #[must_use]
    pub const fn key(&self) -> &PaymentKey {
        &self.key
    }

    /// The order it is for.
    #[must_use]
    pub const fn order(&self) -> &OrderId {
        &self.order
    }

    /// When it was opened.
    #[must_use]
    pub const fn opened_at_ms(&self) -> UnixMs {
        self.opened_at_ms
    }

    /// Whether it is, or becomes, charged.
    #[must_use]
    pub const fn is_confirmed(&self) -> bool {
        matches!(self.stage, Stage::Confirmed { .. } | Stage::Charged { .. })
    }

    /// Lets time work: charges what is due, and ends what nobody confirmed.
    pub(super) fn settle(&mut self, now_ms: UnixMs) {
        match &mut self.stage {
            Stage::Confirmed {
                idempotency_key,
                charge_at_ms,
            } if *charge_at_ms <= now_ms => {
                self.stage = Stage::Charged {
                    idempotency_key: std::mem::take(idempotency_key),
                    at_ms: *charge_at_ms,
                };
            }
            Stage::Open if self.opened_at_ms.saturating_add(PAYABLE_FOR_MS) <= now_ms => {
                self.stage = Stage::Expired;
            }
            _ => {}
        }
    }

    /// Charges it, as its outcome says.
    pub(super) fn confirm(
        &mut self,
        request: &ConfirmPayment,
        delay_ms: i64,
        now_ms: UnixMs,
    ) -> Step {
        if self.order != request.order || self.money() != request.amount {
            return Step::Refused(
                "INVALID_REQUEST",
                "The payment is for another order or another amount.",
            );
        }
        match &self.stage {
            Stage::Open => self.first_confirm(request, delay_ms, now_ms),
            Stage::Confirmed {
                idempotency_key, ..
            }
            | Stage::Charged {
                idempotency_key, ..
            } if *idempotency_key != request.idempotency_key => Step::Unknown(
                "ALREADY_PROCESSED_PAYMENT",
                "The payment was confirmed by another request.",
                None,
            ),
            Stage::Confirmed { charge_at_ms, .. } => still_checking(charge_at_ms - now_ms),
            Stage::Charged { .. } => Step::Done,
            Stage::Declined => DECLINED,
            Stage::Expired => Step::Refused(
                "NOT_FOUND_PAYMENT_SESSION",
                "The payment was not confirmed in time.",
            ),
        }
    }

    fn first_confirm(&mut self, request: &ConfirmPayment, delay_ms: i64, now_ms: UnixMs) -> Step {
        let idempotency_key = request.idempotency_key.clone();
        let charged = Stage::Charged {
            idempotency_key: idempotency_key.clone(),
            at_ms: now_ms,
        };
        let (stage, step) = match self.outcome {
            SandboxOutcome::Approve => (charged, Step::Done),
            SandboxOutcome::Decline => (Stage::Declined, DECLINED),
            SandboxOutcome::LoseAnswer => {
                let lost = "The sandbox lost this answer on purpose.";
                (charged, Step::Unknown("ANSWER_LOST", lost, None))
            }
            SandboxOutcome::Delay => {
                let charge_at_ms = now_ms.saturating_add(delay_ms);
                let confirmed = Stage::Confirmed {
                    idempotency_key,
                    charge_at_ms,
                };
                (confirmed, still_checking(delay_ms))
            }
        };
        self.stage = stage;
        step
    }

    /// Gives money back.
    pub(super) fn cancel(&mut self, request: &CancelPayment, now_ms: UnixMs) -> Step {
        let known = |cancel: &&Cancel| cancel.idempotency_key == request.idempotency_key;
        if let Some(before) = self.cancels.iter().find(known) {
            let asked = request.amount.map(|money| money.amount);
            let is_same = before.asked == asked && self.is_own_currency(request);
            return if is_same { Step::Done } else { OTHER_REQUEST };
        }
        if !matches!(self.stage, Stage::Charged { .. }) {
            return Step::Refused("NOT_CANCELABLE_PAYMENT", "The payment is not charged.");
        }
        let left = self.balance();
        if left == 0 {
            return Step::Refused(
                "ALREADY_CANCELED_PAYMENT",
                "All of the payment was given back before.",
            );
        }
        let amount = request.amount.map_or(left, |money| money.amount);
        if amount == 0 || amount > left || !self.is_own_currency(request) {
            return Step::Refused(
                "NOT_CANCELABLE_AMOUNT",
                "The amount is not within what is left of the payment.",
            );
        }
        self.cancels.push(Cancel {
            idempotency_key: request.idempotency_key.clone(),
            asked: request.amount.map(|money| money.amount),
            amount,
            reason: request.reason.clone(),
            transaction_key: format!("{}_cancel_{}", self.key, self.cancels.len() + 1),
            at_ms: now_ms,
        });
        Step::Done
    }

    fn is_own_currency(&self, request: &CancelPayment) -> bool {
        request
            .amount
            .is_none_or(|money| money.currency == self.currency)
    }

    const fn money(&self) -> Money {
        Money::new(self.amount, self.currency)
    }

    /// What is left of it. Before it is charged, that is all of it, as providers tell it.
    fn balance(&self) -> u64 {
        let given_back: u64 = self.cancels.iter().map(|cancel| cancel.amount).sum();
        self.amount - given_back
    }

    fn status(&self) -> PaymentStatus {
        match self.stage {
            Stage::Open | Stage::Confirmed { .. } => PaymentStatus::Pending,
            Stage::Declined => PaymentStatus::Aborted,
            Stage::Expired => PaymentStatus::Expired,
            Stage::Charged { .. } if self.cancels.is_empty() => PaymentStatus::Done,
            Stage::Charged { .. } if self.balance() == 0 => PaymentStatus::Canceled,
            Stage::Charged { .. } => PaymentStatus::PartiallyCanceled,
        }
    }

    /// The payment as the port tells it.
    pub(super) fn to_payment(&self) -> Payment {
        Payment {
            key: self.key.clone(),
            order: self.order.to_string(),
            status: self.status(),
            total: self.money(),
            balance: self.balance(),
            cancels: self.cancels.iter().map(Cancel::to_cancellation).collect(),
            approved_at_ms: match self.stage {
                Stage::Charged { at_ms, .. } => Some(at_ms),
                _ => None,
            },
            method: Some("sandbox".to_owned()),
            receipt_url: None,
            secret: None,
        }
    }
}

impl Cancel {
    fn to_cancellation(&self) -> Cancellation {
        Cancellation {
            amount: self.amount,
            transaction_key: self.transaction_key.clone(),
            reason: self.reason.clone(),
            at_ms: Some(self.at_ms),
        }
    }
}

const DECLINED: Step = Step::Refused("REJECT_CARD_PAYMENT", "The card was declined.");

fn still_checking(left_ms: i64) -> Step {
    let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
    let message = "The sandbox is still checking this payment.";
    Step::Unknown("PROCESSING", message, Some(left))
}
