//! The task that seals: at an interval, and once more when it is shut down.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ticketon_queue::{Clock, StoreError, SystemClock};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::seal::{Sealed, seal_noted};
use super::{AuditKeys, AuditStore, CheckpointNote, MemoryNote};

/// How long the last sealing may take when the task is shut down.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);
const DEFAULT_EVERY: Duration = Duration::from_secs(60);
/// The shortest and the longest interval.
const EVERY: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 3_600);

/// Builds a [`Sealer`].
#[derive(Debug)]
pub struct SealerBuilder {
    store: Arc<dyn AuditStore>,
    keys: AuditKeys,
    clock: Arc<dyn Clock>,
    every: Duration,
    note: Arc<dyn CheckpointNote>,
}

impl SealerBuilder {
    /// How often it seals: 100 ms to a day, a minute if nothing is said; the nearest of these is taken. What happened
    /// since the last checkpoint is what a removal of a chain's end can hide from the checkpoints.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.clamp(*EVERY.start(), *EVERY.end());
        self
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where the last checkpoint that was seen is noted: in the memory if nothing is said, so that a history which was
    /// rewritten while the process was down is signed anew. See [`seal_noted`].
    #[must_use]
    pub fn note(mut self, note: Arc<dyn CheckpointNote>) -> Self {
        self.note = note;
        self
    }

    /// Begins to seal, at once and then at the interval.
    #[must_use]
    pub fn start(self) -> Sealer {
        let (stop, stopped) = watch::channel(false);
        let (tell, health) = watch::channel(SealerHealth::default());
        let task = tokio::spawn(run(self, stopped, tell));
        Sealer {
            stop,
            health,
            task: Mutex::new(Some(task)),
        }
    }
}

/// How a sealer does, for health checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealerHealth {
    /// How often it has sealed, with or without anything to seal.
    pub rounds: u64,
    /// All that it has sealed.
    pub sealed: Sealed,
    /// Why it cannot seal now.
    pub trouble: Option<String>,
}

/// A running sealer. It ends with [`shutdown`](Self::shutdown), or when the handle is dropped. Every process may have
/// one: each checkpoint is made by one of them.
#[derive(Debug)]
pub struct Sealer {
    stop: watch::Sender<bool>,
    health: watch::Receiver<SealerHealth>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Sealer {
    /// Begins to build one.
    #[must_use]
    pub fn builder(store: Arc<dyn AuditStore>, keys: AuditKeys) -> SealerBuilder {
        SealerBuilder {
            store,
            keys,
            clock: Arc::new(SystemClock),
            every: DEFAULT_EVERY,
            note: Arc::new(MemoryNote::default()),
        }
    }

    /// How it does.
    #[must_use]
    pub fn health(&self) -> SealerHealth {
        self.health.borrow().clone()
    }

    /// Returns once it has sealed so many times, in all; at once if it was shut down.
    pub async fn rounds(&self, rounds: u64) -> SealerHealth {
        let mut health = self.health.clone();
        match health.wait_for(|health| health.rounds >= rounds).await {
            Ok(health) => health.clone(),
            Err(_) => self.health(),
        }
    }

    /// Seals once more, within some seconds, and ends.
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

async fn run(
    parts: SealerBuilder,
    mut stop: watch::Receiver<bool>,
    health: watch::Sender<SealerHealth>,
) {
    loop {
        round(&parts, &health).await;
        tokio::select! {
            stopped = stop.wait_for(|stop| *stop) => {
                // The handle was dropped: nobody waits for the last one.
                if stopped.is_err() {
                    return;
                }
                break;
            }
            () = parts.clock.sleep(parts.every) => {}
        }
    }
    let last = tokio::time::timeout(SHUTDOWN_LIMIT, round(&parts, &health)).await;
    if last.is_err() {
        tracing::warn!(target: "ticketon::audit", "stopped before all was sealed; the next process seals the rest");
    }
}

async fn round(parts: &SealerBuilder, health: &watch::Sender<SealerHealth>) {
    let sealed = seal_noted(&*parts.store, &parts.keys, &*parts.clock, &*parts.note).await;
    health.send_modify(|health| {
        health.rounds += 1;
        note(health, sealed);
    });
}

fn note(health: &mut SealerHealth, sealed: Result<Sealed, StoreError>) {
    match sealed {
        Ok(sealed) => {
            metrics::counter!("ticketon_audit_checkpoints_total").increment(sealed.checkpoints);
            metrics::counter!("ticketon_audit_sealed_heads_total").increment(sealed.heads);
            health.sealed.checkpoints += sealed.checkpoints;
            health.sealed.heads += sealed.heads;
            health.sealed.unreadable = sealed.unreadable;
            health.sealed.more = sealed.more;
            if health.trouble.take().is_some() {
                tracing::info!(target: "ticketon::audit", "the audit is sealed again");
            }
        }
        Err(error) => {
            metrics::counter!("ticketon_audit_failures_total").increment(1);
            let why = error.to_string();
            if health.trouble.as_ref() != Some(&why) {
                tracing::error!(target: "ticketon::audit", %error, "the audit cannot be sealed");
            }
            health.trouble = Some(why);
        }
    }
}
