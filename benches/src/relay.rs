//! Events a second from the outbox to a bus, against reading the same rows and deleting them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use sqlx::{Row as _, SqliteConnection};
use ticketon_domain::adapter::memory::MemoryBus;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::outbox::{Aggregate, NewMessage, OutboxStore, Relay, SHARDS};
use ticketon_queue::{Clock as _, SystemClock};

use crate::measure::{Table, WANTED, median};
use crate::place::Place;

const EVENTS: u64 = 6_400;
const BATCH: usize = 100;
const ROUNDS: usize = 4;
const NAME: &str = "relay: outbox to a bus in memory, SQLite";

pub(crate) async fn measure(table: &mut Table, place: &Place) {
    if !table.wants(NAME) {
        return;
    }
    let url = place.fresh_url().await;
    let store = place.store(&url).await;
    let file = url.trim_start_matches("sqlite:");
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let plain = SqlitePool::connect_with(options)
        .await
        .expect("a connection");
    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        fill(&store).await;
        let subject = rate(relay(&store).await);
        fill(&store).await;
        let baseline = rate(bare(&plain).await);
        if round > 0 {
            ratios.push(subject / baseline);
            ours.push(subject);
            theirs.push(baseline);
        }
    }
    table.add(
        NAME,
        median(ratios),
        format!("{:.0}/s", median(ours)),
        format!("{:.0}/s", median(theirs)),
        "events/s ÷ events/s of SELECT and DELETE",
    );
    table.wanted(WANTED);
}

#[expect(clippy::cast_precision_loss, reason = "few events")]
fn rate(took: Duration) -> f64 {
    EVENTS as f64 / took.as_secs_f64()
}

/// Three events of each order, as orders have them.
async fn fill(store: &SqlStore) {
    let message = |number: u64| NewMessage {
        aggregate: Aggregate::order(number / 3),
        version: number % 3 + 1,
        kind: "order.paid".to_owned(),
        occurred_at_ms: 1_767_225_600_000,
        correlation: None,
        payload: format!(
            r#"{{"orderId":"{number:032x}","eventId":"bench","userId":"buyer-1","status":"paid"}}"#
        ),
    };
    let messages: Vec<NewMessage> = (0..EVENTS).map(message).collect();
    store
        .append_messages(&messages)
        .await
        .expect("messages are written");
}

async fn relay(store: &SqlStore) -> Duration {
    let began = Instant::now();
    let relay = Relay::builder(Arc::new(store.clone()), Arc::new(MemoryBus::new()))
        .batch(BATCH)
        .start();
    while store.backlog().await.expect("an answer").pending > 0 {
        SystemClock.sleep(Duration::from_millis(2)).await;
    }
    let took = began.elapsed();
    relay.shutdown().await;
    took
}

/// Shard by shard, a hundred rows at a time: read, and delete in a transaction of its own.
async fn bare(plain: &SqlitePool) -> Duration {
    let began = Instant::now();
    let mut conn = plain.acquire().await.expect("a connection");
    for shard in 0..i64::from(SHARDS) {
        while batch(&mut conn, shard).await {}
    }
    began.elapsed()
}

async fn batch(conn: &mut SqliteConnection, shard: i64) -> bool {
    let read = "SELECT id, aggregate, version, kind, occurred_ms, correlation, payload FROM outbox WHERE shard = ? \
                ORDER BY id LIMIT 100";
    let rows = sqlx::query(read)
        .bind(shard)
        .fetch_all(&mut *conn)
        .await
        .expect("rows");
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return false;
    };
    let payloads: usize = rows
        .iter()
        .map(|row| row.get::<String, _>("payload").len())
        .sum();
    assert!(payloads > 0);
    let delete =
        sqlx::query("DELETE FROM outbox WHERE shard = ? AND id BETWEEN ? AND ?").bind(shard);
    let delete = delete
        .bind(first.get::<i64, _>("id"))
        .bind(last.get::<i64, _>("id"));
    delete.execute(conn).await.expect("rows are deleted");
    true
}
