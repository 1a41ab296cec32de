//! Seat maps in Redis: any number of processes share them, and they survive every process.
//!
//! Each verb is one Lua script under `lua/`, so it takes effect as a whole; each answers what
//! [`SeatMap`](crate::seat::SeatMap) does. The keys of a map are in the slot of its event's waiting room. Time is
//! Redis's own. The connections are those of the queue's [`RedisStore`].

mod decode;
mod encode;
#[cfg(feature = "conformance")]
mod guards;
mod keys;
mod script;

use std::sync::Arc;

use async_trait::async_trait;
use ticketon_queue::id::random_bytes;
use ticketon_queue::redis::{RedisCall, RedisLink, RedisScript, Reply};
use ticketon_queue::{Clock, EventId, RedisStore, StoreError, UnixMs, UserId};

use self::decode::Answer;
#[cfg(feature = "conformance")]
#[doc(hidden)]
pub use self::guards::guards;
use self::script::{Refusal, Verb};
use crate::seat::{
    Blocked, Changes, Held, Hold, HoldKey, HoldReply, HoldRequest, Load, MapHead, MapSpec, Mapped,
    Mend, Over, Owned, SeatStore, SeatSync, Snapshot, Swept, Synced,
};
use crate::venue::SeatIndex;

/// A [`SeatStore`] in Redis: in one server, in a Redis Cluster, or in a master behind Sentinels. Clones share
/// their connections.
///
/// A map lives whole in one slot, and one script changes it, so a hold costs about as much in a hall of
/// 50,000 seats as in a small one. Redis copies to replicas after it has answered: a failover may take
/// back the last moments, and a flush everything. The map then reads as absent or as it was, never as
/// free, and is rebuilt from the ledger.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use ticketon_domain::adapter::redis::RedisSeatStore;
/// use ticketon_domain::seat::{MapSpec, Over, SeatStore};
/// use ticketon_queue::{EventId, RedisStore};
///
/// let rooms = RedisStore::connect("redis://127.0.0.1:6379").await?;
/// let seats = RedisSeatStore::on(&rooms);
/// let event = EventId::new("tour")?;
/// let spec = MapSpec { layout: "hall-1".to_owned(), seats: 500 };
/// let epoch = seats.begin_rebuild(&event, &spec, Over::Absent).await?.expect("nobody else began");
/// assert!(seats.finish_rebuild(&event, epoch).await?);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct RedisSeatStore {
    link: RedisLink,
    clock: Option<Arc<dyn Clock>>,
    #[cfg(feature = "conformance")]
    unguarded: guards::Unguarded,
}

impl RedisSeatStore {
    /// Over the connections of a store of waiting rooms, with its clock.
    #[must_use]
    pub fn on(rooms: &RedisStore) -> Self {
        Self {
            link: rooms.link(),
            clock: rooms.clock().cloned(),
            #[cfg(feature = "conformance")]
            unguarded: guards::Unguarded::default(),
        }
    }

