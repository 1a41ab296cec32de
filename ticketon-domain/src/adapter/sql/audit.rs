//! The audit, read and sealed. Its entries are written with their orders (`purchases/write.rs`).

use async_trait::async_trait;
use ticketon_queue::StoreError;

use super::connection::Conn;
use super::row::Row;
use super::store::SqlStore;
use super::transaction::Reading;
use super::value::Value;
use super::{Fault, read, transaction, values};
use crate::audit::{
    AuditLog, AuditStore, Checkpoint, MAX_ENTRIES, MAX_HEADS, MAX_PAGE, Put, Run, StoredChain,
    StoredCheckpoint, StoredEntry,
};

/// The most orders whose entries one statement marks.
const MAX_MARKED: usize = 100;

/// An order and how far its chain goes: one statement, so that both are of one moment.
macro_rules! chains {
    ($ids:literal) => {
        concat!(
            "SELECT ids.id AS id, orders.body AS body, \
             (SELECT MAX(audit.seq) FROM audit WHERE audit.order_id = ids.id) AS last_seq FROM (",
            $ids,
            ") ids LEFT JOIN orders ON orders.id = ids.id ORDER BY ids.id"
        )
    };
}

/// Entries of a kind, put together by their orders: as the index has them, so that reading ends at the limit.
macro_rules! runs {
    ($which:literal) => {
        concat!(
            "SELECT runs.order_id AS order_id, runs.first_seq AS first_seq, runs.last_seq AS last_seq, \
             runs.entries AS entries, audit.hash AS hash FROM (SELECT order_id, MIN(seq) AS first_seq, \
             MAX(seq) AS last_seq, COUNT(*) AS entries FROM audit WHERE ",
            $which,
            " AND order_id > ? GROUP BY order_id ORDER BY order_id LIMIT ?) runs \
             JOIN audit ON audit.order_id = runs.order_id AND audit.seq = runs.last_seq ORDER BY runs.order_id"
        )
    };
}

const CHECKPOINT: &str =
    "SELECT id, at_ms, prev_hash, hash, key_id, signature, body FROM audit_checkpoints";

#[async_trait]
impl AuditLog for SqlStore {
    async fn chains(&self, after: &str, limit: usize) -> Result<Vec<StoredChain>, StoreError> {
        // Ids of either table; each part has the limit, so that no part is read to its end.
        let sql = chains!(
            "SELECT id FROM (SELECT id FROM orders WHERE id > ? ORDER BY id LIMIT ?) placed UNION \
             SELECT order_id AS id FROM (SELECT DISTINCT order_id FROM audit WHERE order_id > ? \
             ORDER BY order_id LIMIT ?) told ORDER BY id LIMIT ?"
        );
        let limit = rows(limit, MAX_PAGE);
        read!(
            self,
            "list the chains of the audit",
            Reading::Fresh,
            |conn| {
                let rows = conn
                    .rows(sql, values![after, limit, after, limit, limit])
                    .await?;
                rows.iter().map(chain).collect()
            }
        )
    }

    async fn chain(&self, order: &str) -> Result<Option<StoredChain>, StoreError> {
        let sql = chains!(
            "SELECT id FROM orders WHERE id = ? UNION \
             SELECT order_id AS id FROM (SELECT order_id FROM audit WHERE order_id = ? LIMIT 1) told"
        );
        read!(self, "read a chain of the audit", Reading::Fresh, |conn| {
            let row = conn.row(sql, values![order, order]).await?;
            row.as_ref().map(chain).transpose()
        })
    }

    async fn entries(
        &self,
        order: &str,
        after_seq: i64,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let sql = "SELECT order_id, seq, at_ms, kind, body, prev_hash, hash, checkpoint FROM audit \
                   WHERE order_id = ? AND seq > ? ORDER BY seq LIMIT ?";
        let limit = rows(limit, MAX_ENTRIES);
        read!(self, "read entries of the audit", Reading::Fresh, |conn| {
            let rows = conn.rows(sql, values![order, after_seq, limit]).await?;
            rows.iter().map(entry).collect()
        })
    }

    async fn sealed(
        &self,
        checkpoint: i64,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Run>, StoreError> {
        let limit = rows(limit, MAX_HEADS);
        read!(
            self,
            "read what a checkpoint sealed",
            Reading::Fresh,
            |conn| {
                let rows = conn
                    .rows(runs!("checkpoint = ?"), values![checkpoint, after, limit])
                    .await?;
                rows.iter().map(run).collect()
            }
        )
    }

    async fn marks(&self, after: i64, limit: usize) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT DISTINCT checkpoint FROM audit WHERE checkpoint > ? ORDER BY checkpoint LIMIT ?";
        let limit = rows(limit, MAX_PAGE);
        read!(
            self,
            "list the marks of the audit",
            Reading::Fresh,
            |conn| {
                let rows = conn.rows(sql, values![after, limit]).await?;
                rows.iter().map(|row| row.int("checkpoint")).collect()
            }
        )
    }

