//! Giving money back: one cancel of a payment at a time, each verified by what is left of the payment.

use std::time::Duration;

use ticketon_queue::UserId;

use super::charge::UNKNOWN_PAYMENT;
use super::confirm::OTHER_PROVIDER;
use super::{OrderView, PurchaseError, Purchases, Shared};
use crate::event::Money;
use crate::purchase::command::{Command, Refused};
use crate::purchase::order::{Claim, Refund};
use crate::purchase::provider::{CancelPayment, Payment, ProviderError};
use crate::purchase::{Changed, OrderId, OrderRecord, TicketId};

/// The most characters of a reason.
const MAX_REASON_CHARS: usize = 200;

/// So often a refund is asked for under the same key when the provider answers what says nothing, and keeps answering so.
/// Each time the payment is looked at before and after, and has all its money: then another key is no second refund.
const SAME_KEY: u32 = 2;

/// What an attempt to give money back showed.
enum Verdict {
    /// It was given back.
    Done {
        transaction_key: String,
        /// How much more than this refund is gone from the payment, in minor units.
        missing: u64,
    },
    /// It was not, and will not be.
    Refused { code: String, message: String },
    /// It was not this time, or nobody knows.
    Later {
        code: String,
        detail: String,
        attend: bool,
        new_key: bool,
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
}

impl Purchases {
    /// Gives tickets back, all that are good when none are named. The tickets are void at once; the money follows, in
    /// most cases before this returns. A ticket that was used cannot be given back.
    ///
    /// # Errors
    /// [`PurchaseError::UnknownOrder`], [`PurchaseError::State`], [`PurchaseError::Ticket`],
    /// [`PurchaseError::NothingToRefund`], or a store failed.
    pub async fn refund(
        &self,
        user: &UserId,
        order: &OrderId,
        tickets: &[TicketId],
        reason: &str,
    ) -> Result<OrderView, PurchaseError> {
        let shared = &self.0.shared;
        let record = shared
            .refund(Some(user), order, tickets, reason, None)
            .await?;
        Ok(shared.view(&record))
    }

    /// As [`refund`](Self::refund), under a name that the caller gives to what they ask, like an idempotency key. Asked
    /// again under the same name nothing more is given back, whatever became of the first: the order as it is now is the
    /// answer.
    ///
    /// # Errors
    /// Like [`refund`](Self::refund).
    pub async fn refund_once(
        &self,
        user: &UserId,
        order: &OrderId,
        tickets: &[TicketId],
        reason: &str,
        name: &str,
    ) -> Result<OrderView, PurchaseError> {
        let shared = &self.0.shared;
        let record = shared
            .refund(Some(user), order, tickets, reason, Some(name))
            .await?;
        Ok(shared.view(&record))
    }
}

impl Shared {
    /// Asks for a refund, and gives the money back now if nobody else works on the order.
    pub(super) async fn refund(
        &self,
        user: Option<&UserId>,
        order: &OrderId,
        tickets: &[TicketId],
        reason: &str,
        request: Option<&str>,
    ) -> Result<OrderRecord, PurchaseError> {
        let reason: String = reason.chars().take(MAX_REASON_CHARS).collect();
        let command = Command::Refund {
            user: user.cloned(),
            tickets: tickets.to_vec(),
            reason,
            request: request.map(str::to_owned),
        };
        let record = match self.changed(order, &command).await? {
            Changed::Done(record) => *record,
            // What came of it is the answer.
            Changed::Refused(Refused::Asked, record) => return Ok(*record),
            Changed::Refused(refused, _) => return Err(refused.into()),
            _ => return Err(PurchaseError::UnknownOrder),
        };
        // It is written down: what fails from here on is the worker's to do again.
        match self.give_back_now(order).await {
            Ok(Some(done)) => Ok(done),
            Ok(None) => Ok(record),
            Err(error) => {
                tracing::info!(target: "ticketon::purchase", %order, %error, "the money is given back later");
                Ok(record)
            }
        }
    }

