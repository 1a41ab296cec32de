//! The outbox of all aggregates in the database, the leases on its shards, and the inbox of its consumers.

use async_trait::async_trait;
use ticketon_queue::{StoreError, UnixMs};

use super::connection::Conn;
use super::statement::{marks, rows_of_marks};
use super::store::SqlStore;
use super::transaction::Reading;
use super::value::{Value, number};
use super::{Fault, for_update, keep_old, read, transaction, values};
use crate::outbox::inbox::Inbox;
use crate::outbox::{
    Aggregate, Backlog, Leased, MAX_READ, NewMessage, OutboxMessage, OutboxStore, Recorded, SHARDS,
    ShardLease,
};

/// The most messages of one statement.
const MAX_ROWS: usize = 100;
/// The longest name of a relay or a consumer, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// Writes messages, in the transaction of the change that they tell. The caller holds a lock on each of their aggregates,
/// so that the messages of one have rising rows in the order of their versions.
pub(super) async fn append(conn: &mut Conn, messages: &[NewMessage]) -> Result<(), Fault> {
    for messages in messages.chunks(MAX_ROWS) {
        let names: Vec<String> = messages
            .iter()
            .map(|message| message.aggregate.to_string())
            .collect();
        let mut values: Vec<Value<'_>> = Vec::with_capacity(7 * messages.len());
        for (message, name) in messages.iter().zip(&names) {
            values.extend(values![
                i64::from(message.aggregate.shard()),
                name,
                number(message.version)?,
                &message.kind,
                message.occurred_at_ms,
                message.correlation.as_deref(),
                &message.payload,
            ]);
        }
        let insert = "INSERT INTO outbox (shard, aggregate, version, kind, occurred_ms, correlation, payload) VALUES";
        conn.run(
            format!("{insert} {}", rows_of_marks(messages.len(), 7)),
            &values,
        )
        .await?;
    }
    Ok(())
}

impl SqlStore {
    /// Writes messages of a host's own, in one transaction. Whoever writes for one aggregate does so one call after the other.
    ///
    /// # Errors
    /// [`StoreError`] when the database failed; all of them were written, or none.
    pub async fn append_messages(&self, messages: &[NewMessage]) -> Result<(), StoreError> {
        transaction!(self, "write messages", |conn| {
            append(conn, messages).await
        })
    }
}

fn shard_of(number: i64) -> Result<u16, Fault> {
    u16::try_from(number).map_err(|_| Fault::Corrupt(format!("shard is {number}")))
}

fn named<'a>(what: &str, name: &'a str) -> Result<&'a str, Fault> {
    if (1..=MAX_NAME_BYTES).contains(&name.len()) {
        return Ok(name);
    }
    let detail = format!(
        "the name of a {what} has {} bytes, not 1 to {MAX_NAME_BYTES}",
        name.len()
    );
    Err(StoreError::Unsafe { detail }.into())
}

/// The leases that a relay has once it renewed them and took what is free, and how many it may have.
async fn take(
    conn: &mut Conn,
    relay: &str,
    now_ms: UnixMs,
    until_ms: UnixMs,
) -> Result<Leased, Fault> {
    // All rows, in one order: relays do this one after the other.
    let all = for_update!("SELECT shard, owner, fence, until_ms FROM outbox_leases ORDER BY shard");
    let rows = conn.rows(all, &[]).await?;
    let forget = "DELETE FROM outbox_relays WHERE until_ms <= ? OR relay = ?";
    conn.run(forget, values![now_ms, relay]).await?;
    conn.run(
        "INSERT INTO outbox_relays (relay, until_ms) VALUES (?, ?)",
        values![relay, until_ms],
    )
    .await?;
    let living = conn
        .row("SELECT COUNT(*) AS living FROM outbox_relays", &[])
        .await?;
    let living = living.map_or(Ok(1), |row| row.count("living"))?;
    let share = usize::from(SHARDS).div_ceil(usize::try_from(living.max(1)).unwrap_or(usize::MAX));

    let mut leases = Vec::new();
    let mut free = Vec::new();
    for row in &rows {
        let (shard, fence) = (shard_of(row.int("shard")?)?, row.count("fence")?);
        if row.int("until_ms")? <= now_ms {
            free.push((shard, fence));
        } else if row.text("owner")? == relay {
            leases.push(ShardLease {
                shard,
                relay: relay.to_owned(),
                fence,
                until_ms,
            });
        }
    }
    if !leases.is_empty() {
        let renew = "UPDATE outbox_leases SET until_ms = ? WHERE owner = ? AND until_ms > ?";
        conn.run(renew, values![until_ms, relay, now_ms]).await?;
    }
    free.truncate(share.saturating_sub(leases.len()));
    if !free.is_empty() {
        let mut values = values![relay, until_ms].to_vec();
        values.extend(free.iter().map(|(shard, _)| Value::from(i64::from(*shard))));
        let take =
            "UPDATE outbox_leases SET owner = ?, fence = fence + 1, until_ms = ? WHERE shard IN";
        conn.run(format!("{take} ({})", marks(free.len())), &values)
            .await?;
        let taken = |(shard, fence): (u16, u64)| ShardLease {
            shard,
            relay: relay.to_owned(),
            fence: fence + 1,
            until_ms,
        };
        leases.extend(free.into_iter().map(taken));
        leases.sort_unstable_by_key(|lease| lease.shard);
    }
    Ok(Leased { leases, share })
}

