//! What the seat map has yet to be told.

use std::collections::HashSet;

use ticketon_queue::EventId;

use super::super::row::Row;
use super::super::statement::marks;
use super::super::value::Value;
use super::{Conn, Fault, bounded, rows, values};
use crate::purchase::{MAX_MESSAGES, PendingMessage};

/// The oldest messages behind a number that this version can read: fewer than asked for are the last. What it cannot
/// read, as a newer version may write it, waits, and so does what comes after it of the same order.
pub(super) async fn after(
    conn: &mut Conn,
    after: i64,
    limit: usize,
) -> Result<Vec<PendingMessage>, Fault> {
    let sql =
        "SELECT id, event_id, order_id, body FROM seat_messages WHERE id > ? ORDER BY id LIMIT ?";
    let wanted = limit.clamp(1, MAX_MESSAGES);
    let (mut after, mut found, mut waiting) = (after, Vec::new(), HashSet::new());
    loop {
        let limit = rows(wanted - found.len(), MAX_MESSAGES);
        let page = conn.rows(sql, values![after, limit]).await?;
        let Some(last) = page.last() else {
            return Ok(found);
        };
        after = last.int("id")?;
        let is_last = page.len() < wanted - found.len();
        found.extend(readable(&page, &mut waiting));
        if is_last || found.len() >= wanted {
            return Ok(found);
        }
    }
}

/// Those that can be read; of orders that wait, none.
fn readable(rows: &[Row], waiting: &mut HashSet<String>) -> Vec<PendingMessage> {
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        let order = row.text("order_id").unwrap_or_default();
        if waiting.contains(&order) {
            continue;
        }
        match message(row) {
            Ok(message) => messages.push(message),
            Err(fault) => {
                tracing::error!(target: "ticketon::sql", order, ?fault, "a seat message cannot be read: it waits");
                waiting.insert(order);
            }
        }
    }
    messages
}

/// The messages of an order.
pub(super) async fn of(conn: &mut Conn, order: &str) -> Result<Vec<PendingMessage>, Fault> {
    let sql = "SELECT id, event_id, order_id, body FROM seat_messages WHERE order_id = ? ORDER BY id LIMIT ?";
    let found = conn
        .rows(sql, values![order, rows(MAX_MESSAGES, MAX_MESSAGES)])
        .await?;
    Ok(readable(&found, &mut HashSet::new()))
}

/// Forgets messages.
pub(super) async fn forget(conn: &mut Conn, messages: &[u64]) -> Result<(), Fault> {
    for ids in messages.chunks(MAX_MESSAGES) {
        let values: Vec<Value<'_>> = ids.iter().map(|id| bounded(*id).into()).collect();
        let sql = format!(
            "DELETE FROM seat_messages WHERE id IN ({})",
            marks(ids.len())
        );
        conn.run(sql, &values).await?;
    }
    Ok(())
}

fn message(row: &Row) -> Result<PendingMessage, Fault> {
    let event =
        EventId::new(row.text("event_id")?).map_err(|error| Fault::Corrupt(error.to_string()))?;
    let body = row.text("body")?;
    Ok(PendingMessage {
        id: row.count("id")?,
        event,
        order: row.parsed("order_id")?,
        message: serde_json::from_str(&body)
            .map_err(|error| Fault::Corrupt(format!("the body of a seat message: {error}")))?,
    })
}
