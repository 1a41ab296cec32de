//! An audit as JSON lines, to be kept elsewhere and checked by others.
//!
//! Checkpoints say nothing of people or prices: who keeps an export of them notices later that the last ones were
//! removed, and can check them with the public keys alone. With the entries, the chains can be checked too. Whoever
//! has an export needs nothing else of this program: `docs/verify-audit.py` reads it.

use std::collections::BTreeMap;
use std::io::{BufRead, Read as _, Write};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use ticketon_queue::StoreError;

use super::row::runs;
use super::{
    AuditLog, Checkpoint, MAX_ENTRIES, MAX_PAGE, Run, StoredChain, StoredCheckpoint, StoredEntry,
};
use crate::purchase::OrderId;

/// The longest line that is read, in bytes: some times a checkpoint with all its heads.
const MAX_LINE_BYTES: u64 = 4 << 20;
/// Checkpoints are large: a page has this many.
const PAGE: usize = 10;

/// A line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Line {
    /// A checkpoint.
    Checkpoint(CheckpointLine),
    /// An entry.
    Entry(StoredEntry),
}

/// A checkpoint in an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckpointLine {
    /// Its number.
    pub number: i64,
    /// When it was made, in milliseconds.
    pub at_ms: i64,
    /// The hash of the one before.
    pub prev: String,
    /// Its heads.
    pub heads: Vec<(String, i64, String)>,
    /// The id of the key that signed it.
    pub key: String,
    /// Its hash.
    pub hash: String,
    /// Its signature.
    pub signature: String,
}

impl CheckpointLine {
    fn of(stored: StoredCheckpoint) -> Result<Self, ExportError> {
        let number = stored.number;
        let unreadable = |error: serde_json::Error| ExportError::Checkpoint {
            number,
            detail: error.to_string(),
        };
        Ok(Self {
            number,
            at_ms: stored.at_ms,
            prev: stored.prev,
            heads: serde_json::from_str(&stored.heads).map_err(unreadable)?,
            key: stored.key,
            hash: stored.hash,
            signature: stored.signature,
        })
    }

    /// As a store has it.
    #[must_use]
    pub fn stored(&self) -> StoredCheckpoint {
        StoredCheckpoint {
            number: self.number,
            at_ms: self.at_ms,
            prev: self.prev.clone(),
            // Texts and numbers always have a text.
            heads: serde_json::to_string(&self.heads).unwrap_or_default(),
            key: self.key.clone(),
            hash: self.hash.clone(),
            signature: self.signature.clone(),
        }
    }
}

/// Why an export cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The audit cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be written or read.
    #[error("the file: {0}")]
    File(#[from] std::io::Error),
    /// A checkpoint cannot be exported, since its heads are no list.
    #[error("checkpoint {number} cannot be exported: {detail}; verify the audit")]
    Checkpoint {
        /// Its number.
        number: i64,
        /// Why not.
        detail: String,
    },
    /// A line is none of an export.
    #[error("line {line} is none of an export: {detail}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// Why not.
        detail: String,
    },
}

/// Which part of an audit is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// Checkpoints behind this number.
    pub after: i64,
    /// Also all entries.
    pub entries: bool,
}

/// Writes an audit: its checkpoints by their numbers, then its entries by their orders and numbers. Answers how many
/// lines.
///
/// # Errors
/// [`ExportError`] if the audit cannot be read, or the lines cannot be written.
pub async fn export(
    log: &dyn AuditLog,
    extent: Extent,
    out: &mut (dyn Write + Send),
) -> Result<u64, ExportError> {
    let mut lines = 0;
    let mut from = extent.after.checked_add(1);
    let mut last_number = extent.after;
    while let Some(first) = from {
        let page = log.checkpoints(first, PAGE).await?;
        let Some(last) = page.last() else {
            break;
        };
        last_number = last.number;
        from = last_number.checked_add(1);
        for stored in page {
            write(out, &Line::Checkpoint(CheckpointLine::of(stored)?))?;
            lines += 1;
        }
    }
    if extent.entries {
        lines += export_entries(log, last_number, out).await?;
    }
    out.flush()?;
    Ok(lines)
}

/// Entries that were sealed behind the last checkpoint here, while the export was written, count as not sealed yet.
async fn export_entries(
    log: &dyn AuditLog,
    last_checkpoint: i64,
    out: &mut (dyn Write + Send),
) -> Result<u64, ExportError> {
    let mut lines = 0;
    let mut order = String::new();
    loop {
        let page = log.chains(&order, MAX_PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(lines);
        };
        order.clone_from(&last.order);
        for chain in page {
            let mut from = Some(i64::MIN);
            while let Some(first) = from {
                let entries = log.entries(&chain.order, first, MAX_ENTRIES).await?;
                let Some(last) = entries.last() else {
                    break;
                };
                from = last.seq.checked_add(1);
                for mut entry in entries {
                    entry.checkpoint = entry.checkpoint.filter(|mark| *mark <= last_checkpoint);
                    write(out, &Line::Entry(entry))?;
                    lines += 1;
                }
            }
        }
    }
}

fn write(out: &mut (dyn Write + Send), line: &Line) -> Result<(), ExportError> {
    let mut text = serde_json::to_vec(line).map_err(std::io::Error::from)?;
    text.push(b'\n');
    Ok(out.write_all(&text)?)
}

