//! A fair virtual waiting room.

pub mod admission;
mod broker;
pub mod clock;
pub mod config;
mod dispatcher;
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

#[cfg(feature = "redis")]
pub use crate::redis::{RedisStore, RedisStoreBuilder};
pub use admission::AdmissionClaims;
pub use broker::{AdmittedUpdate, ClosedUpdate, Eta, Update, Updates, WaitingUpdate};
pub use clock::{Clock, ManualClock, SystemClock, UnixMs};
pub use config::{Lane, RoomConfig, RoomConfigBuilder};
pub use error::{ConfigError, FieldError, QueueError, StoreError};
pub use id::{BrokerId, ConnId, EventId, IdError, LaneName, UserId};
pub use memory::MemoryStore;
pub use queue::{JoinOptions, Joined, WaitingQueue, WaitingQueueBuilder, Watched};
pub use state::{Reason, RoomState, RoomVerb};
pub use store::*;
pub use token::{AdmissionKeys, TokenError};
