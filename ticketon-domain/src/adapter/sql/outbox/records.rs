//! What was published, of several shards in one transaction.
//!
//! A relay publishes in many shards at once and records each by itself. Those that come while another is being written
//! are written together by whoever comes first: a transaction costs the same for one shard as for all of them.

use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{MutexGuard, oneshot};

use crate::outbox::ShardLease;

/// The most records that are written together.
const MAX_TOGETHER: usize = 64;

/// What waits to be written.
#[derive(Debug, Default)]
pub(in crate::adapter::sql) struct Records {
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

/// Messages that were published under a lease.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) lease: ShardLease,
    pub(super) ids: Vec<i64>,
}

/// A record, and who wants to know whether its lease was good.
#[derive(Debug)]
struct Waiting {
    record: Record,
    done: oneshot::Sender<bool>,
}

/// Who writes a record.
pub(super) enum Part<'a> {
    /// Somebody else has: whether its lease was good, or `None` if they could not.
    Told(Option<bool>),
    /// Whoever asked, with those that wait.
    Turn(Turn<'a>),
}

/// The right to write records.
pub(super) struct Turn<'a> {
    _turn: MutexGuard<'a, ()>,
    senders: Vec<oneshot::Sender<bool>>,
    records: Vec<Record>,
    own: oneshot::Receiver<bool>,
}

impl Turn<'_> {
    /// What is to be written.
    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    /// Tells everybody whether their lease was good, in the order of the records; answers what the own one's was. Without
    /// it nobody but the one with the turn knows that they were not written.
    pub(super) fn tell(mut self, good: Vec<bool>) -> Option<bool> {
        for (sender, good) in self.senders.drain(..).zip(good) {
            // Who does not wait any more finds it done when they ask again.
            let _ = sender.send(good);
        }
        self.own.try_recv().ok()
    }
}

impl Records {
    /// Waits until a record is written, or may be.
    pub(super) async fn join(&self, record: Record) -> Part<'_> {
        let (done, mut own) = oneshot::channel();
        self.waiting().push(Waiting { record, done });
        let turn = tokio::select! {
            biased;
            good = &mut own => return Part::Told(good.ok()),
            turn = self.turn.lock() => turn,
        };
        // Whoever had the turn may have taken this one along.
        match own.try_recv() {
            Ok(good) => return Part::Told(Some(good)),
            Err(TryRecvError::Closed) => return Part::Told(None),
            Err(TryRecvError::Empty) => {}
        }
        let mut waiting = self.waiting();
        let count = waiting.len().min(MAX_TOGETHER);
        let (records, senders) = waiting
            .drain(..count)
            .map(|one| (one.record, one.done))
            .unzip();
        Part::Turn(Turn {
            _turn: turn,
            senders,
            records,
            own,
        })
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;
    use tokio::task::yield_now;

    use super::*;

    fn record(shard: u16) -> Record {
        let lease = ShardLease {
            shard,
            relay: "r".to_owned(),
            fence: 1,
            until_ms: 1,
        };
        Record {
            lease,
            ids: vec![i64::from(shard)],
        }
    }

    /// The first one is being written while so many others come. How often was written, and what each was told: not at all
    /// if it was the one that could not write.
    async fn crowd(
        others: u16,
        outcome: fn(&[Record]) -> Option<Vec<bool>>,
    ) -> (usize, Vec<Option<Option<bool>>>) {
        let (records, writes) = (Arc::new(Records::default()), Arc::new(AtomicUsize::new(0)));
        let gate = Arc::new(Semaphore::new(0));
        let mut asked = Vec::new();
        for shard in 0..=others {
            let (records, writes, gate) =
                (Arc::clone(&records), Arc::clone(&writes), Arc::clone(&gate));
            asked.push(tokio::spawn(async move {
                match records.join(record(shard)).await {
                    Part::Told(good) => Some(good),
                    Part::Turn(turn) => {
                        writes.fetch_add(1, Ordering::Relaxed);
                        gate.acquire().await.unwrap().forget();
                        outcome(turn.records()).map(|good| turn.tell(good))
                    }
                }
            }));
            yield_now().await;
        }
        gate.add_permits(Semaphore::MAX_PERMITS);
        let mut told = Vec::new();
        for one in asked {
            told.push(one.await.unwrap());
        }
        (writes.load(Ordering::Relaxed), told)
    }

    #[tokio::test]
    async fn those_that_come_meanwhile_are_written_together_and_each_is_told_its_own() {
        let even = |records: &[Record]| {
            let good = records.iter().map(|record| record.lease.shard % 2 == 0);
            Some(good.collect())
        };
        let (writes, told) = crowd(40, even).await;
        assert_eq!(writes, 2);
        for (shard, told) in told.into_iter().enumerate() {
            assert_eq!(told, Some(Some(shard % 2 == 0)), "{shard}");
        }
        // More than fit into one.
        let (writes, told) = crowd(100, even).await;
        assert_eq!((writes, told.len()), (3, 101));
        assert!(told.iter().all(|told| matches!(told, Some(Some(_)))));
    }

    #[tokio::test]
    async fn whose_writer_failed_is_told_so() {
        let (writes, told) = crowd(9, |_| None).await;
        assert_eq!(writes, 2);
        let failed = told.iter().filter(|told| told.is_none()).count();
        assert_eq!(failed, 2, "each who wrote knows by itself");
        let unknown = told.iter().filter(|told| **told == Some(None)).count();
        assert_eq!(unknown, 8, "the others may write by themselves");
    }
}
