//! A payment provider without money: the embedded default, for demonstrations, development and tests.
//!
//! A buyer chooses on a page of ours what the payment comes to: approved, declined, charged some seconds late, or
//! charged with its answer lost. What was charged and given back is kept in a [`SandboxBook`], so that it
//! survives a restart as a real provider's does.

mod book;
#[cfg(feature = "page")]
mod http;
mod payment;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ticketon_queue::id::random_bytes;
use ticketon_queue::{Clock, StoreError, SystemClock};

pub use book::{MAX_PAYMENTS_OF_ORDER, SandboxBook};
#[cfg(feature = "page")]
pub use http::{SANDBOX_ROUTES, SandboxHttp, TOO_MANY_PAYMENTS};
use payment::Step;
pub use payment::{PAYABLE_FOR, SandboxOutcome, SandboxPayment};

use super::memory::MemorySandboxBook;
use crate::event::Money;
use crate::purchase::{
    CancelPayment, CheckoutInfo, ConfirmPayment, OrderId, Payment, PaymentKey, PaymentProvider,
    ProviderError,
};

/// Its name in orders and on the wire.
pub const NAME: &str = "sandbox";
/// Where its page is, unless the host says otherwise.
pub const PAY_URL: &str = "/sandbox/pay";
/// How late [`SandboxOutcome::Delay`] charges, unless the host says otherwise.
pub const DELAY: Duration = Duration::from_secs(5);
/// How long a call may take beyond that.
const CALL: Duration = Duration::from_secs(5);
/// How often a change is tried anew that somebody else's came before.
const MAX_ROUNDS: usize = 32;

/// Whether a payment could be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It is open: the order may be confirmed with this key.
    Payment(PaymentKey),
    /// The order has as many payments as it may.
    TooMany,
}

/// A [`PaymentProvider`] that moves no money.
///
/// ```
/// use ticketon_domain::adapter::sandbox::{Opened, Sandbox, SandboxOutcome};
/// use ticketon_domain::event::{Currency, Money};
/// use ticketon_domain::purchase::{ConfirmPayment, OrderId, PaymentProvider, PaymentStatus};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sandbox = Sandbox::new();
/// let (order, amount) = (OrderId::random(0), Money::new(143_000, Currency::KRW));
/// let Opened::Payment(key) = sandbox.open(&order, amount, SandboxOutcome::Approve).await? else {
///     return Ok(());
/// };
/// let idempotency_key = "confirm-1".to_owned();
/// let paid = sandbox.confirm(&ConfirmPayment { key, order, amount, idempotency_key }).await?;
/// assert_eq!(paid.status, PaymentStatus::Done);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Sandbox {
    book: Arc<dyn SandboxBook>,
    clock: Arc<dyn Clock>,
    delay: Duration,
    pay_url: String,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// A sandbox that keeps its payments in this process's memory.
    #[must_use]
    pub fn new() -> Self {
        Self::with_book(MemorySandboxBook::new())
    }

    /// A sandbox that keeps its payments in this book.
    #[must_use]
    pub fn with_book(book: impl SandboxBook) -> Self {
        Self {
            book: Arc::new(book),
            clock: Arc::new(SystemClock),
            delay: DELAY,
            pay_url: PAY_URL.to_owned(),
        }
    }

    /// The same on another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How late [`SandboxOutcome::Delay`] charges.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Where the host serves the page of [`SandboxHttp`](https://docs.rs/ticketon-domain), `/sandbox/pay` by itself.
    #[must_use]
    pub fn pay_url(mut self, path: impl Into<String>) -> Self {
        self.pay_url = path.into();
        self
    }

    /// Opens a payment for an order: what a buyer does at a provider before the order is confirmed.
    ///
    /// # Errors
    /// When the book failed.
    pub async fn open(
        &self,
        order: &OrderId,
        amount: Money,
        outcome: SandboxOutcome,
    ) -> Result<Opened, StoreError> {
        if self.book.of_order(order).await?.len() >= MAX_PAYMENTS_OF_ORDER {
            return Ok(Opened::TooMany);
        }
        for _ in 0..MAX_ROUNDS {
            let payment =
                SandboxPayment::open(new_key(), *order, amount, outcome, self.clock.now_ms());
            if self.book.save(None, &payment).await? {
                return Ok(Opened::Payment(payment.key().clone()));
            }
        }
        Err(busy())
    }

    /// Loads a payment, lets time and `act` work on it, and saves what came of it; `None` when there is no such payment.
    async fn with<T>(
        &self,
        key: &PaymentKey,
        act: impl Fn(&mut SandboxPayment, i64) -> T + Send + Sync,
    ) -> Result<Option<(T, SandboxPayment)>, StoreError> {
        for _ in 0..MAX_ROUNDS {
            let Some(stored) = self.book.load(key).await? else {
                return Ok(None);
            };
            let now_ms = self.clock.now_ms();
            let mut payment = stored.clone();
            payment.settle(now_ms);
            let answer = act(&mut payment, now_ms);
            if payment == stored || self.book.save(Some(&stored), &payment).await? {
                return Ok(Some((answer, payment)));
            }
        }
        Err(busy())
    }
}

