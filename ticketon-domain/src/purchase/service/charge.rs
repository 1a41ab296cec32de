//! Asking the provider about one payment: to charge it, what became of it, to give it up.
//!
//! What comes of it is a [`Verdict`]. It is final only where the provider says so for good: a repeated answer may be old, and
//! a refusal after a first attempt says nothing about that one.

use std::time::Duration;

use ticketon_queue::UnixMs;

use super::Shared;
use crate::purchase::command::Command;
use crate::purchase::order::Claim;
use crate::purchase::provider::{
    CancelPayment, ConfirmPayment, Payment, PaymentStatus, ProviderError,
};
use crate::purchase::{Changed, OrderRecord, PaymentKey};

/// After so many attempts, a payment that the provider does not know counts as never made.
const UNKNOWN_TO_PROVIDER: u32 = 3;

/// The provider of orders that cost nothing: nobody.
pub(super) const FREE: &str = "free";

const AWAITING_DEPOSIT: &str = "awaitingDeposit";

/// Why an order failed, or its refund waits: its provider knows no such payment.
pub(super) const UNKNOWN_PAYMENT: &str = "unknownPayment";

/// A lease that was taken so short a time ago covers another call as it is, in milliseconds.
const FRESH_MS: i64 = 1_000;

/// What an attempt to be paid showed.
pub(super) enum Verdict {
    /// Charged, or there was nothing to charge.
    Paid {
        approved_at_ms: Option<UnixMs>,
        method: Option<String>,
    },
    /// Nothing was charged, and nothing will be, as far as the provider says.
    Unpaid { code: String, message: String },
    /// Nobody knows.
    Unknown {
        code: String,
        detail: String,
        attend: bool,
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
}

impl Verdict {
    fn paid(payment: Payment) -> Self {
        Self::Paid {
            approved_at_ms: payment.approved_at_ms,
            method: payment.method,
        }
    }

    /// The provider did not say.
    fn doubt(error: &ProviderError) -> Self {
        Self::Unknown {
            code: error.code().to_owned(),
            detail: error.message().to_owned(),
            attend: false,
            retry_after: error.retry_after(),
        }
    }

    /// Is asked again no sooner than that, if it is.
    fn not_before(mut self, wanted: Option<Duration>) -> Self {
        if let Self::Unknown { retry_after, .. } = &mut self {
            *retry_after = wanted.max(*retry_after);
        }
        self
    }
}

impl Shared {
    /// Asks the provider to charge; `None` when the lease has lapsed before.
    pub(super) async fn charge(
        &self,
        record: &OrderRecord,
        claim: &Claim,
        is_first: bool,
    ) -> Option<Verdict> {
        if !record.work.is_leased(self.now_ms()) {
            return None;
        }
        let order = &record.order;
        if order.amount == 0 {
            return Some(Verdict::Paid {
                approved_at_ms: None,
                method: Some(FREE.to_owned()),
            });
        }
        let request = ConfirmPayment {
            key: claim.key.clone(),
            order: order.id,
            amount: order.total(),
            idempotency_key: format!("confirm-{}-{}", order.id, short(&claim.key)),
        };
        let answer = self.provider.confirm(&request).await;
        let is_ours = |payment: &Payment| payment.is_for(&claim.key, &order.id, order.total());
        Some(match answer {
            // The answer to a repetition may be that of the first time, and old: then the payment itself is asked for.
            Ok(payment)
                if is_first && is_ours(&payment) && payment.status == PaymentStatus::Done =>
            {
                Verdict::paid(payment)
            }
            Err(ProviderError::Refused { code, message }) if is_first => {
                Verdict::Unpaid { code, message }
            }
            Err(ProviderError::Refused { code, message }) => {
                self.ask(record, claim, Some((&code, message))).await
            }
            Err(ProviderError::Misconfigured { code, message }) => {
                match self.ask(record, claim, None).await {
                    Verdict::Unknown { .. } => Verdict::Unknown {
                        code,
                        detail: message,
                        attend: true,
                        retry_after: None,
                    },
                    known => known,
                }
            }
            Err(error) => {
                let asked = self.ask(record, claim, None).await;
                asked.not_before(error.retry_after())
            }
            Ok(_) => self.ask(record, claim, None).await,
        })
    }

    /// Keeps an order for another call of the provider in the same attempt, since a lease covers one. Whether it is still
    /// this process's.
    pub(super) async fn hold_on(&self, record: &OrderRecord) -> bool {
        let Some(lease) = record.work.lease else {
            return false;
        };
        let now_ms = self.now_ms();
        if lease.until_ms.saturating_sub(now_ms) > self.lease_ms - FRESH_MS {
            return true;
        }
        let renew = Command::Renew {
            fence: lease.fence,
            lease_ms: self.lease_ms,
        };
        match self.changed(&record.order.id, &renew).await {
            Ok(changed) => matches!(changed, Changed::Done(_)),
            Err(_) => now_ms < lease.until_ms,
        }
    }

