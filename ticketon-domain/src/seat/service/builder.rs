//! Building and starting [`Seats`].

use std::sync::{Arc, Mutex};

use ticketon_queue::{Clock, SystemClock, WaitingQueue};
use tokio::sync::watch;

use super::shared::Missed;
use super::{Inner, Seats, SeatsError, Shared};
use crate::event::Catalog;
use crate::seat::keeper::{Keeper, Repairs};
use crate::seat::{SeatLedger, SeatStore};

/// Builds and starts [`Seats`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct SeatsBuilder {
    store: Arc<dyn SeatStore>,
    catalog: Arc<dyn Catalog>,
    ledger: Arc<dyn SeatLedger>,
    clock: Arc<dyn Clock>,
    queue: Option<WaitingQueue>,
    keep: bool,
}

impl SeatsBuilder {
    pub(crate) fn new(
        store: Arc<dyn SeatStore>,
        catalog: Arc<dyn Catalog>,
        ledger: Arc<dyn SeatLedger>,
    ) -> Self {
        Self {
            store,
            catalog,
            ledger,
            clock: Arc::new(SystemClock),
            queue: None,
            keep: true,
        }
    }

    /// Where events and layouts are kept; in memory by default.
    pub fn catalog(self, catalog: impl Catalog) -> Self {
        self.catalog_shared(Arc::new(catalog))
    }

    /// A catalog that is shared already.
    pub fn catalog_shared(mut self, catalog: Arc<dyn Catalog>) -> Self {
        self.catalog = catalog;
        self
    }

    /// Where sales are written down; in memory by default.
    pub fn ledger(self, ledger: impl SeatLedger) -> Self {
        self.ledger_shared(Arc::new(ledger))
    }

    /// A ledger that is shared already.
    pub fn ledger_shared(mut self, ledger: Arc<dyn SeatLedger>) -> Self {
        self.ledger = ledger;
        self
    }

    /// Another clock, for tests.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The waiting rooms of the events: the keeper tells them when all is sold, and when seats come back.
    pub fn queue(mut self, queue: &WaitingQueue) -> Self {
        self.queue = Some(queue.clone());
        self
    }

    /// Whether this process keeps maps: ends holds at their deadline, rebuilds what the store lost, and mends what
    /// differs from the ledger. True by default; some process must.
    pub fn keep(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// Checks that the store answers and starts the work inside the process.
    ///
    /// # Errors
    /// [`SeatsError::Store`] when the store does not answer.
    pub async fn start(self) -> Result<Seats, SeatsError> {
        self.store.ping().await?;
        describe();
        let shared = Arc::new(Shared {
            store: self.store,
            catalog: self.catalog,
            ledger: self.ledger,
            clock: self.clock,
            queue: self.queue,
            desks: super::desk::Desks::default(),
            listings: super::listing::Listings::default(),
            missed: Missed::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::new();
        if self.keep {
            let repairs = Repairs::new(Arc::clone(&shared));
            tasks.push(tokio::spawn(repairs.run(stopped.clone())));
            tasks.push(tokio::spawn(Keeper::new(Arc::clone(&shared)).run(stopped)));
        }
        Ok(Seats(Arc::new(Inner {
            shared,
            stop,
            tasks: Mutex::new(tasks),
        })))
    }
}

/// Describes the metrics. The host chooses the exporter and installs it before.
fn describe() {
    metrics::describe_counter!(
        "ticketon_holds_total",
        "Holds asked for and given back, by outcome"
    );
    metrics::describe_counter!(
        "ticketon_seat_repairs_total",
        "Seats and holds whose map differed from the ledger and was mended, by kind"
    );
    metrics::describe_gauge!("ticketon_seats", "Seats over all events, by state");
}
