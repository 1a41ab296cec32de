//! What this process knows of an event: the event itself, its layout, the epoch of its map, how the map looked a
//! moment ago.
//!
//! All of it may be old; the store and the catalog decide. The epoch binds indexes to the layout: whoever comes
//! with an old one is told by the store, and asks here again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use ticketon_queue::{EventId, UnixMs};

use crate::event::Event;
use crate::seat::best::{Ranker, Spread};
use crate::seat::watch::{Feed, MapVersion};
use crate::seat::{NotReady, SeatState, Snapshot};
use crate::venue::{GradeIndex, Layout, SeatIndex, SeatLabel};

/// How long what the catalog said of an event is believed, in milliseconds.
pub(super) const FACTS_MS: i64 = 1_000;
/// How often a map is read as a whole at the most, however many ask, in milliseconds.
pub(super) const VIEW_MS: i64 = 200;
/// Events that a process remembers.
pub(super) const MAX_DESKS: usize = 10_000;

/// An event and what is sold of it, as they belong together.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) event: Arc<Event>,
    pub(crate) layout: Arc<Layout>,
    pub(super) ranker: Arc<Ranker>,
    /// By grade.
    prices: Vec<Option<u64>>,
}

impl Facts {
    pub(super) fn new(event: Arc<Event>, layout: Arc<Layout>, before: Option<&Self>) -> Self {
        let ranker = before
            .filter(|before| before.layout.version() == layout.version())
            .map(|before| Arc::clone(&before.ranker));
        let price = |grade: &String| Some(event.price(grade)?.amount);
        Self {
            ranker: ranker.unwrap_or_else(|| Arc::new(Ranker::new(Arc::clone(&layout)))),
            prices: layout.grades().iter().map(price).collect(),
            event,
            layout,
        }
    }

    /// What a seat of a grade costs, in minor units.
    pub(super) fn price_of(&self, grade: GradeIndex) -> Option<u64> {
        *self.prices.get(usize::from(grade.get()))?
    }

    /// The labels of seats; an index that the layout does not have has none.
    pub(super) fn labels(&self, seats: &[SeatIndex]) -> Vec<SeatLabel> {
        let labels = seats.iter().filter_map(|seat| self.layout.label(*seat));
        labels.collect()
    }
}

/// A map as it was a moment ago, shared by all who ask for it.
#[derive(Debug)]
pub struct MapView {
    snapshot: Snapshot,
    json: OnceLock<Bytes>,
    binary: OnceLock<Bytes>,
}

impl MapView {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            json: OnceLock::new(),
            binary: OnceLock::new(),
        }
    }

    /// The map.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Its JSON form: encoded by the first who asks, for all.
    pub fn json(&self, encode: impl FnOnce(&Snapshot) -> Bytes) -> Bytes {
        self.json.get_or_init(|| encode(&self.snapshot)).clone()
    }

    /// Its binary form: encoded by the first who asks, for all.
    pub fn binary(&self, encode: impl FnOnce(&Snapshot) -> Bytes) -> Bytes {
        self.binary.get_or_init(|| encode(&self.snapshot)).clone()
    }

    /// The moment that it shows.
    pub(super) fn at(&self) -> MapVersion {
        let head = &self.snapshot.head;
        MapVersion {
            epoch: head.epoch,
            version: head.version,
        }
    }
}

/// What came of the last reading of a map.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    Map(Arc<MapView>),
    NotReady(NotReady),
    Failed,
}

#[derive(Debug, Default)]
struct Known {
    facts: Option<(Arc<Facts>, UnixMs)>,
    /// When the catalog did not answer.
    failed_at_ms: Option<UnixMs>,
    /// The epoch of the map, and the version of the layout that it is of.
    epoch: Option<(u64, String)>,
}

/// What buyers of this process choose from: the latest view, less what they are about to hold. So they do not
/// collide with each other.
#[derive(Debug, Default)]
pub(super) struct Choosing {
    of: Option<MapVersion>,
    pub(super) bits: Vec<u8>,
}

impl Choosing {
    /// Follows a view.
    pub(super) fn follow(&mut self, view: &MapView) {
        if self.of != Some(view.at()) {
            self.of = Some(view.at());
            self.bits.clear();
            self.bits.extend_from_slice(&view.snapshot.bits);
        }
    }

