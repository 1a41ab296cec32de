//! The audit (A1): an edited, reordered or removed entry shows, and so does a removed end up to the last checkpoint; a
//! house that nobody touched is whole and is what its entries make it. On SQLite and on a real MariaDB.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

mod any_row;
mod checkpoints;
mod command;
mod exported;
mod house;
mod lives;
mod rows;
mod scene;
mod sealing;
mod tampering;
mod untouched;
