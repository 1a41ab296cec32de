//! The provider of the sale: the sandbox, far away. Calls take time, and for some seconds nobody answers.
//!
//! While it is down half of the calls still arrive: then only their answer is lost, which is the hard half.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ticketon_domain::adapter::sandbox::{Opened, PAYABLE_FOR, Sandbox, SandboxOutcome};
use ticketon_domain::event::{Currency, Money};
use ticketon_domain::purchase::{
    CancelPayment, CheckoutInfo, ConfirmPayment, OrderId, Payment, PaymentKey, PaymentProvider,
    ProviderError,
};
use ticketon_queue::{Clock, SystemClock, UnixMs};

use super::dice::Dice;
use super::plan::Sabotage;

/// How late a delayed payment is charged.
const DELAY: Duration = Duration::from_millis(800);
/// After this a payment that was confirmed is decided: the delay, a call, and a margin.
const WINDOW: Duration = Duration::from_millis(2_000);
/// How long a call waits for an answer that does not come.
const PATIENCE_MS: u64 = 250;

/// The provider's clock. A sale takes minutes; that an open payment runs out takes longer.
#[derive(Debug, Clone, Default)]
struct Ahead(Arc<AtomicI64>);

#[async_trait]
impl Clock for Ahead {
    fn now_ms(&self) -> UnixMs {
        SystemClock.now_ms() + self.0.load(Ordering::Acquire)
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

#[derive(Debug, Clone)]
pub(super) struct Acquirer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sandbox: Sandbox,
    clock: Ahead,
    down: AtomicBool,
    calls: AtomicU64,
    seed: u64,
    sabotage: Sabotage,
}

impl Acquirer {
    pub(super) fn new(seed: u64, sabotage: Sabotage) -> Self {
        let clock = Ahead::default();
        Self(Arc::new(Inner {
            sandbox: Sandbox::new().delay(DELAY).clock(Arc::new(clock.clone())),
            clock,
            down: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            seed,
            sabotage,
        }))
    }

    pub(super) fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::Release);
    }

    /// Lets the time run out in which a payment that nobody confirmed may still be.
    pub(super) fn run_out(&self) {
        let ms = i64::try_from(PAYABLE_FOR.as_millis()).unwrap_or(i64::MAX) + 1_000;
        self.0.clock.0.store(ms, Ordering::Release);
    }

    /// What a buyer does on the provider's page.
    pub(super) async fn open(
        &self,
        order: &OrderId,
        amount: u64,
        outcome: SandboxOutcome,
    ) -> Option<PaymentKey> {
        let amount = Money::new(amount, Currency::KRW);
        match self.0.sandbox.open(order, amount, outcome).await {
            Ok(Opened::Payment(key)) => Some(key),
            _ => None,
        }
    }

    /// What the provider itself has of a payment, whether it answers or not.
    pub(super) async fn ledger(&self, key: &PaymentKey) -> Option<Payment> {
        self.0.sandbox.payment(key).await.ok().flatten()
    }

    /// What the provider itself has of an order: of several payments the one that was confirmed last.
    pub(super) async fn ledger_of(&self, order: &OrderId) -> Option<Payment> {
        self.0.sandbox.payment_of(order).await.ok().flatten()
    }

    /// The way there; whether the call arrives, and whether its answer does.
    async fn way(&self) -> (bool, bool) {
        let number = self.0.calls.fetch_add(1, Ordering::Relaxed);
        let mut dice = Dice::of(self.0.seed ^ 0xacc, number);
        if self.0.down.load(Ordering::Acquire) {
            SystemClock.sleep(Duration::from_millis(PATIENCE_MS)).await;
            return (dice.per_mille(500), false);
        }
        // Most answers take some milliseconds, a few take long.
        let slow = if dice.per_mille(20) { 80 } else { 0 };
        SystemClock
            .sleep(Duration::from_millis(dice.between(2, 12) + slow))
            .await;
        (true, true)
    }

    async fn charge_again(&self, request: &ConfirmPayment) {
        if !request.order.as_bytes()[15].is_multiple_of(16) {
            return;
        }
        let sandbox = &self.0.sandbox;
        let opened = sandbox
            .open(&request.order, request.amount, SandboxOutcome::Approve)
            .await;
        if let Ok(Opened::Payment(key)) = opened {
            let again = ConfirmPayment {
                key,
                ..request.clone()
            };
            drop(sandbox.confirm(&again).await);
        }
    }
}

fn silence() -> ProviderError {
    ProviderError::Unknown {
        code: "NO_ANSWER".to_owned(),
        message: "the provider does not answer".to_owned(),
        retry_after: None,
        kept: false,
    }
}

#[async_trait]
impl PaymentProvider for Acquirer {
    fn name(&self) -> &'static str {
        self.0.sandbox.name()
    }

    async fn confirm(&self, request: &ConfirmPayment) -> Result<Payment, ProviderError> {
        let (arrives, answered) = self.way().await;
        if !arrives {
            return Err(silence());
        }
        let done = self.0.sandbox.confirm(request).await;
        if self.0.sabotage == Sabotage::ChargeTwice {
            self.charge_again(request).await;
        }
        if answered { done } else { Err(silence()) }
    }

    async fn payment(&self, key: &PaymentKey) -> Result<Option<Payment>, ProviderError> {
        match self.way().await {
            (true, true) => self.0.sandbox.payment(key).await,
            _ => Err(silence()),
        }
    }

    async fn payment_of(&self, order: &OrderId) -> Result<Option<Payment>, ProviderError> {
        match self.way().await {
            (true, true) => self.0.sandbox.payment_of(order).await,
            _ => Err(silence()),
        }
    }

    async fn cancel(&self, request: &CancelPayment) -> Result<Payment, ProviderError> {
        let (arrives, answered) = self.way().await;
        if !arrives {
            return Err(silence());
        }
        let done = self.0.sandbox.cancel(request).await;
        if answered { done } else { Err(silence()) }
    }

    fn window(&self) -> Duration {
        WINDOW
    }

    fn checkout(&self) -> CheckoutInfo {
        self.0.sandbox.checkout()
    }
}