    /// Connects to where the URL says, in any form of [`RedisStore::connect`].
    ///
    /// # Errors
    /// As [`RedisStore::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, StoreError> {
        Ok(Self::on(&RedisStore::connect(url).await?))
    }

    /// The same with a clock of its own in place of Redis's, for tests.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock: Some(clock),
            ..self
        }
    }

    /// The same with scripts that lack a guard, for a test that shows what the guard prevents.
    ///
    /// # Panics
    /// If no script has a guard of this name.
    #[cfg(feature = "conformance")]
    #[doc(hidden)]
    #[must_use]
    pub fn without_guard(self, name: &str) -> Self {
        Self {
            unguarded: guards::Unguarded::without(name),
            ..self
        }
    }

    /// The script of a verb, as this store runs it.
    fn script(&self, verb: Verb) -> &'static RedisScript {
        #[cfg(feature = "conformance")]
        if let Some(script) = self.unguarded.script(verb) {
            return script;
        }
        verb.script()
    }

    /// A call of a verb with everything that `prelude.lua` wants.
    fn call(&self, verb: Verb, event: &EventId, epoch: Option<u64>) -> RedisCall {
        let mut call = RedisCall::script(self.script(verb));
        for key in keys::keys(event) {
            call.key(key);
        }
        match epoch {
            Some(epoch) => call.arg_int(epoch),
            None => call.arg(""),
        };
        match &self.clock {
            Some(clock) => call.arg_int(clock.now_ms()),
            None => call.arg(""),
        };
        call
    }

    async fn run(&self, verb: Verb, call: &RedisCall) -> Result<Reply, StoreError> {
        self.link.run(verb.name(), call).await
    }

    /// Runs a verb on a map that has to be ready.
    async fn mapped<T>(
        &self,
        verb: Verb,
        call: &RedisCall,
        read: impl FnOnce(Result<(), Refusal>, &mut Answer) -> Result<T, StoreError> + Send,
    ) -> Result<Mapped<T>, StoreError> {
        Answer::mapped(verb, self.run(verb, call).await?, read)
    }

    /// Runs a verb on a hold.
    async fn on_hold(
        &self,
        verb: Verb,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
        write: impl FnOnce(&mut RedisCall) + Send,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        let mut call = self.call(verb, event, Some(epoch));
        encode::key(&mut call, key);
        write(&mut call);
        self.mapped(verb, &call, |code, answer| {
            Ok(match code {
                Ok(()) => HoldReply::Done(answer.hold(epoch)?),
                Err(Refusal::Unknown) => HoldReply::Unknown,
                Err(Refusal::NotYours) => HoldReply::NotYours,
                Err(Refusal::Pinned) => HoldReply::Pinned,
                Err(Refusal::Ended) => HoldReply::Ended {
                    reason: answer.reason()?,
                },
                code => return Err(answer.unexpected(code)),
            })
        })
        .await
    }

    /// Runs a verb on seats that an operator names.
    async fn on_seats(
        &self,
        verb: Verb,
        event: &EventId,
        epoch: u64,
        seats: &[SeatIndex],
    ) -> Result<Mapped<Blocked>, StoreError> {
        encode::few(verb, seats.len())?;
        let mut call = self.call(verb, event, Some(epoch));
        call.arg(encode::seats(seats));
        self.mapped(verb, &call, |code, answer| match code {
            Ok(()) => Ok(Blocked::Done),
            Err(Refusal::Unavailable) => {
                let seats = answer.seats()?;
                Ok(Blocked::Unavailable { seats })
            }
            code => Err(answer.unexpected(code)),
        })
        .await
    }

    /// Runs a verb that lets the map follow the ledger.
    async fn on_ledger(&self, verb: Verb, call: &RedisCall) -> Result<Mapped<Synced>, StoreError> {
        self.mapped(verb, call, |code, answer| match code {
            Ok(()) => {
                let changed = answer.number("seats changed")?;
                let late = answer.number("seats whose sale is late")?;
                let mut lost = Vec::with_capacity(answer.len());
                while answer.len() > 0 {
                    lost.push(answer.id()?);
                }
                Ok(Synced {
                    changed,
                    lost,
                    late,
                })
            }
            code => Err(answer.unexpected(code)),
        })
        .await
    }

    /// Runs a verb that lists holds.
    async fn on_holds(
        &self,
        verb: Verb,
        epoch: u64,
        call: &RedisCall,
    ) -> Result<Mapped<Vec<Hold>>, StoreError> {
        self.mapped(verb, call, |code, answer| match code {
            Ok(()) => {
                let mut holds = Vec::with_capacity(answer.len() / 2);
                while answer.len() > 0 {
                    holds.push(answer.hold(epoch)?);
                }
                Ok(holds)
            }
            code => Err(answer.unexpected(code)),
        })
        .await
    }

    /// Runs a verb of a rebuild, which is done or comes too late.
    async fn on_rebuild(&self, verb: Verb, call: &RedisCall) -> Result<bool, StoreError> {
        let (code, answer) = Answer::read(verb, self.run(verb, call).await?)?;
        let done = match code {
            Ok(()) => true,
            Err(Refusal::Superseded) => false,
            code => return Err(answer.unexpected(code)),
        };
        answer.end()?;
        Ok(done)
    }
}

