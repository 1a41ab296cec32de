//! Payments by Toss Payments: its core API over HTTPS.
//!
//! Every answer is checked to be for what was asked before it is believed, because a reused idempotency key
//! returns another call's answer. A code is terminal only if it is known to be ([`TossCode`]); a time-out, a broken
//! connection, a server's fault and everything unknown mean that the payment has to be looked up.
//! Webhooks are read in [`webhook`] and are hints.
//!
//! Accounts for refunds are not passed on, so virtual accounts that were paid cannot be canceled here:
//! the provider refuses it for good.

mod answer;
mod builder;
mod call;
mod code;
mod error;
pub mod webhook;

use std::fmt;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};

pub use builder::TossPaymentsBuilder;
pub use code::{TossClass, TossCode};
pub use error::TossError;

use crate::event::Money;
use crate::purchase::{
    CancelPayment, CheckoutInfo, ConfirmPayment, OrderId, Payment, PaymentKey, PaymentProvider,
    ProviderError,
};
use call::Caller;

/// The most characters of a cancel's reason.
const MAX_REASON_CHARS: usize = 200;

/// Toss Payments.
///
/// ```
/// use ticketon_domain::adapter::toss::TossPayments;
/// use ticketon_domain::purchase::PaymentProvider;
///
/// let toss = TossPayments::builder("test_sk_of_a_shop").client_key("test_ck_of_a_shop").build()?;
/// assert_eq!(toss.name(), "toss");
/// assert!(!format!("{toss:?}").contains("test_sk"));
/// # Ok::<(), ticketon_queue::ConfigError>(())
/// ```
pub struct TossPayments {
    caller: Caller,
    window: Duration,
    checkout: CheckoutInfo,
}

impl fmt::Debug for TossPayments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TossPayments")
            .field("base_url", &self.caller.base_url().as_str())
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl TossPayments {
    /// Begins with the secret key: `test_sk...`, `live_sk...`, or the payment widget's `test_gsk...`, `live_gsk...`.
    #[must_use]
    pub fn builder(secret_key: impl Into<String>) -> TossPaymentsBuilder {
        TossPaymentsBuilder::new(secret_key.into())
    }

    /// [`PaymentProvider::confirm`], with the provider's own error.
    ///
    /// # Errors
    /// [`TossError`].
    pub async fn try_confirm(&self, request: &ConfirmPayment) -> Result<Payment, TossError> {
        let body = json!({
            "paymentKey": request.key,
            "orderId": request.order,
            "amount": whole(request.amount)?,
        });
        let path = ["v1", "payments", "confirm"];
        let payment = self
            .caller
            .post(&path, &request.idempotency_key, &body)
            .await?;
        if payment.is_for(&request.key, &request.order, request.amount) {
            Ok(payment)
        } else {
            Err(TossError::Mismatch("another payment, order or amount"))
        }
    }

    /// [`PaymentProvider::cancel`], with the provider's own error.
    ///
    /// # Errors
    /// [`TossError`].
    pub async fn try_cancel(&self, request: &CancelPayment) -> Result<Payment, TossError> {
        let reason: String = request.reason.chars().take(MAX_REASON_CHARS).collect();
        let mut body = json!({ "cancelReason": reason });
        if let Some(amount) = request.amount {
            body["cancelAmount"] = Value::from(whole(amount)?);
        }
        let path = ["v1", "payments", segment(&request.key)?, "cancel"];
        let payment = self
            .caller
            .post(&path, &request.idempotency_key, &body)
            .await?;
        if payment.key != request.key {
            return Err(TossError::Mismatch("another payment"));
        }
        let given_back = match request.amount {
            None => payment.balance == 0,
            Some(money) => {
                let asked = |amount: u64| amount == money.amount;
                payment.total.currency == money.currency
                    && payment.cancels.iter().any(|cancel| asked(cancel.amount))
            }
        };
        if given_back {
            Ok(payment)
        } else {
            Err(TossError::Mismatch(
                "another cancel, or one that still runs",
            ))
        }
    }

    /// The payment of this key, with the provider's own error.
    ///
    /// # Errors
    /// [`TossError`].
    pub async fn try_payment(&self, key: &PaymentKey) -> Result<Option<Payment>, TossError> {
        let Ok(segment) = segment(key) else {
            return Ok(None);
        };
        let found = found(self.caller.get(&["v1", "payments", segment]).await)?;
        match found {
            Some(payment) if payment.key != *key => Err(TossError::Mismatch("another payment")),
            found => Ok(found),
        }
    }

    /// The payment of this order, with the provider's own error.
    ///
    /// # Errors
    /// [`TossError`].
    pub async fn try_payment_of(&self, order: &OrderId) -> Result<Option<Payment>, TossError> {
        let order = order.to_string();
        let found = found(self.caller.get(&["v1", "payments", "orders", &order]).await)?;
        match found {
            Some(payment) if payment.order != order => Err(TossError::Mismatch("another order")),
            found => Ok(found),
        }
    }
}

