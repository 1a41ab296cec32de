//! An outbox in memory, and the inbox of its consumers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ticketon_queue::{StoreError, UnixMs};

use crate::outbox::inbox::Inbox;
use crate::outbox::{
    Aggregate, Backlog, Leased, MAX_READ, NewMessage, OutboxMessage, OutboxStore, Recorded, SHARDS,
    ShardLease,
};

/// An [`OutboxStore`] in memory. Clones share what it holds.
#[derive(Debug, Clone, Default)]
pub struct MemoryOutbox(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    last_id: i64,
    messages: BTreeMap<i64, OutboxMessage>,
    relays: BTreeMap<String, UnixMs>,
    leases: BTreeMap<u16, ShardLease>,
    fences: BTreeMap<u16, u64>,
}

impl MemoryOutbox {
    /// An empty outbox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes messages, all at once.
    pub fn append(&self, messages: impl IntoIterator<Item = NewMessage>) {
        let mut rows = self.rows();
        for message in messages {
            rows.last_id += 1;
            let (id, shard) = (rows.last_id, message.aggregate.shard());
            rows.messages
                .insert(id, OutboxMessage { id, shard, message });
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl OutboxStore for MemoryOutbox {
    async fn lease(&self, relay: &str, now_ms: UnixMs, ttl_ms: i64) -> Result<Leased, StoreError> {
        let mut rows = self.rows();
        let rows = &mut *rows;
        let until_ms = now_ms.saturating_add(ttl_ms);
        rows.relays.retain(|_, until| *until > now_ms);
        rows.relays.insert(relay.to_owned(), until_ms);
        rows.leases.retain(|_, lease| lease.until_ms > now_ms);
        for lease in rows
            .leases
            .values_mut()
            .filter(|lease| lease.relay == relay)
        {
            lease.until_ms = until_ms;
        }
        let share = usize::from(SHARDS).div_ceil(rows.relays.len());
        let mut held = rows
            .leases
            .values()
            .filter(|lease| lease.relay == relay)
            .count();
        for shard in 0..SHARDS {
            if held >= share {
                break;
            }
            if rows.leases.contains_key(&shard) {
                continue;
            }
            let fence = rows.fences.entry(shard).or_default();
            *fence += 1;
            rows.leases.insert(
                shard,
                ShardLease {
                    shard,
                    relay: relay.to_owned(),
                    fence: *fence,
                    until_ms,
                },
            );
            held += 1;
        }
        let leases = rows
            .leases
            .values()
            .filter(|lease| lease.relay == relay)
            .cloned()
            .collect();
        Ok(Leased { leases, share })
    }

    async fn give_back(&self, leases: &[ShardLease]) -> Result<(), StoreError> {
        let mut rows = self.rows();
        for lease in leases {
            let same = |kept: &ShardLease| kept.relay == lease.relay && kept.fence == lease.fence;
            if rows.leases.get(&lease.shard).is_some_and(same) {
                rows.leases.remove(&lease.shard);
            }
        }
        Ok(())
    }

    async fn leave(&self, relay: &str) -> Result<(), StoreError> {
        let mut rows = self.rows();
        rows.relays.remove(relay);
        rows.leases.retain(|_, lease| lease.relay != relay);
        Ok(())
    }

    async fn shards(&self) -> Result<Vec<u16>, StoreError> {
        let rows = self.rows();
        let mut shards: Vec<u16> = rows.messages.values().map(|kept| kept.shard).collect();
        shards.sort_unstable();
        shards.dedup();
        Ok(shards)
    }

    async fn unpublished(
        &self,
        shard: u16,
        limit: usize,
    ) -> Result<Vec<OutboxMessage>, StoreError> {
        let rows = self.rows();
        let of_shard = rows.messages.values().filter(|kept| kept.shard == shard);
        Ok(of_shard.take(limit.min(MAX_READ)).cloned().collect())
    }

    async fn published(&self, lease: &ShardLease, ids: &[i64]) -> Result<Recorded, StoreError> {
        let mut rows = self.rows();
        let same = |kept: &ShardLease| kept.relay == lease.relay && kept.fence == lease.fence;
        if !rows.leases.get(&lease.shard).is_some_and(same) {
            return Ok(Recorded::StaleFence);
        }
        for id in ids {
            if rows
                .messages
                .get(id)
                .is_some_and(|kept| kept.shard == lease.shard)
            {
                rows.messages.remove(id);
            }
        }
        Ok(Recorded::Done)
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let rows = self.rows();
        let oldest = rows.messages.values().next();
        let pending = u64::try_from(rows.messages.len()).unwrap_or(u64::MAX);
        Ok(Backlog {
            pending,
            oldest_ms: oldest.map(|kept| kept.message.occurred_at_ms),
        })
    }
}

/// An [`Inbox`] in memory. Clones share what it holds. A restart forgets it: for consumers whose effects are forgotten, too.
#[derive(Debug, Clone, Default)]
pub struct MemoryInbox(Arc<Mutex<HashMap<(String, Aggregate), u64>>>);

impl MemoryInbox {
    /// An empty inbox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn last(&self) -> MutexGuard<'_, HashMap<(String, Aggregate), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Inbox for MemoryInbox {
    async fn last(&self, consumer: &str, aggregate: &Aggregate) -> Result<u64, StoreError> {
        let key = (consumer.to_owned(), aggregate.clone());
        Ok(self.last().get(&key).copied().unwrap_or(0))
    }

    async fn handled(
        &self,
        consumer: &str,
        aggregate: &Aggregate,
        version: u64,
    ) -> Result<bool, StoreError> {
        let mut all = self.last();
        let last = all
            .entry((consumer.to_owned(), aggregate.clone()))
            .or_default();
        let is_new = version > *last;
        *last = version.max(*last);
        Ok(is_new)
    }
}