    /// Asks the provider what became of a payment. `refused` says that it did not charge when it was last told to.
    async fn ask(
        &self,
        record: &OrderRecord,
        claim: &Claim,
        refused: Option<(&str, String)>,
    ) -> Verdict {
        let order = &record.order;
        self.hold_on(record).await;
        let found = match self.provider.payment(&claim.key).await {
            Ok(found) => found,
            Err(error) => return Verdict::doubt(&error),
        };
        let Some(payment) = found else {
            // Not even a refusal makes that sure at once: whoever is asked with the keys of another shop knows none, either.
            let is_sure = record.work.attempts + 1 >= UNKNOWN_TO_PROVIDER;
            return match is_sure {
                true => Verdict::Unpaid {
                    code: UNKNOWN_PAYMENT.to_owned(),
                    message: "the provider knows no such payment".to_owned(),
                },
                false => unknown(UNKNOWN_PAYMENT, "the provider knows no such payment yet"),
            };
        };
        let refused = refused.map(|(code, message)| Verdict::Unpaid {
            code: code.to_owned(),
            message,
        });
        if !payment.is_for(&claim.key, &order.id, order.total()) {
            // Somebody else's payment: whatever it is, this order was not charged by it.
            return refused.unwrap_or_else(|| Verdict::Unpaid {
                code: "paymentMismatch".to_owned(),
                message: "the payment is for another order or another amount".to_owned(),
            });
        }
        match payment.status {
            PaymentStatus::Done => Verdict::paid(payment),
            PaymentStatus::Canceled => Verdict::Unpaid {
                code: "canceledAtProvider".to_owned(),
                message: "the payment was canceled at the provider".to_owned(),
            },
            PaymentStatus::Aborted | PaymentStatus::Expired => {
                refused.unwrap_or_else(|| Verdict::Unpaid {
                    code: payment.status.as_str().to_owned(),
                    message: "the payment was not made".to_owned(),
                })
            }
            PaymentStatus::AwaitingDeposit => self.call_off(record, claim).await,
            PaymentStatus::PartiallyCanceled => Verdict::Unknown {
                code: "partlyCanceledAtProvider".to_owned(),
                detail:
                    "a part of the payment was given back at the provider before its order was paid"
                        .to_owned(),
                attend: true,
                retry_after: None,
            },
            status => refused
                .unwrap_or_else(|| unknown(status.as_str(), "the provider has not decided yet")),
        }
    }

    /// Gives up a payment that waits for a bank transfer: it would keep seats for days, and the account that its money
    /// could go back to is not known here. Only what the provider has of it afterwards decides.
    async fn call_off(&self, record: &OrderRecord, claim: &Claim) -> Verdict {
        let order = &record.order;
        if !self.hold_on(record).await {
            return unknown(AWAITING_DEPOSIT, "the provider waits for a bank transfer");
        }
        let request = CancelPayment {
            key: claim.key.clone(),
            amount: None,
            reason: "bank transfers are not taken".to_owned(),
            idempotency_key: format!("calloff-{}-{}", order.id, short(&claim.key)),
        };
        let canceled = self.provider.cancel(&request).await;
        self.hold_on(record).await;
        match self.provider.payment(&claim.key).await {
            Ok(Some(payment)) if payment.is_for(&claim.key, &order.id, order.total()) => {
                match payment.status {
                    // The money came first.
                    PaymentStatus::Done => Verdict::paid(payment),
                    PaymentStatus::Canceled | PaymentStatus::Aborted | PaymentStatus::Expired => {
                        Verdict::Unpaid {
                            code: "depositNotTaken".to_owned(),
                            message: "bank transfers are not taken".to_owned(),
                        }
                    }
                    _ => Verdict::Unknown {
                        code: AWAITING_DEPOSIT.to_owned(),
                        detail: match canceled {
                            Ok(_) => "the provider waits for a bank transfer".to_owned(),
                            Err(error) => format!(
                                "the provider waits for a bank transfer and does not give it up: {error}"
                            ),
                        },
                        attend: true,
                        retry_after: None,
                    },
                }
            }
            Ok(_) => unknown(AWAITING_DEPOSIT, "the provider waits for a bank transfer"),
            Err(error) => Verdict::doubt(&error),
        }
    }
}

pub(super) fn unknown(code: &str, detail: &str) -> Verdict {
    Verdict::Unknown {
        code: code.to_owned(),
        detail: detail.to_owned(),
        attend: false,
        retry_after: None,
    }
}

/// A payment's key in few characters that any provider accepts in an idempotency key.
fn short(key: &PaymentKey) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(key.as_str())
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
