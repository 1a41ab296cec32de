//! Purchases of the shop: orders in a file of SQLite, paid in the sandbox.
//!
//! | setting | says |
//! | --- | --- |
//! | `TICKETON_SQLITE` | the file: events, orders, tickets and payments are kept there, and purchases are served |
//! | `TICKETON_TICKET_KEYS` | signs tickets |
//! | `TICKETON_GATE` | a file; while it is there, the provider charges nobody |
//! | `TICKETON_LEASE_MS` | how long somebody who works on an order, or on a request, has it for themselves |
//! | `TICKETON_SANDBOX_DELAY_MS` | how late the sandbox charges what it is to charge late |

use std::error::Error;
use std::time::Duration;

use ticketon_domain::adapter::sandbox::Sandbox;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::http::PurchaseHttp;
use ticketon_domain::purchase::{Purchases, TicketKeys};
use ticketon_domain::seat::Seats;
use ticketon_queue::WaitingQueue;

use super::gate::Gated;

/// Purchases, and what serves them.
pub(crate) struct Paid {
    pub(crate) purchases: Purchases,
    pub(crate) sandbox: Sandbox,
    pub(crate) http: PurchaseHttp,
}

/// The file, if the settings name one.
pub(crate) async fn store() -> Result<Option<SqlStore>, Box<dyn Error>> {
    let Ok(path) = std::env::var("TICKETON_SQLITE") else {
        return Ok(None);
    };
    let store = SqlStore::sqlite(path).await?;
    store.migrate().await?;
    Ok(Some(store))
}

/// Starts purchases over the file.
pub(crate) async fn start(
    store: SqlStore,
    seats: &Seats,
    queue: &WaitingQueue,
) -> Result<Paid, Box<dyn Error>> {
    let mut sandbox = Sandbox::with_book(store.clone());
    if let Some(delay) = millis("TICKETON_SANDBOX_DELAY_MS")? {
        sandbox = sandbox.delay(delay);
    }
    let provider = Gated {
        sandbox: sandbox.clone(),
        gate: std::env::var_os("TICKETON_GATE").map(Into::into),
    };
    let keys: TicketKeys = std::env::var("TICKETON_TICKET_KEYS")?.parse()?;
    let mut purchases = Purchases::builder(store, seats, provider)
        .queue(queue)
        .ticket_keys(keys);
    let lease = millis("TICKETON_LEASE_MS")?;
    if let Some(lease) = lease {
        purchases = purchases.lease(lease);
    }
    let purchases = purchases.start().await?;
    let mut http = PurchaseHttp::new(&purchases, queue);
    if let Some(lease) = lease {
        http = http.request_lease(lease);
    }
    Ok(Paid {
        purchases,
        sandbox,
        http,
    })
}

fn millis(name: &str) -> Result<Option<Duration>, Box<dyn Error>> {
    let Ok(text) = std::env::var(name) else {
        return Ok(None);
    };
    Ok(Some(Duration::from_millis(text.parse()?)))
}
