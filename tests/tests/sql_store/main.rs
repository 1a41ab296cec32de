//! The stores in SQL, on a SQLite file, a database in memory and a real MariaDB: what they keep, who wins a race, and
//! what is left when a connection, a server or a caller goes away.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

mod catalog;
mod faults;
mod group;
mod ledger;
mod migrate;
mod purchases;
mod requests;
mod shop;
