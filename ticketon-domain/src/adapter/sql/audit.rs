//! The audit, read and sealed. Its entries are written with their orders (`purchases/write.rs`).

use async_trait::async_trait;
use ticketon_queue::StoreError;

use super::connection::Conn;
use super::row::Row;
use super::statement::marks;
use super::store::SqlStore;
use super::transaction::Reading;
use super::value::Value;
use super::{Fault, each, read, snapshot, transaction, values};
use crate::audit::{
    AuditLog, AuditStore, Checkpoint, MAX_ENTRIES, MAX_HEADS, MAX_PAGE, Put, Run, StoredChain,
    StoredCheckpoint, StoredEntry, StoredOrder,
};
use crate::purchase::{OrderColumns, TicketColumns};

/// The most orders whose entries one statement marks.
const MAX_MARKED: usize = 100;

/// The most tickets that are read beside a page of orders; and the most that one order may have here.
const MAX_TICKETS: usize = 10_000;

/// Whether a column has the id of an order. Others cannot be walked by their order: no UTF-8, or nothing at all. They are
/// told by `strays`.
macro_rules! is_id {
    (sqlite, $column:literal) => {
        concat!(
            "(length(CAST(",
            $column,
            " AS BLOB)) = 32 AND ",
            $column,
            " NOT GLOB '*[^0-9a-f]*')"
        )
    };
    (mysql, $column:literal) => {
        concat!("(", $column, " REGEXP '^[0-9a-f]{32}$')")
    };
}

/// Orders with their columns, and how far their chains go.
macro_rules! chains {
    ($ids:expr) => {
        concat!(
            "SELECT ids.id AS id, orders.event_id AS event_id, orders.user_id AS user_id, orders.hold_id AS hold_id, \
             orders.hold_live AS hold_live, orders.state AS state, orders.payment_key AS payment_key, \
             orders.due_ms AS due_ms, orders.attention_ms AS attention_ms, orders.created_ms AS created_ms, \
             orders.version AS version, orders.body AS body, \
             (SELECT MAX(audit.seq) FROM audit WHERE audit.order_id = ids.id) AS last_seq FROM (",
            $ids,
            ") ids LEFT JOIN orders ON orders.id = ids.id ORDER BY ids.id"
        )
    };
}

/// Ids of either table, behind one; each part has the limit, so that no part is read to its end.
macro_rules! ids {
    ($dialect:ident) => {
        concat!(
            "SELECT id FROM (SELECT id FROM orders WHERE id > ? AND ",
            is_id!($dialect, "id"),
            " ORDER BY id LIMIT ?) placed UNION \
             SELECT order_id AS id FROM (SELECT DISTINCT order_id FROM audit WHERE order_id > ? AND ",
            is_id!($dialect, "order_id"),
            " ORDER BY order_id LIMIT ?) told UNION \
             SELECT order_id AS id FROM (SELECT DISTINCT order_id FROM tickets WHERE order_id > ? AND ",
            is_id!($dialect, "order_id"),
            " ORDER BY order_id LIMIT ?) sold ORDER BY id LIMIT ?"
        )
    };
}

/// Rows of orders that have no id.
macro_rules! strays {
    ($dialect:ident) => {
        concat!(
            "SELECT 'orders.id' AS place, id AS id FROM orders WHERE NOT ",
            is_id!($dialect, "id"),
            " UNION ALL SELECT 'audit.order_id' AS place, order_id AS id FROM audit WHERE NOT ",
            is_id!($dialect, "order_id"),
            " UNION ALL SELECT 'tickets.order_id' AS place, order_id AS id FROM tickets WHERE NOT ",
            is_id!($dialect, "order_id"),
            " LIMIT ?"
        )
    };
}

/// Entries of a kind, put together by their orders: as the index has them, so that reading ends at the limit.
macro_rules! runs {
    ($dialect:ident, $which:literal) => {
        concat!(
            "SELECT runs.order_id AS order_id, runs.first_seq AS first_seq, runs.last_seq AS last_seq, \
             runs.entries AS entries, audit.hash AS hash FROM (SELECT order_id, MIN(seq) AS first_seq, \
             MAX(seq) AS last_seq, COUNT(*) AS entries FROM audit WHERE ",
            $which,
            " AND order_id > ? AND ",
            is_id!($dialect, "order_id"),
            " GROUP BY order_id ORDER BY order_id LIMIT ?) runs \
             JOIN audit ON audit.order_id = runs.order_id AND audit.seq = runs.last_seq ORDER BY runs.order_id"
        )
    };
}

