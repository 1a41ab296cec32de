//! A bus with a log that all its clones share, and with faults of its own.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use ticketon_domain::outbox::{BusError, Envelope, EventBus, PublishError, Refused};
use tokio::sync::watch;

/// What a bus does with publications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Takes them.
    Well,
    /// Takes nothing.
    Away,
    /// Takes them, and the acknowledgement is lost.
    Mute,
    /// Each event is taken, lost, or taken without acknowledgement, as a random number says.
    Random(u64),
}

#[derive(Debug, Clone)]
pub(crate) struct TestBus {
    log: Arc<Mutex<Vec<Envelope>>>,
    mood: Arc<Mutex<Mood>>,
    refuses: Arc<Mutex<HashSet<String>>>,
    /// Panics when it is given one of these.
    panics_at: Arc<Mutex<HashSet<String>>>,
    identity: Option<&'static str>,
    /// While it is true, publications stop in front of it.
    held: Arc<watch::Sender<bool>>,
}

impl TestBus {
    pub(crate) fn new(mood: Mood) -> Self {
        Self {
            log: Arc::default(),
            mood: Arc::new(Mutex::new(mood)),
            refuses: Arc::default(),
            panics_at: Arc::default(),
            identity: Some("test"),
            held: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Another way to the same log, with its own faults.
    pub(crate) fn beside(&self, mood: Mood) -> Self {
        Self {
            log: Arc::clone(&self.log),
            ..Self::new(mood)
        }
    }

    /// Another bus, with a log of its own.
    pub(crate) fn known_as(identity: Option<&'static str>) -> Self {
        Self {
            identity,
            ..Self::new(Mood::Well)
        }
    }

    pub(crate) fn panics_at(&self) -> MutexGuard<'_, HashSet<String>> {
        self.panics_at.lock().unwrap()
    }

    pub(crate) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(crate) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    pub(crate) fn refuses(&self) -> MutexGuard<'_, HashSet<String>> {
        self.refuses.lock().unwrap()
    }

    pub(crate) fn log(&self) -> Vec<(u64, u64)> {
        let log = self.log.lock().unwrap();
        log.iter()
            .map(|event| (event.key().parse().unwrap(), event.version()))
            .collect()
    }

    /// The versions of an order in the order in which the bus took them, each at its first time.
    pub(crate) fn first_times(&self, order: u64) -> Vec<u64> {
        let mut seen = HashSet::new();
        let of_order = self.log().into_iter().filter(|(of, _)| *of == order);
        of_order
            .map(|(_, version)| version)
            .filter(|version| seen.insert(*version))
            .collect()
    }
}

/// A small random number generator: what a test did can be done again.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[async_trait]
impl EventBus for TestBus {
    fn name(&self) -> &'static str {
        "test"
    }

    async fn identity(&self) -> Result<Option<String>, BusError> {
        Ok(self.identity.map(str::to_owned))
    }

    async fn publish(&self, events: &[Envelope]) -> Result<(), PublishError> {
        let panics = |event: &Envelope| self.panics_at().contains(&event.id());
        assert!(!events.iter().any(panics), "as the test wants it");
        let _ = self.held.subscribe().wait_for(|held| !*held).await;
        let mut acknowledged = Vec::new();
        let mut all_refused = Vec::new();
        let mut failed: HashMap<String, BusError> = HashMap::new();
        for (place, event) in events.iter().enumerate() {
            tokio::task::yield_now().await;
            if failed.contains_key(event.key()) {
                continue;
            }
            let refused = self.refuses().contains(&event.id());
            let mut mood = self.mood.lock().unwrap();
            let (taken, answered) = match &mut *mood {
                _ if refused => (false, false),
                Mood::Well => (true, true),
                Mood::Away => (false, false),
                Mood::Mute => (true, false),
                Mood::Random(state) => {
                    let number = next(state) % 10;
                    (number != 0, number > 1)
                }
            };
            drop(mood);
            if taken {
                self.log.lock().unwrap().push(event.clone());
            }
            if answered {
                acknowledged.push(place);
            } else {
                let detail = "as the test wants it".to_owned();
                if refused {
                    let why = detail.clone();
                    all_refused.push(Refused { place, why });
                }
                let error = match refused {
                    true => BusError::Refused {
                        event: event.id(),
                        detail,
                    },
                    false => BusError::Unavailable { detail },
                };
                failed.insert(event.key().to_owned(), error);
            }
        }
        let refusal = |error: &BusError| matches!(error, BusError::Refused { .. });
        match failed.into_values().min_by_key(refusal) {
            None => Ok(()),
            Some(error) => Err(PublishError {
                acknowledged,
                refused: all_refused,
                error,
            }),
        }
    }

    async fn ping(&self) -> Result<(), BusError> {
        Ok(())
    }
}
