//! Building and starting [`Purchases`].

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ticketon_queue::{Clock, WaitingQueue};
use tokio::sync::{Notify, watch};

use super::look::Looks;
use super::{Inner, PurchaseError, Purchases, Shared, worker};
use crate::outbox::Wake;
use crate::purchase::provider::PaymentProvider;
use crate::purchase::store::PurchaseStore;
use crate::purchase::ticket_code::TicketKeys;
use crate::seat::Seats;

/// How long somebody who works on an order has it for themselves. Longer than a provider's read time-out.
const LEASE: Duration = Duration::from_secs(60);

/// Builds and starts [`Purchases`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct PurchasesBuilder {
    store: Arc<dyn PurchaseStore>,
    provider: Arc<dyn PaymentProvider>,
    seats: Seats,
    queue: Option<WaitingQueue>,
    keys: Option<TicketKeys>,
    clock: Option<Arc<dyn Clock>>,
    lease: Duration,
    recover: bool,
    news: Wake,
}

impl Purchases {
    /// A builder over a store, the seats that are sold, and who takes the money.
    pub fn builder(
        store: impl PurchaseStore,
        seats: &Seats,
        provider: impl PaymentProvider,
    ) -> PurchasesBuilder {
        Self::builder_shared(Arc::new(store), seats, Arc::new(provider))
    }

    /// A builder over ports that are shared already.
    pub fn builder_shared(
        store: Arc<dyn PurchaseStore>,
        seats: &Seats,
        provider: Arc<dyn PaymentProvider>,
    ) -> PurchasesBuilder {
        PurchasesBuilder {
            store,
            provider,
            seats: seats.clone(),
            queue: None,
            keys: None,
            clock: None,
            lease: LEASE,
            recover: true,
            news: Wake::new(),
        }
    }
}

impl PurchasesBuilder {
    /// The waiting rooms: a payment completes the admission that its buyer came in by.
    pub fn queue(mut self, queue: &WaitingQueue) -> Self {
        self.queue = Some(queue.clone());
        self
    }

    /// The keys that sign tickets; made up by default, which lasts until the next start.
    pub fn ticket_keys(mut self, keys: TicketKeys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Another clock than that of the seats.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How long somebody who works on an order has it for themselves; a minute by default. It must be longer than the
    /// provider's read time-out, by a second at least, or a slow answer is asked for twice: each call of the provider has one
    /// lease.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Whether this process takes up what others left: true by default; some process must.
    pub fn recover(mut self, recover: bool) -> Self {
        self.recover = recover;
        self
    }

    /// What wakes the relay of the outbox whenever an order has changed.
    pub fn wakes(mut self, news: Wake) -> Self {
        self.news = news;
        self
    }

    /// Checks that the store answers and starts the work inside the process.
    ///
    /// # Errors
    /// [`PurchaseError::Store`] when the store does not answer.
    pub async fn start(self) -> Result<Purchases, PurchaseError> {
        self.store.ping().await?;
        describe();
        let clock = self.clock.unwrap_or_else(|| Arc::clone(self.seats.clock()));
        let shared = Arc::new(Shared {
            store: self.store,
            provider: self.provider,
            seats: self.seats,
            queue: self.queue,
            clock,
            keys: self.keys.unwrap_or_else(TicketKeys::random),
            lease_ms: i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX),
            messages: Notify::new(),
            news: self.news,
            looks: Looks::new(),
        });
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::new();
        if self.recover {
            tasks.push(tokio::spawn(worker::work(
                Arc::clone(&shared),
                stopped.clone(),
            )));
            tasks.push(tokio::spawn(worker::tell(Arc::clone(&shared), stopped)));
        }
        Ok(Purchases(Arc::new(Inner {
            shared,
            stop,
            tasks: Mutex::new(tasks),
        })))
    }
}

/// Describes the metrics. The host chooses the exporter and installs it before.
fn describe() {
    metrics::describe_counter!(
        "ticketon_orders_total",
        "Orders that ended a step, by state"
    );
    metrics::describe_counter!("ticketon_refunds_total", "Refunds, by outcome");
    metrics::describe_counter!(
        "ticketon_payments_unknown_total",
        "Attempts whose outcome the provider did not tell"
    );
    metrics::describe_gauge!(
        "ticketon_orders_attention",
        "Orders that wait for an operator; no more than 100 are counted"
    );
    metrics::describe_gauge!(
        "ticketon_orders_untold",
        "Orders of which the seat map has yet to hear"
    );
    metrics::describe_counter!("ticketon_checkins_total", "Tickets that opened the gate");
}
