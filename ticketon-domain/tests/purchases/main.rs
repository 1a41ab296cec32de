//! Purchases over SQLite and a provider that keeps the rules of Toss Payments and breaks down as told, in one process,
//! under a clock that the test moves.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

mod deposits;
mod doubt;
mod hints;
mod offers;
mod refunds;
mod shop;
