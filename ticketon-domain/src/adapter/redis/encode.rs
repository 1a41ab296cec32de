//! Writing calls: what the scripts take as keys and arguments.
//!
//! Lists travel packed, in one argument: thousands of arguments would cost more than the work.
//! Numbers of seats are 4 bytes, fences 8, big endian.

use ticketon_queue::redis::RedisCall;
use ticketon_queue::{StoreError, UserId};

use super::script::Verb;
use crate::seat::{
    Choice, HoldKey, HoldRequest, Load, MAX_BATCH, MAX_HOLD_SEATS, MAX_RUNS, Mend, Orphans, Over,
    Run, SeatState, SeatSync, Truth,
};
use crate::venue::SeatIndex;

/// Fences stay below this, so that a double holds them exactly.
const FENCE_LIMIT: u64 = 1 << 53;

/// The most seats of a map: far more than any hall has, and few enough for a Redis string.
const MAX_SEATS: u32 = 1 << 24;

/// Seats, one after the other.
pub(super) fn seats<'a>(seats: impl IntoIterator<Item = &'a SeatIndex>) -> Vec<u8> {
    let indexes = seats.into_iter();
    indexes.flat_map(|seat| seat.get().to_be_bytes()).collect()
}

/// The hold that a verb is about.
pub(super) fn key(call: &mut RedisCall, key: &HoldKey) {
    call.arg(key.id.as_bytes()).arg(key.user.as_str());
    match key.fence {
        Some(fence) => call.arg(fence.to_be_bytes()),
        None => call.arg(""),
    };
}

/// A hold that is asked for.
pub(super) fn request(call: &mut RedisCall, request: &HoldRequest) -> Result<(), StoreError> {
    let asked = asked(&request.choice);
    call.arg(request.id.as_bytes())
        .arg(request.user.as_str())
        .arg(request.request_hash.to_be_bytes())
        .arg_int(request.ttl_ms)
        .arg_int(request.limits.per_order)
        .arg_int(request.limits.per_user)
        .arg_int(asked);
    match &request.choice {
        Choice::Seats(named) => {
            // More are refused whichever they are.
            let few = named.len() <= MAX_HOLD_SEATS;
            let packed = if few { seats(named) } else { Vec::new() };
            call.arg("seats").arg(packed);
        }
        Choice::Adjacent { runs, orphans, .. } => {
            at_most(Verb::Hold, "runs", runs.len(), MAX_RUNS)?;
            call.arg("adjacent").arg(name(*orphans)).arg(packed(runs));
        }
        Choice::Units {
            start, len, offset, ..
        } => {
            call.arg("units")
                .arg_int(*start)
                .arg_int(*len)
                .arg_int(*offset);
        }
    }
    Ok(())
}

/// How many seats a choice asks for.
pub(super) fn asked(choice: &Choice) -> u32 {
    match choice {
        Choice::Seats(seats) => u32::try_from(seats.len()).unwrap_or(u32::MAX),
        Choice::Adjacent { count, .. } | Choice::Units { count, .. } => *count,
    }
}

const fn name(orphans: Orphans) -> &'static str {
    match orphans {
        Orphans::Allow => "allow",
        Orphans::Lenient => "lenient",
        Orphans::Strict => "strict",
    }
}

fn packed(runs: &[Run]) -> Vec<u8> {
    let numbers = runs.iter().flat_map(|run| {
        [
            run.start,
            run.len,
            run.segment_start,
            run.segment_len,
            run.centre_twice,
        ]
    });
    numbers.flat_map(u32::to_be_bytes).collect()
}

/// What the ledger committed.
pub(super) fn messages(call: &mut RedisCall, batch: &[SeatSync]) -> Result<(), StoreError> {
    let all = batch.iter().map(|message| match message {
        SeatSync::Sold { seats, .. } | SeatSync::Released { seats, .. } => seats.len(),
    });
    few(Verb::Sync, batch.len().max(all.sum()))?;
    for message in batch {
        let (kind, user, fence, named) = match message {
            SeatSync::Sold { user, fence, seats } => ("sold", user, fence, seats),
            SeatSync::Released { user, fence, seats } => ("released", user, fence, seats),
        };
        call.arg(kind)
            .arg(user.as_str())
            .arg(checked(Verb::Sync, *fence)?)
            .arg(seats(named));
    }
    Ok(())
}

