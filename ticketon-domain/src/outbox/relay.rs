//! The relay: one task a process that takes messages from the outbox to the bus.
//!
//! Any number of relays share the shards; each leases its part, and one that dies is replaced when its
//! leases lapse. Within a shard a relay publishes the first messages, records what was acknowledged, and begins again at
//! the first that is left: nothing is ever passed over, but what the bus refuses, which is parked with its aggregate. A
//! broken bus costs time, not events: the relay tries again with growing pauses up to a bound. It is woken by who commits in
//! this process ([`Wake`]) and polls for the rest.

mod batch;
mod builder;
mod pause;
mod shards;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ticketon_queue::{Clock, StoreError, UnixMs};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

use batch::{Batch, batch};
pub use builder::RelayBuilder;
use pause::Pause;
use shards::Shards;

use super::{Backlog, BusError, EventBus, OutboxStore, Parked};

/// How long `shutdown` publishes what is still there.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);
/// How long it tries to give the leases back.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);
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
    /// Whether it works: not after a shutdown, and not if its task panicked.
    pub running: bool,
    /// How many shards it has.
    pub shards: usize,
    /// What waits in the outbox, of all relays, as of the last count.
    pub backlog: Backlog,
    /// The parked message that was refused the longest ago, as of the last count.
    pub parked: Option<Parked>,
    /// The bus that the outbox belongs to, if it is not this relay's: then it publishes nothing.
    pub other_bus: Option<String>,
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
        let running = self.health.has_changed().is_ok();
        RelayHealth {
            running,
            ..self.health.borrow().clone()
        }
    }

    /// Publishes what is there, within some seconds, and gives the leases back.
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
    pace: Duration,
    batch: usize,
    parallel: usize,
    retry_max_ms: i64,
}

/// Passes so much time; none at all if there is none to pass.
async fn pace(pace: Duration) {
    if !pace.is_zero() {
        tokio::time::sleep(pace).await;
    }
}

/// The task's state.
struct Task {
    parts: Arc<Parts>,
    shards: Shards,
    /// Which bus it is, once that is known.
    identity: Option<Option<String>>,
    /// Hold everything back after the outbox or the bus failed.
    store: Pause,
    bus: Pause,
    /// That the outbox belongs to another bus.
    other: Pause,
    /// Hold back shards whose batch panicked; the next one there has one message.
    panicked: HashMap<u16, Pause>,
    /// Tasks of their own: a batch that were only polled here could be handed the store's connection while this task
    /// itself waits for it, and neither would go on.
    running: JoinSet<(u16, Batch)>,
    /// The shard that is looked at first, so that none waits for the others.
    turn: u16,
    /// The last round found more shards with messages than it may publish in at a time.
    crowded: bool,
    health: watch::Sender<RelayHealth>,
    leased_at_ms: Option<UnixMs>,
    counted_at_ms: Option<UnixMs>,
}

impl Task {
    fn new(parts: Arc<Parts>, health: watch::Sender<RelayHealth>) -> Self {
        Self {
            store: Pause::up_to(parts.retry_max_ms),
            bus: Pause::up_to(parts.retry_max_ms),
            other: Pause::up_to(parts.retry_max_ms),
            parts,
            shards: Shards::default(),
            identity: None,
            panicked: HashMap::new(),
            running: JoinSet::new(),
            turn: 0,
            crowded: false,
            health,
            leased_at_ms: None,
            counted_at_ms: None,
        }
    }

