//! The outbox of all aggregates in the database, and the leases on its shards.

mod leases;
mod records;
mod rows;

use async_trait::async_trait;
use ticketon_queue::{StoreError, UnixMs};

use super::connection::Conn;
use super::statement::rows_of_marks;
use super::store::SqlStore;
use super::transaction::Reading;
use super::value::{Value, number};
use super::{Fault, read, transaction, values};
use crate::outbox::span::Span;
use crate::outbox::store::bus_name;
use crate::outbox::{
    Backlog, Leased, MAX_COUNTED, MAX_READ, MAX_REST_MS, NewMessage, OutboxStore, Parked, Recorded,
    Refusal, ShardLease, Unpublished,
};

pub(super) use records::Records;
use records::{Part, Record};

/// The most messages of one statement.
const MAX_ROWS: usize = 100;
/// What a record of published messages is called in errors.
const RECORD: &str = "record published messages";
/// The longest name of a relay or a consumer, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// Writes messages, in the transaction of the change that they tell. The caller holds a lock on each of their aggregates,
/// so that the messages of one have rising rows in the order of their versions.
pub(super) async fn append(conn: &mut Conn, messages: &[NewMessage]) -> Result<(), Fault> {
    for message in messages {
        // What could not be read again must not be written.
        let refused = |error: ticketon_queue::FieldError| StoreError::Unsafe {
            detail: format!("a message that could not be read again: {error}"),
        };
        message.check().map_err(refused)?;
    }
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
    /// [`StoreError::Unsafe`] if one has no proper name; [`StoreError`] when the database failed; all of them were written, or none.
    pub async fn append_messages(&self, messages: &[NewMessage]) -> Result<(), StoreError> {
        transaction!(self, "write messages", |conn| {
            append(conn, messages).await
        })
    }
}

fn shard_of(number: i64) -> Result<u16, Fault> {
    u16::try_from(number).map_err(|_| Fault::Corrupt(format!("shard is {number}")))
}

/// The name of a relay or a consumer, if it has a proper length.
pub(super) fn named<'a>(what: &str, name: &'a str) -> Result<&'a str, Fault> {
    if (1..=MAX_NAME_BYTES).contains(&name.len()) {
        return Ok(name);
    }
    let detail = format!(
        "the name of a {what} has {} bytes, not 1 to {MAX_NAME_BYTES}",
        name.len()
    );
    Err(StoreError::Unsafe { detail }.into())
}

fn recorded(good: bool) -> Recorded {
    if good {
        Recorded::Done
    } else {
        Recorded::StaleFence
    }
}

/// How many rows to read.
fn at_most(limit: usize) -> i64 {
    i64::try_from(limit.clamp(1, MAX_READ)).unwrap_or(1)
}

#[async_trait]
impl OutboxStore for SqlStore {
    async fn lease(
        &self,
        relay: &str,
        bus: Option<&str>,
        now_ms: UnixMs,
        ttl_ms: i64,
    ) -> Result<Leased, StoreError> {
        let bus = bus.map(bus_name).transpose()?;
        let span = Span::new(now_ms, ttl_ms);
        transaction!(self, "lease shards of the outbox", |conn| {
            leases::take(conn, named("relay", relay)?, bus, now_ms, span).await
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
            leases::lock(conn).await?;
            leases::leave(conn, relay).await
        })
    }

    async fn bus(&self) -> Result<Option<String>, StoreError> {
        read!(self, "read the bus of the outbox", Reading::Fresh, |conn| {
            leases::bus(conn).await
        })
    }

    async fn set_bus(&self, bus: Option<&str>) -> Result<(), StoreError> {
        let bus = bus.map(bus_name).transpose()?;
        transaction!(self, "change the bus of the outbox", |conn| {
            leases::lock(conn).await?;
            leases::set_bus(conn, bus).await
        })
    }

