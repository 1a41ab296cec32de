//! A payment provider behind a gate: as long as a file is there, nobody gets through to charge or to give back. So a
//! test sees what happens while a payment takes its time.

use std::path::PathBuf;
use std::time::Duration;

use ticketon_domain::adapter::sandbox::Sandbox;
use ticketon_domain::purchase::{
    CancelPayment, CheckoutInfo, ConfirmPayment, OrderId, Payment, PaymentKey, PaymentProvider,
    ProviderError,
};
use ticketon_queue::{Clock as _, SystemClock};

/// The sandbox behind the gate.
#[derive(Debug)]
pub(crate) struct Gated {
    pub(crate) sandbox: Sandbox,
    /// Closed while this file is there; always open without one.
    pub(crate) gate: Option<PathBuf>,
}

impl Gated {
    async fn opened(&self) {
        let is_closed = || self.gate.as_ref().is_some_and(|file| file.exists());
        while is_closed() {
            SystemClock.sleep(Duration::from_millis(5)).await;
        }
    }
}

#[async_trait::async_trait]
impl PaymentProvider for Gated {
    fn name(&self) -> &'static str {
        self.sandbox.name()
    }

    async fn confirm(&self, request: &ConfirmPayment) -> Result<Payment, ProviderError> {
        self.opened().await;
        self.sandbox.confirm(request).await
    }

    async fn payment(&self, key: &PaymentKey) -> Result<Option<Payment>, ProviderError> {
        self.sandbox.payment(key).await
    }

    async fn payment_of(&self, order: &OrderId) -> Result<Option<Payment>, ProviderError> {
        self.sandbox.payment_of(order).await
    }

    async fn cancel(&self, request: &CancelPayment) -> Result<Payment, ProviderError> {
        self.opened().await;
        self.sandbox.cancel(request).await
    }

    fn window(&self) -> Duration {
        self.sandbox.window()
    }

    fn checkout(&self) -> CheckoutInfo {
        self.sandbox.checkout()
    }
}
