//! Which shards a relay has, and in which of them a batch is on its way. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use ticketon_queue::UnixMs;

use super::super::{Leased, ShardLease};

/// The leases of a relay.
#[derive(Debug, Default)]
pub(super) struct Shards {
    leases: BTreeMap<u16, ShardLease>,
    busy: BTreeSet<u16>,
}

impl Shards {
    /// Takes over what the store says. The answer is what to give back: idle shards above the share.
    pub(super) fn renewed(&mut self, leased: Leased) -> Vec<ShardLease> {
        let surplus = leased.leases.len().saturating_sub(leased.share);
        self.leases = leased
            .leases
            .into_iter()
            .map(|lease| (lease.shard, lease))
            .collect();
        let idle = self
            .leases
            .keys()
            .filter(|shard| !self.busy.contains(shard));
        let chosen: Vec<u16> = idle.rev().take(surplus).copied().collect();
        chosen
            .iter()
            .filter_map(|shard| self.leases.remove(shard))
            .collect()
    }

    /// Begins a batch, if the shard is leased and idle.
    pub(super) fn begin(&mut self, shard: u16, now_ms: UnixMs) -> Option<ShardLease> {
        let lease = self
            .leases
            .get(&shard)
            .filter(|lease| now_ms < lease.until_ms)?;
        self.busy.insert(shard).then(|| lease.clone())
    }

    /// A batch ended.
    pub(super) fn end(&mut self, shard: u16) {
        self.busy.remove(&shard);
    }

    /// Somebody else has it.
    pub(super) fn lose(&mut self, shard: u16) {
        self.leases.remove(&shard);
    }

    pub(super) fn has(&self, shard: u16) -> bool {
        self.leases.contains_key(&shard)
    }

    pub(super) fn len(&self) -> usize {
        self.leases.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leased(shards: std::ops::Range<u16>, share: usize) -> Leased {
        let lease = |shard| ShardLease {
            shard,
            relay: "a".to_owned(),
            fence: 1,
            until_ms: 1_000,
        };
        Leased {
            leases: shards.map(lease).collect(),
            share,
            other_bus: None,
        }
    }

    #[test]
    fn a_surplus_is_given_back_but_no_shard_with_a_batch_on_its_way() {
        let mut shards = Shards::default();
        assert!(shards.renewed(leased(0..8, 64)).is_empty());
        assert!(shards.begin(7, 0).is_some());
        let back: Vec<u16> = shards
            .renewed(leased(0..8, 4))
            .iter()
            .map(|lease| lease.shard)
            .collect();
        assert_eq!(back, [6, 5, 4, 3]);
        assert_eq!(shards.len(), 4);
        assert!(shards.begin(6, 0).is_none(), "given back");
    }

    #[test]
    fn a_shard_has_one_batch_at_a_time_and_none_after_its_lease() {
        let mut shards = Shards::default();
        shards.renewed(leased(0..2, 64));
        assert!(shards.begin(0, 0).is_some());
        assert!(shards.begin(0, 0).is_none());
        shards.end(0);
        assert!(shards.begin(0, 1_000).is_none());
        assert!(shards.begin(0, 999).is_some());
        shards.lose(1);
        assert!(shards.begin(1, 0).is_none());
        assert!(shards.begin(9, 0).is_none());
    }
}