#[async_trait]
impl OutboxStore for SqlStore {
    async fn lease(&self, relay: &str, now_ms: UnixMs, ttl_ms: i64) -> Result<Leased, StoreError> {
        let until_ms = now_ms.saturating_add(ttl_ms);
        transaction!(self, "lease shards of the outbox", |conn| {
            take(conn, named("relay", relay)?, now_ms, until_ms).await
        })
    }

    async fn give_back(&self, leases: &[ShardLease]) -> Result<(), StoreError> {
        transaction!(self, "give shards of the outbox back", |conn| {
            for lease in leases {
                let end = "UPDATE outbox_leases SET owner = '', until_ms = 0 WHERE shard = ? AND owner = ? AND fence = ?";
                let (shard, fence) = (i64::from(lease.shard), number(lease.fence)?);
                conn.run(end, values![shard, &lease.relay, fence]).await?;
            }
            Ok(())
        })
    }

    async fn leave(&self, relay: &str) -> Result<(), StoreError> {
        transaction!(self, "leave the outbox", |conn| {
            // In the order in which leases are taken.
            let all = for_update!("SELECT shard FROM outbox_leases ORDER BY shard");
            conn.rows(all, &[]).await?;
            conn.run(
                "UPDATE outbox_leases SET owner = '', until_ms = 0 WHERE owner = ?",
                values![relay],
            )
            .await?;
            conn.run("DELETE FROM outbox_relays WHERE relay = ?", values![relay])
                .await?;
            Ok(())
        })
    }

    async fn shards(&self) -> Result<Vec<u16>, StoreError> {
        read!(self, "look for messages", Reading::Fresh, |conn| {
            let rows = conn.rows("SELECT DISTINCT shard FROM outbox", &[]).await?;
            rows.iter().map(|row| shard_of(row.int("shard")?)).collect()
        })
    }

    async fn unpublished(
        &self,
        shard: u16,
        limit: usize,
    ) -> Result<Vec<OutboxMessage>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_READ)).unwrap_or(1);
        read!(self, "read messages", Reading::Fresh, |conn| {
            let sql = "SELECT id, aggregate, version, kind, occurred_ms, correlation, payload FROM outbox \
                       WHERE shard = ? ORDER BY id LIMIT ?";
            let rows = conn.rows(sql, values![i64::from(shard), limit]).await?;
            let read = rows.iter().map(|row| {
                let message = NewMessage {
                    aggregate: row.parsed("aggregate")?,
                    version: row.count("version")?,
                    kind: row.text("kind")?,
                    occurred_at_ms: row.int("occurred_ms")?,
                    correlation: row.opt_text("correlation")?,
                    payload: row.text("payload")?,
                };
                Ok(OutboxMessage {
                    id: row.int("id")?,
                    shard,
                    message,
                })
            });
            read.collect()
        })
    }

    async fn published(&self, lease: &ShardLease, ids: &[i64]) -> Result<Recorded, StoreError> {
        let shard = i64::from(lease.shard);
        transaction!(self, "record published messages", |conn| {
            let sql = for_update!("SELECT owner, fence FROM outbox_leases WHERE shard = ?");
            let Some(row) = conn.row(sql, values![shard]).await? else {
                return Ok(Recorded::StaleFence);
            };
            if row.count("fence")? != lease.fence || row.text("owner")? != lease.relay {
                return Ok(Recorded::StaleFence);
            }
            for ids in ids.chunks(MAX_ROWS) {
                let mut values = values![shard].to_vec();
                values.extend(ids.iter().map(|id| Value::from(*id)));
                let delete = "DELETE FROM outbox WHERE shard = ? AND id IN";
                conn.run(format!("{delete} ({})", marks(ids.len())), &values)
                    .await?;
            }
            Ok(Recorded::Done)
        })
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        read!(self, "count messages", Reading::Fresh, |conn| {
            let counted = conn
                .row("SELECT COUNT(*) AS pending FROM outbox", &[])
                .await?;
            let pending = counted.map_or(Ok(0), |row| row.count("pending"))?;
            let oldest = conn
                .row("SELECT occurred_ms FROM outbox ORDER BY id LIMIT 1", &[])
                .await?;
            let oldest_ms = oldest.map(|row| row.int("occurred_ms")).transpose()?;
            Ok(Backlog { pending, oldest_ms })
        })
    }
}

#[async_trait]
impl Inbox for SqlStore {
    async fn last(&self, consumer: &str, aggregate: &Aggregate) -> Result<u64, StoreError> {
        let aggregate = aggregate.to_string();
        // A replica may lag, and a version that seems new would be handled twice.
        read!(self, "read the inbox", Reading::Fresh, |conn| {
            let sql = "SELECT version FROM inbox WHERE consumer = ? AND aggregate = ?";
            let row = conn
                .row(sql, values![named("consumer", consumer)?, &aggregate])
                .await?;
            row.map_or(Ok(0), |row| row.count("version"))
        })
    }

    async fn handled(
        &self,
        consumer: &str,
        aggregate: &Aggregate,
        version: u64,
    ) -> Result<bool, StoreError> {
        let aggregate = aggregate.to_string();
        transaction!(self, "write the inbox", |conn| {
            let (consumer, version) = (named("consumer", consumer)?, number(version)?);
            let first = keep_old!("INTO inbox (consumer, aggregate, version) VALUES (?, ?, 0)");
            conn.run(first, values![consumer, &aggregate]).await?;
            let next =
                "UPDATE inbox SET version = ? WHERE consumer = ? AND aggregate = ? AND version < ?";
            let changed = conn
                .run(next, values![version, consumer, &aggregate, version])
                .await?;
            Ok(changed > 0)
        })
    }
}
