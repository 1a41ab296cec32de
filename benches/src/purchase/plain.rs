//! The baseline: the same rows by prepared statements, three transactions an order, and nothing else.
//!
//! As many connections as the store has: one writer for SQLite, sixteen for MariaDB, with the same settings for
//! durability. The messages that the map has heard are deleted a hundred at a time, as the store does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::task::JoinSet;

use super::rows::{EVENT, OrderRows};
use crate::place::Place;

/// The connections that a store writes by into a server.
const WRITERS: u32 = 16;

#[derive(Debug, Clone)]
pub(super) enum Plain {
    Sqlite(SqlitePool),
    MySql(MySqlPool),
}

const ORDER: &str = "INSERT INTO orders (id, event_id, user_id, hold_id, hold_live, state, payment_key, due_ms, \
                     attention_ms, created_ms, version, body) VALUES (?, ?, ?, ?, 1, ?, ?, ?, NULL, ?, ?, ?)";
const CHANGED: &str = "UPDATE orders SET hold_live = 1, state = ?, payment_key = ?, due_ms = ?, attention_ms = NULL, \
                       version = ?, body = ? WHERE id = ?";
const TICKETS: &str = "INSERT INTO tickets (id, order_id, event_id, seat, live, state, user_id, fence, price, grade, \
                       changed_ms) VALUES (?, ?, ?, ?, 1, 'reserved', ?, ?, ?, ?, ?), (?, ?, ?, ?, 1, 'reserved', ?, ?, ?, ?, ?)";
const VALID: &str =
    "UPDATE tickets SET state = 'valid', live = 1, changed_ms = ? WHERE id IN (?, ?)";
const AUDIT: &str = "INSERT INTO audit (order_id, seq, at_ms, kind, body, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?)";
const OUTBOX: &str = "INSERT INTO outbox (shard, aggregate, version, kind, occurred_ms, correlation, payload) \
                      VALUES (?, ?, ?, ?, ?, NULL, ?)";
const MESSAGE: &str = "INSERT INTO seat_messages (event_id, order_id, body) VALUES (?, ?, ?)";

/// Writes the rows of an order, for either driver.
macro_rules! write_order {
    ($pool:expr, $begin:expr, $rows:expr) => {{
        let rows: &OrderRows = $rows;
        for (number, stage) in rows.stages.iter().enumerate() {
            let mut work = $pool.begin_with($begin).await.expect("a transaction");
            let order = if number == 0 {
                let order = sqlx::query(ORDER)
                    .bind(&rows.id)
                    .bind(EVENT)
                    .bind(&rows.user)
                    .bind(&rows.hold);
                let order = order
                    .bind(stage.state)
                    .bind(&stage.payment_key)
                    .bind(stage.due_ms);
                order
                    .bind(rows.created_ms)
                    .bind(stage.version)
                    .bind(&stage.body)
            } else {
                let order = sqlx::query(CHANGED)
                    .bind(stage.state)
                    .bind(&stage.payment_key)
                    .bind(stage.due_ms);
                order.bind(stage.version).bind(&stage.body).bind(&rows.id)
            };
            order.execute(&mut *work).await.expect("an order");
            if number == 1 {
                let mut tickets = sqlx::query(TICKETS);
                for ticket in &rows.tickets {
                    tickets = tickets
                        .bind(&ticket.id)
                        .bind(&rows.id)
                        .bind(EVENT)
                        .bind(&ticket.seat)
                        .bind(&rows.user);
                    tickets = tickets
                        .bind(ticket.fence)
                        .bind(ticket.price)
                        .bind(&ticket.grade)
                        .bind(rows.created_ms);
                }
                tickets.execute(&mut *work).await.expect("tickets");
            }
            if number == 2 {
                let mut valid = sqlx::query(VALID).bind(rows.created_ms);
                for ticket in &rows.tickets {
                    valid = valid.bind(&ticket.id);
                }
                valid.execute(&mut *work).await.expect("tickets");
            }
            let entry = &stage.entry;
            let audit = sqlx::query(AUDIT)
                .bind(&rows.id)
                .bind(entry.seq as i64)
                .bind(entry.at_ms)
                .bind(&entry.kind);
            let audit = audit
                .bind(&entry.body)
                .bind(&stage.entry_hashes[0])
                .bind(&stage.entry_hashes[1]);
            audit.execute(&mut *work).await.expect("an entry");
            let news = &stage.news;
            let outbox = sqlx::query(OUTBOX)
                .bind(i64::from(news.aggregate.shard()))
                .bind(&stage.aggregate);
            let outbox = outbox
                .bind(news.version as i64)
                .bind(&news.kind)
                .bind(news.occurred_at_ms)
                .bind(&news.payload);
            outbox.execute(&mut *work).await.expect("a message");
            if number == 2 {
                let message = sqlx::query(MESSAGE)
                    .bind(EVENT)
                    .bind(&rows.id)
                    .bind(&rows.message);
                message.execute(&mut *work).await.expect("a message");
            }
            work.commit().await.expect("a commit");
        }
    }};
}

/// Deletes the seat messages, a hundred at a time.
macro_rules! forget_messages {
    ($pool:expr) => {{
        loop {
            let ids: Vec<i64> =
                sqlx::query_scalar("SELECT id FROM seat_messages ORDER BY id LIMIT 100")
                    .fetch_all($pool)
                    .await
                    .expect("messages");
            let (Some(first), Some(last)) = (ids.first(), ids.last()) else {
                break;
            };
            let delete = sqlx::query("DELETE FROM seat_messages WHERE id BETWEEN ? AND ?")
                .bind(first)
                .bind(last);
            delete.execute($pool).await.expect("messages are deleted");
        }
    }};
}

impl Plain {
    /// Connections to an empty database with the same tables.
    pub(super) async fn open(place: &Place) -> Self {
        let url = place.fresh_url().await;
        drop(place.store(&url).await);
        if let Some(file) = url.strip_prefix("sqlite:") {
            let options = SqliteConnectOptions::new()
                .filename(file)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true);
            let pool = SqlitePoolOptions::new()
                .max_connections(1)
                .connect_with(options)
                .await;
            return Self::Sqlite(pool.expect("a connection"));
        }
        let pool = MySqlPoolOptions::new()
            .min_connections(WRITERS)
            .max_connections(WRITERS)
            .connect(&url)
            .await;
        Self::MySql(pool.expect("connections"))
    }

    /// Writes all rows by so many writers at a time; answers how long that took.
    pub(super) async fn write(&self, writers: u32, rows: Vec<OrderRows>) -> Duration {
        let chunk = rows.len() / writers as usize;
        let rows = Arc::new(rows);
        let began = Instant::now();
        let mut crowd = JoinSet::new();
        for writer in 0..writers as usize {
            let (plain, rows) = (self.clone(), Arc::clone(&rows));
            crowd.spawn(async move {
                for rows in &rows[writer * chunk..(writer + 1) * chunk] {
                    match &plain {
                        Self::Sqlite(pool) => write_order!(pool, "BEGIN IMMEDIATE", rows),
                        Self::MySql(pool) => write_order!(pool, "START TRANSACTION", rows),
                    }
                }
            });
        }
        crowd.join_all().await;
        match self {
            Self::Sqlite(pool) => forget_messages!(pool),
            Self::MySql(pool) => forget_messages!(pool),
        }
        began.elapsed()
    }
}