const CHECKPOINT: &str =
    "SELECT id, at_ms, prev_hash, hash, key_id, signature, body FROM audit_checkpoints";

#[async_trait]
impl AuditLog for SqlStore {
    async fn chains(&self, after: &str, limit: usize) -> Result<Vec<StoredChain>, StoreError> {
        let sql = || {
            each!(
                sqlite: chains!(ids!(sqlite)),
                mysql: chains!(ids!(mysql)),
            )
        };
        let limit = rows(limit, MAX_PAGE);
        snapshot!(self, "list the chains of the audit", |conn| {
            let values = values![after, limit, after, limit, after, limit, limit];
            let rows = conn.rows(sql(), values).await?;
            with_tickets(conn, &rows).await
        })
    }

    async fn chain(&self, order: &str) -> Result<Option<StoredChain>, StoreError> {
        let sql = chains!(
            "SELECT id FROM orders WHERE id = ? UNION \
             SELECT order_id AS id FROM (SELECT order_id FROM audit WHERE order_id = ? LIMIT 1) told UNION \
             SELECT order_id AS id FROM (SELECT order_id FROM tickets WHERE order_id = ? LIMIT 1) sold"
        );
        snapshot!(self, "read a chain of the audit", |conn| {
            let rows = conn.rows(sql, values![order, order, order]).await?;
            Ok(with_tickets(conn, &rows).await?.pop())
        })
    }

    async fn strays(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        let limit = rows(limit, MAX_PAGE);
        let context = "look for rows without an order's id";
        read!(self, context, Reading::Fresh, |conn| {
            let sql = each!(sqlite: strays!(sqlite), mysql: strays!(mysql));
            let rows = conn.rows(sql, values![limit]).await?;
            rows.iter()
                .map(|row| Ok(format!("{} is {:?}", row.lossy("place")?, row.lossy("id")?)))
                .collect()
        })
    }

    async fn entries(
        &self,
        order: &str,
        from_seq: i64,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let sql = "SELECT order_id, seq, at_ms, kind, body, prev_hash, hash, checkpoint FROM audit \
                   WHERE order_id = ? AND seq >= ? ORDER BY seq LIMIT ?";
        let limit = rows(limit, MAX_ENTRIES);
        read!(self, "read entries of the audit", Reading::Fresh, |conn| {
            let rows = conn.rows(sql, values![order, from_seq, limit]).await?;
            rows.iter().map(entry).collect()
        })
    }