#[async_trait]
impl SeatStore for RedisSeatStore {
    async fn head(&self, event: &EventId) -> Result<Mapped<MapHead>, StoreError> {
        let call = self.call(Verb::Head, event, None);
        self.mapped(Verb::Head, &call, |code, answer| match code {
            Ok(()) => answer.head(),
            code => Err(answer.unexpected(code)),
        })
        .await
    }

    async fn snapshot(&self, event: &EventId) -> Result<Mapped<Snapshot>, StoreError> {
        let call = self.call(Verb::Snapshot, event, None);
        self.mapped(Verb::Snapshot, &call, |code, answer| match code {
            Ok(()) => {
                let head = answer.head()?;
                let bits = answer.bits(&head)?;
                Ok(Snapshot::new(head, bits.into()))
            }
            code => Err(answer.unexpected(code)),
        })
        .await
    }

    async fn changes(
        &self,
        event: &EventId,
        epoch: u64,
        after: u64,
    ) -> Result<Mapped<Changes>, StoreError> {
        let mut call = self.call(Verb::Changes, event, Some(epoch));
        call.arg_int(after);
        self.mapped(Verb::Changes, &call, |code, answer| match code {
            Ok(()) => {
                let mut changes = Vec::with_capacity(answer.len() / 2);
                while answer.len() > 0 {
                    changes.push(answer.change(after + changes.len() as u64)?);
                }
                Ok(Changes::Since(changes))
            }
            Err(Refusal::Gap) => Ok(Changes::Gap),
            code => Err(answer.unexpected(code)),
        })
        .await
    }

    async fn hold(
        &self,
        event: &EventId,
        epoch: u64,
        request: &HoldRequest,
    ) -> Result<Mapped<Held>, StoreError> {
        let mut call = self.call(Verb::Hold, event, Some(epoch));
        encode::request(&mut call, request)?;
        let asked = encode::asked(&request.choice);
        self.mapped(Verb::Hold, &call, |code, answer| {
            Ok(match code {
                Ok(()) => Held::Taken(answer.hold(epoch)?),
                Err(Refusal::Unavailable) => Held::Unavailable {
                    seats: answer.seats()?,
                },
                Err(Refusal::NoSeats) => Held::NoSeats,
                Err(Refusal::OverOrder) => Held::OverOrderLimit { asked },
                Err(Refusal::OverUser) => Held::OverUserLimit {
                    has: answer.small("seats of the user")?,
                },
                Err(Refusal::Ended) => Held::Ended {
                    reason: answer.reason()?,
                },
                Err(Refusal::Mismatch) => Held::Mismatch,
                code => return Err(answer.unexpected(code)),
            })
        })
        .await
    }

    async fn find(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.on_hold(Verb::Find, event, epoch, key, |_| {}).await
    }

    async fn holds_of(
        &self,
        event: &EventId,
        epoch: u64,
        user: &UserId,
    ) -> Result<Mapped<Vec<Hold>>, StoreError> {
        let mut call = self.call(Verb::HoldsOf, event, Some(epoch));
        call.arg(user.as_str());
        self.on_holds(Verb::HoldsOf, epoch, &call).await
    }

    async fn extend(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
        ttl_ms: i64,
        cap_ms: i64,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.on_hold(Verb::Extend, event, epoch, key, |call| {
            call.arg_int(ttl_ms).arg_int(cap_ms);
        })
        .await
    }

    async fn release(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.on_hold(Verb::Release, event, epoch, key, |_| {}).await
    }

    async fn pin(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.on_hold(Verb::Pin, event, epoch, key, |_| {}).await
    }

    async fn unpin(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
        ttl_ms: i64,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.on_hold(Verb::Unpin, event, epoch, key, |call| {
            call.arg_int(ttl_ms);
        })
        .await
    }

    async fn sync(
        &self,
        event: &EventId,
        epoch: u64,
        batch: &[SeatSync],
    ) -> Result<Mapped<Synced>, StoreError> {
        let mut call = self.call(Verb::Sync, event, Some(epoch));
        encode::messages(&mut call, batch)?;
        self.on_ledger(Verb::Sync, &call).await
    }