    /// Gives back what was about to be held of this view.
    pub(super) fn give_back(&mut self, epoch: u64, seats: &[SeatIndex]) {
        if self.of.is_some_and(|of| of.epoch == epoch) {
            for seat in seats {
                SeatState::Free.put(&mut self.bits, *seat);
            }
        }
    }
}

/// What this process knows of one event.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) id: EventId,
    known: Mutex<Known>,
    /// One reads the catalog, the others wait for what it says.
    pub(super) reading_facts: tokio::sync::Mutex<()>,
    /// What the last reading of the map showed, and when that was; who reads a new one holds the lock meanwhile.
    pub(super) seen: tokio::sync::Mutex<Option<(Seen, UnixMs)>>,
    choosing: Mutex<Choosing>,
    pub(super) spread: Spread,
    pub(crate) feed: Feed,
}

impl Desk {
    fn new(id: EventId) -> Self {
        Self {
            id,
            known: Mutex::default(),
            reading_facts: tokio::sync::Mutex::default(),
            seen: tokio::sync::Mutex::default(),
            choosing: Mutex::default(),
            spread: Spread::new(),
            feed: Feed::new(),
        }
    }

    /// What is known and not too old.
    pub(super) fn facts(&self, now: UnixMs) -> Option<Arc<Facts>> {
        let known = locked(&self.known);
        let (facts, read_at) = known.facts.as_ref()?;
        is_recent(*read_at, now, FACTS_MS).then(|| Arc::clone(facts))
    }

    /// What was known last, however old.
    pub(super) fn last_facts(&self) -> Option<Arc<Facts>> {
        let known = locked(&self.known);
        known.facts.as_ref().map(|(facts, _)| Arc::clone(facts))
    }

    pub(super) fn learn(&self, facts: &Arc<Facts>, now: UnixMs) {
        locked(&self.known).facts = Some((Arc::clone(facts), now));
    }

    /// Whether the catalog failed just now: then it is not asked by everyone who waited, one after the other.
    pub(super) fn failed(&self, now: UnixMs) -> bool {
        let failed_at = locked(&self.known).failed_at_ms;
        failed_at.is_some_and(|at| is_recent(at, now, VIEW_MS))
    }

    pub(super) fn learn_failure(&self, now: UnixMs) {
        locked(&self.known).failed_at_ms = Some(now);
    }

    pub(super) fn forget_facts(&self) {
        locked(&self.known).facts = None;
    }

    /// The epoch of the map, if it is of this layout.
    pub(super) fn epoch(&self, layout: &Layout) -> Option<u64> {
        let known = locked(&self.known);
        let (epoch, of) = known.epoch.as_ref()?;
        (of == layout.version()).then_some(*epoch)
    }

    pub(super) fn learn_epoch(&self, epoch: u64, layout: &str) {
        locked(&self.known).epoch = Some((epoch, layout.to_owned()));
    }

    pub(super) fn forget_epoch(&self) {
        locked(&self.known).epoch = None;
    }

    pub(super) fn choosing(&self) -> MutexGuard<'_, Choosing> {
        locked(&self.choosing)
    }
}

impl AsRef<Feed> for Desk {
    fn as_ref(&self) -> &Feed {
        &self.feed
    }
}

/// Whether something read then can be believed now. A clock that stepped back must not keep it alive.
pub(super) fn is_recent(read_at: UnixMs, now: UnixMs, for_ms: i64) -> bool {
    (0..for_ms).contains(&now.saturating_sub(read_at))
}

/// What this process knows of all events.
#[derive(Debug, Default)]
pub(crate) struct Desks(Mutex<HashMap<EventId, Arc<Desk>>>);

impl Desks {
    /// The desk of an event, if there is one.
    pub(crate) fn find(&self, event: &EventId) -> Option<Arc<Desk>> {
        locked(&self.0).get(event).cloned()
    }

    /// The desk of an event that exists.
    pub(crate) fn of(&self, event: &EventId) -> Arc<Desk> {
        let mut desks = locked(&self.0);
        if !desks.contains_key(event) && desks.len() >= MAX_DESKS {
            // Desks that nobody is at can be set up again.
            desks.retain(|_, desk| Arc::strong_count(desk) > 1);
        }
        let desk = desks.entry(event.clone());
        Arc::clone(desk.or_insert_with(|| Arc::new(Desk::new(event.clone()))))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
