//! The baseline: the same rows by prepared statements, three transactions an order, and nothing else.
//!
//! As many connections as the store has: one writer for SQLite, sixteen for MariaDB, with the same settings for
//! durability. Where orders come over HTTP, the key of each confirm is written with its reservation, and the answer with its
//! payment. On SQLite the writer commits all who wait at once, as the store does: else the ratio would say how many
//! share a commit, and nothing of what an order costs. The messages that the map has heard, and the events that a relay
//! would have published, are deleted a hundred at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::rows::{EVENT, OrderRows};
use crate::place::Place;

/// The connections that a store writes by into a server.
const WRITERS: u32 = 16;

/// The most transactions that are committed together on SQLite: the store's own limit.
const MAX_GROUP: usize = 64;

#[derive(Debug, Clone)]
enum Pool {
    Sqlite(SqlitePool),
    MySql(MySqlPool),
}

#[derive(Debug)]
pub(super) struct Plain {
    pool: Pool,
    /// Writes idempotency keys with their answers, and deletes the events too.
    over_http: bool,
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
const REQUEST: &str = "INSERT INTO requests (user_id, operation, idem_key, hash, lease_until_ms, created_ms) \
                       VALUES (?, 'confirm', ?, ?, ?, ?)";
const ANSWER: &str =
    "UPDATE requests SET answer = ? WHERE user_id = ? AND operation = 'confirm' AND idem_key = ?";
const MESSAGE: &str = "INSERT INTO seat_messages (event_id, order_id, body) VALUES (?, ?, ?)";

/// Writes the rows of one stage of an order into a transaction, for either driver.
macro_rules! write_stage {
    ($work:expr, $rows:expr, $number:expr, $over_http:expr) => {{
        let (work, rows, number): (_, &OrderRows, usize) = ($work, $rows, $number);
        let request = $over_http.then_some(&rows.request);
        let stage = &rows.stages[number];
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
        if let (1, Some(request)) = (number, request) {
            let begun = sqlx::query(REQUEST).bind(&rows.user).bind(&request.key);
            let begun = begun
                .bind(&request.hash)
                .bind(rows.created_ms)
                .bind(rows.created_ms);
            begun.execute(&mut *work).await.expect("a key");
        }
        if let (2, Some(request)) = (number, request) {
            let ended = sqlx::query(ANSWER).bind(&request.answer);
            let ended = ended.bind(&rows.user).bind(&request.key);
            ended.execute(&mut *work).await.expect("an answer");
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
    }};
}

/// Deletes rows by their ids, a hundred at a time.
macro_rules! forget {
    ($pool:expr, $table:literal) => {{
        loop {
            let ids: Vec<i64> =
                sqlx::query_scalar(concat!("SELECT id FROM ", $table, " ORDER BY id LIMIT 100"))
                    .fetch_all($pool)
                    .await
                    .expect("rows");
            let (Some(first), Some(last)) = (ids.first(), ids.last()) else {
                break;
            };
            let delete = sqlx::query(concat!("DELETE FROM ", $table, " WHERE id BETWEEN ? AND ?"))
                .bind(first)
                .bind(last);
            delete.execute($pool).await.expect("rows are deleted");
        }
    }};
}

impl Plain {
    /// Connections to an empty database with the same tables.
    pub(super) async fn open(place: &Place, over_http: bool) -> Self {
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
            let pool = Pool::Sqlite(pool.expect("a connection"));
            return Self { pool, over_http };
        }
        let pool = MySqlPoolOptions::new()
            .min_connections(WRITERS)
            .max_connections(WRITERS)
            .connect(&url)
            .await;
        let pool = Pool::MySql(pool.expect("connections"));
        Self { pool, over_http }
    }

    /// Writes all rows by so many writers at a time; answers how long that took.
    pub(super) async fn write(&self, writers: u32, rows: Vec<OrderRows>) -> Duration {
        let (chunk, over_http) = (rows.len() / writers as usize, self.over_http);
        let rows = Arc::new(rows);
        let began = Instant::now();
        let mut crowd = JoinSet::new();
        let (desk, line) = mpsc::channel(writers as usize);
        let writer = match &self.pool {
            Pool::Sqlite(pool) => Some(tokio::spawn(write_grouped(pool.clone(), line, over_http))),
            Pool::MySql(_) => None,
        };
        for writer in 0..writers as usize {
            let (pool, rows, desk) = (self.pool.clone(), Arc::clone(&rows), desk.clone());
            crowd.spawn(async move {
                for order in writer * chunk..(writer + 1) * chunk {
                    for stage in 0..rows[order].stages.len() {
                        match &pool {
                            Pool::Sqlite(_) => {
                                let (done, is_done) = oneshot::channel();
                                let rows = Arc::clone(&rows);
                                let job = Job {
                                    rows,
                                    order,
                                    stage,
                                    done,
                                };
                                desk.send(job).await.expect("the writer takes it");
                                is_done.await.expect("it is committed");
                            }
                            Pool::MySql(pool) => {
                                let begun = pool.begin_with("START TRANSACTION").await;
                                let mut work = begun.expect("a transaction");
                                write_stage!(&mut *work, &rows[order], stage, over_http);
                                work.commit().await.expect("a commit");
                            }
                        }
                    }
                }
            });
        }
        drop(desk);
        crowd.join_all().await;
        if let Some(writer) = writer {
            writer.await.expect("the writer ends with its last job");
        }
        match &self.pool {
            Pool::Sqlite(pool) => forget!(pool, "seat_messages"),
            Pool::MySql(pool) => forget!(pool, "seat_messages"),
        }
        if self.over_http {
            match &self.pool {
                Pool::Sqlite(pool) => forget!(pool, "outbox"),
                Pool::MySql(pool) => forget!(pool, "outbox"),
            }
        }
        began.elapsed()
    }
}

/// One transaction that somebody waits for.
struct Job {
    rows: Arc<Vec<OrderRows>>,
    order: usize,
    stage: usize,
    done: oneshot::Sender<()>,
}

/// Writes what comes; those who wait at the same time are committed together.
async fn write_grouped(pool: SqlitePool, mut line: mpsc::Receiver<Job>, over_http: bool) {
    while let Some(first) = line.recv().await {
        let mut group = vec![first];
        let begun = pool.begin_with("BEGIN IMMEDIATE").await;
        let mut work = begun.expect("a transaction");
        let mut written = 0;
        while let Some(job) = group.get(written) {
            write_stage!(&mut *work, &job.rows[job.order], job.stage, over_http);
            written += 1;
            if written == group.len()
                && written < MAX_GROUP
                && let Ok(next) = line.try_recv()
            {
                group.push(next);
            }
        }
        work.commit().await.expect("a commit");
        for job in group {
            // Whoever asked waits for it.
            let _ = job.done.send(());
        }
    }
}
