//! The outbox store port: what relays need of the database that the messages were written into.
//!
//! Writing a message is no verb here: it belongs to the transaction of the aggregate's change, which is
//! the store's of that aggregate. A store must write the messages of an aggregate one transaction after
//! the other (a lock on the aggregate), so that whoever sees a version sees those before it, too.
//!
//! Relays share the shards by leases. A lease only keeps relays from doing the same work twice: order holds
//! without it, because a message goes away only after it was acknowledged. What a crash leaves behind: leases that
//! lapse, and messages that were published and are still there, which the next relay publishes again.

use async_trait::async_trait;
use ticketon_queue::{StoreError, UnixMs};

use super::OutboxMessage;

/// The most messages that one [`OutboxStore::unpublished`] reads.
pub const MAX_READ: usize = 500;

/// The right to publish a shard's messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShardLease {
    /// Which shard.
    pub shard: u16,
    /// Whose it is.
    pub relay: String,
    /// Rises with each new owner of the shard, and stays when the lease is renewed.
    pub fence: u64,
    /// Until when, on the clock of who asked for it.
    pub until_ms: UnixMs,
}

/// What a relay has after it asked for leases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leased {
    /// All its leases, in the order of their shards.
    pub leases: Vec<ShardLease>,
    /// How many it may have at the most: a fair share among the relays that live. What it has above that it gives back when
    /// it is done with it.
    pub share: usize,
}

/// What came of recording that messages were published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// They are gone from the outbox, or were already.
    Done,
    /// Somebody else has the shard; nothing was changed.
    StaleFence,
}

/// What waits in the outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many messages are unpublished.
    pub pending: u64,
    /// When the one that waits the longest occurred.
    pub oldest_ms: Option<UnixMs>,
}

/// Where messages wait until they were published.
#[async_trait]
pub trait OutboxStore: Send + Sync + std::fmt::Debug + 'static {
    /// Says that this relay lives until `now_ms + ttl_ms`, renews its leases until then, and takes shards that nobody has
    /// until it has its share: [`SHARDS`](super::SHARDS) divided by the relays that live, rounded up. As one step.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed; the leases may or may not have been renewed.
    async fn lease(&self, relay: &str, now_ms: UnixMs, ttl_ms: i64) -> Result<Leased, StoreError>;

    /// Gives shards back. A lease that somebody else has by now is passed over.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed; the leases lapse by themselves.
    async fn give_back(&self, leases: &[ShardLease]) -> Result<(), StoreError>;

    /// Says that this relay lives no longer, and gives back all that it has.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed; all of it lapses by itself.
    async fn leave(&self, relay: &str) -> Result<(), StoreError>;

    /// The shards that have unpublished messages.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn shards(&self) -> Result<Vec<u16>, StoreError>;

    /// The first unpublished messages of a shard in the order of their rows, at most `limit` and at most [`MAX_READ`]. There is no
    /// cursor: a row that was committed late is found whatever its number is.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn unpublished(&self, shard: u16, limit: usize)
    -> Result<Vec<OutboxMessage>, StoreError>;

    /// Records that these messages of the lease's shard were published, if the fence is still the shard's, and its owner the lease's.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed; if nothing was recorded, the messages are published again.
    async fn published(&self, lease: &ShardLease, ids: &[i64]) -> Result<Recorded, StoreError>;

    /// What waits.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn backlog(&self) -> Result<Backlog, StoreError>;
}
