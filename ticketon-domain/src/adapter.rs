//! Backends of the ports: what they store into, and nothing about why.

#[cfg(feature = "kafka")]
pub mod kafka;
pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;
pub mod sandbox;
#[cfg(any(feature = "sqlite", feature = "mysql"))]
pub mod sql;
#[cfg(feature = "toss")]
pub mod toss;
