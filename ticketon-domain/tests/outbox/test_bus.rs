//! A bus with a log that all its clones share, and with faults of its own.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use ticketon_domain::outbox::{BusError, Envelope, EventBus, PublishError};
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
    /// While it is true, publications stop in front of it.
    held: Arc<watch::Sender<bool>>,
}

impl TestBus {
    pub(crate) fn new(mood: Mood) -> Self {
        Self {
            log: Arc::default(),
            mood: Arc::new(Mutex::new(mood)),
            refuses: Arc::default(),
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

    async fn publish(&self, events: &[Envelope]) -> Result<(), PublishError> {
        let _ = self.held.subscribe().wait_for(|held| !*held).await;
        let mut acknowledged = Vec::new();
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
        match failed.into_values().next() {
            None => Ok(()),
            Some(error) => Err(PublishError {
                acknowledged,
                error,
            }),
        }
    }

    async fn ping(&self) -> Result<(), BusError> {
        Ok(())
    }
}
