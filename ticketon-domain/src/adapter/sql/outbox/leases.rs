//! Who has which shard, and the bus that the outbox belongs to.

use ticketon_queue::UnixMs;

use super::shard_of;
use crate::adapter::sql::connection::Conn;
use crate::adapter::sql::row::Row;
use crate::adapter::sql::statement::marks;
use crate::adapter::sql::value::Value;
use crate::adapter::sql::{Fault, for_update, values};
use crate::outbox::span::{Seen, Span};
use crate::outbox::{Leased, SHARDS, ShardLease};

/// The most relays that are looked at.
const MAX_RELAYS: i64 = 1_024;

/// All rows of leases, locked in one order: who changes them does so one after the other.
pub(super) async fn lock(conn: &mut Conn) -> Result<Vec<Row>, Fault> {
    let all = for_update!(
        "SELECT shard, owner, fence, until_ms, term_ms, doubted_ms FROM outbox_leases ORDER BY shard"
    );
    conn.rows(all, &[]).await
}

/// The bus that the outbox belongs to.
pub(super) async fn bus(conn: &mut Conn) -> Result<Option<String>, Fault> {
    let row = conn.row("SELECT name FROM outbox_bus", &[]).await?;
    row.map(|row| row.text("name")).transpose()
}

/// Makes it another one's, or nobody's, and ends all leases. The rows of leases are locked.
pub(super) async fn set_bus(conn: &mut Conn, bus: Option<&str>) -> Result<(), Fault> {
    conn.run("DELETE FROM outbox_bus", &[]).await?;
    if let Some(bus) = bus {
        let insert = "INSERT INTO outbox_bus (one, name) VALUES (1, ?)";
        conn.run(insert, values![bus]).await?;
    }
    conn.run("UPDATE outbox_leases SET owner = '', until_ms = 0", &[])
        .await?;
    conn.run("DELETE FROM outbox_relays", &[]).await.map(drop)
}

/// Ends a relay and its leases. The rows of leases are locked.
pub(super) async fn leave(conn: &mut Conn, relay: &str) -> Result<(), Fault> {
    let end = "UPDATE outbox_leases SET owner = '', until_ms = 0 WHERE owner = ?";
    conn.run(end, values![relay]).await?;
    let forget = "DELETE FROM outbox_relays WHERE relay = ?";
    conn.run(forget, values![relay]).await.map(drop)
}

/// The leases that a relay has once it renewed them and took what is free, and how many it may have.
pub(super) async fn take(
    conn: &mut Conn,
    relay: &str,
    claim: Option<&str>,
    now_ms: UnixMs,
    span: Span,
) -> Result<Leased, Fault> {
    let mut rows = lock(conn).await?;
    match (bus(conn).await?, claim) {
        (Some(kept), claim) if claim != Some(kept.as_str()) => {
            leave(conn, relay).await?;
            return Ok(Leased {
                other_bus: Some(kept),
                ..Leased::default()
            });
        }
        (None, Some(_)) => {
            set_bus(conn, claim).await?;
            rows = lock(conn).await?;
        }
        _ => {}
    }
    let living = count_living(conn, relay, now_ms, span).await?;
    let share = usize::from(SHARDS).div_ceil(living);

    let mut leases = Vec::new();
    let mut free = Vec::new();
    let mut doubted = Vec::new();
    for row in &rows {
        let (shard, fence) = (shard_of(row.int("shard")?)?, row.count("fence")?);
        let kept = span_of(row)?;
        if now_ms < kept.until_ms && row.text("owner")? == relay {
            leases.push(lease(relay, shard, fence, span));
            continue;
        }
        match kept.seen(now_ms) {
            Seen::Lives => {}
            Seen::Doubted => doubted.push(shard),
            Seen::Lapsed => free.push((shard, fence)),
        }
    }
    if !leases.is_empty() {
        let renew = "UPDATE outbox_leases SET until_ms = ?, term_ms = ?, doubted_ms = NULL \
                     WHERE owner = ? AND until_ms > ?";
        let values = values![span.until_ms, span.term_ms, relay, now_ms];
        conn.run(renew, values).await?;
    }
    if !doubted.is_empty() {
        let doubt = "UPDATE outbox_leases SET doubted_ms = ? WHERE shard IN";
        let mut values = vec![Value::from(now_ms)];
        values.extend(doubted.iter().map(|shard| Value::from(i64::from(*shard))));
        conn.run(format!("{doubt} ({})", marks(doubted.len())), &values)
            .await?;
    }
    free.truncate(share.saturating_sub(leases.len()));
    if !free.is_empty() {
        let mut values = values![relay, span.until_ms, span.term_ms].to_vec();
        values.extend(free.iter().map(|(shard, _)| Value::from(i64::from(*shard))));
        let take = "UPDATE outbox_leases \
                    SET owner = ?, fence = fence + 1, until_ms = ?, term_ms = ?, doubted_ms = NULL WHERE shard IN";
        conn.run(format!("{take} ({})", marks(free.len())), &values)
            .await?;
        let taken = |(shard, fence): (u16, u64)| lease(relay, shard, fence + 1, span);
        leases.extend(free.into_iter().map(taken));
        leases.sort_unstable_by_key(|lease| lease.shard);
    }
    Ok(Leased {
        leases,
        share,
        other_bus: None,
    })
}

fn lease(relay: &str, shard: u16, fence: u64, span: Span) -> ShardLease {
    ShardLease {
        shard,
        relay: relay.to_owned(),
        fence,
        until_ms: span.until_ms,
    }
}

/// Says that a relay lives, forgets those that live no more, and counts the others and it.
async fn count_living(
    conn: &mut Conn,
    relay: &str,
    now_ms: UnixMs,
    span: Span,
) -> Result<usize, Fault> {
    let others =
        "SELECT relay, until_ms, term_ms, doubted_ms FROM outbox_relays WHERE relay <> ? LIMIT ?";
    let mut living = 1;
    for row in conn.rows(others, values![relay, MAX_RELAYS]).await? {
        let other = row.text("relay")?;
        let seen = span_of(&row)?.seen(now_ms);
        if seen == Seen::Lapsed {
            let forget = "DELETE FROM outbox_relays WHERE relay = ?";
            conn.run(forget, values![&other]).await?;
            continue;
        }
        living += 1;
        if seen == Seen::Doubted {
            let doubt = "UPDATE outbox_relays SET doubted_ms = ? WHERE relay = ?";
            conn.run(doubt, values![now_ms, &other]).await?;
        }
    }
    conn.run("DELETE FROM outbox_relays WHERE relay = ?", values![relay])
        .await?;
    let insert = "INSERT INTO outbox_relays (relay, until_ms, term_ms) VALUES (?, ?, ?)";
    conn.run(insert, values![relay, span.until_ms, span.term_ms])
        .await?;
    Ok(living)
}

fn span_of(row: &Row) -> Result<Span, Fault> {
    Ok(Span {
        until_ms: row.int("until_ms")?,
        term_ms: row.int("term_ms")?,
        doubted_ms: row.opt_int("doubted_ms")?,
    })
}
