//! An outbox in memory, and the inbox of its consumers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ticketon_queue::{StoreError, UnixMs};

use crate::outbox::inbox::Inbox;
use crate::outbox::span::{Seen, Span};
use crate::outbox::store::{bus_name, shortened};
use crate::outbox::{
    Aggregate, Backlog, Leased, MAX_COUNTED, MAX_READ, MAX_REST_MS, NewMessage, OutboxMessage,
    OutboxStore, Parked, Recorded, Refusal, SHARDS, ShardLease, Unpublished,
};

/// An [`OutboxStore`] in memory. Clones share what it holds.
#[derive(Debug, Clone, Default)]
pub struct MemoryOutbox(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    last_id: i64,
    messages: BTreeMap<i64, OutboxMessage>,
    relays: BTreeMap<String, Span>,
    leases: BTreeMap<u16, Held>,
    fences: BTreeMap<u16, u64>,
    parked: HashMap<Aggregate, (i64, Parked)>,
    bus: Option<String>,
}

#[derive(Debug)]
struct Held {
    relay: String,
    fence: u64,
    span: Span,
}

impl Held {
    fn is(&self, lease: &ShardLease) -> bool {
        self.relay == lease.relay && self.fence == lease.fence
    }
}

/// Whether it counts as living; takes note if its end is doubted.
fn lives(span: &mut Span, now_ms: UnixMs) -> bool {
    match span.seen(now_ms) {
        Seen::Lives => true,
        Seen::Lapsed => false,
        Seen::Doubted => {
            span.doubted_ms = Some(now_ms);
            true
        }
    }
}

impl Rows {
    /// Whether an aggregate's messages are left out for now.
    fn rests(&self, aggregate: &Aggregate, now_ms: UnixMs) -> bool {
        let parked = self.parked.get(aggregate);
        parked.is_some_and(|(_, parked)| {
            let left_ms = parked.retry_ms.saturating_sub(now_ms);
            0 < left_ms && left_ms <= MAX_REST_MS
        })
    }

    fn is_good(&self, lease: &ShardLease) -> bool {
        self.leases
            .get(&lease.shard)
            .is_some_and(|held| held.is(lease))
    }

