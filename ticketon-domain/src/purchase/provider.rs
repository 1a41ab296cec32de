//! The payment provider port: who takes the money and gives it back.
//!
//! A provider's answer may be lost after it charged, so the port tells three things apart: done, refused
//! for good, and unknown. Unknown is never failure: whoever gets it asks again by
//! [`payment`](PaymentProvider::payment). Each call that moves money carries an idempotency key that is
//! the same in every attempt.

use std::time::Duration;

use async_trait::async_trait;
use ticketon_queue::UnixMs;

use super::{OrderId, PaymentKey};
use crate::event::Money;

/// Asks that a payment which the buyer has authorized be charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmPayment {
    /// The payment.
    pub key: PaymentKey,
    /// What it is for.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
    /// The same in every attempt; 1 to 200 visible ASCII characters.
    pub idempotency_key: String,
}

/// Asks that money be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelPayment {
    /// The payment.
    pub key: PaymentKey,
    /// How much; `None` is all that is left.
    pub amount: Option<Money>,
    /// Why, 1 to 200 characters.
    pub reason: String,
    /// The same in every attempt; 1 to 200 visible ASCII characters.
    pub idempotency_key: String,
}

/// What a provider says that a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PaymentStatus {
    /// Not charged; it may still be.
    Pending,
    /// Waits for a bank transfer of the buyer; not charged; it may still be.
    AwaitingDeposit,
    /// Charged.
    Done,
    /// Charged, and some given back.
    PartiallyCanceled,
    /// Charged, and all given back.
    Canceled,
    /// Refused; it was not and will not be charged.
    Aborted,
    /// Its time ran out; it was not and will not be charged.
    Expired,
    /// A state that this version of the client does not know.
    Unknown,
}

impl PaymentStatus {
    /// Its name on the wire and in stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::AwaitingDeposit => "awaitingDeposit",
            Self::Done => "done",
            Self::PartiallyCanceled => "partiallyCanceled",
            Self::Canceled => "canceled",
            Self::Aborted => "aborted",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the buyer's money is here, some of it given back or none.
    #[must_use]
    pub const fn is_charged(self) -> bool {
        matches!(self, Self::Done | Self::PartiallyCanceled)
    }

    /// Whether it says for good that nothing was charged and nothing will be.
    #[must_use]
    pub const fn is_dead(self) -> bool {
        matches!(self, Self::Aborted | Self::Expired)
    }
}

/// A part of a payment that was given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// How much, in minor units.
    pub amount: u64,
    /// The provider's name of this movement.
    pub transaction_key: String,
    /// The reason that was given.
    pub reason: String,
    /// When.
    pub at_ms: Option<UnixMs>,
}

/// A payment as its provider tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its key.
    pub key: PaymentKey,
    /// The order that the provider has for it, as it wrote it.
    pub order: String,
    /// What it is.
    pub status: PaymentStatus,
    /// How much it was for; never changes.
    pub total: Money,
    /// How much of it is left, in minor units.
    pub balance: u64,
    /// What was given back, the oldest first.
    pub cancels: Vec<Cancellation>,
    /// When it was charged.
    pub approved_at_ms: Option<UnixMs>,
    /// How it was paid, for people.
    pub method: Option<String>,
    /// Where the buyer sees the provider's receipt.
    pub receipt_url: Option<String>,
    /// What deposit callbacks prove themselves with.
    pub secret: Option<String>,
}

impl Payment {
    /// Whether it is the payment that was asked for: its key, order and amount.
    #[must_use]
    pub fn is_for(&self, key: &PaymentKey, order: &OrderId, amount: Money) -> bool {
        self.key == *key && self.order == order.to_string() && self.total == amount
    }
}