    /// Gives money back if nobody else works on the order; `None` if somebody does.
    async fn give_back_now(&self, order: &OrderId) -> Result<Option<OrderRecord>, PurchaseError> {
        let take_up = Command::TakeUp {
            lease_ms: self.lease_ms,
        };
        Ok(match self.changed(order, &take_up).await? {
            Changed::Done(record) => Some(self.give_back(*record).await?),
            Changed::Refused(_, record) => Some(*record),
            _ => None,
        })
    }

    /// Gives back what the oldest open refund asks for, under the lease that was just taken.
    pub(super) async fn give_back(
        &self,
        record: OrderRecord,
    ) -> Result<OrderRecord, PurchaseError> {
        let open = record.order.open_refunds().next().cloned();
        let (Some(refund), Some(claim)) = (open, record.order.payment.clone()) else {
            return Ok(record);
        };
        let verdict = match self.cancel_payment(&record, &claim, &refund).await {
            Some(verdict) => verdict,
            // The lease has lapsed: whoever has it now decides.
            None => return Ok(self.store.order(&record.order.id).await?.unwrap_or(record)),
        };
        let fence = record.work.fence;
        let mut gone = 0;
        let command = match verdict {
            Verdict::Done {
                transaction_key,
                missing,
            } => {
                gone = missing;
                Command::Refunded {
                    fence,
                    refund: refund.id,
                    transaction_key,
                }
            }
            Verdict::Refused { code, message } => Command::RefundRefused {
                fence,
                refund: refund.id,
                code,
                message,
            },
            Verdict::Later {
                code,
                detail,
                attend,
                new_key,
                retry_after,
            } => {
                tracing::warn!(target: "ticketon::purchase", order = %record.order.id, code, detail, "a refund is not done yet");
                Command::PutOff {
                    fence,
                    next_ms: self.now_ms() + record.work.pause_ms(retry_after),
                    code,
                    detail,
                    attend,
                    new_key,
                }
            }
        };
        match self.changed(&record.order.id, &command).await? {
            Changed::Done(record) if gone > 0 && record.order.has_good_tickets() => {
                let attend = refunded_elsewhere(gone);
                match self.changed(&record.order.id, &attend).await? {
                    Changed::Done(attended) => Ok(*attended),
                    _ => Ok(*record),
                }
            }
            // Whoever took the order up meanwhile decides.
            Changed::Done(record) | Changed::Refused(_, record) => Ok(*record),
            _ => Ok(record),
        }
    }

    async fn cancel_payment(
        &self,
        record: &OrderRecord,
        claim: &Claim,
        refund: &Refund,
    ) -> Option<Verdict> {
        let order = &record.order;
        if refund.amount == 0 {
            // What cost nothing: the provider has nothing to move.
            return Some(Verdict::Done {
                transaction_key: String::new(),
                missing: 0,
            });
        }
        if let Some(detail) = self.is_elsewhere(claim) {
            return Some(Verdict::Later {
                code: OTHER_PROVIDER.to_owned(),
                detail,
                attend: true,
                new_key: false,
                retry_after: None,
            });
        }
        let before = record.balance();
        let after = before.saturating_sub(refund.amount);
        // An attempt before this one may have gone through, or an operator has given the money back at the provider.
        match self.left(claim, before, after).await {
            Left::Before => {}
            Left::Done(verdict) | Left::Odd(verdict) => return Some(verdict),
        }
        if !self.hold_on(record).await {
            return None;
        }
        let reason = record
            .reasons
            .iter()
            .find(|(id, _)| *id == refund.id)
            .map(|(_, reason)| reason.trim());
        let is_all = refund.amount == order.amount;
        let request = CancelPayment {
            key: claim.key.clone(),
            // Some ways to pay can only be given back as a whole, which is asked for without an amount.
            amount: (!is_all).then(|| Money::new(refund.amount, order.currency)),
            reason: reason
                .filter(|reason| !reason.is_empty())
                .unwrap_or("refund")
                .to_owned(),
            idempotency_key: format!("refund-{}-{}", refund.id, record.work.cancel_key),
        };
        let error = match self.provider.cancel(&request).await {
            Ok(payment) => match judge(&payment, before, after) {
                Left::Done(verdict) | Left::Odd(verdict) => return Some(verdict),
                Left::Before => {
                    return Some(later(
                        "notCanceled",
                        "the provider says done, but the balance is the same",
                    ));
                }
            },
            Err(error) => error,
        };
        // What the provider has of the payment decides, whatever it answered to the call.
        self.hold_on(record).await;
        Some(match self.left(claim, before, after).await {
            Left::Done(verdict) | Left::Odd(verdict) => verdict,
            Left::Before => match error {
                ProviderError::Refused { code, message } => Verdict::Refused { code, message },
                ProviderError::NotNow { code, message } => Verdict::Later {
                    code,
                    detail: message,
                    attend: false,
                    new_key: true,
                    retry_after: None,
                },
                ProviderError::Misconfigured { code, message } => Verdict::Later {
                    code,
                    detail: message,
                    attend: true,
                    new_key: false,
                    retry_after: None,
                },
                ProviderError::Unknown {
                    code,
                    message,
                    kept,
                    retry_after,
                } => Verdict::Later {
                    code,
                    detail: message,
                    attend: false,
                    new_key: kept && record.work.attempts >= SAME_KEY,
                    retry_after,
                },
            },
        })
    }

