//! The feed of one event: what changed lately, and who wants to know.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::Stream;
use ticketon_queue::{EventId, StoreError};
use tokio::sync::{broadcast, watch};

use super::frame::{delta, resync};
use super::{MapVersion, SeatUpdate};
use crate::seat::{Change, Changes, KEPT_CHANGES, MAX_CHANGES, Mapped, NotReady, SeatStore};

/// How often the store is asked, in milliseconds.
pub(crate) const POLL_MS: u64 = 200;
/// Updates that a slow watcher may be behind before it gets them as one.
const BEHIND: usize = 32;
/// Seats in the changes that are remembered.
const MAX_KEPT_SEATS: usize = 65_536;
/// Calls of one poll in a row, when each answered as much as it may.
const MAX_ROUNDS: usize = 4;

/// Where a feed asks.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) store: &'a dyn SeatStore,
    pub(crate) event: &'a EventId,
}

/// The feed of one event.
#[derive(Debug)]
pub(crate) struct Feed {
    heard: Mutex<Heard>,
    /// One poll at a time.
    polling: tokio::sync::Mutex<()>,
    updates: broadcast::Sender<SeatUpdate>,
}

#[derive(Debug, Default)]
struct Heard {
    /// Up to where all is told; `None` while there is no map.
    at: Option<MapVersion>,
    /// What led there, in order and without a gap: the versions after `kept_from`.
    kept: VecDeque<Change>,
    kept_from: u64,
    kept_seats: usize,
    /// A task polls.
    runs: bool,
    /// How many times the store was asked, up to which time it answered, and whether that failed.
    asked: u64,
    answered: u64,
    failed: bool,
}

impl Heard {
    /// Begins anew from here.
    fn restart(&mut self, at: Option<MapVersion>) {
        self.at = at;
        self.kept.clear();
        self.kept_seats = 0;
        self.kept_from = at.map_or(0, |at| at.version);
    }

    fn keep(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.kept_seats += change.seats.len();
            self.kept.push_back(change);
        }
        while self.kept.len() > KEPT_CHANGES || self.kept_seats > MAX_KEPT_SEATS {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.kept_seats -= oldest.seats.len();
            self.kept_from = oldest.version;
        }
    }

    /// What somebody missed who knows the map as it was then; `None` when it is not known here, or nothing.
    fn missed(&self, since: MapVersion) -> Option<SeatUpdate> {
        let at = self.at.filter(|at| at.epoch == since.epoch)?;
        if since.version >= at.version || since.version < self.kept_from {
            return None;
        }
        let first = self
            .kept
            .partition_point(|change| change.version <= since.version);
        Some(delta(at.epoch, since.version, self.kept.range(first..)))
    }
}

