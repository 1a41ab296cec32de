//! The dispatcher lets people in: it ticks every room, and takes over brokers that died.
//!
//! All decisions are the store's, so any number of dispatchers admits no more than one would.
//! Busy rooms are ticked ten times a second, quiet ones once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
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
const PARALLEL: usize = 32;
/// Ticks of one room in a row, when each did as much as it may.
const MAX_ROUNDS: usize = 100;

/// What the dispatcher remembers of a room.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    due_at_ms: UnixMs,
    waiting: u64,
    active: u64,
}

/// The dispatcher of this process.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    store: Arc<dyn QueueStore>,
    clock: Arc<dyn Clock>,
    broker: Arc<Broker>,
    /// Somebody joined at this process: read the rooms and tick them all.
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

    /// Ticks until the signal.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut seen: HashMap<EventId, Seen> = HashMap::new();
        let mut rooms_at_ms = UnixMs::MIN;
        loop {
            let started = tokio::time::Instant::now();
            let now = self.clock.now_ms();
            if now < rooms_at_ms || now.saturating_sub(rooms_at_ms) >= ROOMS_EVERY_MS {
                match self.store.rooms().await {
                    Ok(rooms) => {
                        rooms_at_ms = now;
                        seen.retain(|event, _| rooms.binary_search(event).is_ok());
                        for event in rooms {
                            seen.entry(event).or_default();
                        }
                    }
                    Err(error) => {
                        tracing::warn!(target: "ticketon::dispatcher", %error, "could not read the rooms");
                    }
                }
            }
            self.tick_due(&mut seen, now).await;
            metrics::histogram!("ticketon_tick_seconds", "of" => "dispatcher")
                .record(started.elapsed().as_secs_f64());
            let tick = Duration::from_millis(TICK_MS);
            let woken = next_tick(&*self.clock, tick, &self.poked, tick / 10, &mut stop);
            match woken.await {
                Woken::Due => {}
                Woken::Poked => {
                    // A room was made or changed here.
                    rooms_at_ms = UnixMs::MIN;
                    for room in seen.values_mut() {
                        room.due_at_ms = UnixMs::MIN;
                    }
                }
                Woken::Stopped => return,
            }
        }
    }

    async fn tick_due(&self, seen: &mut HashMap<EventId, Seen>, now: UnixMs) {
        let due: Vec<EventId> = seen
            .iter()
            // A clock that stepped back must not make rooms wait.
            .filter(|(_, room)| room.due_at_ms <= now || room.due_at_ms - now > QUIET_MS)
            .map(|(event, _)| event.clone())
            .collect();
        let ticked: Vec<(EventId, Option<Tick>)> = futures_util::stream::iter(due)
            .map(|event| async move {
                let tick = self.tick_room(&event).await;
                (event, tick)
            })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        for (event, tick) in ticked {
            let Some(room) = seen.get_mut(&event) else {
                continue;
            };
            let Some(tick) = tick else {
                // The store failed: asking again at once would help nobody.
                room.due_at_ms = now + QUIET_MS;
                continue;
            };
            room.waiting = tick.waiting;
            room.active = tick.active;
            let busy = tick.waiting > 0 || tick.promoted > 0;
            room.due_at_ms = if busy { now } else { now + QUIET_MS };
        }
        #[allow(clippy::cast_precision_loss)] // people are fewer than 2^52
        {
            let waiting: u64 = seen.values().map(|room| room.waiting).sum();
            let active: u64 = seen.values().map(|room| room.active).sum();
            metrics::gauge!("ticketon_waiting").set(waiting as f64);
            metrics::gauge!("ticketon_active").set(active as f64);
        }
    }

    /// Ticks one room until nothing is left to do. `None` when it is gone or the store failed.
    async fn tick_room(&self, event: &EventId) -> Option<Tick> {
        match self.try_tick_room(event).await {
            Ok(tick) => tick,
            Err(error) => {
                tracing::warn!(target: "ticketon::dispatcher", %event, %error, "tick failed");
                None
            }
        }
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
                self.broker.poke();
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