    async fn shards(&self, now_ms: UnixMs) -> Result<Vec<u16>, StoreError> {
        let longest = now_ms.saturating_add(MAX_REST_MS);
        read!(self, "look for messages", Reading::Fresh, |conn| {
            // One look into the index a shard: the outbox as a whole is not walked.
            let sql = "SELECT l.shard, \
                         (SELECT o.id FROM outbox o LEFT JOIN outbox_parked p ON p.aggregate = o.aggregate \
                          WHERE o.shard = l.shard AND (p.aggregate IS NULL OR p.retry_ms <= ? OR p.retry_ms > ?) \
                          ORDER BY o.id LIMIT 1) AS first \
                       FROM outbox_leases l";
            let mut shards = Vec::new();
            for row in conn.rows(sql, values![now_ms, longest]).await? {
                if row.opt_int("first")?.is_some() {
                    shards.push(shard_of(row.int("shard")?)?);
                }
            }
            Ok(shards)
        })
    }

    async fn unpublished(
        &self,
        shard: u16,
        now_ms: UnixMs,
        limit: usize,
    ) -> Result<Unpublished, StoreError> {
        read!(self, "read messages", Reading::Fresh, |conn| {
            rows::unpublished(conn, shard, now_ms, at_most(limit)).await
        })
    }

    async fn published(&self, lease: &ShardLease, ids: &[i64]) -> Result<Recorded, StoreError> {
        let record = Record {
            lease: lease.clone(),
            ids: ids.to_vec(),
        };
        let alone = [record.clone()];
        let told = match self.records.join(record).await {
            Part::Told(good) => good,
            Part::Turn(turn) => {
                let good = transaction!(self, RECORD, |conn| {
                    rows::remove(conn, turn.records()).await
                })?;
                turn.tell(good)
            }
        };
        let good = match told {
            Some(good) => good,
            // Who had the turn could not; this one says why by itself.
            None => transaction!(self, RECORD, |conn| { rows::remove(conn, &alone).await })?
                .contains(&true),
        };
        Ok(recorded(good))
    }

    async fn park(
        &self,
        lease: &ShardLease,
        now_ms: UnixMs,
        refusals: &[Refusal],
    ) -> Result<Recorded, StoreError> {
        transaction!(self, "park messages", |conn| {
            rows::park(conn, lease, now_ms, refusals)
                .await
                .map(recorded)
        })
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, StoreError> {
        read!(self, "read parked messages", Reading::Fresh, |conn| {
            rows::parked(conn, at_most(limit)).await
        })
    }

    async fn retry(&self, aggregate: Option<&str>) -> Result<u64, StoreError> {
        transaction!(self, "retry parked messages", |conn| {
            match aggregate {
                Some(aggregate) => {
                    let sql = "UPDATE outbox_parked SET retry_ms = 0 WHERE aggregate = ?";
                    conn.run(sql, values![aggregate]).await
                }
                None => conn.run("UPDATE outbox_parked SET retry_ms = 0", &[]).await,
            }
        })
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let most = i64::try_from(MAX_COUNTED).unwrap_or(i64::MAX);
        read!(self, "count messages", Reading::Fresh, |conn| {
            let sql = "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM outbox LIMIT ?) AS waiting) AS pending, \
                              (SELECT COUNT(*) FROM (SELECT 1 FROM outbox_parked LIMIT ?) AS stuck) AS parked";
            let counted = conn.row(sql, values![most, most]).await?;
            let (pending, parked) = match counted {
                Some(row) => (row.count("pending")?, row.count("parked")?),
                None => (0, 0),
            };
            let oldest = conn
                .row("SELECT occurred_ms FROM outbox ORDER BY id LIMIT 1", &[])
                .await?;
            let oldest_ms = oldest.map(|row| row.int("occurred_ms")).transpose()?;
            Ok(Backlog {
                pending,
                oldest_ms,
                parked,
            })
        })
    }
}
