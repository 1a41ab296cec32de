//! The dispatcher lets people in: it ticks every room, and takes over brokers that died.
//!
//! All decisions are the store's, so any number of dispatchers admits no more than one would.
//! Busy rooms are ticked ten times a second, quiet ones once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};

use crate::broker::Broker;
use crate::clock::{Clock, UnixMs};
use crate::config::TICK_MS;
use crate::error::StoreError;
use crate::id::EventId;
use crate::queue::{Woken, next_tick};
use crate::store::{MAX_BATCH, QueueStore, TakenOver, Tick};

/// How often the list of rooms is read, in milliseconds.
const ROOMS_EVERY_MS: i64 = 1_000;
/// How often a quiet room is ticked, in milliseconds; well below the store's outage limit.
const QUIET_MS: i64 = 1_000;
/// Rooms ticked in parallel.
const PARALLEL: usize = 256;
/// Ticks of one room in a row, when each did as much as it may.
const MAX_ROUNDS: usize = 100;

/// What the dispatcher remembers of a room.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    due_at_ms: UnixMs,
    /// A tick is under way.
    ticking: bool,
    /// The last tick failed.
    failing: bool,
    waiting: u64,
    active: u64,
}

/// What a call led to.
enum Done {
    Rooms(Result<Vec<EventId>, StoreError>),
    Ticked(EventId, Result<Option<Tick>, StoreError>),
}

/// Whether a time has come. A clock that stepped back must not make anything wait.
fn is_due(due_ms: UnixMs, now: UnixMs, every_ms: i64) -> bool {
    due_ms <= now || due_ms - now > every_ms
}

/// Rooms to tick now, those first that have been due for longest.
fn due_rooms(seen: &mut HashMap<EventId, Seen>, now: UnixMs, most: usize) -> Vec<EventId> {
    let mut due: Vec<(UnixMs, EventId)> = seen
        .iter()
        .filter(|(_, room)| !room.ticking && is_due(room.due_at_ms, now, QUIET_MS))
        .map(|(event, room)| (room.due_at_ms, event.clone()))
        .collect();
    due.sort_unstable();
    due.truncate(most);
    for (_, event) in &due {
        if let Some(room) = seen.get_mut(event) {
            room.ticking = true;
        }
    }
    due.into_iter().map(|(_, event)| event).collect()
}

/// Takes in what a call led to.
fn note(seen: &mut HashMap<EventId, Seen>, done: Done, now: UnixMs) {
    match done {
        Done::Rooms(Ok(rooms)) => {
            seen.retain(|event, _| rooms.binary_search(event).is_ok());
            for event in rooms {
                seen.entry(event).or_default();
            }
        }
        Done::Rooms(Err(error)) => {
            tracing::warn!(target: "ticketon::dispatcher", %error, "could not read the rooms");
        }
        Done::Ticked(event, ticked) => {
            let Some(room) = seen.get_mut(&event) else {
                return;
            };
            room.ticking = false;
            let failed_before = std::mem::replace(&mut room.failing, ticked.is_err());
            // When the store failed or the room is gone, asking again at once would help nobody.
            room.due_at_ms = now + QUIET_MS;
            match ticked {
                Ok(Some(tick)) => {
                    room.waiting = tick.waiting;
                    room.active = tick.active;
                    if tick.waiting > 0 || tick.promoted > 0 {
                        room.due_at_ms = now;
                    }
                }
                Ok(None) => {}
                Err(error) if !failed_before => {
                    tracing::warn!(target: "ticketon::dispatcher", %event, %error,
                        "nobody is admitted until the store answers");
                }
                Err(_) => {}
            }
        }
    }
}

#[allow(clippy::cast_precision_loss)] // people are fewer than 2^52
fn show(seen: &HashMap<EventId, Seen>) {
    let waiting: u64 = seen.values().map(|room| room.waiting).sum();
    let active: u64 = seen.values().map(|room| room.active).sum();
    metrics::gauge!("ticketon_waiting").set(waiting as f64);
    metrics::gauge!("ticketon_active").set(active as f64);
}