/// Reads an export line by line.
///
/// # Errors
/// [`ExportError`] if it cannot be read, or a line is none of an export.
pub fn read_export(mut from: impl BufRead, mut each: impl FnMut(Line)) -> Result<(), ExportError> {
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let read = from
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut text)?;
        if read == 0 {
            break;
        }
        each(
            serde_json::from_slice(&text).map_err(|error| ExportError::Line {
                line,
                detail: error.to_string(),
            })?,
        );
    }
    Ok(())
}

/// An export that was read: an audit in memory, without orders.
#[derive(Debug, Default)]
pub struct Archive {
    entries: BTreeMap<String, BTreeMap<i64, StoredEntry>>,
    checkpoints: BTreeMap<i64, StoredCheckpoint>,
}

impl Archive {
    /// Reads an export; it must fit into memory.
    ///
    /// # Errors
    /// [`ExportError`] if it cannot be read, or has a line twice.
    pub fn read(from: impl BufRead) -> Result<Self, ExportError> {
        let mut archive = Self::default();
        let mut line = 0;
        let mut twice = None;
        read_export(from, |read| {
            line += 1;
            if !archive.add(read) {
                twice.get_or_insert(line);
            }
        })?;
        match twice {
            None => Ok(archive),
            Some(line) => Err(ExportError::Line {
                line,
                detail: "the same place was filled by a line before".to_owned(),
            }),
        }
    }

    /// Whether it has entries, and not checkpoints alone.
    #[must_use]
    pub fn has_entries(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Whether it has checkpoints over entries, and none of these: it was made without them, or they were taken out.
    #[must_use]
    pub fn is_stripped(&self) -> bool {
        self.entries.is_empty() && !self.checkpoints.is_empty()
    }

    /// Its checkpoints that can be read, for [`Verifier::noted`](super::Verifier::noted).
    pub fn readable_checkpoints(&self) -> impl Iterator<Item = Checkpoint> + '_ {
        self.checkpoints
            .values()
            .filter_map(|stored| stored.read().ok())
    }

    /// Adds a line; whether its place was free.
    fn add(&mut self, line: Line) -> bool {
        match line {
            Line::Checkpoint(checkpoint) => {
                let (number, stored) = (checkpoint.number, checkpoint.stored());
                self.checkpoints.insert(number, stored).is_none()
            }
            Line::Entry(entry) => {
                let chain = self.entries.entry(entry.order.clone()).or_default();
                chain.insert(entry.seq, entry).is_none()
            }
        }
    }

    fn chain_of(&self, order: &str, chain: &BTreeMap<i64, StoredEntry>) -> StoredChain {
        StoredChain {
            order: order.to_owned(),
            last_seq: chain.keys().next_back().copied(),
            ..StoredChain::default()
        }
    }
}

fn is_id(order: &str) -> bool {
    order.parse::<OrderId>().is_ok()
}

#[async_trait]
impl AuditLog for Archive {
    async fn chains(&self, after: &str, limit: usize) -> Result<Vec<StoredChain>, StoreError> {
        let behind = self
            .entries
            .iter()
            .filter(|(order, _)| order.as_str() > after && is_id(order));
        Ok(behind
            .take(limit)
            .map(|(order, chain)| self.chain_of(order, chain))
            .collect())
    }

    async fn chain(&self, order: &str) -> Result<Option<StoredChain>, StoreError> {
        let chain = self.entries.get(order);
        Ok(chain.map(|chain| self.chain_of(order, chain)))
    }

    async fn strays(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        let strays = self.entries.keys().filter(|order| !is_id(order));
        Ok(strays
            .take(limit)
            .map(|order| format!("an entry's order is {order:?}"))
            .collect())
    }

    async fn entries(
        &self,
        order: &str,
        from_seq: i64,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let chain = self.entries.get(order).into_iter().flatten();
        let behind = chain.filter(|(seq, _)| **seq >= from_seq);
        Ok(behind.take(limit).map(|(_, entry)| entry.clone()).collect())
    }

    async fn sealed(
        &self,
        checkpoint: i64,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Run>, StoreError> {
        let behind = self
            .entries
            .iter()
            .filter(|(order, _)| order.as_str() > after && is_id(order));
        let marked = behind
            .flat_map(|(_, chain)| chain.values())
            .filter(|entry| entry.checkpoint == Some(checkpoint))
            .map(|entry| (entry.order.clone(), entry.seq, entry.hash.clone()));
        let mut runs = runs(marked);
        runs.truncate(limit);
        Ok(runs)
    }

    async fn marks(&self, after: i64, limit: usize) -> Result<Vec<i64>, StoreError> {
        let entries = self.entries.values().flat_map(BTreeMap::values);
        let mut marks: Vec<i64> = entries
            .filter_map(|entry| entry.checkpoint)
            .filter(|mark| *mark > after)
            .collect();
        marks.sort_unstable();
        marks.dedup();
        marks.truncate(limit);
        Ok(marks)
    }

    async fn checkpoints(
        &self,
        from: i64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let behind = self
            .checkpoints
            .iter()
            .filter(|(number, _)| **number >= from);
        Ok(behind
            .take(limit)
            .map(|(_, stored)| stored.clone())
            .collect())
    }
}
