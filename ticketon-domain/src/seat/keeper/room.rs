//! Sold out: what the waiting room is told, and when it is opened again.
//!
//! When every seat is sold or blocked the keeper sets the room `soldOut`, and when one is free again it opens it. It
//! must never undo what an operator decided. So it only acts on a room that is open, it opens only what it closed itself,
//! and it remembers in the catalog that it did ([`RoomMark`]), for all processes and over restarts:
//!
//! | found | mark | does |
//! | --- | --- | --- |
//! | all sold, room open | none or `closing` | mark `closing`, close the room, mark `closed` |
//! | all sold, room open | `closed` | nothing: an operator opened it again |
//! | all sold, room sold out | `closing` | mark `closed`: only the answer was lost |
//! | all sold, room in another state | any | nothing: an operator paused, drained or closed it |
//! | seats free, room sold out | any mark | open the room, forget the mark |
//! | seats free, room in another state | any mark | forget the mark: an operator changed it |
//! | seats free, room sold out | none | nothing: an operator did it |
//!
//! An operator who wants a sold out room to stay closed closes or drains it.

use ticketon_queue::{QueueError, RoomState, RoomVerb, StateChanged, StoreError, WaitingQueue};

use crate::event::{Event, EventStatus, RoomMark};
use crate::seat::MapHead;
use crate::seat::service::Shared;

/// While seats are free, every how many looks at the map the mark is read. Each keeper reads it at once when it saw
/// that all was sold; this is for what a keeper did that died since.
const LOOKS: u32 = 30;

/// What the keeper remembers of a room.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// For how many looks there is nothing to do while seats are free.
    rests: u32,
}

/// Tells the room of an event what its map says.
pub(super) async fn tell(
    shared: &Shared,
    event: &Event,
    head: &MapHead,
    seen: &mut Seen,
) -> Result<(), StoreError> {
    let Some(queue) = &shared.queue else {
        return Ok(());
    };
    let counts = head.counts;
    if counts.free == 0 && counts.held == 0 && counts.total() > 0 {
        seen.rests = 0;
        if event.status() == EventStatus::Open {
            close(shared, queue, event).await?;
        }
    } else if counts.free > 0 && seen.rests > 0 {
        seen.rests -= 1;
    } else if counts.free > 0 {
        reopen(shared, queue, event).await?;
        seen.rests = LOOKS;
    }
    Ok(())
}

async fn close(shared: &Shared, queue: &WaitingQueue, event: &Event) -> Result<(), StoreError> {
    let id = event.id();
    let state = state_of(queue, event).await?;
    if !matches!(state, Some(RoomState::Open | RoomState::SoldOut)) {
        return Ok(());
    }
    let mark = shared.catalog.room_mark(id).await?;
    match (state, mark) {
        (Some(RoomState::Open), None | Some(RoomMark::Closing)) => {
            let closing = Some(RoomMark::Closing);
            shared.catalog.set_room_mark(id, closing).await?;
            if change(queue, event, RoomVerb::SoldOut).await? {
                tracing::info!(target: "ticketon::keeper", event = %id, "sold out");
            }
            let closed = Some(RoomMark::Closed);
            shared.catalog.set_room_mark(id, closed).await
        }
        (Some(RoomState::SoldOut), Some(RoomMark::Closing)) => {
            let closed = Some(RoomMark::Closed);
            shared.catalog.set_room_mark(id, closed).await
        }
        _ => Ok(()),
    }
}

async fn reopen(shared: &Shared, queue: &WaitingQueue, event: &Event) -> Result<(), StoreError> {
    let id = event.id();
    if shared.catalog.room_mark(id).await?.is_none() {
        return Ok(());
    }
    let state = state_of(queue, event).await?;
    let on_sale = event.status() == EventStatus::Open;
    if state == Some(RoomState::SoldOut) && on_sale && change(queue, event, RoomVerb::Open).await? {
        tracing::info!(target: "ticketon::keeper", event = %id, "seats came back: open again");
    }
    shared.catalog.set_room_mark(id, None).await
}

async fn state_of(queue: &WaitingQueue, event: &Event) -> Result<Option<RoomState>, StoreError> {
    match queue.numbers(event.id()).await {
        Ok(numbers) => Ok(Some(numbers.state)),
        Err(QueueError::Store(error)) => Err(error),
        // An event need not have a room.
        Err(_) => Ok(None),
    }
}

async fn change(queue: &WaitingQueue, event: &Event, verb: RoomVerb) -> Result<bool, StoreError> {
    match queue.change_state(event.id(), verb).await {
        Ok(changed) => Ok(matches!(changed, StateChanged::Now(_))),
        Err(QueueError::Store(error)) => Err(error),
        Err(_) => Ok(false),
    }
}
