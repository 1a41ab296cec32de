//! A relay in a process of its own, to be killed and paused: from the outbox in a database to a Kafka broker.
//!
//! `relay <database URL> <broker>` works until it is told to end. Its leases, batches and time limits are short, so that a
//! kill or a pause meets it in the middle of something.

use std::sync::Arc;
use std::time::Duration;

use ticketon_domain::adapter::kafka::KafkaBus;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::outbox::Relay;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, broker] = arguments.as_slice() else {
        return Err("usage: relay <database URL> <broker>".into());
    };
    let store = SqlStore::connect(database).await?;
    let bus = KafkaBus::builder(broker)
        .deliver_within(Duration::from_secs(1))
        .connect()?;
    let relay = Relay::builder(Arc::new(store), Arc::new(bus))
        .lease(Duration::from_secs(2))
        .poll(Duration::from_millis(20))
        .retry_max(Duration::from_millis(500))
        .batch(5)
        .parallel(4)
        .start();
    println!("relaying");
    signal(SignalKind::terminate())?.recv().await;
    relay.shutdown().await;
    Ok(())
}
