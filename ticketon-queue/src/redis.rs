//! Rooms in Redis: any number of processes share them, and they survive every process.
//!
//! Each verb is one Lua script under `lua/`, so it takes effect as a whole; each gives the same
//! answer as the model in [`room`](crate::room). All keys of a room are in one slot. Time is
//! Redis's own.

mod address;
mod builder;
mod call;
mod connection;
mod decode;
mod dial;
mod eviction;
mod failover;
mod failures;
#[cfg(feature = "conformance")]
mod guards;
mod join;
mod keys;
mod lease;
mod presence;
mod reply;
mod save;
mod script;
mod shape;
mod tick;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use self::address::Address;
pub use self::builder::RedisStoreBuilder;
pub use self::call::{RedisCall, RedisScript};
pub use self::connection::RedisLink;
use self::decode::{Fields, corrupt};
#[cfg(feature = "conformance")]
#[doc(hidden)]
pub use self::guards::guards;
use self::keys::{ROOMS, RoomKeys};
pub use self::reply::Reply;
use self::script::{Refusal, Verb};
use self::shape::{Shape, Shapes};
use crate::clock::Clock;
use crate::config::RoomConfig;
use crate::draw::DrawKeys;
use crate::error::StoreError;
use crate::id::{BrokerId, ConnId, EventId, UserId};
use crate::state::RoomVerb;
use crate::store::{
    Attach, Attached, Fenced, JoinReply, JoinRequest, Lease, Left, MAX_BATCH, Observe,
    ObserveReply, QueueStore, RoomNumbers, RoomSaved, Standing, StateChanged, TakenOver, Tick,
};

/// How often a verb reads the config again because it changed in the meantime.
const MAX_STALE: usize = 8;

