//! Backends in SQL: SQLite in one file (feature `sqlite`), and MySQL or MariaDB (feature `mysql`), from one code base.
//!
//! [`SqlStore`] is what a host holds; it implements the ports of events, seats and purchases. The tables are
//! [`migrations`](SqlStore::migrate), one set for each database. No type of the driver leaves this module.
//!
//! # How a verb is written
//! A verb is a block over a connection (`connection::Conn`), run by `transaction!`, `read!` or `snapshot!`:
//!
//! ```text
//! transaction!(self, "count an order", |conn| {
//!     let sql = for_update!("SELECT version FROM orders WHERE id = ?");
//!     let Some(row) = conn.row(sql, values![id]).await? else { return Ok(false) };
//!     let next = row.int("version")? + 1;
//!     conn.run("UPDATE orders SET version = ? WHERE id = ?", values![next, id]).await?;
//!     Ok(true)
//! })
//! ```
//!
//! - The block may run several times: what it changes outside of the database must bear that.
//! - `values![..]` takes `&str`, `String`, integers, `bool` and options of these; a fence or an amount (`u64`) goes in
//!   by `value::number`, which refuses what a BIGINT cannot hold, and comes out by `Row::count`.
//! - Placeholders are `?`. Statements that differ are written by `for_update!`, `skip_locked!`, `keep_old!` or
//!   `each!`; lists of placeholders by `statement::marks` and `rows_of_marks`.
//! - A key that is taken is `Fault::Duplicate`; the transaction goes on after it. Which key it was, a query tells.
//! - `Conn::undo` takes back all that the transaction did while its answer is still a value: a refusal.
//! - A deadlock, a lock that was not given in time and a connection that was lost before the commit change nothing, so
//!   the whole block runs again, a bounded number of times. A connection lost in the commit is an unknown outcome:
//!   [`StoreError::Unavailable`](ticketon_queue::StoreError), and the caller's verb may be sent again.
//! - On SQLite, transactions that wait for their turn are committed together; each still takes effect as a whole or
//!   not at all, and nobody is answered before the commit.

mod audit;
mod catalog;
mod connection;
mod fault;
mod ledger;
mod migrate;
#[cfg(feature = "mysql")]
mod mysql;
mod open;
mod outbox;
mod pool;
mod purchases;
mod row;
mod sandbox;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statement;
mod store;
mod transaction;
mod value;
#[cfg(feature = "sqlite")]
mod writer;

pub use store::{SqlLimits, SqlStore};

use fault::Fault;
use statement::{each, for_update, keep_old};
use transaction::{read, snapshot, transaction};
use value::values;