    fn end_all(&mut self) {
        self.relays.clear();
        self.leases.clear();
    }
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
            let kept = OutboxMessage {
                id,
                shard,
                message,
                refusals: 0,
            };
            rows.messages.insert(id, kept);
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl OutboxStore for MemoryOutbox {
    async fn lease(
        &self,
        relay: &str,
        bus: Option<&str>,
        now_ms: UnixMs,
        ttl_ms: i64,
    ) -> Result<Leased, StoreError> {
        let mut rows = self.rows();
        let rows = &mut *rows;
        match (&rows.bus, bus) {
            (Some(kept), bus) if bus != Some(kept.as_str()) => {
                let other_bus = Some(kept.clone());
                rows.relays.remove(relay);
                rows.leases.retain(|_, held| held.relay != relay);
                return Ok(Leased {
                    other_bus,
                    ..Leased::default()
                });
            }
            (None, Some(bus)) => {
                rows.bus = Some(bus.to_owned());
                rows.end_all();
            }
            _ => {}
        }
        let span = Span::new(now_ms, ttl_ms);
        rows.relays
            .retain(|name, span| name != relay && lives(span, now_ms));
        rows.relays.insert(relay.to_owned(), span);
        rows.leases.retain(|_, held| {
            let own = held.relay == relay && now_ms < held.span.until_ms;
            if own {
                held.span = span;
            }
            own || lives(&mut held.span, now_ms)
        });
        let share = usize::from(SHARDS).div_ceil(rows.relays.len());
        let own = |held: &&Held| held.relay == relay;
        let mut count = rows.leases.values().filter(own).count();
        for shard in 0..SHARDS {
            if count >= share {
                break;
            }
            if rows.leases.contains_key(&shard) {
                continue;
            }
            let fence = rows.fences.entry(shard).or_default();
            *fence += 1;
            let held = Held {
                relay: relay.to_owned(),
                fence: *fence,
                span,
            };
            rows.leases.insert(shard, held);
            count += 1;
        }
        let leases = rows.leases.iter().filter(|(_, held)| own(held));
        let leases = leases.map(|(shard, held)| ShardLease {
            shard: *shard,
            relay: relay.to_owned(),
            fence: held.fence,
            until_ms: held.span.until_ms,
        });
        Ok(Leased {
            leases: leases.collect(),
            share,
            other_bus: None,
        })
    }

    async fn give_back(&self, leases: &[ShardLease]) -> Result<(), StoreError> {
        let mut rows = self.rows();
        for lease in leases {
            if rows.is_good(lease) {
                rows.leases.remove(&lease.shard);
            }
        }
        Ok(())
    }

    async fn leave(&self, relay: &str) -> Result<(), StoreError> {
        let mut rows = self.rows();
        rows.relays.remove(relay);
        rows.leases.retain(|_, held| held.relay != relay);
        Ok(())
    }

    async fn bus(&self) -> Result<Option<String>, StoreError> {
        Ok(self.rows().bus.clone())
    }

    async fn set_bus(&self, bus: Option<&str>) -> Result<(), StoreError> {
        if let Some(bus) = bus {
            bus_name(bus)?;
        }
        let mut rows = self.rows();
        rows.bus = bus.map(str::to_owned);
        rows.end_all();
        Ok(())
    }

    async fn shards(&self, now_ms: UnixMs) -> Result<Vec<u16>, StoreError> {
        let rows = self.rows();
        let due = |kept: &&OutboxMessage| !rows.rests(&kept.message.aggregate, now_ms);
        let due = rows.messages.values().filter(due);
        let mut shards: Vec<u16> = due.map(|kept| kept.shard).collect();
        shards.sort_unstable();
        shards.dedup();
        Ok(shards)
    }

    async fn unpublished(
        &self,
        shard: u16,
        now_ms: UnixMs,
        limit: usize,
    ) -> Result<Unpublished, StoreError> {
        let rows = self.rows();
        let due = rows
            .messages
            .values()
            .filter(|kept| kept.shard == shard && !rows.rests(&kept.message.aggregate, now_ms));
        let messages = due.take(limit.clamp(1, MAX_READ)).map(|kept| {
            let parked = rows.parked.get(&kept.message.aggregate);
            let parked = parked.filter(|(id, _)| *id == kept.id);
            OutboxMessage {
                refusals: parked.map_or(0, |(_, parked)| parked.refusals),
                ..kept.clone()
            }
        });
        Ok(Unpublished {
            messages: messages.collect(),
            unreadable: Vec::new(),
        })
    }

    async fn published(&self, lease: &ShardLease, ids: &[i64]) -> Result<Recorded, StoreError> {
        let mut rows = self.rows();
        if !rows.is_good(lease) {
            return Ok(Recorded::StaleFence);
        }
        for id in ids {
            if rows
                .messages
                .get(id)
                .is_some_and(|kept| kept.shard == lease.shard)
            {
                rows.messages.remove(id);
                rows.parked.retain(|_, (parked, _)| parked != id);
            }
        }
        Ok(Recorded::Done)
    }

    async fn park(
        &self,
        lease: &ShardLease,
        now_ms: UnixMs,
        refusals: &[Refusal],
    ) -> Result<Recorded, StoreError> {
        let mut rows = self.rows();
        let rows = &mut *rows;
        if !rows.is_good(lease) {
            return Ok(Recorded::StaleFence);
        }
        for refusal in refusals {
            let Some(kept) = rows.messages.get(&refusal.id) else {
                continue;
            };
            if kept.shard != lease.shard {
                continue;
            }
            let NewMessage {
                aggregate,
                version,
                kind,
                ..
            } = &kept.message;
            let before = rows.parked.get(aggregate);
            let before = before.filter(|(id, _)| *id == refusal.id);
            let parked = Parked {
                aggregate: aggregate.to_string(),
                version: *version,
                kind: kind.clone(),
                since_ms: before.map_or(now_ms, |(_, before)| before.since_ms),
                refusals: before.map_or(0, |(_, before)| before.refusals) + 1,
                retry_ms: refusal.retry_ms,
                why: shortened(&refusal.why).to_owned(),
            };
            rows.parked.insert(aggregate.clone(), (refusal.id, parked));
        }
        Ok(Recorded::Done)
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, StoreError> {
        let rows = self.rows();
        let mut all: Vec<Parked> = rows.parked.values().map(|(_, one)| one.clone()).collect();
        all.sort_unstable_by(|a, b| (a.since_ms, &a.aggregate).cmp(&(b.since_ms, &b.aggregate)));
        all.truncate(limit.clamp(1, MAX_READ));
        Ok(all)
    }

    async fn retry(&self, aggregate: Option<&str>) -> Result<u64, StoreError> {
        let mut rows = self.rows();
        let mut count = 0;
        for (_, parked) in rows.parked.values_mut() {
            if aggregate.is_none_or(|wanted| wanted == parked.aggregate) {
                parked.retry_ms = 0;
                count += 1;
            }
        }
        Ok(count)
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let rows = self.rows();
        let oldest = rows.messages.values().next();
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX).min(MAX_COUNTED);
        Ok(Backlog {
            pending: count(rows.messages.len()),
            oldest_ms: oldest.map(|kept| kept.message.occurred_at_ms),
            parked: count(rows.parked.len()),
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
