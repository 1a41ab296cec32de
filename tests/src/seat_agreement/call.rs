//! A verb with its arguments, as it is on the wire, and what is answered.

use ticketon_domain::seat::{
    Blocked, Changes, Held, Hold, HoldKey, HoldReply, HoldRequest, Load, MapSpec, Mapped, Mend,
    Over, Owned, SeatMap, SeatStore, SeatSync, Swept, Synced,
};
use ticketon_domain::venue::SeatIndex;
use ticketon_queue::{EventId, StoreError, UserId};

/// A call; the number of most is the epoch that the caller knows.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Hold(u64, HoldRequest),
    Find(u64, HoldKey),
    HoldsOf(u64, UserId),
    Extend(u64, HoldKey, i64, i64),
    Release(u64, HoldKey),
    Pin(u64, HoldKey),
    Unpin(u64, HoldKey, i64),
    Sync(u64, Vec<SeatSync>),
    Block(u64, Vec<SeatIndex>),
    Unblock(u64, Vec<SeatIndex>),
    Sweep,
    Changes(u64, u64),
    Owners(u64, SeatIndex),
    Pinned(u64, u32),
    Mend(u64, Vec<Mend>),
    Begin(MapSpec, Over),
    Load(u64, Vec<Load>),
    Finish(u64),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Held(Mapped<Held>),
    Reply(Mapped<HoldReply>),
    Holds(Mapped<Vec<Hold>>),
    Synced(Mapped<Synced>),
    Blocked(Mapped<Blocked>),
    Swept(Mapped<Swept>),
    Changes(Mapped<Changes>),
    Owned(Mapped<Vec<Owned>>),
    Epoch(Option<u64>),
    Loaded(bool),
}

impl Answer {
    pub(super) fn is_not_ready(&self) -> bool {
        matches!(
            self,
            Self::Held(Mapped::NotReady(_))
                | Self::Reply(Mapped::NotReady(_))
                | Self::Holds(Mapped::NotReady(_))
                | Self::Synced(Mapped::NotReady(_))
                | Self::Blocked(Mapped::NotReady(_))
                | Self::Swept(Mapped::NotReady(_))
                | Self::Changes(Mapped::NotReady(_))
                | Self::Owned(Mapped::NotReady(_))
                | Self::Epoch(None)
                | Self::Loaded(false)
        )
    }
}

impl Call {
    /// Whether the effect of twice in a row is the effect of once. Each sweep may end more holds, and each rebuild
    /// begins; messages of one batch may contradict each other.
    pub(super) fn is_idempotent(&self) -> bool {
        match self {
            Self::Sweep | Self::Begin(..) => false,
            Self::Sync(_, batch) => batch.len() <= 1,
            _ => true,
        }
    }

    /// What the model says.
    pub(super) fn ask_model(&self, model: &mut SeatMap, now: i64) -> Answer {
        match self {
            Self::Hold(epoch, request) => Answer::Held(model.hold(*epoch, request, now)),
            Self::Find(epoch, key) => Answer::Reply(model.find(*epoch, key, now)),
            Self::HoldsOf(epoch, user) => Answer::Holds(model.holds_of(*epoch, user, now)),
            Self::Extend(epoch, key, ttl_ms, cap_ms) => {
                Answer::Reply(model.extend(*epoch, key, *ttl_ms, *cap_ms, now))
            }
            Self::Release(epoch, key) => Answer::Reply(model.release(*epoch, key, now)),
            Self::Pin(epoch, key) => Answer::Reply(model.pin(*epoch, key, now)),
            Self::Unpin(epoch, key, ttl_ms) => {
                Answer::Reply(model.unpin(*epoch, key, *ttl_ms, now))
            }
            Self::Sync(epoch, batch) => Answer::Synced(model.sync(*epoch, batch, now)),
            Self::Block(epoch, seats) => Answer::Blocked(model.block(*epoch, seats, now)),
            Self::Unblock(epoch, seats) => Answer::Blocked(model.unblock(*epoch, seats)),
            Self::Sweep => Answer::Swept(model.sweep(now)),
            Self::Changes(epoch, after) => Answer::Changes(model.changes(*epoch, *after)),
            Self::Owners(epoch, from) => Answer::Owned(model.owners(*epoch, *from)),
            Self::Pinned(epoch, skip) => Answer::Holds(model.pinned(*epoch, *skip)),
            Self::Mend(epoch, batch) => Answer::Synced(model.mend(*epoch, batch, now)),
            Self::Begin(spec, over) => Answer::Epoch(model.begin_rebuild(spec, *over, now)),
            Self::Load(epoch, seats) => Answer::Loaded(model.load(*epoch, seats)),
            Self::Finish(epoch) => Answer::Loaded(model.finish_rebuild(*epoch)),
        }
    }

    /// What a store says.
    pub(super) async fn ask(
        &self,
        store: &dyn SeatStore,
        event: &EventId,
    ) -> Result<Answer, StoreError> {
        Ok(match self {
            Self::Hold(epoch, request) => Answer::Held(store.hold(event, *epoch, request).await?),
            Self::Find(epoch, key) => Answer::Reply(store.find(event, *epoch, key).await?),
            Self::HoldsOf(epoch, user) => Answer::Holds(store.holds_of(event, *epoch, user).await?),
            Self::Extend(epoch, key, ttl_ms, cap_ms) => {
                Answer::Reply(store.extend(event, *epoch, key, *ttl_ms, *cap_ms).await?)
            }
            Self::Release(epoch, key) => Answer::Reply(store.release(event, *epoch, key).await?),
            Self::Pin(epoch, key) => Answer::Reply(store.pin(event, *epoch, key).await?),
            Self::Unpin(epoch, key, ttl_ms) => {
                Answer::Reply(store.unpin(event, *epoch, key, *ttl_ms).await?)
            }
            Self::Sync(epoch, batch) => Answer::Synced(store.sync(event, *epoch, batch).await?),
            Self::Block(epoch, seats) => Answer::Blocked(store.block(event, *epoch, seats).await?),
            Self::Unblock(epoch, seats) => {
                Answer::Blocked(store.unblock(event, *epoch, seats).await?)
            }
            Self::Sweep => Answer::Swept(store.sweep(event).await?),
            Self::Changes(epoch, after) => {
                Answer::Changes(store.changes(event, *epoch, *after).await?)
            }
            Self::Owners(epoch, from) => Answer::Owned(store.owners(event, *epoch, *from).await?),
            Self::Pinned(epoch, skip) => Answer::Holds(store.pinned(event, *epoch, *skip).await?),
            Self::Mend(epoch, batch) => Answer::Synced(store.mend(event, *epoch, batch).await?),
            Self::Begin(spec, over) => {
                Answer::Epoch(store.begin_rebuild(event, spec, *over).await?)
            }
            Self::Load(epoch, seats) => Answer::Loaded(store.load(event, *epoch, seats).await?),
            Self::Finish(epoch) => Answer::Loaded(store.finish_rebuild(event, *epoch).await?),
        })
    }
}
