//! Rooms in Redis: any number of processes share them, and they survive every process.
//!
//! Each verb is one Lua script under `lua/`, so it takes effect as a whole; each gives the same
//! answer as the model in [`room`](crate::room). All keys of a room are in one slot. Time is
//! Redis's own.

mod builder;
mod connection;
mod decode;
mod keys;
mod script;
mod shape;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ::redis::{ScriptInvocation, cmd};
use async_trait::async_trait;

pub use self::builder::RedisStoreBuilder;
use self::connection::Link;
use self::decode::{Fields, corrupt};
use self::keys::{ROOMS, RoomKeys};
use self::script::{Refusal, Verb};
use self::shape::{Shape, Shapes};
use crate::clock::Clock;
use crate::config::RoomConfig;
use crate::error::StoreError;
use crate::id::{BrokerId, ConnId, EventId, UserId};
use crate::memory::MAX_ROOMS;
use crate::room::strides;
use crate::state::{RoomState, RoomVerb};
use crate::store::{
    Attach, Attached, Fenced, JoinReply, JoinRequest, Lease, Left, MAX_BATCH, MAX_EXTEND_MS,
    Observe, ObserveReply, Observed, Presence, QueueStore, RoomNumbers, RoomSaved, Standing,
    StateChanged, TakenOver, Tick,
};

/// How often a verb reads the config again because it changed in the meantime.
const MAX_STALE: usize = 8;

/// All states, for the table of transitions that a change of state is given.
const STATES: [RoomState; 6] = [
    RoomState::Scheduled,
    RoomState::Open,
    RoomState::Paused,
    RoomState::Draining,
    RoomState::SoldOut,
    RoomState::Closed,
];

/// A [`QueueStore`] in one Redis server. Clones share their connection.
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
    link: Link,
    shapes: Arc<Shapes>,
    clock: Option<Arc<dyn Clock>>,
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
    /// Connects to `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS.
    ///
    /// # Errors
    /// As [`RedisStoreBuilder::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// To connect with more settings.
    pub fn builder(url: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url.into())
    }

    /// What a script takes for now: a text for the test's clock, empty for Redis's own.
    fn now(&self) -> String {
        self.clock
            .as_ref()
            .map_or(String::new(), |clock| clock.now_ms().to_string())
    }

    /// Reads the room's shape from Redis.
    async fn read_shape(&self, event: &EventId) -> Result<Option<Arc<Shape>>, StoreError> {
        let mut command = cmd("HMGET");
        command.arg(RoomKeys::new(event).room()).arg(&shape::FIELDS);
        let reply = self.link.command("shape", &command).await?;
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
        write: impl Fn(&Shape, &mut ScriptInvocation<'static>) + Send + Sync,
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
            let mut invocation = shape.invocation(verb, &self.now());
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

    /// Adds the room to the set of all rooms; `false` when there are too many.
    async fn enlist(&self, event: &EventId, limit: usize) -> Result<bool, StoreError> {
        let mut invocation = script::enlist().prepare_invoke();
        invocation.key(ROOMS).arg(event.as_str()).arg(limit);
        let reply = self.link.run("enlist", &invocation).await?;
        let mut fields = Fields::new("enlist", reply)?;
        match fields.code()? {
            Ok(0) => Ok(true),
            Err(Refusal::TooManyRooms) => Ok(false),
            other => Err(fields.unexpected(other)),
        }
    }

    async fn claim_or_extend(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
        for_ms: Option<i64>,
    ) -> Result<Option<Fenced<Lease>>, StoreError> {
        let write = |_: &Shape, call: &mut ScriptInvocation<'static>| {
            call.arg(user.as_str()).arg(fence);
            match for_ms {
                Some(for_ms) => call.arg(for_ms.clamp(0, MAX_EXTEND_MS)),
                None => call.arg(""),
            };
        };
        self.call(
            event,
            Verb::Claim,
            write,
            |shape, code, mut fields| match code {
                Ok(0) => Ok(Fenced::Done(fields.lease(shape)?)),
                other => read_fenced(other, fields),
            },
        )
        .await
    }
}

/// Somebody changes the config faster than it can be read.
fn never_still(context: &'static str) -> StoreError {
    StoreError::Unavailable {
        context,
        source: format!("the room's config changed {MAX_STALE} times during one call").into(),
    }
}

