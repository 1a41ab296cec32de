//! Group commit of joins: the concurrent joins of a process go to the store as few calls.
//!
//! A call takes whatever has gathered while the calls before it were under way, so an idle room
//! waits for nothing and a stampede costs one round trip a batch. Batches, calls in flight and
//! joins in wait are bounded. A call that does not end, because the store panics or its runtime
//! goes away, fails its joins and gives back what it took.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::StoreError;
use crate::id::EventId;
use crate::store::{JoinReply, JoinRequest, QueueStore};

/// Joins a call carries at the most.
const BATCH: usize = 256;
/// Calls of a room under way at a time.
const IN_FLIGHT: usize = 4;
/// Joins of a room that may wait.
const WAITING: usize = 20_000;

type Answer = Result<Option<JoinReply>, StoreError>;
type Rooms = HashMap<EventId, Gathered>;

#[derive(Debug, Default)]
struct Gathered {
    waiting: VecDeque<(JoinRequest, oneshot::Sender<Answer>)>,
    in_flight: usize,
}

/// Gathers joins by room.
#[derive(Debug)]
pub(crate) struct Joins {
    store: Arc<dyn QueueStore>,
    rooms: Mutex<Rooms>,
}

impl Joins {
    pub(crate) fn new(store: Arc<dyn QueueStore>) -> Arc<Self> {
        Arc::new(Self {
            store,
            rooms: Mutex::default(),
        })
    }

    /// Joins one person along with whoever else is joining.
    pub(crate) async fn join(self: &Arc<Self>, event: &EventId, request: JoinRequest) -> Answer {
        let (answer, answered) = oneshot::channel();
        let start = {
            let mut rooms = self.lock();
            let room = rooms.entry(event.clone()).or_default();
            if room.waiting.len() >= WAITING {
                return Err(StoreError::Busy {
                    waiting: room.waiting.len(),
                    limit: WAITING,
                });
            }
            room.waiting.push_back((request, answer));
            let start = room.in_flight < IN_FLIGHT;
            room.in_flight += usize::from(start);
            start
        };
        if start {
            let in_flight = InFlight {
                joins: Arc::clone(self),
                event: event.clone(),
                has_ended: false,
            };
            tokio::spawn(in_flight.send_all());
        }
        answered.await.unwrap_or_else(|lost| {
            Err(StoreError::Unavailable {
                context: "join",
                source: Box::new(lost),
            })
        })
    }

    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the calls of a room under way: it counts as one for as long as it exists.
#[derive(Debug)]
struct InFlight {
    joins: Arc<Joins>,
    event: EventId,
    /// Whether it found nothing more to do, and no longer counts.
    has_ended: bool,
}

impl InFlight {
    async fn send_all(mut self) {
        while let Some((requests, answers)) = self.next_batch() {
            metrics::histogram!("ticketon_join_batch")
                .record(u32::try_from(requests.len()).unwrap_or(u32::MAX));
            match self.joins.store.join(&self.event, &requests).await {
                Ok(None) => reply(answers, |_| Ok(None)),
                Ok(Some(replies)) if replies.len() == answers.len() => {
                    count(&replies);
                    let mut replies = replies.into_iter();
                    reply(answers, |_| Ok(replies.next()));
                }
                Ok(Some(replies)) => {
                    let detail = format!("{} answers to {} joins", replies.len(), answers.len());
                    reply(answers, |_| {
                        Err(StoreError::Corrupt {
                            context: "join",
                            detail: detail.clone(),
                        })
                    });
                }
                Err(error) => {
                    let shared = Arc::new(error);
                    reply(answers, |_| {
                        Err(StoreError::Unavailable {
                            context: "join",
                            source: Box::new(Shared(Arc::clone(&shared))),
                        })
                    });
                }
            }
        }
    }

    /// What has gathered. If nothing has, the call ends under the lock that showed it: a join that comes later
    /// starts another.
    #[allow(clippy::type_complexity)]
    fn next_batch(&mut self) -> Option<(Vec<JoinRequest>, Vec<oneshot::Sender<Answer>>)> {
        let mut rooms = self.joins.lock();
        let room = rooms.get_mut(&self.event)?;
        if room.waiting.is_empty() {
            give_back(&mut rooms, &self.event);
            self.has_ended = true;
            return None;
        }
        let size = room.waiting.len().min(BATCH);
        Some(room.waiting.drain(..size).unzip())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let nobody_sends = give_back(&mut self.joins.lock(), &self.event);
        // Outside the lock: whoever still waited for this call is told that there is no answer.
        drop(nobody_sends);
    }
}

/// One call of the room less. Answers what has gathered, if no other call is left to send it.
fn give_back(rooms: &mut Rooms, event: &EventId) -> Option<Gathered> {
    let room = rooms.get_mut(event)?;
    room.in_flight -= 1;
    if room.in_flight > 0 {
        return None;
    }
    rooms.remove(event)
}

/// Counts places and leases that these joins made.
fn count(replies: &[JoinReply]) {
    let (mut joined, mut admitted) = (0, 0);
    for reply in replies {
        match reply {
            JoinReply::Waiting { new: true, .. } => joined += 1,
            JoinReply::Admitted { new: true, .. } => {
                joined += 1;
                admitted += 1;
            }
            _ => {}
        }
    }
    metrics::counter!("ticketon_joined_total").increment(joined);
    metrics::counter!("ticketon_admitted_total").increment(admitted);
}

fn reply(answers: Vec<oneshot::Sender<Answer>>, mut answer: impl FnMut(usize) -> Answer) {
    for (index, sender) in answers.into_iter().enumerate() {
        // Who no longer listens has gone away; the broker notices by itself.
        let _ = sender.send(answer(index));
    }
}

/// One error that many callers get.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Shared(Arc<StoreError>);