/// A [`QueueStore`] in Redis: in one server, in a Redis Cluster, or in a master behind Sentinels. Clones
/// share their connection.
///
/// A cluster spreads rooms over its masters, each room whole in one slot. Where the master may move, calls
/// that meet a failover are sent again within their time, and the connection follows by itself. Redis
/// copies to replicas after it has answered, so a failover may take back the last moments: what then
/// holds is in the project's `docs/guarantees.md`.
///
/// ```no_run
/// # async fn example() -> Result<(), ticketon_queue::StoreError> {
/// use ticketon_queue::{QueueStore, RedisStore};
/// let store = RedisStore::connect("redis://127.0.0.1:6379").await?;
/// store.ping().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    link: RedisLink,
    shapes: Arc<Shapes>,
    clock: Option<Arc<dyn Clock>>,
    draw_keys: DrawKeys,
    #[cfg(feature = "conformance")]
    unguarded: guards::Unguarded,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("link", &self.link)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Connects to where the URL says:
    ///
    /// - `redis://[user:password@]host[:port][/database]`: one server;
    /// - `redis+cluster://[user:password@]host:port,host:port`: a Redis Cluster, by some of its nodes;
    /// - `redis+sentinel://[user:password@]host:port,host:port/master-name[/database]`: the master that
    ///   these Sentinels watch. The login is the master's; the Sentinels' own follows as
    ///   `?sentinel_username=..&sentinel_password=..`.
    ///
    /// `rediss` in place of `redis` means TLS for every connection. In logins all but letters and digits
    /// should be percent-encoded.
    ///
    /// # Errors
    /// As [`RedisStoreBuilder::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// To connect to a URL of any form of [`RedisStore::connect`] with more settings.
    pub fn builder(url: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(Address::parse(&url.into()))
    }

    /// To connect to a Redis Cluster by the URLs of some of its nodes, which tell of the others:
    /// `redis://[user:password@]host[:port]`, or `rediss://`.
    pub fn cluster<U: Into<String>>(nodes: impl IntoIterator<Item = U>) -> RedisStoreBuilder {
        let nodes: Vec<String> = nodes.into_iter().map(Into::into).collect();
        RedisStoreBuilder::new(Address::cluster_of(&nodes))
    }

    /// To connect to the master that Sentinels know by this name, wherever it is. A login in the
    /// Sentinels' URLs is theirs; the master's is set by [`RedisStoreBuilder::password`].
    /// With `rediss://` the master is reached by TLS too.
    pub fn sentinel<U: Into<String>>(
        sentinels: impl IntoIterator<Item = U>,
        master_name: &str,
    ) -> RedisStoreBuilder {
        let sentinels: Vec<String> = sentinels.into_iter().map(Into::into).collect();
        RedisStoreBuilder::new(Address::sentinel_of(&sentinels, master_name))
    }

    /// Other keys for new draws, for tests. Every process must have the same.
    #[must_use]
    pub fn draw_keys(mut self, keys: DrawKeys) -> Self {
        self.draw_keys = keys;
        self
    }

    /// The way to this store's Redis, for calls of one's own over the same connections.
    ///
    /// The keys under `ticketon:{event}:` that this store writes are its own; who keeps data beside a room's, in
    /// the same slot, uses another name before the same tag, such as `shop:{event}:stock`.
    #[must_use]
    pub fn link(&self) -> RedisLink {
        self.link.clone()
    }

    /// The clock of [`RedisStoreBuilder::clock`]; `None` where the time is Redis's own.
    ///
    /// Scripts beside the store that mean the same time take it from here, and from `TIME` without one.
    #[must_use]
    pub fn clock(&self) -> Option<&Arc<dyn Clock>> {
        self.clock.as_ref()
    }

    /// What a script takes for now: a text for the test's clock, empty for Redis's own.
    fn now(&self) -> String {
        self.clock
            .as_ref()
            .map_or(String::new(), |clock| clock.now_ms().to_string())
    }

    /// The script of a verb, as this store runs it.
    fn script(&self, verb: Verb) -> &'static RedisScript {
        #[cfg(feature = "conformance")]
        if let Some(script) = self.unguarded.script(verb) {
            return script;
        }
        verb.script()
    }

    /// Reads the room's shape from Redis.
    async fn read_shape(&self, event: &EventId) -> Result<Option<Arc<Shape>>, StoreError> {
        let mut call = RedisCall::command("HMGET");
        call.key(RoomKeys::new(event).room());
        for field in shape::FIELDS {
            call.arg(field);
        }
        let reply = self.link.run("shape", &call).await?;
        let shape = Shape::read(event, reply)?.map(Arc::new);
        if let Some(shape) = &shape {
            self.shapes.put(event, shape);
        }
        Ok(shape)
    }

    /// Runs a verb of a room, with the config read again as long as it is stale.
    async fn call<T>(
        &self,
        event: &EventId,
        verb: Verb,
        write: impl Fn(&Shape, &mut RedisCall) + Send + Sync,
        read: impl Fn(&Shape, Result<u64, Refusal>, Fields) -> Result<T, StoreError> + Send + Sync,
    ) -> Result<Option<T>, StoreError> {
        for _ in 0..MAX_STALE {
            let shape = match self.shapes.get(event) {
                Some(shape) => shape,
                None => match self.read_shape(event).await? {
                    Some(shape) => shape,
                    None => return Ok(None),
                },
            };
            let mut invocation = shape.invocation(self.script(verb), &self.now());
            write(&shape, &mut invocation);
            let reply = self.link.run(verb.name(), &invocation).await?;
            let mut fields = Fields::new(verb.name(), reply)?;
            match fields.code()? {
                Err(Refusal::NoRoom) => {
                    self.shapes.forget(event, &shape);
                    return Ok(None);
                }
                Err(Refusal::Stale) => self.shapes.forget(event, &shape),
                code => return read(&shape, code, fields).map(Some),
            }
        }
        Err(never_still(verb.name()))
    }
}

#[async_trait]
impl QueueStore for RedisStore {
    async fn save_room(
        &self,
        event: &EventId,
        config: &RoomConfig,
    ) -> Result<RoomSaved, StoreError> {
        save::save_room(self, event, config).await
    }

    async fn change_state(
        &self,
        event: &EventId,
        verb: RoomVerb,
    ) -> Result<Option<StateChanged>, StoreError> {
        save::change_state(self, event, verb).await
    }

    async fn numbers(&self, event: &EventId) -> Result<Option<RoomNumbers>, StoreError> {
        self.call(
            event,
            Verb::Numbers,
            |_, _| {},
            |shape, code, mut fields| match code {
                Ok(0) => fields.numbers(shape),
                other => Err(fields.unexpected(other)),
            },
        )
        .await
    }