/// The dispatcher of this process.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    store: Arc<dyn QueueStore>,
    clock: Arc<dyn Clock>,
    broker: Arc<Broker>,
    /// A room was made, or its state changed, at this process: read the rooms and tick them all.
    poked: Arc<Notify>,
}

impl Dispatcher {
    pub(crate) fn new(
        store: Arc<dyn QueueStore>,
        clock: Arc<dyn Clock>,
        broker: Arc<Broker>,
        poked: Arc<Notify>,
    ) -> Self {
        Self {
            store,
            clock,
            broker,
            poked,
        }
    }

    /// Ticks until the signal. A room whose tick takes long delays no other.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut seen: HashMap<EventId, Seen> = HashMap::new();
        let mut work = FuturesUnordered::new();
        let mut reading = false;
        let mut rooms_due_ms = UnixMs::MIN;
        loop {
            let now = self.clock.now_ms();
            if !reading && is_due(rooms_due_ms, now, ROOMS_EVERY_MS) {
                reading = true;
                rooms_due_ms = now + ROOMS_EVERY_MS;
                work.push(self.work(None));
            }
            for event in due_rooms(&mut seen, now, PARALLEL.saturating_sub(work.len())) {
                work.push(self.work(Some(event)));
            }
            let tick = Duration::from_millis(TICK_MS);
            let wait = next_tick(&*self.clock, tick, &self.poked, tick / 10, &mut stop);
            tokio::pin!(wait);
            let woken = loop {
                tokio::select! {
                    woken = &mut wait => break woken,
                    Some(done) = work.next() => {
                        reading &= !matches!(done, Done::Rooms(_));
                        note(&mut seen, done, self.clock.now_ms());
                    }
                }
            };
            show(&seen);
            match woken {
                Woken::Due => {}
                Woken::Poked => {
                    // A room was made, or its state changed, at this process.
                    rooms_due_ms = UnixMs::MIN;
                    for room in seen.values_mut() {
                        room.due_at_ms = UnixMs::MIN;
                    }
                }
                Woken::Stopped => return,
            }
        }
    }

    /// One call that may take its time: a room's tick, or reading the rooms.
    async fn work(&self, event: Option<EventId>) -> Done {
        let Some(event) = event else {
            return Done::Rooms(self.store.rooms().await);
        };
        let started = tokio::time::Instant::now();
        let ticked = self.try_tick_room(&event).await;
        metrics::histogram!("ticketon_tick_seconds", "of" => "dispatcher")
            .record(started.elapsed().as_secs_f64());
        Done::Ticked(event, ticked)
    }

    async fn try_tick_room(&self, event: &EventId) -> Result<Option<Tick>, StoreError> {
        let mut last = None;
        for _ in 0..MAX_ROUNDS {
            let Some(tick) = self.store.tick(event, MAX_BATCH).await? else {
                return Ok(None);
            };
            metrics::counter!("ticketon_admitted_total").increment(tick.promoted);
            metrics::counter!("ticketon_expired_total").increment(tick.expired);
            metrics::counter!("ticketon_left_total").increment(tick.left);
            if tick.promoted + tick.expired + tick.left > 0 {
                tracing::debug!(target: "ticketon::dispatcher", %event, promoted = tick.promoted,
                    expired = tick.expired, left = tick.left, waiting = tick.waiting, "ticked");
                self.broker.poke(event);
            }
            for broker in &tick.lapsed {
                self.take_over(event, *broker).await?;
            }
            let more = tick.more;
            last = Some(tick);
            if !more {
                break;
            }
        }
        Ok(last)
    }

    async fn take_over(
        &self,
        event: &EventId,
        broker: crate::id::BrokerId,
    ) -> Result<(), StoreError> {
        for _ in 0..MAX_ROUNDS {
            match self.store.take_over(event, broker).await? {
                Some(TakenOver::Moved { people, more }) => {
                    tracing::info!(target: "ticketon::dispatcher", %event, %broker, people, "took over a broker");
                    if !more {
                        break;
                    }
                }
                Some(TakenOver::Alive) | None => break,
            }
        }
        Ok(())
    }
}
