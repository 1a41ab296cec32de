//! Who takes the money: the sandbox by default, or Toss Payments.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ticketon_domain::adapter::sandbox::Sandbox;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::adapter::toss::TossPayments;
use ticketon_domain::outbox::{EventBus, Relay, Wake};
use ticketon_domain::purchase::{PaymentProvider, Purchases, TicketKeys};
use ticketon_domain::seat::Seats;
use ticketon_queue::WaitingQueue;

use crate::args::Secret;
use crate::toss_window::TossWindow;

/// Who takes the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Provider {
    /// Nobody: a page to try it out.
    Sandbox,
    /// Toss Payments.
    Toss,
}

/// How is paid.
#[derive(Debug, Clone, Args)]
pub(crate) struct PaymentArgs {
    /// Who takes the money.
    #[arg(long, env = "TICKETON_PAYMENTS", value_enum, default_value_t = Provider::Sandbox)]
    pub(crate) payments: Provider,

    /// The secret key of Toss Payments.
    #[arg(
        long,
        env = "TICKETON_TOSS_SECRET_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub(crate) toss_secret_key: Option<Secret>,

    /// The public key of Toss Payments, with which browsers open the payment window: test_ck_... or live_ck_..., not
    /// that of the payment widget.
    #[arg(long, env = "TICKETON_TOSS_CLIENT_KEY", value_name = "KEY")]
    pub(crate) toss_client_key: Option<String>,

    /// Where Toss Payments answers.
    #[arg(
        long,
        env = "TICKETON_TOSS_URL",
        default_value = "https://api.tosspayments.com",
        value_name = "URL"
    )]
    pub(crate) toss_url: String,

    /// The script that opens Toss's payment window. The checkout may load from its origin, for tosspayments.com from all
    /// of that domain.
    #[arg(
        long,
        env = "TICKETON_TOSS_SDK_URL",
        default_value = "https://js.tosspayments.com/v2/standard",
        value_name = "URL"
    )]
    pub(crate) toss_sdk_url: String,

    /// A page where browsers pay in place of Toss's own window: it gets orderId, amount, orderName, successUrl and
    /// failUrl.
    #[arg(long, env = "TICKETON_TOSS_PAY_URL", value_name = "URL")]
    pub(crate) toss_pay_url: Option<String>,

    /// The language of Toss's messages for people: en-US or ko-KR. The pages have words of their own for what happens often.
    #[arg(
        long,
        env = "TICKETON_TOSS_LANGUAGE",
        default_value = "en-US",
        value_parser = ["en-US", "ko-KR"],
        value_name = "LANGUAGE"
    )]
    pub(crate) toss_language: String,

    /// How long a payment's answer is waited for, in seconds.
    #[arg(long, env = "TICKETON_TOSS_TIMEOUT", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=120), value_name = "SECONDS")]
    pub(crate) toss_timeout: u64,

    /// How long a process that pays an order has it for itself before another takes it up, in seconds; longer than the
    /// provider's time-out: each call of the provider has one.
    #[arg(long, env = "TICKETON_PAYMENT_LEASE", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600), value_name = "SECONDS")]
    pub(crate) payment_lease: u64,
}

/// What purchases need besides the database.
pub(crate) struct Payments {
    /// Who takes the money.
    pub(crate) provider: Arc<dyn PaymentProvider>,
    /// The sandbox, if it is that: it has a page.
    pub(crate) sandbox: Option<Sandbox>,
    /// The payment window of Toss Payments, if buyers pay there.
    pub(crate) window: Option<TossWindow>,
}

impl PaymentArgs {
    /// Checks what one option alone cannot tell.
    ///
    /// # Errors
    /// When a process would lose an order to another while the provider may still answer.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (lease, timeout) = (self.payment_lease, self.toss_timeout);
        if self.payments == Provider::Toss && lease <= timeout {
            return Err(format!(
                "--payment-lease (TICKETON_PAYMENT_LEASE) is {lease} s and must be longer than --toss-timeout (TICKETON_TOSS_TIMEOUT), {timeout} s"
            ));
        }
        Ok(())
    }

    /// How long a request has its idempotency key for itself: it is given up a little before.
    pub(crate) fn request_lease(&self) -> Duration {
        Duration::from_secs(60.max(2 * self.toss_timeout))
    }

    /// Who takes the money.
    ///
    /// # Errors
    /// When an option is missing or wrong.
    pub(crate) fn provider(&self, store: &SqlStore, seats: &Seats) -> Result<Payments, String> {
        match self.payments {
            Provider::Sandbox => {
                let sandbox = Sandbox::with_book(store.clone()).clock(Arc::clone(seats.clock()));
                Ok(Payments {
                    provider: Arc::new(sandbox.clone()),
                    sandbox: Some(sandbox),
                    window: None,
                })
            }
            Provider::Toss => {
                let key = self.toss_secret_key.as_ref().ok_or(
                    "--payments toss needs --toss-secret-key (TICKETON_TOSS_SECRET_KEY), like test_sk_... or live_sk_...",
                )?;
                let window = self.toss_window()?;
                let mut toss = TossPayments::builder(key.expose())
                    .base_url(&self.toss_url)
                    .language(&self.toss_language)
                    .read_timeout(Duration::from_secs(self.toss_timeout));
                if let Some(key) = &self.toss_client_key {
                    toss = toss.client_key(key);
                }
                if let Some(url) = &self.toss_pay_url {
                    toss = toss.pay_url(url);
                }
                let toss = toss
                    .build()
                    .map_err(|error| format!("--payments toss: {error}"))?;
                Ok(Payments {
                    provider: Arc::new(toss),
                    sandbox: None,
                    window,
                })
            }
        }
    }

    /// How buyers open Toss's payment window; `None` when they pay on a page, or cannot pay in a browser.
    fn toss_window(&self) -> Result<Option<TossWindow>, String> {
        if self.toss_pay_url.is_some() {
            return Ok(None);
        }
        match self.toss_client_key.as_deref() {
            None => {
                tracing::warn!(target: "ticketon::app",
                    "nobody can pay in a browser: --payments toss needs --toss-client-key (TICKETON_TOSS_CLIENT_KEY) for that, like test_ck_... or live_ck_...");
                Ok(None)
            }
            Some(key) if key.starts_with("test_gck") || key.starts_with("live_gck") => Err(
                "--toss-client-key (TICKETON_TOSS_CLIENT_KEY) is a key of the payment widget, which opens no payment window: expected one like test_ck_... or live_ck_..., with its secret key"
                    .to_owned(),
            ),
            Some(_) => TossWindow::new(&self.toss_sdk_url).map(Some),
        }
    }

    /// Purchases over this database, and the relay of its outbox.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn start(
        &self,
        store: &SqlStore,
        seats: &Seats,
        queue: &WaitingQueue,
        keys: Option<TicketKeys>,
        payments: &Payments,
        bus: Arc<dyn EventBus>,
    ) -> Result<(Purchases, Relay), Box<dyn std::error::Error>> {
        let wake = Wake::new();
        let mut purchases = Purchases::builder_shared(
            Arc::new(store.clone()),
            seats,
            Arc::clone(&payments.provider),
        )
        .queue(queue)
        .lease(Duration::from_secs(self.payment_lease))
        .wakes(wake.clone());
        if let Some(keys) = keys {
            purchases = purchases.ticket_keys(keys);
        }
        let purchases = purchases.start().await?;
        let relay = Relay::builder(Arc::new(store.clone()), bus)
            .clock(Arc::clone(seats.clock()))
            .wake(wake)
            .start();
        Ok((purchases, relay))
    }
}