    /// What is left of a payment.
    async fn left(&self, claim: &Claim, before: u64, after: u64) -> Left {
        match self.provider.payment(&claim.key).await {
            Ok(Some(payment)) => judge(&payment, before, after),
            Ok(None) => Left::Odd(Verdict::Later {
                code: UNKNOWN_PAYMENT.to_owned(),
                detail: "the provider knows no such payment any more".to_owned(),
                attend: true,
                new_key: false,
                retry_after: None,
            }),
            Err(error) => Left::Odd(Verdict::Later {
                code: error.code().to_owned(),
                detail: error.message().to_owned(),
                attend: false,
                new_key: false,
                retry_after: error.retry_after(),
            }),
        }
    }
}

/// What a payment's balance says of a refund.
enum Left {
    /// It was not done.
    Before,
    /// The refund was done.
    Done(Verdict),
    /// Something else, or nobody knows.
    Odd(Verdict),
}

/// Tells an operator of money that was given back elsewhere, while tickets for it are good.
pub(super) fn refunded_elsewhere(missing: u64) -> Command {
    Command::Attend {
        code: "refundedElsewhere".to_owned(),
        detail: format!(
            "{missing} more of the payment were given back, elsewhere, than this order's refunds tell of: tickets are still good for money that is gone"
        ),
    }
}

fn judge(payment: &Payment, before: u64, after: u64) -> Left {
    let canceled: u64 = payment.cancels.iter().map(|cancel| cancel.amount).sum();
    let adds_up = payment.total.amount.checked_sub(canceled) == Some(payment.balance);
    // Less may be left when somebody else gave money back too, as an operator does at the provider: this refund is paid
    // all the same, and would wait for ever otherwise.
    if payment.balance <= after && adds_up {
        let last = payment.cancels.last();
        let transaction_key = last
            .map(|cancel| cancel.transaction_key.clone())
            .unwrap_or_default();
        return Left::Done(Verdict::Done {
            transaction_key,
            missing: after - payment.balance,
        });
    }
    // Whatever somebody else gave back: with this refund, less would be left.
    let is_left = payment.balance == before || (payment.balance < before && adds_up);
    if is_left && payment.balance > after && payment.status.is_charged() {
        return Left::Before;
    }
    Left::Odd(Verdict::Later {
        code: "balanceMismatch".to_owned(),
        detail: format!(
            "of the payment {} are left, in state {}; {before} were expected before this refund and {after} after it",
            payment.balance,
            payment.status.as_str()
        ),
        attend: true,
        new_key: false,
        retry_after: None,
    })
}

fn later(code: &str, detail: &str) -> Verdict {
    Verdict::Later {
        code: code.to_owned(),
        detail: detail.to_owned(),
        attend: false,
        new_key: false,
        retry_after: None,
    }
}
