//! The messages that wait, and those that are parked.

use std::collections::{HashMap, HashSet};

use ticketon_queue::UnixMs;

use super::records::Record;
use super::{MAX_ROWS, shard_of};
use crate::adapter::sql::connection::Conn;
use crate::adapter::sql::row::Row;
use crate::adapter::sql::statement::{Dialect, marks};
use crate::adapter::sql::value::Value;
use crate::adapter::sql::{Fault, for_update, values};
use crate::outbox::store::shortened;
use crate::outbox::{
    MAX_REST_MS, NewMessage, OutboxMessage, Parked, Refusal, ShardLease, Unpublished, Unreadable,
};

/// The first messages of a shard that do not rest.
pub(super) async fn unpublished(
    conn: &mut Conn,
    shard: u16,
    now_ms: UnixMs,
    limit: i64,
) -> Result<Unpublished, Fault> {
    let sql = "SELECT o.id, o.aggregate, o.version, o.kind, o.occurred_ms, o.correlation, o.payload, \
                      CASE WHEN p.message = o.id THEN p.refusals ELSE 0 END AS refusals \
               FROM outbox o LEFT JOIN outbox_parked p ON p.aggregate = o.aggregate \
               WHERE o.shard = ? AND (p.aggregate IS NULL OR p.retry_ms <= ? OR p.retry_ms > ?) \
               ORDER BY o.id LIMIT ?";
    let longest = now_ms.saturating_add(MAX_REST_MS);
    let values = values![i64::from(shard), now_ms, longest, limit];
    let mut found = Unpublished::default();
    let mut stuck = HashSet::new();
    for row in conn.rows(sql, values).await? {
        let aggregate = row.lossy("aggregate")?;
        if stuck.contains(&aggregate) {
            continue;
        }
        let id = row.int("id")?;
        let refusals = u32::try_from(row.int("refusals")?).unwrap_or(u32::MAX);
        match message(&row) {
            Ok(message) => found.messages.push(OutboxMessage {
                id,
                shard,
                message,
                refusals,
            }),
            Err(Fault::Corrupt(why)) => {
                stuck.insert(aggregate);
                let why = format!("it cannot be read: {why}");
                found.unreadable.push(Unreadable { id, why, refusals });
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(found)
}

fn message(row: &Row) -> Result<NewMessage, Fault> {
    Ok(NewMessage {
        aggregate: row.parsed("aggregate")?,
        version: row.count("version")?,
        kind: row.text("kind")?,
        occurred_at_ms: row.int("occurred_ms")?,
        correlation: row.opt_text("correlation")?,
        payload: row.text("payload")?,
    })
}

/// Whether the lease is good. Its row is locked.
async fn is_good(conn: &mut Conn, lease: &ShardLease) -> Result<bool, Fault> {
    let sql = for_update!("SELECT owner, fence FROM outbox_leases WHERE shard = ?");
    let Some(row) = conn.row(sql, values![i64::from(lease.shard)]).await? else {
        return Ok(false);
    };
    Ok(row.count("fence")? == lease.fence && row.text("owner")? == lease.relay)
}

/// Removes messages that were published; of each record whether its lease was good. The rows of the leases are locked, in
/// one order.
pub(super) async fn remove(conn: &mut Conn, records: &[Record]) -> Result<Vec<bool>, Fault> {
    let select = "SELECT shard, owner, fence, \
                  (SELECT MIN(p.message) FROM outbox_parked p WHERE p.shard = l.shard) AS parked \
                  FROM outbox_leases l WHERE l.shard IN";
    let shards: Vec<Value<'_>> = records
        .iter()
        .map(|record| i64::from(record.lease.shard).into())
        .collect();
    let lock = match conn.dialect() {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => "",
        #[cfg(feature = "mysql")]
        Dialect::MySql => " FOR UPDATE",
    };
    let sql = format!("{select} ({}) ORDER BY l.shard{lock}", marks(shards.len()));
    let mut kept = HashMap::new();
    for row in conn.rows(sql, &shards).await? {
        let parked = row.opt_int("parked")?.is_some();
        let owner = (row.text("owner")?, row.count("fence")?);
        kept.insert(shard_of(row.int("shard")?)?, (owner, parked));
    }
    let is_good = |record: &&Record| {
        let lease = &record.lease;
        kept.get(&lease.shard)
            .is_some_and(|((owner, fence), _)| *owner == lease.relay && *fence == lease.fence)
    };
    let good: Vec<&Record> = records.iter().filter(is_good).collect();
    let of = |record: &Record| i64::from(record.lease.shard);
    let mut rows: Vec<(i64, i64)> = Vec::new();
    for record in &good {
        rows.extend(record.ids.iter().map(|id| (of(record), *id)));
    }
    let parked = good.iter().any(|record| {
        let kept = kept.get(&record.lease.shard);
        kept.is_some_and(|(_, parked)| *parked)
    });
    for rows in rows.chunks(MAX_ROWS) {
        let mut shards: Vec<i64> = rows.iter().map(|(shard, _)| *shard).collect();
        shards.dedup();
        let mut values: Vec<Value<'_>> = shards.iter().map(|shard| (*shard).into()).collect();
        values.extend(rows.iter().map(|(_, id)| Value::from(*id)));
        let (of_shards, of_rows) = (marks(shards.len()), marks(rows.len()));
        let delete = "DELETE FROM outbox WHERE shard IN";
        conn.run(
            format!("{delete} ({of_shards}) AND id IN ({of_rows})"),
            &values,
        )
        .await?;
        if parked {
            let free = "DELETE FROM outbox_parked WHERE shard IN";
            conn.run(
                format!("{free} ({of_shards}) AND message IN ({of_rows})"),
                &values,
            )
            .await?;
        }
    }
    Ok(records.iter().map(|record| is_good(&record)).collect())
}

/// Parks messages; whether the lease was good.
pub(super) async fn park(
    conn: &mut Conn,
    lease: &ShardLease,
    now_ms: UnixMs,
    refusals: &[Refusal],
) -> Result<bool, Fault> {
    if !is_good(conn, lease).await? {
        return Ok(false);
    }
    let shard = i64::from(lease.shard);
    for refusal in refusals {
        let why = shortened(&refusal.why);
        let again = "UPDATE outbox_parked SET refusals = refusals + 1, retry_ms = ?, why = ? \
                     WHERE shard = ? AND message = ?";
        let values = values![refusal.retry_ms, why, shard, refusal.id];
        if conn.run(again, values).await? > 0 {
            continue;
        }
        // For an earlier message of the aggregate that is gone.
        let old = "DELETE FROM outbox_parked WHERE aggregate = (SELECT aggregate FROM outbox WHERE id = ?)";
        conn.run(old, values![refusal.id]).await?;
        let first = "INSERT INTO outbox_parked \
                     (aggregate, shard, message, version, kind, since_ms, refusals, retry_ms, why) \
                     SELECT aggregate, shard, id, version, kind, ?, 1, ?, ? FROM outbox WHERE id = ? AND shard = ?";
        let values = values![now_ms, refusal.retry_ms, why, refusal.id, shard];
        conn.run(first, values).await?;
    }
    Ok(true)
}

/// The parked messages, the oldest refusals first.
pub(super) async fn parked(conn: &mut Conn, limit: i64) -> Result<Vec<Parked>, Fault> {
    let sql = "SELECT aggregate, version, kind, since_ms, refusals, retry_ms, why FROM outbox_parked \
               ORDER BY since_ms, aggregate LIMIT ?";
    let rows = conn.rows(sql, values![limit]).await?;
    let read = rows.iter().map(|row| {
        Ok(Parked {
            aggregate: row.lossy("aggregate")?,
            version: u64::try_from(row.int("version")?).unwrap_or(0),
            kind: row.lossy("kind")?,
            since_ms: row.int("since_ms")?,
            refusals: u32::try_from(row.int("refusals")?).unwrap_or(u32::MAX),
            retry_ms: row.int("retry_ms")?,
            why: row.lossy("why")?,
        })
    });
    read.collect()
}