/// A watcher's end of a feed, and what they are told first.
pub(crate) struct Joined {
    pub(crate) first: Option<SeatUpdate>,
    /// The moment up to which the watcher will know all.
    pub(crate) known: Option<MapVersion>,
    pub(crate) updates: broadcast::Receiver<SeatUpdate>,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            heard: Mutex::default(),
            polling: tokio::sync::Mutex::default(),
            updates: broadcast::Sender::new(BEHIND),
        }
    }

    /// Begins to watch. Whoever knows the map of a moment says so, and is told what they missed.
    pub(crate) async fn join(
        &self,
        source: Source<'_>,
        since: Option<MapVersion>,
    ) -> Result<Joined, StoreError> {
        let (is_behind, asked) = {
            let heard = self.heard();
            let newer = |at: MapVersion| {
                since.is_some_and(|since| since.epoch != at.epoch || since.version > at.version)
            };
            // A map that is not there is looked for by the task, for all.
            let is_behind = !heard.runs || heard.at.is_some_and(newer);
            (is_behind, heard.asked)
        };
        if is_behind {
            self.hear(source, since, asked).await?;
        }
        let (joined, at) = {
            let heard = self.heard();
            (self.joined(&heard, since), heard.at)
        };
        let (Some(since), Some(at)) = (since, at) else {
            return Ok(joined);
        };
        let resyncs = joined.first.as_ref().is_some_and(|update| update.resync);
        if !resyncs || since.epoch != at.epoch || since.version > at.version {
            return Ok(joined);
        }
        // Older than what is kept here; the store remembers more.
        let changes = source.store.changes(source.event, at.epoch, since.version);
        let Mapped::Ready(Changes::Since(changes)) = changes.await? else {
            return Ok(joined);
        };
        let first = delta(at.epoch, since.version, changes.iter());
        if first.at.version < at.version {
            return Ok(joined);
        }
        Ok(Joined {
            known: Some(first.at),
            first: Some(first),
            ..joined
        })
    }

    fn joined(&self, heard: &Heard, since: Option<MapVersion>) -> Joined {
        let first = match (since, heard.at) {
            (Some(since), Some(at)) if since == at => None,
            (Some(since), Some(at)) => Some(heard.missed(since).unwrap_or_else(|| resync(at))),
            (None, Some(at)) => Some(resync(at)),
            // There is no map: it comes as a resync.
            (_, None) => None,
        };
        Joined {
            first,
            known: heard.at,
            // Under the lock of what was heard, so nothing comes twice or not at all.
            updates: self.updates.subscribe(),
        }
    }

    /// What a watcher gets who was too slow: all that they missed, as one update. And a new end of the feed.
    pub(crate) fn catch_up(&self, known: Option<MapVersion>) -> Joined {
        let heard = self.heard();
        self.joined(&heard, known)
    }

    /// Asks the store once and tells the watchers; from `hint` on if nothing is known yet. Answers whether there is a
    /// map.
    pub(crate) async fn poll(
        &self,
        source: Source<'_>,
        hint: Option<MapVersion>,
    ) -> Result<bool, StoreError> {
        let _one = self.polling.lock().await;
        self.ask(source, hint).await
    }

    /// Polls, unless the store was asked by another meanwhile: many who come at once wait for one answer.
    async fn hear(
        &self,
        source: Source<'_>,
        hint: Option<MapVersion>,
        asked: u64,
    ) -> Result<(), StoreError> {
        let _one = self.polling.lock().await;
        let (answered, failed) = {
            let heard = self.heard();
            (heard.answered, heard.failed)
        };
        if answered <= asked {
            self.ask(source, hint).await?;
        } else if failed {
            return Err(StoreError::Unavailable {
                context: "changes",
                source: "it failed a moment ago".into(),
            });
        }
        Ok(())
    }

    async fn ask(&self, source: Source<'_>, hint: Option<MapVersion>) -> Result<bool, StoreError> {
        let asked = {
            let mut heard = self.heard();
            heard.asked += 1;
            heard.asked
        };
        let answer = self.follow(source, hint).await;
        let mut heard = self.heard();
        heard.answered = asked;
        heard.failed = answer.is_err();
        answer
    }

    async fn follow(
        &self,
        source: Source<'_>,
        hint: Option<MapVersion>,
    ) -> Result<bool, StoreError> {
        for _ in 0..MAX_ROUNDS {
            let at = self.heard().at.or(hint);
            let Some(at) = at else {
                return self.find(source).await;
            };
            let changes = source.store.changes(source.event, at.epoch, at.version);
            match changes.await? {
                Mapped::Ready(Changes::Since(changes)) => {
                    let more = changes.len() >= MAX_CHANGES;
                    self.tell(at, changes);
                    if !more {
                        return Ok(true);
                    }
                }
                Mapped::Ready(Changes::Gap) | Mapped::NotReady(NotReady::OtherEpoch { .. }) => {
                    return self.find(source).await;
                }
                Mapped::NotReady(NotReady::Absent | NotReady::Rebuilding { .. }) => {
                    self.heard().restart(None);
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn tell(&self, at: MapVersion, changes: Vec<Change>) {
        let mut heard = self.heard();
        let was_lost = heard.at.is_none();
        if was_lost {
            heard.restart(Some(at));
        }
        let version = changes.last().map_or(at.version, |last| last.version);
        let to = MapVersion { version, ..at };
        let update = if was_lost {
            // Who watched while there was no map knows nothing of this one.
            resync(to)
        } else if to == at {
            return;
        } else {
            delta(at.epoch, at.version, changes.iter())
        };
        heard.at = Some(to);
        heard.keep(changes);
        // Without watchers there is nobody to tell.
        let _ = self.updates.send(update);
    }

    /// Begins from the map as it is.
    async fn find(&self, source: Source<'_>) -> Result<bool, StoreError> {
        let head = source.store.head(source.event).await?;
        let at = head.ready().map(|head| MapVersion {
            epoch: head.epoch,
            version: head.version,
        });
        let mut heard = self.heard();
        heard.restart(at);
        if let Some(at) = at {
            let _ = self.updates.send(resync(at));
        }
        Ok(at.is_some())
    }

    /// Claims the task that polls; false if there is one.
    pub(crate) fn start(&self) -> bool {
        !std::mem::replace(&mut self.heard().runs, true)
    }

    /// Gives the task up when nobody watches; true if so.
    pub(crate) fn stop_if_idle(&self) -> bool {
        let mut heard = self.heard();
        let idle = self.updates.receiver_count() == 0;
        heard.runs &= !idle;
        idle
    }

    /// Gives the task up.
    pub(crate) fn stop(&self) {
        self.heard().runs = false;
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The updates of one watcher, until the process stops. `owner` keeps the feed alive.
pub(crate) fn updates<D: AsRef<Feed> + Send + Sync + 'static>(
    owner: Arc<D>,
    joined: Joined,
    stop: watch::Receiver<bool>,
) -> impl Stream<Item = SeatUpdate> + Send + 'static {
    futures_util::stream::unfold(
        (owner, joined, stop),
        |(owner, mut joined, mut stop)| async {
            let update = next(AsRef::<Feed>::as_ref(&*owner), &mut joined, &mut stop).await?;
            Some((update, (owner, joined, stop)))
        },
    )
}

async fn next(
    feed: &Feed,
    joined: &mut Joined,
    stop: &mut watch::Receiver<bool>,
) -> Option<SeatUpdate> {
    loop {
        if let Some(first) = joined.first.take() {
            return Some(first);
        }
        let received = tokio::select! {
            biased;
            () = stopped(stop) => return None,
            received = joined.updates.recv() => received,
        };
        match received {
            Ok(update) => {
                let known = |known: MapVersion| {
                    known.epoch == update.at.epoch && known.version >= update.at.version
                };
                if update.resync || !joined.known.is_some_and(known) {
                    joined.known = Some(update.at);
                    return Some(update);
                }
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {
                *joined = feed.catch_up(joined.known);
            }
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

/// Returns once the process stops, or the last handle is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await.map(|_| ());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::memory::MemorySeatStore;
    use crate::seat::{MapSpec, Over};
    use crate::venue::SeatIndex;

    async fn build(store: &MemorySeatStore, event: &EventId) -> MapVersion {
        let spec = MapSpec {
            layout: "hall".to_owned(),
            seats: 10,
        };
        let begun = store.begin_rebuild(event, &spec, Over::Any).await;
        let epoch = begun.unwrap().unwrap();
        assert!(store.finish_rebuild(event, epoch).await.unwrap());
        MapVersion { epoch, version: 0 }
    }

    #[tokio::test]
    async fn who_waits_for_a_map_is_told_although_somebody_else_knew_of_it_first() {
        let store = MemorySeatStore::new();
        let event = EventId::new("tour").unwrap();
        let source = Source {
            store: &store,
            event: &event,
        };
        let feed = Feed::new();
        let mut waiting = feed.join(source, None).await.unwrap();
        assert!(waiting.first.is_none() && waiting.known.is_none());

        let at = build(&store, &event).await;
        let seats = [SeatIndex::new(3)];
        store.block(&event, at.epoch, &seats).await.unwrap();
        let mut first = feed.join(source, Some(at)).await.unwrap();
        assert!(
            !first
                .first
                .take()
                .is_some_and(|update| update.resync && update.at == at)
        );

        let told = waiting.updates.try_recv().expect("an update");
        assert!(told.resync, "{told:?}");
        assert_eq!(told.at.version, 1);
    }
}
