//! One batch: a shard's first messages to the bus, and what became of them to the store.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use ticketon_queue::{StoreError, UnixMs};

use super::Parts;
use super::pause::part_of;
use crate::outbox::{
    BusError, Envelope, MAX_REST_MS, OutboxMessage, PublishError, Recorded, Refusal, ShardLease,
};

/// How long a message rests that was refused for the first time, in milliseconds; each further time twice as long.
const FIRST_REST_MS: i64 = 1_000;

/// How a batch ended.
#[derive(Debug)]
pub(super) enum Batch {
    /// There is nothing to publish now.
    Empty,
    /// All of it was published or parked; there may be more.
    Done {
        /// How many messages were parked.
        parked: usize,
    },
    /// Somebody else has the shard.
    Stale,
    /// The bus did not take all of it.
    Bus {
        error: BusError,
        /// Whether it took some.
        moved: bool,
    },
    /// The outbox could not be used.
    Store(StoreError),
    /// The bus or the outbox panicked, and said this.
    Panicked(String),
}

/// Publishes a shard's first messages and records what became of them. A panic is the batch's own.
pub(super) async fn batch(parts: &Parts, lease: &ShardLease, limit: usize) -> Batch {
    AssertUnwindSafe(publish(parts, lease, limit))
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Batch::Panicked(said(&*panic)))
}

async fn publish(parts: &Parts, lease: &ShardLease, limit: usize) -> Batch {
    let now_ms = parts.clock.now_ms();
    let found = match parts.store.unpublished(lease.shard, now_ms, limit).await {
        Ok(found) => found,
        Err(error) => return Batch::Store(error),
    };
    let messages = found.messages;
    let mut refusals: Vec<Refusal> = found
        .unreadable
        .into_iter()
        .map(|message| refusal(message.id, message.refusals, message.why, now_ms))
        .collect();
    if messages.is_empty() && refusals.is_empty() {
        return Batch::Empty;
    }
    let sent = match send(parts, &messages).await {
        Ok(sent) => sent,
        Err(panic) => return Batch::Panicked(panic),
    };
    let refused = sent.refused.into_iter().filter_map(|(place, why)| {
        let kept = messages.get(place)?;
        Some(refusal(kept.id, kept.refusals, why, now_ms))
    });
    refusals.extend(refused);
    let acknowledged = sent.acknowledged.into_iter();
    let acknowledged: Vec<i64> = acknowledged
        .filter_map(|place| messages.get(place).map(|kept| kept.id))
        .collect();
    if !acknowledged.is_empty() {
        match parts.store.published(lease, &acknowledged).await {
            Ok(Recorded::Done) => {
                let count = u64::try_from(acknowledged.len()).unwrap_or(u64::MAX);
                metrics::counter!("ticketon_outbox_published_total").increment(count);
            }
            Ok(Recorded::StaleFence) => return Batch::Stale,
            Err(error) => return Batch::Store(error),
        }
    }
    if !refusals.is_empty() {
        match parts.store.park(lease, now_ms, &refusals).await {
            Ok(Recorded::Done) => {}
            Ok(Recorded::StaleFence) => return Batch::Stale,
            Err(error) => return Batch::Store(error),
        }
    }
    match sent.error {
        None => Batch::Done {
            parked: refusals.len(),
        },
        Some(error) => Batch::Bus {
            error,
            moved: !acknowledged.is_empty(),
        },
    }
}

/// What became of messages that were given to the bus, by their places.
#[derive(Default)]
struct Sent {
    acknowledged: Vec<usize>,
    refused: Vec<(usize, String)>,
    /// What happened to the others, if there are any.
    error: Option<BusError>,
}

/// Gives messages to the bus. If it panics it is told by itself which message it panics at: a batch of one that does so is
/// refused.
///
/// # Errors
/// What a panic over several messages said.
async fn send(parts: &Parts, messages: &[OutboxMessage]) -> Result<Sent, String> {
    let mut sent = Sent::default();
    if messages.is_empty() {
        return Ok(sent);
    }
    let events: Vec<Envelope> = messages
        .iter()
        .map(|kept| Envelope::of(&kept.message, parts.source.as_str()))
        .collect();
    let published = AssertUnwindSafe(parts.bus.publish(&events)).catch_unwind();
    let PublishError {
        acknowledged,
        refused,
        error,
    } = match published.await {
        Ok(Ok(())) => {
            sent.acknowledged = (0..messages.len()).collect();
            return Ok(sent);
        }
        Ok(Err(error)) => error,
        Err(panic) if messages.len() > 1 => return Err(said(&*panic)),
        Err(panic) => {
            sent.refused = vec![(0, format!("the event bus panicked: {}", said(&*panic)))];
            return Ok(sent);
        }
    };
    sent.acknowledged = acknowledged;
    sent.refused = refused
        .into_iter()
        .map(|one| (one.place, one.why))
        .collect();
    if let BusError::Refused { event, detail } = &error {
        let place = events.iter().position(|sent| sent.id() == *event);
        let known = |place: usize| sent.refused.iter().any(|(other, _)| *other == place);
        if let Some(place) = place
            && !known(place)
        {
            sent.refused.push((place, detail.clone()));
        }
        if !sent.refused.is_empty() {
            return Ok(sent);
        }
    }
    sent.error = Some(error);
    Ok(sent)
}

fn refusal(id: i64, refusals: u32, why: String, now_ms: UnixMs) -> Refusal {
    let full_ms = FIRST_REST_MS
        .saturating_mul(1 << refusals.min(20))
        .min(MAX_REST_MS);
    Refusal {
        id,
        why,
        retry_ms: now_ms + part_of(full_ms),
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it said nothing".to_owned())
}
