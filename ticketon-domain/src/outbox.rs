//! The transactional outbox: events on their way from a commit to whoever wants to know.
//!
//! An aggregate's change and the messages about it are written in one transaction; a [`Relay`] reads
//! what is unpublished and gives it to an [`EventBus`]. So an event is published at least once after its
//! commit and never without one. The messages of an aggregate have versions without gaps, and no
//! version is published before the one in front of it was acknowledged; a crash, a slow relay or a lost
//! answer can only repeat what was published. Consumers ignore the versions that they have seen
//! ([`inbox`]). `docs/events.md` has every event.

mod bus;
mod envelope;
pub mod inbox;
mod message;
mod relay;
pub(crate) mod span;
pub(crate) mod store;

pub use bus::{BusError, EventBus, PublishError, Refused};
pub use envelope::{Envelope, MAX_ENVELOPE_BYTES, TOPICS};
pub use message::{Aggregate, NewMessage, OutboxMessage, SHARDS, shard_of};
pub use relay::{Relay, RelayBuilder, RelayHealth, Wake};
pub use store::{
    Backlog, Leased, MAX_COUNTED, MAX_READ, MAX_REST_MS, OutboxStore, Parked, Recorded, Refusal,
    ShardLease, Unpublished, Unreadable,
};
