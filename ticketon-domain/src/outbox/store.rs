//! The outbox store port: what relays need of the database that the messages were written into.
//!
//! Writing a message is no verb here: it belongs to the transaction of the aggregate's change, which is
//! the store's of that aggregate. A store must write the messages of an aggregate one transaction after
//! the other (a lock on the aggregate), so that whoever sees a version sees those before it, too.
//!
//! Relays share the shards by leases. A lease only keeps relays from doing the same work twice: order holds
//! without it, because a message goes away only after it was acknowledged. What a crash leaves behind: leases that
//! lapse, and messages that were published and are still there, which the next relay publishes again.
//!
//! A message that the bus refuses, or that cannot be read, is parked, and its aggregate with it: until it may be tried again
//! no message of that aggregate is read, and those of all others are.
//!
//! The store keeps which bus it belongs to, so that a process with another bus, or with none that lasts, cannot take
//! messages that others wait for.

use async_trait::async_trait;
use ticketon_queue::{StoreError, UnixMs};

use super::OutboxMessage;

/// The most messages that one [`OutboxStore::unpublished`] reads.
pub const MAX_READ: usize = 500;
/// Up to how many messages are counted; so many means that there may be more.
pub const MAX_COUNTED: u64 = 100_000;
/// How long a parked message rests at the most before it is tried again, in milliseconds.
pub const MAX_REST_MS: i64 = 300_000;

/// The longest name of a bus, in bytes.
const MAX_BUS_BYTES: usize = 255;
/// How many bytes of why a message was refused are kept.
const MAX_WHY_BYTES: usize = 500;

/// A name that a bus may have.
///
/// # Errors
/// [`StoreError::Unsafe`] if it is empty or too long.
pub(crate) fn bus_name(name: &str) -> Result<&str, StoreError> {
    if (1..=MAX_BUS_BYTES).contains(&name.len()) {
        return Ok(name);
    }
    let detail = format!(
        "the name of a bus has {} bytes, not 1 to {MAX_BUS_BYTES}",
        name.len()
    );
    Err(StoreError::Unsafe { detail })
}

/// As much of a reason as is kept.
pub(crate) fn shortened(why: &str) -> &str {
    why.get(..why.floor_char_boundary(MAX_WHY_BYTES))
        .unwrap_or_default()
}

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
    /// The bus that the outbox belongs to, if that is another than the relay's: then it has no lease.
    pub other_bus: Option<String>,
}

/// What came of recording what became of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is recorded, or was already.
    Done,
    /// Somebody else has the shard; nothing was changed.
    StaleFence,
}

/// What waits in the outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many messages are unpublished, counted up to [`MAX_COUNTED`].
    pub pending: u64,
    /// When the one that waits the longest occurred.
    pub oldest_ms: Option<UnixMs>,
    /// How many messages are parked, counted up to [`MAX_COUNTED`]. Those behind them wait, too.
    pub parked: u64,
}

/// The first unpublished messages of a shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpublished {
    /// In the order of their rows; none that is behind one that cannot be read.
    pub messages: Vec<OutboxMessage>,
    /// Those that cannot be read, the first of each aggregate.
    pub unreadable: Vec<Unreadable>,
}

/// A message that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its row.
    pub id: i64,
    /// What is wrong with it.
    pub why: String,
    /// How often it was refused so far.
    pub refusals: u32,
}

/// That a message cannot be published as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its row.
    pub id: i64,
    /// Why; the first 500 bytes are kept.
    pub why: String,
    /// When it is tried again.
    pub retry_ms: UnixMs,
}

/// A message that is parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The text of its aggregate, like `order/42`, which waits as a whole.
    pub aggregate: String,
    /// Which of the aggregate's messages it is.
    pub version: u64,
    /// What happened.
    pub kind: String,
    /// When it was refused for the first time.
    pub since_ms: UnixMs,
    /// How often it was refused.
    pub refusals: u32,
    /// When it is tried again.
    pub retry_ms: UnixMs,
    /// Why it was refused the last time.
    pub why: String,
}

/// Where messages wait until they were published.
#[async_trait]
pub trait OutboxStore: Send + Sync + std::fmt::Debug + 'static {
    /// Says that this relay lives until `now_ms + ttl_ms`, renews its leases until then, and takes shards that nobody has
    /// until it has its share: [`SHARDS`](super::SHARDS) divided by the relays that live, rounded up. As one step.
    ///
    /// An outbox that belongs to no bus belongs to this one from now on, if it has an
    /// [identity](super::EventBus::identity), and all other leases end. One that belongs to another bus gives no lease, and the
    /// relay loses those that it has.
    ///
    /// A lease whose end is further away than two of its terms is one of a clock that is ahead: it lapses
    /// when it was not renewed for a term since somebody saw that. So is the life of a relay.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed; the leases may or may not have been renewed.
    async fn lease(
        &self,
        relay: &str,
        bus: Option<&str>,
        now_ms: UnixMs,
        ttl_ms: i64,
    ) -> Result<Leased, StoreError>;

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

    /// The bus that the outbox belongs to.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn bus(&self) -> Result<Option<String>, StoreError>;

    /// Makes the outbox another bus's, or nobody's, and ends all leases: for an operator. What waits goes there. What is on
    /// its way to the old bus goes there as well.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed, or the name has not 1 to 255 bytes.
    async fn set_bus(&self, bus: Option<&str>) -> Result<(), StoreError>;

    /// The shards that have messages to be published now.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn shards(&self, now_ms: UnixMs) -> Result<Vec<u16>, StoreError>;

    /// The first unpublished messages of a shard in the order of their rows, at most `limit` and at most [`MAX_READ`]. There is no
    /// cursor: a row that was committed late is found whatever its number is. Messages of an aggregate that is parked are
    /// left out until they may be tried again; a rest that is longer than [`MAX_REST_MS`] is over.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn unpublished(
        &self,
        shard: u16,
        now_ms: UnixMs,
        limit: usize,
    ) -> Result<Unpublished, StoreError>;

    /// Records that these messages of the lease's shard were published, if the fence is still the shard's, and its owner the lease's.
    /// An aggregate that was parked for one of them is so no more.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed; if nothing was recorded, the messages are published again.
    async fn published(&self, lease: &ShardLease, ids: &[i64]) -> Result<Recorded, StoreError>;

    /// Parks messages of the lease's shard, and their aggregates with them, if the lease is still good. One that was parked already
    /// keeps since when; its refusals are counted.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn park(
        &self,
        lease: &ShardLease,
        now_ms: UnixMs,
        refusals: &[Refusal],
    ) -> Result<Recorded, StoreError>;

    /// The parked messages, the oldest refusals first, at most `limit` and at most [`MAX_READ`].
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, StoreError>;

    /// Lets what is parked be tried again at once: of this aggregate (`order/42`), or all. The answer is how many messages.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn retry(&self, aggregate: Option<&str>) -> Result<u64, StoreError>;

    /// What waits.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn backlog(&self) -> Result<Backlog, StoreError>;
}
