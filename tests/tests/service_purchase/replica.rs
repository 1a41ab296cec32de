//! Buying where listings are read from a replica that is behind.

use std::time::Duration;

use serde_json::json;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_tests::{AppProcess, MariaDb, eventually, speak_tls, workspace_bin};

use super::buyer::Device;
use super::house::{House, KEYS};
use super::shopper::{Shopper, attic};
use super::{ADMIN_TOKEN, SOON};

/// A database with the tables of the service.
async fn database(server: &MariaDb) -> String {
    let name = server.fresh_name().await;
    let store = SqlStore::connect(&server.url_of(&name)).await.unwrap();
    store.migrate().await.unwrap();
    name
}

/// Whoever has just paid waits for their tickets, and is not told that there are none.
#[tokio::test]
async fn browser_purchase_whose_tickets_are_listed_late() {
    speak_tls();
    let server = MariaDb::start().await;
    let (primary, replica) = (database(&server).await, database(&server).await);
    let app = AppProcess::builder(workspace_bin("reference-app").await)
        .arg("--no-demo")
        .env("TICKETON_DATABASE_URL", server.url_of(&primary))
        .env("TICKETON_DATABASE_REPLICA_URL", server.url_of(&replica))
        .env("TICKETON_TICKET_KEYS", KEYS)
        .env("TICKETON_ADMIN_TOKEN", ADMIN_TOKEN)
        .ready_within(Duration::from_secs(60))
        .start()
        .await;
    let house = House::open(&app, attic(), json!({})).await;
    let buyer = Shopper::arrive(&house.base_url, "en-US", Device::Phone).await;
    buyer.check_out().await;
    buyer.pay("approve").await;
    buyer.expect("#headline", "Paid. Enjoy the show!").await;
    buyer.click("#choices .tk-main").await;
    let looks = "return performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/tickets')).length";
    eventually(SOON, async || {
        let looks = buyer.script(looks).await;
        if looks.as_u64() >= Some(3) {
            Ok(())
        } else {
            Err(looks)
        }
    })
    .await;
    let told = "return [document.getElementById('empty').hidden, document.querySelectorAll('.ticket[data-ticket-id]').length]";
    assert_eq!(buyer.script(told).await, json!([true, 0]));
    // The replica catches up.
    let copy = ["orders", "tickets"]
        .map(|table| format!("INSERT INTO {replica}.{table} SELECT * FROM {primary}.{table};"));
    server.sql(&copy.concat()).await;
    eventually(SOON, async || buyer.codes_are_drawn().await).await;
    assert_eq!(buyer.count(".ticket").await, 2);
}