    async fn rooms(&self) -> Result<Vec<EventId>, StoreError> {
        let reply = self
            .link
            .run("rooms", RedisCall::command("SMEMBERS").key(ROOMS))
            .await?;
        let mut rooms: Vec<EventId> =
            Fields::new("rooms", reply)?.each(|fields| fields.parsed("event id"))?;
        rooms.sort();
        Ok(rooms)
    }

    async fn join(
        &self,
        event: &EventId,
        batch: &[JoinRequest],
    ) -> Result<Option<Vec<JoinReply>>, StoreError> {
        join::join(self, event, batch).await
    }

    async fn standing(
        &self,
        event: &EventId,
        user: &UserId,
    ) -> Result<Option<Standing>, StoreError> {
        join::standing(self, event, user).await
    }

    async fn leave(
        &self,
        event: &EventId,
        user: &UserId,
        fence: Option<u64>,
    ) -> Result<Option<Left>, StoreError> {
        join::leave(self, event, user, fence).await
    }

    async fn claim(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
    ) -> Result<Option<Fenced<Lease>>, StoreError> {
        lease::claim_or_extend(self, event, user, fence, None).await
    }

    async fn complete(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
    ) -> Result<Option<Fenced<()>>, StoreError> {
        lease::complete(self, event, user, fence).await
    }

    async fn extend(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
        for_ms: i64,
    ) -> Result<Option<Fenced<Lease>>, StoreError> {
        lease::claim_or_extend(self, event, user, fence, Some(for_ms)).await
    }

    async fn tick(&self, event: &EventId, batch: usize) -> Result<Option<Tick>, StoreError> {
        tick::tick(self, event, batch).await
    }

    async fn register_broker(
        &self,
        event: &EventId,
        broker: BrokerId,
    ) -> Result<Option<()>, StoreError> {
        presence::register_broker(self, event, broker).await
    }

    async fn observe(
        &self,
        event: &EventId,
        broker: BrokerId,
        request: &Observe,
    ) -> Result<Option<ObserveReply>, StoreError> {
        presence::observe(self, event, broker, request).await
    }

    async fn attach(
        &self,
        event: &EventId,
        from: BrokerId,
        to: BrokerId,
        batch: &[Attach],
    ) -> Result<Option<Vec<Attached>>, StoreError> {
        presence::attach(self, event, from, to, batch).await
    }

    async fn disconnect(
        &self,
        event: &EventId,
        broker: BrokerId,
        batch: &[(UserId, ConnId)],
    ) -> Result<Option<()>, StoreError> {
        presence::disconnect(self, event, broker, batch).await
    }

    async fn take_over(
        &self,
        event: &EventId,
        broker: BrokerId,
    ) -> Result<Option<TakenOver>, StoreError> {
        presence::take_over(self, event, broker).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // Of a cluster this asks the master of one slot, so that one lost master does not stop all rooms.
        self.link
            .run("ping", RedisCall::command("EXISTS").key(ROOMS))
            .await
            .map(|_| ())
    }

    fn name(&self) -> &'static str {
        "redis"
    }
}

/// Somebody changes the config faster than it can be read.
fn never_still(context: &'static str) -> StoreError {
    StoreError::Unavailable {
        context,
        source: format!("the room's config changed {MAX_STALE} times during one call").into(),
    }
}

/// Chunks that one script can take; an empty batch still asks whether the room exists.
fn chunks<T>(batch: &[T]) -> impl Iterator<Item = &[T]> {
    let count = batch.len().div_ceil(MAX_BATCH).max(1);
    (0..count).map(move |index| {
        let end = batch.len().min((index + 1) * MAX_BATCH);
        &batch[index * MAX_BATCH..end]
    })
}

/// As many answers as questions.
fn exactly<T>(verb: Verb, count: usize, answers: Vec<T>) -> Result<Vec<T>, StoreError> {
    if answers.len() == count {
        return Ok(answers);
    }
    Err(corrupt(
        verb.name(),
        format!("{} answers to {count} questions", answers.len()),
    ))
}