/// Others changed the same payment again and again.
fn busy() -> StoreError {
    StoreError::Busy {
        waiting: MAX_ROUNDS,
        limit: MAX_ROUNDS,
    }
}

fn new_key() -> PaymentKey {
    let digits: String = random_bytes::<16>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    PaymentKey::new(format!("sandbox_{digits}"))
        .unwrap_or_else(|_| unreachable!("its letters and its length are good"))
}

/// A book that does not answer may have written the change down, or not.
fn unknown(error: &StoreError) -> ProviderError {
    ProviderError::Unknown {
        code: "BOOK_UNAVAILABLE".to_owned(),
        message: error.to_string(),
        retry_after: Some(Duration::from_secs(1)),
        kept: false,
    }
}

/// What a step came to, as the port tells it.
fn told(step: Step, payment: &SandboxPayment) -> Result<Payment, ProviderError> {
    match step {
        Step::Done => Ok(payment.to_payment()),
        Step::Refused(code, message) => Err(ProviderError::Refused {
            code: code.to_owned(),
            message: message.to_owned(),
        }),
        Step::Unknown(code, message, retry_after) => Err(ProviderError::Unknown {
            code: code.to_owned(),
            message: message.to_owned(),
            retry_after,
            kept: false,
        }),
    }
}

const NOT_FOUND: Step = Step::Refused("NOT_FOUND_PAYMENT", "The sandbox has no such payment.");

#[async_trait]
impl PaymentProvider for Sandbox {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn confirm(&self, request: &ConfirmPayment) -> Result<Payment, ProviderError> {
        let delay_ms = i64::try_from(self.delay.as_millis()).unwrap_or(i64::MAX);
        let done = self
            .with(&request.key, |payment, now_ms| {
                payment.confirm(request, delay_ms, now_ms)
            })
            .await
            .map_err(|error| unknown(&error))?;
        match done {
            Some((step, payment)) => told(step, &payment),
            None => Err(refused(NOT_FOUND)),
        }
    }

    async fn payment(&self, key: &PaymentKey) -> Result<Option<Payment>, ProviderError> {
        let found = self.with(key, |_, _| ()).await;
        let found = found.map_err(|error| unknown(&error))?;
        Ok(found.map(|((), payment)| payment.to_payment()))
    }

    async fn payment_of(&self, order: &OrderId) -> Result<Option<Payment>, ProviderError> {
        let payments = self.book.of_order(order).await;
        let payments = payments.map_err(|error| unknown(&error))?;
        // A buyer may have begun to pay more than once; what counts is what was confirmed, and then the last.
        let chosen = payments
            .iter()
            .max_by_key(|payment| (payment.is_confirmed(), payment.opened_at_ms()));
        match chosen {
            Some(payment) => self.payment(payment.key()).await,
            None => Ok(None),
        }
    }

    async fn cancel(&self, request: &CancelPayment) -> Result<Payment, ProviderError> {
        let done = self
            .with(&request.key, |payment, now_ms| {
                payment.cancel(request, now_ms)
            })
            .await
            .map_err(|error| unknown(&error))?;
        match done {
            Some((step, payment)) => told(step, &payment),
            None => Err(refused(NOT_FOUND)),
        }
    }

    fn window(&self) -> Duration {
        self.delay + CALL
    }

    fn checkout(&self) -> CheckoutInfo {
        CheckoutInfo::new(NAME, None, Some(self.pay_url.clone()))
    }
}

fn refused(step: Step) -> ProviderError {
    match step {
        Step::Refused(code, message) => ProviderError::Refused {
            code: code.to_owned(),
            message: message.to_owned(),
        },
        _ => unreachable!("only refusals come here"),
    }
}