    async fn owners(
        &self,
        event: &EventId,
        epoch: u64,
        from: SeatIndex,
    ) -> Result<Mapped<Vec<Owned>>, StoreError> {
        let mut call = self.call(Verb::Owners, event, Some(epoch));
        call.arg_int(from.get());
        self.mapped(Verb::Owners, &call, |code, answer| match code {
            Ok(()) => answer.owners(from),
            code => Err(answer.unexpected(code)),
        })
        .await
    }

    async fn pinned(
        &self,
        event: &EventId,
        epoch: u64,
        skip: u32,
    ) -> Result<Mapped<Vec<Hold>>, StoreError> {
        let mut call = self.call(Verb::Pinned, event, Some(epoch));
        call.arg_int(skip);
        self.on_holds(Verb::Pinned, epoch, &call).await
    }

    async fn mend(
        &self,
        event: &EventId,
        epoch: u64,
        batch: &[Mend],
    ) -> Result<Mapped<Synced>, StoreError> {
        let mut call = self.call(Verb::Mend, event, Some(epoch));
        encode::mends(&mut call, batch)?;
        self.on_ledger(Verb::Mend, &call).await
    }

    async fn block(
        &self,
        event: &EventId,
        epoch: u64,
        seats: &[SeatIndex],
    ) -> Result<Mapped<Blocked>, StoreError> {
        self.on_seats(Verb::Block, event, epoch, seats).await
    }

    async fn unblock(
        &self,
        event: &EventId,
        epoch: u64,
        seats: &[SeatIndex],
    ) -> Result<Mapped<Blocked>, StoreError> {
        self.on_seats(Verb::Unblock, event, epoch, seats).await
    }

    async fn sweep(&self, event: &EventId) -> Result<Mapped<Swept>, StoreError> {
        let call = self.call(Verb::Sweep, event, None);
        self.mapped(Verb::Sweep, &call, |code, answer| match code {
            Ok(()) => Ok(Swept {
                holds: answer.number("holds")?,
                seats: answer.number("seats")?,
                more: answer.number("more")? == 1,
            }),
            code => Err(answer.unexpected(code)),
        })
        .await
    }

    async fn begin_rebuild(
        &self,
        event: &EventId,
        spec: &MapSpec,
        over: Over,
    ) -> Result<Option<u64>, StoreError> {
        let mut call = self.call(Verb::BeginRebuild, event, None);
        call.arg(&spec.layout).arg_int(encode::size(spec.seats)?);
        encode::over(&mut call, over);
        // A call whose answer was lost is sent again, and must not be refused for what it did.
        call.arg(format!("{:032x}", u128::from_ne_bytes(random_bytes())));
        let reply = self.run(Verb::BeginRebuild, &call).await?;
        let (code, mut answer) = Answer::read(Verb::BeginRebuild, reply)?;
        let epoch = match code {
            Ok(()) => Some(answer.number("epoch")?),
            Err(Refusal::Superseded) => None,
            code => return Err(answer.unexpected(code)),
        };
        answer.end()?;
        Ok(epoch)
    }

    async fn load(&self, event: &EventId, epoch: u64, seats: &[Load]) -> Result<bool, StoreError> {
        let mut call = self.call(Verb::Load, event, Some(epoch));
        encode::loads(&mut call, seats)?;
        self.on_rebuild(Verb::Load, &call).await
    }

    async fn finish_rebuild(&self, event: &EventId, epoch: u64) -> Result<bool, StoreError> {
        let call = self.call(Verb::FinishRebuild, event, Some(epoch));
        self.on_rebuild(Verb::FinishRebuild, &call).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // Of a cluster this asks the master of one slot, so that one lost master does not stop all maps.
        let mut call = RedisCall::command("EXISTS");
        call.key(keys::PING);
        self.link.run("seats.ping", &call).await.map(drop)
    }

    fn name(&self) -> &'static str {
        "redis"
    }

    fn now_ms(&self) -> Option<UnixMs> {
        self.clock.as_ref().map(|clock| clock.now_ms())
    }
}
