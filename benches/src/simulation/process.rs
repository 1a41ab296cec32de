//! One process of the sale: a runtime of its own with all that serves in it. Its crash ends all of that at once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::audit::Sealer;
use ticketon_domain::http::{PurchaseAdminHttp, PurchaseHttp};
use ticketon_domain::outbox::{Relay, Wake};
use ticketon_domain::purchase::Purchases;
use ticketon_domain::seat::Seats;
use ticketon_queue::WaitingQueue;
use ticketon_queue::http::AdminToken;
use tokio::runtime::{Builder, Runtime};

use super::diary::locked;
use super::house::House;

/// How long an order whose process died waits for another one; far above what the provider takes.
const ORDER_LEASE: Duration = Duration::from_secs(2);
/// The same for a request under an idempotency key.
const REQUEST_LEASE: Duration = Duration::from_secs(2);
/// The same for a shard of the outbox.
const SHARD_LEASE: Duration = Duration::from_secs(2);
/// How often the audit is sealed.
const SEAL_EVERY: Duration = Duration::from_secs(1);

/// The handles of a process that runs.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) queue: WaitingQueue,
    pub(super) seats: Seats,
    pub(super) purchases: Purchases,
    pub(super) http: PurchaseHttp,
    pub(super) admin: PurchaseAdminHttp,
    relay: Arc<Relay>,
    sealer: Arc<Sealer>,
}

impl App {
    async fn start(
        house: &House,
        database: &str,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let sql = SqlStore::connect(database).await?;
        let queue = WaitingQueue::builder_shared(house.rooms().await);
        let queue = queue
            .admission_keys(house.admission_keys.clone())
            .start()
            .await?;
        let seats = Seats::builder_shared(house.maps().await)
            .catalog(sql.clone())
            .ledger(sql.clone())
            .queue(&queue)
            .start()
            .await?;
        let wake = Wake::new();
        let purchases = Purchases::builder(sql.clone(), &seats, house.provider.clone())
            .queue(&queue)
            .ticket_keys(house.ticket_keys.clone())
            .lease(ORDER_LEASE)
            .wakes(wake.clone())
            .start()
            .await?;
        let keys = house.audit_keys.clone();
        let sealer = Sealer::builder(Arc::new(sql.clone()), keys)
            .every(SEAL_EVERY)
            .start();
        let relay = Relay::builder(Arc::new(sql), Arc::clone(&house.sale_bus) as _)
            .wake(wake)
            .lease(SHARD_LEASE)
            .start();
        let token = AdminToken::new("the-operators-own-token")?;
        Ok(Self {
            admin: PurchaseAdminHttp::new(&purchases, token),
            http: PurchaseHttp::new(&purchases, &queue).request_lease(REQUEST_LEASE),
            queue,
            seats,
            purchases,
            relay: Arc::new(relay),
            sealer: Arc::new(sealer),
        })
    }

    async fn shutdown(&self) {
        self.relay.shutdown().await;
        self.purchases.shutdown().await;
        self.sealer.shutdown().await;
        self.seats.shutdown().await;
        self.queue.shutdown().await;
    }
}

/// The process is gone, and with it whatever it was asked: nobody knows whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

#[derive(Debug)]
pub(super) struct Process {
    house: Arc<House>,
    database: String,
    running: Mutex<Option<(Runtime, App)>>,
}

impl Process {
    pub(super) fn new(house: &Arc<House>, database: &str) -> Self {
        Self {
            house: Arc::clone(house),
            database: database.to_owned(),
            running: Mutex::new(None),
        }
    }

    /// Starts it, as a new one.
    pub(super) async fn start(&self) {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
        let (house, database) = (Arc::clone(&self.house), self.database.clone());
        let app = runtime
            .spawn(async move { App::start(&house, &database).await })
            .await;
        match app {
            Ok(Ok(app)) => *locked(&self.running) = Some((runtime, app)),
            Ok(Err(error)) => panic!("a process could not start: {error}"),
            Err(error) => panic!("a process could not start: {error}"),
        }
    }

    /// Does something in it, as a request that it serves.
    pub(super) async fn ask<T, F>(&self, work: impl FnOnce(App) -> F) -> Result<T, Gone>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let task = {
            let running = locked(&self.running);
            let (runtime, app) = running.as_ref().ok_or(Gone)?;
            runtime.spawn(work(app.clone()))
        };
        // To abort what has ended changes nothing.
        let _hung_up = HungUp(task.abort_handle());
        match task.await {
            Ok(answer) => Ok(answer),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Gone),
            },
        }
    }

    /// All that it does ends in the middle.
    pub(super) fn crash(&self) {
        let taken = locked(&self.running).take();
        if let Some((runtime, app)) = taken {
            runtime.shutdown_background();
            drop(app);
        }
    }

    pub(super) fn is_running(&self) -> bool {
        locked(&self.running).is_some()
    }

    /// Ends it as an operator does.
    pub(super) async fn stop(&self) {
        let taken = locked(&self.running).take();
        if let Some((runtime, app)) = taken {
            // A runtime that is gone cannot cut this short, and nothing can be done about it.
            let _ = runtime.spawn(async move { app.shutdown().await }).await;
            runtime.shutdown_background();
        }
    }
}

/// Whoever asked has gone away: so does the request.
struct HungUp(tokio::task::AbortHandle);

impl Drop for HungUp {
    fn drop(&mut self) {
        self.0.abort();
    }
}
