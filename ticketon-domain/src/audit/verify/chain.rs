//! Chains: whole from the first entry to the head that the order knows.

use std::collections::HashMap;

use ticketon_queue::StoreError;

use super::{Verified, Verifier};
use crate::audit::finding::{Findings, Place, Wrong};
use crate::audit::{
    AuditLog, ChainHash, Entry, MAX_ENTRIES, MAX_PAGE, StoredChain, StoredEntry, rows,
};
use crate::purchase::OrderRecord;

/// What a walk along a chain has seen.
struct Walk {
    /// The number that comes next.
    next: i64,
    /// The hash that the next entry must name; `None` behind one that could not be read.
    prev: Option<ChainHash>,
    /// The mark of the last entry.
    mark: Mark,
    entries: u64,
    unsealed: u64,
}

/// Entries are sealed in their order, so those without a mark are at the end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Sealed(i64),
    Not,
}

/// The entries of a page of chains, read at once where they fit.
struct Ahead(HashMap<String, Vec<StoredEntry>>);

impl Ahead {
    async fn read(log: &dyn AuditLog, page: &[StoredChain]) -> Result<Self, StoreError> {
        let orders: Vec<&str> = page.iter().map(|chain| chain.order.as_str()).collect();
        let entries = match log.entries_of(&orders).await {
            Ok(entries) => entries,
            // One of them is no text: which, shows when each is read by itself.
            Err(StoreError::Corrupt { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut chains: HashMap<String, Vec<StoredEntry>> = HashMap::new();
        for entry in entries {
            chains.entry(entry.order.clone()).or_default().push(entry);
        }
        Ok(Self(chains))
    }

    /// Those of a chain, if they go to its end.
    fn take(&mut self, chain: &StoredChain) -> Option<Vec<StoredEntry>> {
        let entries = self.0.remove(&chain.order)?;
        let last = entries.last()?.seq;
        chain
            .last_seq
            .is_some_and(|end| last >= end)
            .then_some(entries)
    }
}

impl Verifier {
    pub(super) async fn verify_chains(
        &self,
        log: &dyn AuditLog,
        verified: &mut Verified,
        findings: &mut Findings<'_>,
    ) -> Result<(), StoreError> {
        for stray in log.strays(MAX_PAGE).await? {
            findings(Wrong::Unreadable { detail: stray }.at(Place::default()));
        }
        let mut after = String::new();
        loop {
            let page = log.chains(&after, MAX_PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after.clone_from(&last.order);
            let mut ahead = Ahead::read(log, &page).await?;
            for chain in page {
                verified.orders += 1;
                let mut is_good = true;
                let read = ahead.take(&chain);
                let mut walk = self
                    .walk(log, &chain, read, &mut |_| is_good = false)
                    .await?;
                if !is_good {
                    // Beside a running shop two reads may see two moments.
                    let chain = log.chain(&chain.order).await?.unwrap_or(chain);
                    walk = self.walk(log, &chain, None, findings).await?;
                }
                verified.entries += walk.entries;
                verified.unsealed += walk.unsealed;
            }
        }
    }

    async fn walk(
        &self,
        log: &dyn AuditLog,
        chain: &StoredChain,
        mut read: Option<Vec<StoredEntry>>,
        findings: &mut Findings<'_>,
    ) -> Result<Walk, StoreError> {
        let order = chain.order.as_str();
        let mut walk = Walk {
            next: 1,
            prev: Some(ChainHash::START),
            mark: Mark::Sealed(0),
            entries: 0,
            unsealed: 0,
        };
        let mut from = chain.last_seq.map(|_| i64::MIN);
        let end = chain.last_seq.unwrap_or(i64::MIN);
        while let Some(first) = from.filter(|from| *from <= end) {
            let page = match read.take() {
                Some(page) => Ok(page),
                None => log.entries(order, first, MAX_ENTRIES).await,
            };
            let page = match page {
                Ok(page) => page,
                // Text that is no text: nothing more can be said about this chain.
                Err(StoreError::Corrupt { detail, .. }) => {
                    findings(Wrong::Unreadable { detail }.at(Place::order(order)));
                    return Ok(walk);
                }
                Err(error) => return Err(error),
            };
            let Some(last) = page.last() else {
                break;
            };
            from = last.seq.checked_add(1);
            // What was put behind in the meantime is not what the order was read with.
            for stored in page.iter().filter(|stored| stored.seq <= end) {
                let place = Place::entry(order, stored.seq);
                walk.entries += 1;
                walk.mark(stored.checkpoint, &place, findings);
                match stored.read() {
                    Ok(entry) => walk.step(&entry, stored.seq, &place, findings),
                    Err(error) => {
                        findings(Wrong::unreadable(&error).at(place));
                        walk.skip(stored.seq);
                    }
                }
            }
        }
        if self.orders {
            compare(chain, &walk, findings);
        }
        Ok(walk)
    }
}

impl Walk {
    fn step(&mut self, entry: &Entry, seq: i64, place: &Place, findings: &mut Findings<'_>) {
        let gap = seq != self.next;
        if gap {
            let missing = Place {
                seq: Some(self.next),
                ..place.clone()
            };
            let until = seq.saturating_sub(1);
            findings(Wrong::Missing { until }.at(missing));
        }
        if !entry.is_whole() {
            findings(Wrong::Edited.at(place.clone()));
        }
        // Behind a gap it cannot name the one before: that was said already.
        if !gap && self.prev.is_some_and(|prev| prev != entry.prev) {
            findings(Wrong::Unlinked.at(place.clone()));
        }
        self.prev = Some(entry.hash);
        self.next = seq.saturating_add(1);
    }

    fn skip(&mut self, seq: i64) {
        self.prev = None;
        if seq >= self.next {
            self.next = seq.saturating_add(1);
        }
    }

    fn mark(&mut self, mark: Option<i64>, place: &Place, findings: &mut Findings<'_>) {
        let next = mark.map_or(Mark::Not, Mark::Sealed);
        if next == Mark::Not {
            self.unsealed += 1;
        }
        if next < self.mark || mark.is_some_and(|mark| mark < 1) {
            findings(Wrong::Mark { mark }.at(place.clone()));
        }
        self.mark = next;
    }
}

/// Compares a chain's end with what its order knows of it, and the order with the rows beside it.
fn compare(chain: &StoredChain, walk: &Walk, findings: &mut Findings<'_>) {
    let order = chain.order.as_str();
    if let Some(detail) = chain.unreadable.clone() {
        findings(Wrong::Unreadable { detail }.at(Place::order(order)));
        return;
    }
    let Some(stored) = &chain.stored else {
        findings(Wrong::OrderMissing.at(Place::order(order)));
        for wrong in rows::orphans(chain) {
            findings(wrong.at(Place::order(order)));
        }
        return;
    };
    let record: OrderRecord = match serde_json::from_str(&stored.record) {
        Ok(record) => record,
        Err(error) => {
            let detail = format!("the order's record: {error}");
            findings(Wrong::Unreadable { detail }.at(Place::order(order)));
            return;
        }
    };
    let found = record.order.id.to_string();
    if found != order {
        findings(Wrong::OtherOrder { found }.at(Place::order(order)));
        return;
    }
    for wrong in rows::differences(chain, &record, &record.order) {
        findings(wrong.at(Place::order(order)));
    }
    let version = record.order.version;
    let Some(last) = chain.last_seq else {
        findings(Wrong::ChainMissing.at(Place::order(order)));
        return;
    };
    let place = Place::entry(order, last);
    let known = i64::try_from(version).unwrap_or(i64::MAX);
    if last < known {
        findings(Wrong::TailMissing { version }.at(place));
    } else if last > known {
        findings(Wrong::TailAdded { version }.at(place));
    } else if let Some(head) = walk.prev.filter(|head| *head != record.head) {
        let expected = record.head.to_string();
        let found = head.to_string();
        findings(Wrong::Head { expected, found }.at(place));
    }
}