/// The refusals of the verbs that compare the fence.
fn read_fenced<T>(code: Result<u64, Refusal>, mut fields: Fields) -> Result<Fenced<T>, StoreError> {
    match code {
        Err(Refusal::Ended) => Ok(Fenced::Ended {
            reason: fields.ending()?.0,
        }),
        Err(Refusal::OtherFence) => Ok(Fenced::Stale),
        other => Err(fields.unexpected(other)),
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

/// The arguments of a save that describe the new config.
fn write_config(invocation: &mut ScriptInvocation<'static>, config: &RoomConfig) {
    let names: Vec<&str> = config
        .lanes()
        .iter()
        .map(|lane| lane.name.as_str())
        .collect();
    let strides: Vec<String> = strides(config).iter().map(u64::to_string).collect();
    invocation
        .arg(config.to_json().to_string())
        .arg(names.join(","))
        .arg(strides.join(","))
        .arg(config.capacity())
        .arg(config.admit_per_second())
        .arg(config.admit_burst())
        .arg(config.claim_ttl_ms())
        .arg(config.entry_ttl_ms())
        .arg(config.away_grace_ms())
        .arg(config.max_waiting())
        .arg(
            config
                .opens_at_ms()
                .map_or(String::new(), |at| at.to_string()),
        );
}

/// The arguments and keys of a batch of joins.
fn write_joins(shape: &Shape, call: &mut ScriptInvocation<'static>, batch: &[JoinRequest]) {
    let mut positions: HashMap<BrokerId, usize> = HashMap::new();
    for request in batch {
        let lane = request
            .lane
            .as_ref()
            .and_then(|lane| shape.config.lane_index(lane))
            .unwrap_or(0);
        call.arg(request.user.as_str()).arg(lane + 1);
        match request.presence {
            Presence::Stream { broker, conn } => {
                let next = shape.first_added_key() + positions.len();
                let position = *positions.entry(broker).or_insert_with(|| {
                    shape.add_connections(call, broker);
                    next
                });
                call.arg(broker.to_string())
                    .arg(format!("{broker}:{conn}"))
                    .arg(position);
            }
            Presence::Poll => {
                call.arg("").arg("").arg(0);
            }
        }
        call.arg(
            request
                .resume
                .map_or(String::new(), |epoch| epoch.to_string()),
        );
    }
}

fn read_join(shape: &Shape, state: RoomState, mut fields: Fields) -> Result<JoinReply, StoreError> {
    let new = match fields.code()? {
        Ok(0) => false,
        Ok(1) => true,
        Err(Refusal::BrokerLapsed) => return Ok(JoinReply::BrokerLapsed),
        Err(Refusal::Full) => return Ok(JoinReply::Full),
        Err(Refusal::State) => return Ok(JoinReply::Refused { state }),
        Err(Refusal::Gone) => {
            let (reason, _) = fields.ending()?;
            return Ok(JoinReply::Gone { reason });
        }
        other => return Err(fields.unexpected(other)),
    };
    match fields.standing(shape, state)? {
        Standing::Waiting(place) => Ok(JoinReply::Waiting { place, new }),
        Standing::Admitted(lease) => Ok(JoinReply::Admitted { lease, new }),
        other => Err(fields.corrupt(format!("a join cannot lead to {other:?}"))),
    }
}

#[async_trait]
impl QueueStore for RedisStore {
    async fn save_room(
        &self,
        event: &EventId,
        config: &RoomConfig,
    ) -> Result<RoomSaved, StoreError> {
        const VERB: Verb = Verb::Save;
        // A config that could not be read back would lock everybody out of the room.
        if RoomConfig::from_json(&config.to_json()).as_ref() != Ok(config) {
            return Err(corrupt(VERB.name(), "the config does not survive its JSON"));
        }
        for _ in 0..MAX_STALE {
            let known = self.read_shape(event).await?;
            let limit = if known.is_some() {
                usize::MAX
            } else {
                MAX_ROOMS
            };
            if !self.enlist(event, limit).await? {
                return Ok(RoomSaved::TooManyRooms { limit: MAX_ROOMS });
            }
            let mut invocation = match &known {
                Some(shape) if *shape.config == *config => return Ok(RoomSaved::Same),
                Some(shape) => shape.invocation(VERB, &self.now()),
                None => {
                    let mut invocation = VERB.script().prepare_invoke();
                    invocation
                        .key(RoomKeys::new(event).fixed())
                        .arg("")
                        .arg(self.now())
                        .arg(0);
                    invocation
                }
            };
            let keys = RoomKeys::new(event);
            for lane in config.lanes() {
                invocation.key(keys.waiting(&lane.name));
            }
            write_config(&mut invocation, config);
            let reply = self.link.run(VERB.name(), &invocation).await?;
            let mut fields = Fields::new(VERB.name(), reply)?;
            match fields.code()? {
                Ok(0) => return Ok(RoomSaved::Created),
                Ok(1) => return Ok(RoomSaved::Changed),
                Err(Refusal::LaneNotEmpty) => {
                    let lane = fields.parsed("lane")?;
                    return Ok(RoomSaved::LaneNotEmpty { lane });
                }
                Err(Refusal::Stale | Refusal::NoRoom) => {}
                other => return Err(fields.unexpected(other)),
            }
        }
        Err(never_still(VERB.name()))
    }

    async fn change_state(
        &self,
        event: &EventId,
        verb: RoomVerb,
    ) -> Result<Option<StateChanged>, StoreError> {
        let write = |_: &Shape, call: &mut ScriptInvocation<'static>| {
            for state in STATES {
                if let Some(after) = state.after(verb) {
                    call.arg(state.as_str()).arg(after.as_str());
                }
            }
        };
        self.call(
            event,
            Verb::ChangeState,
            write,
            |_, code, mut fields| match code {
                Ok(0) => Ok(StateChanged::Now(fields.parsed("state")?)),
                Err(Refusal::State) => Ok(StateChanged::Refused(fields.parsed("state")?)),
                other => Err(fields.unexpected(other)),
            },
        )
        .await
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
            .command("rooms", cmd("SMEMBERS").arg(ROOMS))
            .await?;
        let reply = match reply {
            ::redis::Value::Set(items) => ::redis::Value::Array(items),
            other => other,
        };
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
        let mut replies = Vec::with_capacity(batch.len());
        for chunk in chunks(batch) {
            let write = |shape: &Shape, call: &mut ScriptInvocation<'static>| {
                write_joins(shape, call, chunk);
            };
            let read = |shape: &Shape, code, mut fields: Fields| match code {
                Ok(0) => {
                    let state = fields.parsed("state")?;
                    let replies = fields
                        .fields("replies")?
                        .each(|fields| read_join(shape, state, fields.fields("reply")?))?;
                    exactly(Verb::Join, chunk.len(), replies)
                }
                other => Err(fields.unexpected(other)),
            };
            match self.call(event, Verb::Join, write, read).await? {
                Some(some) => replies.extend(some),
                None => return Ok(None),
            }
        }
        Ok(Some(replies))
    }

    async fn standing(
        &self,
        event: &EventId,
        user: &UserId,
    ) -> Result<Option<Standing>, StoreError> {
        let write = |_: &Shape, call: &mut ScriptInvocation<'static>| {
            call.arg(user.as_str());
        };
        self.call(
            event,
            Verb::Standing,
            write,
            |shape, code, mut fields| match code {
                Ok(0) => {
                    let state = fields.parsed("state")?;
                    fields.fields("standing")?.standing(shape, state)
                }
                other => Err(fields.unexpected(other)),
            },
        )
        .await
    }

    async fn leave(
        &self,
        event: &EventId,
        user: &UserId,
        fence: Option<u64>,
    ) -> Result<Option<Left>, StoreError> {
        let write = |_: &Shape, call: &mut ScriptInvocation<'static>| {
            call.arg(user.as_str())
                .arg(fence.map_or(String::new(), |fence| fence.to_string()));
        };
        self.call(event, Verb::Leave, write, |_, code, fields| match code {
            Ok(0) => Ok(Left::NotJoined),
            Ok(1) => Ok(Left::Waiting),
            Ok(2) => Ok(Left::Admitted),
            Err(Refusal::OtherFence) => Ok(Left::Stale),
            other => Err(fields.unexpected(other)),
        })
        .await
    }

    async fn claim(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
    ) -> Result<Option<Fenced<Lease>>, StoreError> {
        self.claim_or_extend(event, user, fence, None).await
    }

    async fn complete(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
    ) -> Result<Option<Fenced<()>>, StoreError> {
        let write = |_: &Shape, call: &mut ScriptInvocation<'static>| {
            call.arg(user.as_str()).arg(fence);
        };
        self.call(event, Verb::Complete, write, |_, code, fields| match code {
            Ok(0) => Ok(Fenced::Done(())),
            other => read_fenced(other, fields),
        })
        .await
    }

    async fn extend(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
        for_ms: i64,
    ) -> Result<Option<Fenced<Lease>>, StoreError> {
        self.claim_or_extend(event, user, fence, Some(for_ms)).await
    }

    async fn tick(&self, event: &EventId, batch: usize) -> Result<Option<Tick>, StoreError> {
        let write = |_: &Shape, call: &mut ScriptInvocation<'static>| {
            call.arg(batch.min(MAX_BATCH));
        };
        self.call(event, Verb::Tick, write, |_, code, mut fields| match code {
            Ok(0) => Ok(Tick {
                promoted: fields.count("promoted")?,
                expired: fields.count("expired")?,
                left: fields.count("left")?,
                more: fields.flag("more")?,
                state: fields.parsed("state")?,
                waiting: fields.count("waiting")?,
                active: fields.count("live leases")?,
                lapsed: fields
                    .fields("lapsed")?
                    .each(|fields| fields.parsed("broker"))?,
            }),
            other => Err(fields.unexpected(other)),
        })
        .await
    }

    async fn register_broker(
        &self,
        event: &EventId,
        broker: BrokerId,
    ) -> Result<Option<()>, StoreError> {
        let write = |_: &Shape, call: &mut ScriptInvocation<'static>| {
            call.arg(broker.to_string());
        };
        self.call(
            event,
            Verb::RegisterBroker,
            write,
            |_, code, fields| match code {
                Ok(0) => Ok(()),
                other => Err(fields.unexpected(other)),
            },
        )
        .await
    }

    async fn observe(
        &self,
        event: &EventId,
        broker: BrokerId,
        request: &Observe,
    ) -> Result<Option<ObserveReply>, StoreError> {
        let write = |_: &Shape, call: &mut ScriptInvocation<'static>| {
            call.arg(broker.to_string()).arg(request.samples.len());
            for (lane, sequence) in &request.samples {
                call.arg(lane.saturating_add(1)).arg(sequence);
            }
            for user in &request.users {
                call.arg(user.as_str());
            }
        };
        let read = |shape: &Shape, code, mut fields: Fields| match code {
            Ok(0) => {
                let numbers = fields.numbers(shape)?;
                let ranks = fields
                    .fields("ranks")?
                    .each(|fields| fields.count("rank"))?;
                let users = fields.fields("users")?.each(|fields| {
                    let mut user = fields.fields("user")?;
                    let owner = user.owner()?;
                    let mut standing = user.fields("standing")?.standing(shape, numbers.state)?;
                    if let Standing::Waiting(place) = &mut standing {
                        place.position = 0;
                    }
                    Ok((standing, owner))
                })?;
                Ok(ObserveReply::Observed(Box::new(Observed {
                    numbers,
                    ranks: exactly(Verb::Observe, request.samples.len(), ranks)?,
                    users: exactly(Verb::Observe, request.users.len(), users)?,
                })))
            }
            Err(Refusal::BrokerLapsed) => Ok(ObserveReply::BrokerLapsed),
            other => Err(fields.unexpected(other)),
        };
        self.call(event, Verb::Observe, write, read).await
    }

    async fn attach(
        &self,
        event: &EventId,
        from: BrokerId,
        to: BrokerId,
        batch: &[Attach],
    ) -> Result<Option<Vec<Attached>>, StoreError> {
        let mut replies = Vec::with_capacity(batch.len());
        for chunk in chunks(batch) {
            let write = |shape: &Shape, call: &mut ScriptInvocation<'static>| {
                shape.add_connections(call, to);
                call.arg(from.to_string()).arg(to.to_string());
                for item in chunk {
                    call.arg(item.user.as_str()).arg(item.conn.to_string());
                }
            };
            let read = |_: &Shape, code, mut fields: Fields| match code {
                Ok(0) => {
                    let replies =
                        fields
                            .fields("replies")?
                            .each(|fields| match fields.int("reply")? {
                                0 => Ok(Attached::NoPlace),
                                1 => Ok(Attached::Owner),
                                2 => Ok(Attached::Replaced),
                                other => {
                                    Err(fields.corrupt(format!("the reply {other} is unknown")))
                                }
                            })?;
                    exactly(Verb::Attach, chunk.len(), replies)
                }
                other => Err(fields.unexpected(other)),
            };
            match self.call(event, Verb::Attach, write, read).await? {
                Some(some) => replies.extend(some),
                None => return Ok(None),
            }
        }
        Ok(Some(replies))
    }

    async fn disconnect(
        &self,
        event: &EventId,
        broker: BrokerId,
        batch: &[(UserId, ConnId)],
    ) -> Result<Option<()>, StoreError> {
        for chunk in chunks(batch) {
            let write = |shape: &Shape, call: &mut ScriptInvocation<'static>| {
                shape.add_connections(call, broker);
                call.arg(broker.to_string());
                for (user, conn) in chunk {
                    call.arg(user.as_str()).arg(conn.to_string());
                }
            };
            let read = |_: &Shape, code, fields: Fields| match code {
                Ok(0) => Ok(()),
                other => Err(fields.unexpected(other)),
            };
            if self
                .call(event, Verb::Disconnect, write, read)
                .await?
                .is_none()
            {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    async fn take_over(
        &self,
        event: &EventId,
        broker: BrokerId,
    ) -> Result<Option<TakenOver>, StoreError> {
        let write = |shape: &Shape, call: &mut ScriptInvocation<'static>| {
            shape.add_connections(call, broker);
            call.arg(broker.to_string());
        };
        self.call(
            event,
            Verb::TakeOver,
            write,
            |_, code, mut fields| match code {
                Ok(0) => Ok(TakenOver::Moved {
                    people: fields.count("people")?,
                    more: fields.flag("more")?,
                }),
                Err(Refusal::Alive) => Ok(TakenOver::Alive),
                other => Err(fields.unexpected(other)),
            },
        )
        .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.link.command("ping", &cmd("PING")).await.map(|_| ())
    }
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
