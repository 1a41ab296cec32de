//! Events, seats and purchases of a ticket on-sale.
//!
//! Each folder is an aggregate: its model, its service, its ports. Backends live in `adapter` and are
//! never imported by an aggregate. The waiting room is [`ticketon_queue`]'s.

pub mod adapter;
pub mod audit;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod event;
#[cfg(feature = "http")]
pub mod http;
pub mod outbox;
#[cfg(feature = "page")]
pub mod page;
pub mod purchase;
pub mod seat;
mod signing;
pub mod venue;