    /// Works until the signal, then gives everything back.
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let parts = Arc::clone(&self.parts);
        'rounds: loop {
            let mut pace = std::pin::pin!(pace(parts.pace));
            let round = self.round().await;
            self.note(parts.clock.now_ms(), round);
            let mut pause = std::pin::pin!(parts.clock.sleep(parts.poll));
            let mut woken = false;
            // A batch that moved something may make room for the next one at once; all else waits for the next round.
            loop {
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => break 'rounds,
                    () = &mut pause => break,
                    () = parts.wake.0.notified(), if !woken => woken = true,
                    () = &mut pace, if woken => break,
                    Some(done) = self.running.join_next() => {
                        if done.is_ok_and(|(shard, batch)| self.ended(shard, batch)) {
                            if self.crowded {
                                break;
                            }
                            woken = true;
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
            // Too slow a count holds up no event.
            if let Err(error) = self.count(now).await {
                tracing::info!(target: "ticketon::outbox", %error, "the outbox is counted later");
            }
        }
        if self.bus.holds(now) {
            return Ok(());
        }
        let mut waiting = self.parts.store.shards(now).await?;
        self.store.passed();
        waiting.retain(|shard| self.shards.has(*shard));
        if waiting.is_empty() && self.running.is_empty() && self.identity.is_some() {
            // Whatever could not be published is gone, parked, or somebody else's.
            self.bus.passed();
            self.panicked.clear();
        }
        waiting.sort_unstable_by_key(|shard| (*shard < self.turn, *shard));
        self.crowded = false;
        for shard in waiting {
            if self.running.len() >= self.parts.parallel {
                self.crowded = true;
                break;
            }
            let panicked = self.panicked.get(&shard);
            if panicked.is_some_and(|pause| pause.holds(now)) {
                continue;
            }
            let limit = panicked.map_or(self.parts.batch, |_| 1);
            if let Some(lease) = self.shards.begin(shard, now) {
                self.turn = shard + 1;
                let parts = Arc::clone(&self.parts);
                self.running
                    .spawn(async move { (shard, batch(&parts, &lease, limit).await) });
            }
        }
        Ok(())
    }

    async fn lease(&mut self, now: UnixMs) -> Result<(), StoreError> {
        let parts = Arc::clone(&self.parts);
        let identity = match &self.identity {
            Some(identity) => identity.clone(),
            None if self.bus.holds(now) => return Ok(()),
            None => match parts.bus.identity().await {
                Ok(identity) => {
                    self.bus.passed();
                    let bus = identity.as_deref().unwrap_or("inside the process");
                    tracing::info!(target: "ticketon::outbox", bus, "where events go");
                    self.identity.insert(identity).clone()
                }
                Err(error) => {
                    self.bus_failed(now, &error);
                    return Ok(());
                }
            },
        };
        let bus = identity.as_deref();
        let leased = parts.store.lease(&parts.name, bus, now, parts.lease_ms);
        let leased = leased.await?;
        self.leased_at_ms = Some(now);
        self.belongs(now, bus, leased.other_bus.as_deref());
        let surplus = self.shards.renewed(leased);
        self.panicked.retain(|shard, _| self.shards.has(*shard));
        if surplus.is_empty() {
            Ok(())
        } else {
            parts.store.give_back(&surplus).await
        }
    }

    /// Takes note of whether the outbox belongs to another bus.
    fn belongs(&mut self, now: UnixMs, own: Option<&str>, other: Option<&str>) {
        if let Some(other) = other {
            let own = own.unwrap_or("a bus inside the process");
            let why = format!(
                "events are not published by this process: the outbox belongs to {other}, this is {own}; \
                 give it the same bus, or make the outbox another's (OutboxStore::set_bus)"
            );
            metrics::counter!("ticketon_outbox_failures_total", "why" => "otherBus").increment(1);
            if self.other.noted(now, &why) {
                tracing::error!(target: "ticketon::outbox", "{why}");
            }
        } else if self.other.passed() {
            tracing::info!(target: "ticketon::outbox", "the outbox belongs to this bus now");
        }
        let other = other.map(str::to_owned);
        self.health.send_if_modified(|health| {
            let changed = health.other_bus != other;
            health.other_bus = other;
            changed
        });
    }

    async fn count(&mut self, now: UnixMs) -> Result<(), StoreError> {
        self.counted_at_ms = Some(now);
        let backlog = self.parts.store.backlog().await?;
        let parked = match backlog.parked {
            0 => None,
            _ => self.parts.store.parked(1).await?.pop(),
        };
        let age_ms = backlog.oldest_ms.map_or(0, |oldest| (now - oldest).max(0));
        #[allow(clippy::cast_precision_loss)] // far below 2^52
        {
            metrics::gauge!("ticketon_outbox_pending").set(backlog.pending as f64);
            metrics::gauge!("ticketon_outbox_parked").set(backlog.parked as f64);
            metrics::gauge!("ticketon_outbox_oldest_seconds").set(age_ms as f64 / 1_000.0);
        }
        self.health.send_modify(|health| {
            health.backlog = backlog;
            health.parked = parked;
        });
        Ok(())
    }

    /// Takes note of how a batch ended; whether a round makes sense at once.
    fn ended(&mut self, shard: u16, batch: Batch) -> bool {
        let now = self.parts.clock.now_ms();
        self.shards.end(shard);
        let again = match batch {
            Batch::Empty => false,
            Batch::Done { parked } => {
                self.panicked.remove(&shard);
                if self.bus.passed() {
                    tracing::info!(target: "ticketon::outbox", "events are published again");
                }
                if parked > 0 {
                    let count = u64::try_from(parked).unwrap_or(u64::MAX);
                    metrics::counter!("ticketon_outbox_failures_total", "why" => "refused")
                        .increment(count);
                    tracing::error!(target: "ticketon::outbox", shard, parked,
                        "events cannot be published and are parked; later events of their aggregates wait for them");
                    self.counted_at_ms = None;
                }
                true
            }
            Batch::Stale => {
                tracing::info!(target: "ticketon::outbox", shard, "another relay has the shard by now");
                self.shards.lose(shard);
                false
            }
            Batch::Bus { error, moved: true } => {
                metrics::counter!("ticketon_outbox_failures_total", "why" => "bus").increment(1);
                if self.bus.eased(now, &error) {
                    tracing::info!(target: "ticketon::outbox", %error, "the bus took some of the events");
                }
                true
            }
            Batch::Bus { error, moved } => {
                self.bus_failed(now, &error);
                moved
            }
            Batch::Store(error) => {
                self.note(now, Err(error));
                false
            }
            Batch::Panicked(why) => {
                metrics::counter!("ticketon_outbox_failures_total", "why" => "panic").increment(1);
                let pause = self.panicked.entry(shard);
                let pause = pause.or_insert_with(|| Pause::up_to(self.parts.retry_max_ms));
                if pause.failed(now, &format!("publishing panicked: {why}")) {
                    tracing::error!(target: "ticketon::outbox", shard, why, "publishing panicked; it is tried again");
                }
                false
            }
        };
        self.show();
        again
    }

    /// Takes note of a bus that cannot be used.
    fn bus_failed(&mut self, now: UnixMs, error: &BusError) {
        metrics::counter!("ticketon_outbox_failures_total", "why" => "bus").increment(1);
        if self.bus.failed(now, error) {
            tracing::warn!(target: "ticketon::outbox", %error, "events wait in the outbox for their bus");
        }
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
        let pauses = [&self.store, &self.bus, &self.other].into_iter();
        let pauses = pauses.chain(self.panicked.values());
        let troubles = pauses.filter_map(|pause| {
            let (since_ms, why) = pause.trouble()?;
            Some((since_ms, why.to_owned()))
        });
        self.health.send_if_modified(|health| {
            let parked = health.parked.as_ref().map(|parked| {
                let Parked {
                    aggregate,
                    version,
                    why,
                    ..
                } = parked;
                (
                    parked.since_ms,
                    format!("{aggregate}/{version} is parked: {why}"),
                )
            });
            let next = RelayHealth {
                shards: self.shards.len(),
                trouble: troubles.chain(parked).min_by_key(|(since_ms, _)| *since_ms),
                ..health.clone()
            };
            let changed = next != *health;
            *health = next;
            changed
        });
    }

    /// Publishes what is there, as long as that goes well and is not over its time; then gives the leases back.
    async fn end(mut self) {
        let parts = Arc::clone(&self.parts);
        let publish = async {
            let mut moved = true;
            while moved {
                moved = false;
                let round = self.round().await;
                self.note(parts.clock.now_ms(), round);
                while let Some(done) = self.running.join_next().await {
                    moved |= done.is_ok_and(|(shard, batch)| self.ended(shard, batch));
                }
            }
        };
        if tokio::time::timeout(SHUTDOWN_LIMIT, publish).await.is_err() {
            tracing::warn!(target: "ticketon::outbox", "stopped while events were on their way; they are published again");
        }
        // What did not end may not record anything once the leases are somebody else's.
        self.running.shutdown().await;
        let left = tokio::time::timeout(LEAVE_LIMIT, parts.store.leave(&parts.name)).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::warn!(target: "ticketon::outbox", "could not give the shards back; they lapse");
        }
    }
}
