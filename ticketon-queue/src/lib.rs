//! A fair virtual waiting room.

pub mod clock;
pub mod config;
pub mod error;
pub mod id;
mod line;
pub mod memory;
pub mod room;
pub mod state;
pub mod store;

pub use clock::{Clock, ManualClock, SystemClock, UnixMs};
pub use config::{Lane, RoomConfig, RoomConfigBuilder};
pub use error::{ConfigError, FieldError, QueueError, StoreError};
pub use id::{BrokerId, ConnId, EventId, IdError, LaneName, UserId};
pub use memory::MemoryStore;
pub use state::{Reason, RoomState, RoomVerb};
pub use store::*;