#[async_trait]
impl PaymentProvider for TossPayments {
    fn name(&self) -> &'static str {
        "toss"
    }

    async fn confirm(&self, request: &ConfirmPayment) -> Result<Payment, ProviderError> {
        let began = Instant::now();
        let answer = self.try_confirm(request).await;
        told("confirm", began, &answer);
        answer.map_err(|error| error.of_a_move())
    }

    async fn payment(&self, key: &PaymentKey) -> Result<Option<Payment>, ProviderError> {
        let began = Instant::now();
        let answer = self.try_payment(key).await;
        told("payment", began, &answer);
        answer.map_err(|error| error.of_a_look())
    }

    async fn payment_of(&self, order: &OrderId) -> Result<Option<Payment>, ProviderError> {
        let began = Instant::now();
        let answer = self.try_payment_of(order).await;
        told("payment_of", began, &answer);
        answer.map_err(|error| error.of_a_look())
    }

    async fn cancel(&self, request: &CancelPayment) -> Result<Payment, ProviderError> {
        let began = Instant::now();
        let answer = self.try_cancel(request).await;
        told("cancel", began, &answer);
        answer.map_err(|error| error.of_a_move())
    }

    fn accepts(&self, amount: Money) -> Result<(), String> {
        whole(amount).map(drop).map_err(|error| error.to_string())
    }

    fn window(&self) -> Duration {
        self.window
    }

    fn checkout(&self) -> CheckoutInfo {
        self.checkout.clone()
    }
}

/// The amount as this provider writes it.
fn whole(money: Money) -> Result<u64, TossError> {
    if money.currency.decimals() == 0 {
        Ok(money.amount)
    } else {
        Err(TossError::NotSent(
            "only currencies without a minor unit are paid here",
        ))
    }
}

/// A key as a segment of a path; what would lead elsewhere is nobody's.
fn segment(key: &PaymentKey) -> Result<&str, TossError> {
    match key.as_str() {
        "." | ".." | "confirm" | "orders" | "key-in" => Err(TossError::Answered {
            status: 404,
            code: TossCode::NotFoundPayment,
            message: "no payment has such a key".to_owned(),
            retry_after: None,
        }),
        key => Ok(key),
    }
}

/// That there is none is an answer too.
fn found(answer: Result<Payment, TossError>) -> Result<Option<Payment>, TossError> {
    match answer {
        Ok(payment) => Ok(Some(payment)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Counts a call, and logs it when it did not go well.
fn told<T>(verb: &'static str, began: Instant, answer: &Result<T, TossError>) {
    let outcome = match answer {
        Ok(_) => "answered",
        Err(error) => match error.class() {
            TossClass::Declined => "refused",
            TossClass::Ask => "unknown",
            TossClass::Misconfigured => "misconfigured",
        },
    };
    metrics::histogram!("ticketon_provider_seconds", "provider" => "toss", "verb" => verb, "outcome" => outcome)
        .record(began.elapsed());
    match answer {
        Ok(_) => {}
        Err(error) if error.class() == TossClass::Misconfigured => {
            tracing::error!(target: "ticketon::payments", verb, %error, "Toss Payments does not accept our calls");
        }
        Err(error) => {
            tracing::warn!(target: "ticketon::payments", verb, outcome, %error, "Toss Payments");
        }
    }
}