    async fn checkpoints(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let sql = format!("{CHECKPOINT} WHERE id > ? ORDER BY id LIMIT ?");
        let limit = rows(limit, MAX_PAGE);
        read!(
            self,
            "list the checkpoints of the audit",
            Reading::Fresh,
            |conn| {
                let rows = conn.rows(sql.clone(), values![after, limit]).await?;
                rows.iter().map(checkpoint).collect()
            }
        )
    }
}

#[async_trait]
impl AuditStore for SqlStore {
    async fn last_checkpoint(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        read!(
            self,
            "read the last checkpoint of the audit",
            Reading::Fresh,
            |conn| { last(conn).await }
        )
    }

    async fn unsealed(&self, after: &str, limit: usize) -> Result<Vec<Run>, StoreError> {
        let limit = rows(limit, MAX_HEADS);
        read!(
            self,
            "read what no checkpoint has sealed",
            Reading::Fresh,
            |conn| {
                let rows = conn
                    .rows(runs!("checkpoint IS NULL"), values![after, limit])
                    .await?;
                rows.iter().map(run).collect()
            }
        )
    }

    async fn put_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        runs: &[Run],
    ) -> Result<Put, StoreError> {
        let stored = StoredCheckpoint::of(checkpoint);
        transaction!(self, "write a checkpoint of the audit", |conn| {
            let before = last(conn).await?;
            let before = before.map_or((0, crate::audit::ChainHash::START.to_string()), |last| {
                (last.number, last.hash)
            });
            if before != (stored.number - 1, stored.prev.clone()) {
                return Ok(Put::Conflict);
            }
            let sql = "INSERT INTO audit_checkpoints (id, at_ms, prev_hash, hash, key_id, signature, body) \
                       VALUES (?, ?, ?, ?, ?, ?, ?)";
            let values = values![
                stored.number,
                stored.at_ms,
                &stored.prev,
                &stored.hash,
                &stored.key,
                &stored.signature,
                &stored.heads,
            ];
            match conn.run(sql, values).await {
                Ok(_) => {}
                Err(Fault::Duplicate) => return Ok(Put::Conflict),
                Err(fault) => return Err(fault),
            }
            if mark(conn, stored.number, runs).await? {
                return Ok(Put::Done);
            }
            conn.undo();
            Ok(Put::Conflict)
        })
    }
}

/// Marks entries as part of a checkpoint; whether all of them were still without a mark.
async fn mark(conn: &mut Conn, checkpoint: i64, runs: &[Run]) -> Result<bool, Fault> {
    let mut marked = 0;
    for runs in runs.chunks(MAX_MARKED) {
        let ranges = ["(order_id = ? AND seq BETWEEN ? AND ?)"; MAX_MARKED];
        let ranges = ranges.get(..runs.len()).unwrap_or_default().join(" OR ");
        let sql =
            format!("UPDATE audit SET checkpoint = ? WHERE checkpoint IS NULL AND ({ranges})");
        let mut values: Vec<Value<'_>> = values![checkpoint].to_vec();
        for run in runs {
            values.extend(values![&run.order, run.first, run.last]);
        }
        marked += conn.run(sql, &values).await?;
    }
    Ok(marked == runs.iter().map(|run| run.count).sum::<u64>())
}

async fn last(conn: &mut Conn) -> Result<Option<StoredCheckpoint>, Fault> {
    let sql = format!("{CHECKPOINT} ORDER BY id DESC LIMIT 1");
    conn.row(sql, &[])
        .await?
        .as_ref()
        .map(checkpoint)
        .transpose()
}

fn rows(limit: usize, max: usize) -> i64 {
    i64::try_from(limit.clamp(1, max)).unwrap_or(i64::MAX)
}

fn chain(row: &Row) -> Result<StoredChain, Fault> {
    Ok(StoredChain {
        order: row.text("id")?,
        record: row.opt_text("body")?,
        last_seq: row.opt_int("last_seq")?,
    })
}

fn entry(row: &Row) -> Result<StoredEntry, Fault> {
    Ok(StoredEntry {
        order: row.text("order_id")?,
        seq: row.int("seq")?,
        at_ms: row.int("at_ms")?,
        kind: row.text("kind")?,
        body: row.text("body")?,
        prev: row.text("prev_hash")?,
        hash: row.text("hash")?,
        checkpoint: row.opt_int("checkpoint")?,
    })
}

fn run(row: &Row) -> Result<Run, Fault> {
    Ok(Run {
        order: row.text("order_id")?,
        first: row.int("first_seq")?,
        last: row.int("last_seq")?,
        count: row.count("entries")?,
        hash: row.text("hash")?,
    })
}

fn checkpoint(row: &Row) -> Result<StoredCheckpoint, Fault> {
    Ok(StoredCheckpoint {
        number: row.int("id")?,
        at_ms: row.int("at_ms")?,
        prev: row.text("prev_hash")?,
        heads: row.text("body")?,
        key: row.text("key_id")?,
        hash: row.text("hash")?,
        signature: row.text("signature")?,
    })
}
