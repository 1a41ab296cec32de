//! A fair virtual waiting room.
//!
//! Everybody who comes gets a place in line, sees it move, and is admitted at a pace that the shop
//! can stand. [`WaitingQueue`] is the handle; the state lives behind the [`QueueStore`] port, in
//! this process's memory ([`MemoryStore`]) or in Redis (`RedisStore`, feature `redis`), so that any
//! process may die at any point.
//!
//! ```
//! use ticketon_queue::{EventId, MemoryStore, RoomConfig, Update, UserId, WaitingQueue};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let queue = WaitingQueue::builder(MemoryStore::new()).start().await?;
//! let event = EventId::new("spring-tour")?;
//! queue.ensure_room(&event, RoomConfig::builder().capacity(500).build()?).await?;
//!
//! // Joins and stays connected; dropping the stream starts the grace.
//! let ann = UserId::new("ann")?;
//! let mut updates = queue.watch(&event, &ann).await?;
//! let Some(Update::Admitted(admitted)) = updates.next().await else { panic!() };
//!
//! queue.claim(&event, &ann, admitted.fence).await?; // she came in
//! queue.complete(&event, &ann, admitted.fence).await?; // and is done: the slot is free
//! queue.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Words
//! - **room**: the waiting room of one event. **place**: a user's position in it. **lane**: a
//!   priority class; the host says who waits in which.
//! - **admission**: a lease on one of the room's slots, with a deadline and a fence that rises with
//!   each admission; the **admission token** is its signed form.
//! - **dispatcher**: promotes from the waiting queue to the entry queue. **broker**: tells people.
//!
//! # Features
//! - `http` (default): the HTTP contract, framework-neutral; `ticketon-axum` and `ticketon-actix` serve it.
//! - `page`: the waiting page and its ES-module client.
//! - `redis`: `RedisStore`.
//! - `conformance`: the promises as tests, for who writes a store of their own.
//!
//! The host chooses the `tracing` subscriber and the `metrics` exporter; log targets begin with
//! `ticketon::`, metrics with `ticketon_`.

pub mod admission;
mod broker;
pub mod clock;
pub mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod dispatcher;
pub mod draw;
pub mod error;
#[cfg(feature = "http")]
pub mod guard;
#[cfg(feature = "http")]
pub mod http;
pub mod id;
mod joins;
mod line;
pub mod memory;
#[cfg(feature = "page")]
pub mod page;
pub mod queue;
#[cfg(feature = "redis")]
pub mod redis;
pub mod room;
pub mod state;
pub mod store;
mod telemetry;
mod token;
#[cfg(feature = "conformance")]
#[doc(hidden)]
pub mod unguarded;
#[cfg(not(feature = "conformance"))]
mod unguarded;

#[cfg(feature = "redis")]
pub use crate::redis::{RedisStore, RedisStoreBuilder};
pub use admission::{AdmissionClaims, Holder};
pub use broker::{AdmittedUpdate, ClosedUpdate, Eta, Update, Updates, WaitingUpdate};
pub use clock::{Clock, ManualClock, SystemClock, UnixMs};
pub use config::{Lane, Opening, RoomConfig, RoomConfigBuilder};
pub use draw::{DrawKey, DrawKeys};
pub use error::{ConfigError, FieldError, QueueError, StoreError};
pub use id::{BrokerId, ConnId, EventId, IdError, LaneName, UserId};
pub use memory::MemoryStore;
pub use queue::{JoinOptions, Joined, WaitingQueue, WaitingQueueBuilder, Watched};
pub use state::{Reason, RoomState, RoomVerb};
pub use store::*;
pub use token::{AdmissionKeys, TokenError};
