//! What only a Redis behind the seats can do wrong: losses, restarts, answers that never came, many connections.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

mod failover;
mod faults;
mod hall;
mod race;
mod repair;
mod test_map;
mod unguarded;