/// The seats of a rebuild.
pub(super) fn loads(call: &mut RedisCall, loads: &[Load]) -> Result<(), StoreError> {
    few(Verb::Load, loads.len())?;
    let mut packed = Vec::new();
    for load in loads {
        match load {
            Load::Sold { seat, user, fence } => {
                packed.extend(seat.get().to_be_bytes());
                packed.push(SeatState::Sold.code());
                sale(&mut packed, Verb::Load, user, *fence)?;
            }
            Load::GivenBack { seat, fence } => {
                packed.extend(seat.get().to_be_bytes());
                packed.push(SeatState::Free.code());
                packed.extend(checked(Verb::Load, *fence)?);
            }
            Load::Blocked { seat } => {
                packed.extend(seat.get().to_be_bytes());
                packed.push(SeatState::Blocked.code());
            }
        }
    }
    call.arg(packed);
    Ok(())
}

/// A fence and who bought under it.
fn sale(packed: &mut Vec<u8>, verb: Verb, user: &UserId, fence: u64) -> Result<(), StoreError> {
    packed.extend(checked(verb, fence)?);
    let name = user.as_str();
    // An id has at most 128 bytes.
    packed.extend((name.len() as u16).to_be_bytes());
    packed.extend(name.as_bytes());
    Ok(())
}

/// Seats that are not what the ledger says.
pub(super) fn mends(call: &mut RedisCall, batch: &[Mend]) -> Result<(), StoreError> {
    few(Verb::Mend, batch.len())?;
    let mut packed = Vec::new();
    for mend in batch {
        packed.extend(mend.seat.get().to_be_bytes());
        packed.push(mend.found.state.code());
        packed.extend(mend.found.owner.to_be_bytes());
        match &mend.truth {
            Truth::Sold { user, fence } => {
                packed.push(SeatState::Sold.code());
                sale(&mut packed, Verb::Mend, user, *fence)?;
            }
            Truth::Free => packed.push(SeatState::Free.code()),
        }
    }
    call.arg(packed);
    Ok(())
}

/// What was seen of a map that is to be rebuilt.
pub(super) fn over(call: &mut RedisCall, over: Over) {
    match over {
        Over::Any => call.arg("any").arg(""),
        Over::Absent => call.arg("absent").arg(""),
        Over::Rebuilding { epoch } => call.arg("rebuilding").arg_int(epoch),
        Over::Ready { epoch } => call.arg("ready").arg_int(epoch),
    };
}

/// How many seats a map may have.
pub(super) fn size(seats: u32) -> Result<u32, StoreError> {
    at_most(
        Verb::BeginRebuild,
        "seats",
        seats as usize,
        MAX_SEATS as usize,
    )?;
    Ok(seats)
}

/// As many seats as one call may change.
pub(super) fn few(verb: Verb, seats: usize) -> Result<(), StoreError> {
    at_most(verb, "seats", seats, MAX_BATCH)
}

fn at_most(verb: Verb, what: &str, found: usize, limit: usize) -> Result<(), StoreError> {
    if found <= limit {
        return Ok(());
    }
    let detail = format!("{found} {what} in one call, at most {limit} are taken");
    Err(refused(verb, detail))
}

fn checked(verb: Verb, fence: u64) -> Result<[u8; 8], StoreError> {
    if fence < FENCE_LIMIT {
        return Ok(fence.to_be_bytes());
    }
    let detail = format!("the fence {fence}: fences are below {FENCE_LIMIT}");
    Err(refused(verb, detail))
}

/// A call that the store cannot make; nothing was done.
fn refused(verb: Verb, detail: String) -> StoreError {
    StoreError::Unavailable {
        context: verb.name(),
        source: detail.into(),
    }
}
