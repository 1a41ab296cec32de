//! Checkpoints: chained, signed, and what each sealed still there.

use ticketon_queue::StoreError;

use super::{Verified, Verifier};
use crate::audit::finding::{Finding, Findings, Place, Wrong};
use crate::audit::{
    AuditLog, ChainHash, Checkpoint, CheckpointError, MAX_HEADS, MAX_PAGE, Run, SealedHead,
    StoredCheckpoint,
};

/// Checkpoints are large: a page has this many.
const PAGE: usize = 10;

/// What a walk along the checkpoints has seen.
struct Walk {
    next: i64,
    /// The hash that the next one must name; `None` behind one that could not be read.
    prev: Option<ChainHash>,
}

impl Verifier {
    pub(super) async fn verify_checkpoints(
        &self,
        log: &dyn AuditLog,
        verified: &mut Verified,
        findings: &mut Findings<'_>,
    ) -> Result<(), StoreError> {
        let mut walk = Walk {
            next: 1,
            prev: Some(ChainHash::START),
        };
        let mut noted = self.noted.iter().peekable();
        let mut from = Some(i64::MIN);
        let mut last_number = i64::MIN;
        while let Some(first) = from {
            let page = log.checkpoints(first, PAGE).await?;
            let Some(last) = page.last() else {
                break;
            };
            last_number = last.number;
            from = last_number.checked_add(1);
            for stored in &page {
                verified.checkpoints += 1;
                while let Some((number, hash)) =
                    noted.next_if(|(number, _)| number_of(**number) <= stored.number)
                {
                    not_as_noted(*number, hash, Some(stored), findings);
                }
                if let Some(checkpoint) = walk.step(stored, &self.keys, findings) {
                    verified.heads += checkpoint.heads.len() as u64;
                    if self.entries {
                        sealed(log, stored.number, &checkpoint.heads, findings).await?;
                    }
                }
            }
        }
        for (number, hash) in noted {
            not_as_noted(*number, hash, None, findings);
        }
        if self.entries {
            self.marks(log, last_number, findings).await?;
        }
        Ok(())
    }

    /// Entries behind the last checkpoint that are marked with one: those were removed.
    async fn marks(
        &self,
        log: &dyn AuditLog,
        last: i64,
        findings: &mut Findings<'_>,
    ) -> Result<(), StoreError> {
        let mut after = last.max(0);
        loop {
            let marks = log.marks(after, MAX_PAGE).await?;
            let Some(last) = marks.last() else {
                return Ok(());
            };
            after = *last;
            for mark in marks {
                // It may have been written since the walk.
                let found = log.checkpoints(mark, 1).await?;
                if found.first().is_none_or(|found| found.number != mark) {
                    findings(Wrong::CheckpointMissing { until: mark }.at(Place::checkpoint(mark)));
                }
            }
        }
    }
}

impl Walk {
    /// Looks at a checkpoint by itself and beside the one before; the checkpoint, if it can be believed.
    fn step(
        &mut self,
        stored: &StoredCheckpoint,
        keys: &crate::audit::AuditPublicKeys,
        findings: &mut Findings<'_>,
    ) -> Option<Checkpoint> {
        let number = stored.number;
        let place = Place::checkpoint(number);
        let gap = number != self.next;
        if gap {
            let missing = Place::checkpoint(self.next);
            let until = number.saturating_sub(1);
            findings(Wrong::CheckpointMissing { until }.at(missing));
        }
        self.next = number.saturating_add(1);
        let checkpoint = match stored.read() {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                findings(Wrong::unreadable(&error).at(place));
                self.prev = None;
                return None;
            }
        };
        if !gap && self.prev.is_some_and(|prev| prev != checkpoint.prev) {
            findings(Wrong::CheckpointUnlinked.at(place.clone()));
        }
        self.prev = Some(checkpoint.hash);
        match checkpoint.check(keys) {
            Ok(()) => Some(checkpoint),
            Err(error) => {
                let detail = match error {
                    CheckpointError::UnknownKey => {
                        format!(
                            "it was signed with a key that is not known here: {:?}",
                            checkpoint.key
                        )
                    }
                    other => other.to_string(),
                };
                findings(Wrong::CheckpointForged { detail }.at(place));
                None
            }
        }
    }
}

/// Whether what a checkpoint sealed is there as it was, and marked with it; and nothing else is. That marks never go
/// down along a chain, and that no entry is missing in it, the walk along the chain has seen.
async fn sealed(
    log: &dyn AuditLog,
    number: i64,
    heads: &[SealedHead],
    findings: &mut Findings<'_>,
) -> Result<(), StoreError> {
    let mut heads = heads.iter().peekable();
    let mut after = String::new();
    loop {
        let runs = log.sealed(number, &after, MAX_HEADS).await?;
        let Some(last) = runs.last() else {
            break;
        };
        after.clone_from(&last.order);
        for run in &runs {
            let is_before = |head: &&SealedHead| head.order.to_string() < run.order;
            while let Some(head) = heads.next_if(is_before) {
                unmarked(log, number, head, findings).await?;
            }
            let is_same = |head: &&SealedHead| head.order.to_string() == run.order;
            match heads.next_if(is_same) {
                Some(head) if run.head().is_ok_and(|found| found == *head) => {}
                Some(head) => {
                    if run.last > number_of(head.seq) {
                        marked_otherwise(number, run, findings);
                    }
                    unmarked(log, number, head, findings).await?;
                }
                None => marked_otherwise(number, run, findings),
            }
        }
    }
    for head in heads {
        unmarked(log, number, head, findings).await?;
    }
    Ok(())
}

fn marked_otherwise(number: i64, run: &Run, findings: &mut Findings<'_>) {
    let mark = Some(number);
    let place = Place::entry(&run.order, run.last).in_checkpoint(number);
    findings(Wrong::Mark { mark }.at(place));
}

/// Tells what became of a sealed entry whose mark is not as it should be.
async fn unmarked(
    log: &dyn AuditLog,
    number: i64,
    head: &SealedHead,
    findings: &mut Findings<'_>,
) -> Result<(), StoreError> {
    let (order, seq) = (head.order.to_string(), number_of(head.seq));
    let place = Place::entry(&order, seq).in_checkpoint(number);
    let found = match log.entries(&order, seq, 1).await {
        Ok(found) => found.into_iter().next().filter(|entry| entry.seq == seq),
        // It was told by the walk along its chain.
        Err(StoreError::Corrupt { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let expected = head.hash.to_string();
    let finding: Option<Finding> = match found {
        None => Some(Wrong::SealedMissing.at(place)),
        Some(entry) if entry.hash != expected => {
            let found = entry.hash;
            Some(Wrong::SealedDiffers { expected, found }.at(place))
        }
        Some(entry) if entry.checkpoint != Some(number) => {
            let mark = entry.checkpoint;
            Some(Wrong::Mark { mark }.at(place))
        }
        Some(_) => None,
    };
    if let Some(finding) = finding {
        findings(finding);
    }
    Ok(())
}

fn not_as_noted(
    number: u64,
    noted: &ChainHash,
    stored: Option<&StoredCheckpoint>,
    findings: &mut Findings<'_>,
) {
    let number = number_of(number);
    let stored = stored.filter(|stored| stored.number == number);
    let expected = noted.to_string();
    match stored {
        Some(stored) if stored.hash == expected => {}
        Some(stored) => {
            let found = stored.hash.clone();
            findings(Wrong::NotAsNoted { expected, found }.at(Place::checkpoint(number)));
        }
        None => findings(Wrong::CheckpointMissing { until: number }.at(Place::checkpoint(number))),
    }
}

fn number_of(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
