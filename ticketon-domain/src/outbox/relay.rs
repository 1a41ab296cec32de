//! The relay: one task a process that takes messages from the outbox to the bus.
//!
//! Any number of relays share the shards; each leases its part, and one that dies is replaced when its
//! leases lapse. Within a shard a relay publishes the first messages, records what was acknowledged, and begins again at
//! the first that is left: nothing is ever passed over. A broken bus costs time, not events: the relay tries again
//! with growing pauses up to a bound. It is woken by who commits in this process ([`Wake`]) and polls for the rest.

mod builder;
mod pause;
mod shards;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ticketon_queue::{Clock, StoreError, UnixMs};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

pub use builder::RelayBuilder;
use pause::Pause;
use shards::Shards;

use super::{
    Backlog, BusError, Envelope, EventBus, OutboxStore, PublishError, Recorded, ShardLease,
};

/// How long `shutdown` lets batches end that are on their way.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);
/// How often the backlog is counted, in milliseconds.
const COUNT_EVERY_MS: i64 = 2_000;

/// Wakes the relay of this process: to be called after a commit that wrote messages.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Of no relay yet: give it to [`RelayBuilder::wake`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// There may be messages now.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// How a relay does, for health checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayHealth {
    /// How many shards it has.
    pub shards: usize,
    /// What waits in the outbox, of all relays, as of the last count.
    pub backlog: Backlog,
    /// Since when an event waits that could not be published, or the outbox cannot be used, and why.
    pub trouble: Option<(UnixMs, String)>,
}

/// A running relay. It ends with [`shutdown`](Self::shutdown), or when the handle is dropped.
#[derive(Debug)]
pub struct Relay {
    wake: Wake,
    health: watch::Receiver<RelayHealth>,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Relay {
    /// Begins to build a relay from an outbox to a bus.
    #[must_use]
    pub fn builder(store: Arc<dyn OutboxStore>, bus: Arc<dyn EventBus>) -> RelayBuilder {
        RelayBuilder::new(store, bus)
    }

    /// What wakes it.
    #[must_use]
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// How it does.
    #[must_use]
    pub fn health(&self) -> RelayHealth {
        self.health.borrow().clone()
    }

    /// Lets what is on its way end, within some seconds, and gives the leases back.
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            // A panic of the task was reported by the runtime.
            let _ = task.await;
        }
    }
}

/// What a relay works with.
#[derive(Debug)]
struct Parts {
    store: Arc<dyn OutboxStore>,
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    wake: Wake,
    name: String,
    source: String,
    lease_ms: i64,
    poll: Duration,
    batch: usize,
    parallel: usize,
    retry_max_ms: i64,
}

/// How a batch ended.
#[derive(Debug)]
enum Batch {
    /// The shard is empty, or was when it was read.
    Empty,
    /// All of it was published; there may be more.
    Published,
    /// Somebody else has the shard.
    Stale,
    /// The bus did not take all of it.
    Bus(BusError),
    /// The outbox could not be used.
    Store(StoreError),
}

/// The task's state.
struct Task {
    parts: Arc<Parts>,
    shards: Shards,
    /// Hold everything back after the outbox or the bus failed.
    store: Pause,
    bus: Pause,
    /// Hold back shards with an event that the bus refuses.
    refused: HashMap<u16, Pause>,
    /// Tasks of their own: a batch that were only polled here could be handed the store's connection while this task
    /// itself waits for it, and neither would go on.
    running: JoinSet<(u16, Batch)>,
    /// The shard that is looked at first, so that none waits for the others.
    turn: u16,
    health: watch::Sender<RelayHealth>,
    leased_at_ms: Option<UnixMs>,
    counted_at_ms: Option<UnixMs>,
}

