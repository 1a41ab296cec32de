//! The seats of events from a host's side: over the store in memory, with a clock that the test moves.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

mod best;
mod events;
mod holds;
mod keeper;
mod maps;
mod operators;
mod repair;
mod room;
mod shop;
mod watch;
