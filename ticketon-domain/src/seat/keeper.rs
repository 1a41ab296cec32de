//! The keeper: one task a process that brings the maps of all events to what they should be.
//!
//! Each second, for each event that is near: holds past their deadline end, a map that is missing or is of another layout is
//! built from the ledger, and the waiting room hears when all is sold or seats came back. All of it follows from the
//! state that is found, and every verb may be sent twice; so any number of keepers does no more than one would, and a
//! crash costs a second.
//!
//! Beside it, in its own time, each map is compared with the ledger every few minutes ([`Repairs`]).

mod near;
mod repair;
mod room;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use ticketon_queue::{EventId, StoreError, UnixMs};
use tokio::sync::watch;

use self::near::Near;
pub(crate) use self::repair::Repairs;
use super::rebuild::rebuild;
use super::service::Shared;
use super::{Counts, Mapped, NotReady, Over};
use crate::event::Event;

/// How often each event is looked at.
const ROUND: Duration = Duration::from_secs(1);
/// How long a round waits after somebody missed a map, so that many who miss it are one reason.
const MOMENT: Duration = Duration::from_millis(50);
/// How often the catalog is read, in milliseconds.
const LIST_EVERY_MS: i64 = 5_000;
/// Events that are looked at in parallel.
const PARALLEL: usize = 16;
/// Sweeps of one event in a row, when each did as much as it may.
const MAX_SWEEPS: usize = 40;
/// How long a rebuild of somebody else may take before it counts as dead, in milliseconds. Twice as long each time that
/// this process has taken one over: a rebuild from a slow database must not be started over for ever.
const STUCK_MS: i64 = 10_000;
/// How often the patience is doubled.
const MAX_DOUBLINGS: u32 = 6;

/// What the keeper remembers of an event.
#[derive(Debug, Default)]
struct Kept {
    /// Since when a rebuild of this epoch is seen.
    rebuilding: Option<(u64, UnixMs)>,
    /// How often this process has taken the rebuild over since the map was ready.
    taken_over: u32,
    /// This process began a rebuild that failed.
    broke_off: bool,
    counts: Counts,
    room: room::Seen,
    failing: bool,
}

/// The keeper of this process.
#[derive(Debug)]
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    near: Near,
    kept: HashMap<EventId, Kept>,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            near: Near::default(),
            kept: HashMap::new(),
        }
    }

    /// Works until the signal.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let shared = Arc::clone(&self.shared);
        loop {
            let work = async {
                let mut pause = std::pin::pin!(shared.clock.sleep(ROUND));
                loop {
                    tokio::select! {
                        () = &mut pause => break,
                        () = shared.missed.told() => {}
                    }
                    // Only these: whoever asks for a map that does not come must not have all the others looked at,
                    // nor keep them from their round.
                    shared.clock.sleep(MOMENT).await;
                    self.round(Some(&shared.missed.take())).await;
                }
                self.round(None).await;
            };
            tokio::select! {
                // Also when the last handle is gone. A round that is broken off is what a crash leaves: the next keeper
                // goes on.
                _ = stop.wait_for(|stop| *stop) => return,
                () = work => {}
            }
        }
    }

    /// Looks at these events of those that are near, or at all.
    async fn round(&mut self, only: Option<&HashSet<EventId>>) {
        let shared = &self.shared;
        self.near.read(shared, LIST_EVERY_MS).await;
        let mut kept = std::mem::take(&mut self.kept);
        let near = self.near.events().iter();
        let near = near.filter(|event| only.is_none_or(|only| only.contains(event.id())));
        let work = near.map(|event| {
            let mut of = kept.remove(event.id()).unwrap_or_default();
            async move {
                let looked = look_after(shared, event, &mut of).await;
                if let Err(error) = &looked
                    && !of.failing
                {
                    tracing::warn!(target: "ticketon::keeper", event = %event.id(), %error,
                        "holds do not end until the store answers");
                }
                of.failing = looked.is_err();
                (event.id().clone(), of)
            }
        });
        let work: Vec<_> = work.collect();
        if only.is_none() {
            // Events that are near no more.
            kept.clear();
        }
        let done = futures_util::stream::iter(work).buffer_unordered(PARALLEL);
        kept.extend(done.collect::<Vec<_>>().await);
        self.kept = kept;
        self.show();
    }

    fn show(&self) {
        let mut all = [0_u64; 4];
        for Kept { counts, .. } in self.kept.values() {
            let counts = [counts.free, counts.held, counts.sold, counts.blocked];
            for (sum, count) in all.iter_mut().zip(counts) {
                *sum += u64::from(count);
            }
        }
        for (state, count) in ["free", "held", "sold", "blocked"].into_iter().zip(all) {
            #[allow(clippy::cast_precision_loss)] // seats are fewer than 2^52
            metrics::gauge!("ticketon_seats", "state" => state).set(count as f64);
        }
    }
}

/// One look at one event.
async fn look_after(shared: &Shared, event: &Event, kept: &mut Kept) -> Result<(), StoreError> {
    let id = event.id();
    for _ in 0..MAX_SWEEPS {
        match shared.store.sweep(id).await? {
            Mapped::Ready(swept) => {
                metrics::counter!("ticketon_holds_total", "outcome" => "expired")
                    .increment(swept.holds);
                if !swept.more {
                    break;
                }
            }
            Mapped::NotReady(_) => break,
        }
    }
    let head = match shared.store.head(id).await? {
        Mapped::Ready(head) => head,
        Mapped::NotReady(why) => {
            kept.counts = Counts::default();
            return mend(shared, event, kept, why).await;
        }
    };
    kept.rebuilding = None;
    kept.taken_over = 0;
    kept.broke_off = false;
    kept.counts = head.counts;
    if head.spec.layout != event.layout_version() {
        let over = Over::Ready { epoch: head.epoch };
        return rebuild_current(shared, event, kept, over, Some(&head.spec.layout)).await;
    }
    room::tell(shared, event, &head, &mut kept.room).await
}

/// Builds a map that is missing, or that somebody began and did not end.
async fn mend(
    shared: &Shared,
    event: &Event,
    kept: &mut Kept,
    why: NotReady,
) -> Result<(), StoreError> {
    let now = shared.clock.now_ms();
    if let NotReady::Rebuilding { epoch } = why {
        let since = match kept.rebuilding {
            Some((of, since)) if of == epoch && now >= since => since,
            _ => now,
        };
        kept.rebuilding = Some((epoch, since));
        let patience_ms = STUCK_MS << kept.taken_over.min(MAX_DOUBLINGS);
        if now - since < patience_ms && !kept.broke_off {
            return Ok(());
        }
        kept.taken_over += 1;
        tracing::warn!(target: "ticketon::keeper", event = %event.id(), epoch, "taking over a rebuild that does not end");
    }
    rebuild_current(shared, event, kept, why.into(), None).await
}

/// Builds the map of the layout that the event sells now, unless it is of `built` already: what the keeper was told of
/// the event may be some seconds old.
async fn rebuild_current(
    shared: &Shared,
    event: &Event,
    kept: &mut Kept,
    over: Over,
    built: Option<&str>,
) -> Result<(), StoreError> {
    let Some(event) = shared.catalog.event(event.id()).await? else {
        return Ok(());
    };
    if built == Some(event.layout_version()) {
        return Ok(());
    }
    let layout = shared.layout_of(&event).await?;
    kept.broke_off = true;
    rebuild(shared, event.id(), &layout, over).await?;
    kept.broke_off = false;
    Ok(())
}