/// Why a provider did not say that it is done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// The provider refused for good: this call moved no money, and no repetition of it will.
    #[error("refused by the provider: {code}: {message}")]
    Refused {
        /// The provider's code.
        code: String,
        /// The provider's message, for people.
        message: String,
    },
    /// Nobody knows yet whether money moved: ask.
    #[error("the provider's answer is unknown: {code}: {message}")]
    Unknown {
        /// The provider's code, or what broke off.
        code: String,
        /// What happened, without secrets.
        message: String,
        /// When asking again makes sense.
        retry_after: Option<Duration>,
        /// Whether the provider keeps this answer for the idempotency key: a repetition brings the same one, and nothing is
        /// under way any more.
        kept: bool,
    },
    /// The provider did not do it, for good under this idempotency key only: under another it may be asked again.
    #[error("not now, says the provider: {code}: {message}")]
    NotNow {
        /// The provider's code.
        code: String,
        /// The provider's message, for people.
        message: String,
    },
    /// The provider does not accept who we are or how we ask; this call moved no money. An operator must mend it.
    #[error("the provider does not accept our calls: {code}: {message}")]
    Misconfigured {
        /// The provider's code.
        code: String,
        /// What is wrong, without secrets.
        message: String,
    },
}

impl ProviderError {
    /// The provider's code.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. }
            | Self::NotNow { code, .. }
            | Self::Unknown { code, .. }
            | Self::Misconfigured { code, .. } => code,
        }
    }

    /// What happened, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Refused { message, .. }
            | Self::NotNow { message, .. }
            | Self::Unknown { message, .. }
            | Self::Misconfigured { message, .. } => message,
        }
    }

    /// When asking again makes sense, where the provider said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unknown { retry_after, .. } => *retry_after,
            Self::Refused { .. } | Self::NotNow { .. } | Self::Misconfigured { .. } => None,
        }
    }
}

/// Where and with what a browser pays.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CheckoutInfo {
    /// The provider's name, which the checkout page knows a way to pay for.
    pub provider: &'static str,
    /// The public key of the provider's browser library, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<String>,
    /// A page of ours to pay on, if the provider has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pay_url: Option<String>,
}

impl CheckoutInfo {
    /// A way to pay.
    #[must_use]
    pub fn new(
        provider: &'static str,
        client_key: Option<String>,
        pay_url: Option<String>,
    ) -> Self {
        Self {
            provider,
            client_key,
            pay_url,
        }
    }
}

/// Who takes the money.
#[async_trait]
pub trait PaymentProvider: Send + Sync + std::fmt::Debug + 'static {
    /// Its name in orders, metrics and logs.
    fn name(&self) -> &'static str;

    /// Charges a payment that the buyer has authorized. An answer says [`PaymentStatus::Done`], or what else it is.
    ///
    /// # Errors
    /// [`ProviderError`]: refused, unknown, or misconfigured.
    async fn confirm(&self, request: &ConfirmPayment) -> Result<Payment, ProviderError>;

    /// What a payment is; `None` when the provider knows none of this key.
    ///
    /// # Errors
    /// [`ProviderError`], never `Refused`.
    async fn payment(&self, key: &PaymentKey) -> Result<Option<Payment>, ProviderError>;

    /// The payment of an order; `None` when the provider knows none.
    ///
    /// # Errors
    /// [`ProviderError`], never `Refused`.
    async fn payment_of(&self, order: &OrderId) -> Result<Option<Payment>, ProviderError>;

    /// Gives money back. Calls for one payment come one at a time and over a second apart.
    ///
    /// # Errors
    /// [`ProviderError`]: refused, unknown, or misconfigured.
    async fn cancel(&self, request: &CancelPayment) -> Result<Payment, ProviderError>;

    /// Whether it takes such an amount at all: an order that could never be paid is not made.
    ///
    /// # Errors
    /// Why not, for people.
    fn accepts(&self, amount: Money) -> Result<(), String> {
        let _ = amount;
        Ok(())
    }

    /// How long after a confirm began the payment may still become charged.
    fn window(&self) -> Duration;

    /// How a browser pays with it.
    fn checkout(&self) -> CheckoutInfo;
}