    async fn entries_of(&self, orders: &[&str]) -> Result<Vec<StoredEntry>, StoreError> {
        let orders = &orders[..orders.len().min(MAX_PAGE)];
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT order_id, seq, at_ms, kind, body, prev_hash, hash, checkpoint FROM audit \
             WHERE order_id IN ({}) ORDER BY order_id, seq LIMIT ?",
            marks(orders.len())
        );
        let mut values: Vec<Value<'_>> = orders.iter().map(|order| Value::from(*order)).collect();
        values.push(rows(MAX_ENTRIES, MAX_ENTRIES).into());
        let context = "read entries of several orders";
        read!(self, context, Reading::Fresh, |conn| {
            let rows = conn.rows(sql.clone(), &values).await?;
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
                let sql = each!(
                    sqlite: runs!(sqlite, "checkpoint = ?"),
                    mysql: runs!(mysql, "checkpoint = ?"),
                );
                let rows = conn.rows(sql, values![checkpoint, after, limit]).await?;
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
        from: i64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let sql = format!("{CHECKPOINT} WHERE id >= ? ORDER BY id LIMIT ?");
        let limit = rows(limit, MAX_PAGE);
        read!(
            self,
            "list the checkpoints of the audit",
            Reading::Fresh,
            |conn| {
                let rows = conn.rows(sql.clone(), values![from, limit]).await?;
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
                let sql = each!(
                    sqlite: runs!(sqlite, "checkpoint IS NULL"),
                    mysql: runs!(mysql, "checkpoint IS NULL"),
                );
                let rows = conn.rows(sql, values![after, limit]).await?;
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

/// Orders with their tickets. Those that have too many tickets for a page wait for the next one.
async fn with_tickets(conn: &mut Conn, rows: &[Row]) -> Result<Vec<StoredChain>, Fault> {
    let found: Result<Vec<StoredChain>, Fault> = rows.iter().map(chain).collect();
    let mut chains = found?;
    if chains.is_empty() {
        return Ok(chains);
    }
    let ids: Vec<String> = chains.iter().map(|chain| chain.order.clone()).collect();
    let most = i64::try_from(MAX_TICKETS + 1).unwrap_or(i64::MAX);
    let mut values: Vec<Value<'_>> = ids.iter().map(Value::from).collect();
    values.push(most.into());
    let sql = format!(
        "SELECT order_id, id, event_id, seat, live, state, user_id, fence, price, grade FROM tickets \
         WHERE order_id IN ({}) ORDER BY order_id, id LIMIT ?",
        marks(ids.len())
    );
    let tickets = conn.rows(sql, &values).await?;
    let mut place = 0;
    for row in tickets.iter().take(MAX_TICKETS) {
        let order = row.text("order_id")?;
        while chains.get(place).is_some_and(|chain| chain.order != order) {
            place += 1;
        }
        let Some(chain) = chains.get_mut(place) else {
            break;
        };
        match ticket(row) {
            Ok(ticket) => chain.tickets.push(ticket),
            Err(Fault::Corrupt(detail)) => unread(chain, format!("a ticket's {detail}")),
            Err(fault) => return Err(fault),
        }
    }
    if tickets.len() > MAX_TICKETS {
        // The last one may have more than was read.
        if place > 0 {
            chains.truncate(place);
        } else {
            chains.truncate(1);
            if let Some(chain) = chains.first_mut() {
                unread(chain, format!("it has more than {MAX_TICKETS} tickets"));
            }
        }
    }
    Ok(chains)
}

fn unread(chain: &mut StoredChain, detail: String) {
    chain.unreadable.get_or_insert(detail);
}

fn chain(row: &Row) -> Result<StoredChain, Fault> {
    let mut chain = StoredChain {
        order: row.text("id")?,
        last_seq: row.opt_int("last_seq")?,
        ..StoredChain::default()
    };
    match stored(row) {
        Ok(stored) => chain.stored = stored,
        Err(Fault::Corrupt(detail)) => unread(&mut chain, format!("the order's {detail}")),
        Err(fault) => return Err(fault),
    }
    Ok(chain)
}

/// The order's row, if there is one.
fn stored(row: &Row) -> Result<Option<StoredOrder>, Fault> {
    let Some(record) = row.opt_text("body")? else {
        return Ok(None);
    };
    let columns = OrderColumns {
        event: row.text("event_id")?,
        user: row.text("user_id")?,
        hold: row.text("hold_id")?,
        hold_live: row.opt_int("hold_live")?,
        state: row.text("state")?,
        payment_key: row.opt_text("payment_key")?,
        due_ms: row.opt_int("due_ms")?,
        attention_ms: row.opt_int("attention_ms")?,
        created_ms: row.int("created_ms")?,
        version: row.int("version")?,
    };
    Ok(Some(StoredOrder { record, columns }))
}

fn ticket(row: &Row) -> Result<TicketColumns, Fault> {
    Ok(TicketColumns {
        id: row.text("id")?,
        event: row.text("event_id")?,
        seat: row.text("seat")?,
        live: row.opt_int("live")?,
        state: row.text("state")?,
        user: row.text("user_id")?,
        fence: row.int("fence")?,
        price: row.int("price")?,
        grade: row.text("grade")?,
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
        hash: row.lossy("hash")?,
    })
}

/// Each of its texts is read as something that has no replacement in it, or is part of what is hashed.
fn checkpoint(row: &Row) -> Result<StoredCheckpoint, Fault> {
    Ok(StoredCheckpoint {
        number: row.int("id")?,
        at_ms: row.int("at_ms")?,
        prev: row.lossy("prev_hash")?,
        heads: row.lossy("body")?,
        key: row.lossy("key_id")?,
        hash: row.lossy("hash")?,
        signature: row.lossy("signature")?,
    })
}