impl Task {
    fn new(parts: Arc<Parts>, health: watch::Sender<RelayHealth>) -> Self {
        Self {
            store: Pause::up_to(parts.retry_max_ms),
            bus: Pause::up_to(parts.retry_max_ms),
            parts,
            shards: Shards::default(),
            refused: HashMap::new(),
            running: JoinSet::new(),
            turn: 0,
            health,
            leased_at_ms: None,
            counted_at_ms: None,
        }
    }

    /// Works until the signal, then gives everything back.
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let parts = Arc::clone(&self.parts);
        'rounds: loop {
            let round = self.round().await;
            self.note(parts.clock.now_ms(), round);
            let mut pause = std::pin::pin!(parts.clock.sleep(parts.poll));
            // A batch that was published may make room for the next one at once; all else waits for the next round.
            loop {
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => break 'rounds,
                    () = &mut pause => break,
                    () = parts.wake.0.notified() => break,
                    Some(done) = self.running.join_next() => {
                        // Nobody aborts a batch: what did not end has panicked.
                        let (shard, batch) = done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                        if self.ended(shard, batch) {
                            break;
                        }
                    }
                }
            }
        }
        self.end().await;
    }

    /// Renews the leases if it is time, and begins a batch in each shard that has messages and is idle.
    async fn round(&mut self) -> Result<(), StoreError> {
        let now = self.parts.clock.now_ms();
        if self.store.holds(now) {
            return Ok(());
        }
        let recent =
            |at: Option<UnixMs>, ms: i64| at.is_some_and(|at| (0..ms).contains(&(now - at)));
        if !recent(self.leased_at_ms, self.parts.lease_ms / 3) {
            self.lease(now).await?;
        }
        if !recent(self.counted_at_ms, COUNT_EVERY_MS) {
            self.count(now).await?;
        }
        if self.bus.holds(now) {
            return Ok(());
        }
        let mut waiting = self.parts.store.shards().await?;
        self.store.passed();
        waiting.retain(|shard| self.shards.has(*shard));
        if waiting.is_empty() && self.running.is_empty() {
            // Whatever could not be published is gone, or somebody else's.
            self.bus.passed();
            self.refused.clear();
        }
        waiting.sort_unstable_by_key(|shard| (*shard < self.turn, *shard));
        for shard in waiting {
            if self.running.len() >= self.parts.parallel {
                break;
            }
            if self
                .refused
                .get(&shard)
                .is_some_and(|pause| pause.holds(now))
            {
                continue;
            }
            if let Some(lease) = self.shards.begin(shard, now) {
                self.turn = shard + 1;
                let parts = Arc::clone(&self.parts);
                self.running
                    .spawn(async move { (shard, publish(&parts, &lease).await) });
            }
        }
        Ok(())
    }

    async fn lease(&mut self, now: UnixMs) -> Result<(), StoreError> {
        let parts = &self.parts;
        let leased = parts.store.lease(&parts.name, now, parts.lease_ms).await?;
        self.leased_at_ms = Some(now);
        let surplus = self.shards.renewed(leased);
        self.refused.retain(|shard, _| self.shards.has(*shard));
        if surplus.is_empty() {
            Ok(())
        } else {
            parts.store.give_back(&surplus).await
        }
    }

    async fn count(&mut self, now: UnixMs) -> Result<(), StoreError> {
        self.counted_at_ms = Some(now);
        let backlog = self.parts.store.backlog().await?;
        let age_ms = backlog.oldest_ms.map_or(0, |oldest| (now - oldest).max(0));
        #[allow(clippy::cast_precision_loss)] // far below 2^52
        {
            metrics::gauge!("ticketon_outbox_pending").set(backlog.pending as f64);
            metrics::gauge!("ticketon_outbox_oldest_seconds").set(age_ms as f64 / 1_000.0);
        }
        self.health.send_modify(|health| health.backlog = backlog);
        Ok(())
    }

    /// Takes note of how a batch ended; whether a round makes sense at once.
    fn ended(&mut self, shard: u16, batch: Batch) -> bool {
        let now = self.parts.clock.now_ms();
        self.shards.end(shard);
        let again = match batch {
            Batch::Empty => false,
            Batch::Published => {
                self.refused.remove(&shard);
                if self.bus.passed() {
                    tracing::info!(target: "ticketon::outbox", "events are published again");
                }
                true
            }
            Batch::Stale => {
                tracing::info!(target: "ticketon::outbox", shard, "another relay has the shard by now");
                self.shards.lose(shard);
                false
            }
            Batch::Bus(error @ BusError::Refused { .. }) => {
                metrics::counter!("ticketon_outbox_failures_total", "why" => "refused")
                    .increment(1);
                self.bus.passed();
                let pause = self.refused.entry(shard);
                let pause = pause.or_insert_with(|| Pause::up_to(self.parts.retry_max_ms));
                if pause.failed(now, &error) {
                    tracing::error!(target: "ticketon::outbox", shard, %error,
                        "an event cannot be published; later events of its aggregate wait for it");
                }
                false
            }
            Batch::Bus(error) => {
                metrics::counter!("ticketon_outbox_failures_total", "why" => "bus").increment(1);
                if self.bus.failed(now, &error) {
                    tracing::warn!(target: "ticketon::outbox", %error, "events wait in the outbox for their bus");
                }
                false
            }
            Batch::Store(error) => {
                self.note(now, Err(error));
                false
            }
        };
        self.show();
        again
    }

    /// Takes note of whether the outbox could be used.
    fn note(&mut self, now: UnixMs, round: Result<(), StoreError>) {
        if let Err(error) = round {
            metrics::counter!("ticketon_outbox_failures_total", "why" => "store").increment(1);
            if self.store.failed(now, &error) {
                tracing::warn!(target: "ticketon::outbox", %error, "the outbox cannot be used");
            }
        }
        self.show();
    }

    fn show(&self) {
        let troubles = [&self.store, &self.bus]
            .into_iter()
            .chain(self.refused.values());
        let first = troubles
            .filter_map(Pause::trouble)
            .min_by_key(|(since_ms, _)| *since_ms);
        let trouble = first.map(|(since_ms, why)| (since_ms, why.to_owned()));
        self.health.send_if_modified(|health| {
            let next = RelayHealth {
                shards: self.shards.len(),
                trouble,
                ..health.clone()
            };
            let changed = next != *health;
            *health = next;
            changed
        });
    }

    async fn end(mut self) {
        let parts = Arc::clone(&self.parts);
        let finish = async {
            while self.running.join_next().await.is_some() {}
            if let Err(error) = parts.store.leave(&parts.name).await {
                tracing::warn!(target: "ticketon::outbox", %error, "could not give the shards back; they lapse");
            }
        };
        if tokio::time::timeout(SHUTDOWN_LIMIT, finish).await.is_err() {
            tracing::warn!(target: "ticketon::outbox", "stopped while events were on their way; they are published again");
        }
    }
}

/// Publishes a shard's first messages and records what was acknowledged.
async fn publish(parts: &Parts, lease: &ShardLease) -> Batch {
    let messages = match parts.store.unpublished(lease.shard, parts.batch).await {
        Ok(messages) if messages.is_empty() => return Batch::Empty,
        Ok(messages) => messages,
        Err(error) => return Batch::Store(error),
    };
    let events: Vec<Envelope> = messages
        .iter()
        .map(|kept| Envelope::of(&kept.message, parts.source.as_str()))
        .collect();
    let (acknowledged, failure) = match parts.bus.publish(&events).await {
        Ok(()) => (messages.iter().map(|kept| kept.id).collect(), None),
        Err(PublishError {
            acknowledged,
            error,
        }) => {
            let id = |place: usize| messages.get(place).map(|kept| kept.id);
            (
                acknowledged
                    .into_iter()
                    .filter_map(id)
                    .collect::<Vec<i64>>(),
                Some(error),
            )
        }
    };
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
    failure.map_or(Batch::Published, Batch::Bus)
}
