//! Orders, tickets, idempotency keys and seat messages.
//!
//! The body of an order is the whole of it; the columns beside it, and the rows of its tickets, are what it is found
//! by and what the unique keys judge: a seat has one live ticket, a hold one live order, a payment one order.

mod messages;
mod requests;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use ticketon_queue::{EventId, StoreError, UnixMs, UserId};

use super::connection::Conn;
use super::row::Row;
use super::statement::Statement;
use super::store::{Primary, SqlStore};
use super::transaction::Reading;
use super::value::{Value, number};
use super::{Fault, for_update, read, transaction, values};
use crate::audit::Entry;
use crate::purchase::correlation::correlation;
use crate::purchase::{
    Begun, Change, Changed, Command, Created, MAX_DUE, MAX_ORDERS, OrderId, OrderPage, OrderRecord,
    PaymentKey, PendingMessage, PurchaseStore, RequestEnd, RequestKey, TicketId,
};
use crate::seat::HoldId;

/// The most audit entries that are read at once.
const MAX_ENTRIES: usize = 1_000;

#[async_trait]
impl PurchaseStore for SqlStore {
    async fn create(&self, change: &Change) -> Result<Created, StoreError> {
        let order = &change.record.order;
        let row = write::OrderRow::of(&change.record)?;
        transaction!(self, "create an order", |conn| {
            match row.insert(conn).await {
                Ok(()) => {
                    write::follow_up(conn, change, &write::Moved::new()).await?;
                    Ok(Created::Done)
                }
                Err(Fault::Duplicate) => {
                    let stored = by_id(conn, &row.id).await?;
                    if stored.is_some() {
                        // Sent again, since its answer was lost.
                        return Ok(Created::Done);
                    }
                    match of_hold(conn, &order.event, &order.hold).await? {
                        Some(other) => Ok(Created::Claimed(Box::new(other))),
                        None => Err(Fault::race("the hold was free again a moment later")),
                    }
                }
                Err(fault) => Err(fault),
            }
        })
    }

    async fn change(
        &self,
        order: &OrderId,
        command: &Command,
        now_ms: UnixMs,
    ) -> Result<Changed, StoreError> {
        let id = order.to_string();
        let correlation = correlation();
        transaction!(self, "change an order", |conn| {
            let sql = for_update!("SELECT body FROM orders WHERE id = ?");
            let Some(row) = conn.row(sql, values![&id]).await? else {
                return Ok(Changed::Unknown);
            };
            let before = record(&row)?;
            match before.decide(command, now_ms) {
                Ok(change) => {
                    let change = change.correlated(correlation.as_deref());
                    write::change(conn, &before, change).await
                }
                Err(refused) => Ok(Changed::Refused(refused, Box::new(before))),
            }
        })
    }

    async fn order(&self, order: &OrderId) -> Result<Option<OrderRecord>, StoreError> {
        let id = order.to_string();
        read!(self, "read an order", Reading::Fresh, |conn| {
            by_id(conn, &id).await
        })
    }

    async fn order_of_payment(&self, key: &PaymentKey) -> Result<Option<OrderRecord>, StoreError> {
        let sql = "SELECT body FROM orders WHERE payment_key = ?";
        read!(
            self,
            "read the order of a payment",
            Reading::Fresh,
            |conn| { one(conn, sql, values![key.as_str()]).await }
        )
    }

    async fn order_of_hold(
        &self,
        event: &EventId,
        hold: &HoldId,
    ) -> Result<Option<OrderRecord>, StoreError> {
        read!(self, "read the order of a hold", Reading::Fresh, |conn| {
            of_hold(conn, event, hold).await
        })
    }

    async fn order_of_ticket(&self, ticket: &TicketId) -> Result<Option<OrderRecord>, StoreError> {
        let sql = "SELECT orders.body FROM tickets JOIN orders ON orders.id = tickets.order_id \
                   WHERE tickets.id = ?";
        let id = ticket.to_string();
        read!(self, "read the order of a ticket", Reading::Fresh, |conn| {
            one(conn, sql, values![&id]).await
        })
    }

    async fn orders_of(
        &self,
        user: &UserId,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderPage, StoreError> {
        let sql =
            "SELECT id, body FROM orders WHERE user_id = ? AND id < ? ORDER BY id DESC LIMIT ?";
        let what = "list a person's orders";
        self.orders(what, Reading::MayLag, sql, Some(user), before, limit)
            .await
    }

    async fn orders_with_tickets(
        &self,
        user: &UserId,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderPage, StoreError> {
        let sql = "SELECT id, body FROM orders WHERE user_id = ? AND id < ? AND EXISTS \
                   (SELECT 1 FROM tickets WHERE order_id = orders.id AND live = 1 AND state <> 'reserved') \
                   ORDER BY id DESC LIMIT ?";
        let what = "list a person's tickets";
        self.orders(what, Reading::MayLag, sql, Some(user), before, limit)
            .await
    }

    async fn entries(
        &self,
        order: &OrderId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let sql = "SELECT seq, at_ms, kind, body, prev_hash, hash FROM audit \
                   WHERE order_id = ? AND seq > ? ORDER BY seq LIMIT ?";
        let (id, after) = (order.to_string(), bounded(after_seq));
        read!(
            self,
            "read what happened to an order",
            Reading::Fresh,
            |conn| {
                let values = values![&id, after, rows(limit, MAX_ENTRIES)];
                let rows = conn.rows(sql, values).await?;
                rows.iter().map(|row| entry(*order, row)).collect()
            }
        )
    }

    async fn attention(
        &self,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderPage, StoreError> {
        let sql = "SELECT id, body FROM orders WHERE attention_ms IS NOT NULL AND id < ? \
                   ORDER BY id DESC LIMIT ?";
        let what = "list orders to look at";
        self.orders(what, Reading::Fresh, sql, None, before, limit)
            .await
    }

    async fn due(&self, now_ms: UnixMs, limit: usize) -> Result<Vec<OrderId>, StoreError> {
        let sql = "SELECT id FROM orders WHERE due_ms <= ? ORDER BY due_ms, id LIMIT ?";
        read!(self, "list due orders", Reading::Fresh, |conn| {
            let rows = conn
                .rows(sql, values![now_ms, rows(limit, MAX_DUE)])
                .await?;
            Ok(rows.iter().filter_map(id_of).collect())
        })
    }

    async fn begin_request(
        &self,
        key: &RequestKey,
        hash: &str,
        now_ms: UnixMs,
        until_ms: UnixMs,
    ) -> Result<Begun, StoreError> {
        transaction!(self, "begin a request", |conn| {
            requests::begin(conn, key, hash, now_ms, until_ms).await
        })
    }

    async fn end_request(&self, key: &RequestKey, end: RequestEnd<'_>) -> Result<(), StoreError> {
        transaction!(self, "end a request", |conn| {
            requests::end(conn, key, end).await
        })
    }

    async fn forget_requests(&self, before_ms: UnixMs) -> Result<u64, StoreError> {
        transaction!(self, "forget requests", |conn| {
            requests::forget(conn, before_ms).await
        })
    }

    async fn seat_messages(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<PendingMessage>, StoreError> {
        read!(self, "list seat messages", Reading::Fresh, |conn| {
            messages::after(conn, bounded(after), limit).await
        })
    }

    async fn seat_messages_of(&self, order: &OrderId) -> Result<Vec<PendingMessage>, StoreError> {
        let id = order.to_string();
        read!(
            self,
            "list an order's seat messages",
            Reading::Fresh,
            |conn| { messages::of(conn, &id).await }
        )
    }

    async fn applied(&self, messages: &[u64]) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        transaction!(self, "forget seat messages", |conn| {
            messages::forget(conn, messages).await
        })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        read!(
            self,
            "ask whether the database answers",
            Reading::Fresh,
            |conn| { conn.row("SELECT 1", &[]).await.map(drop) }
        )
    }

    fn name(&self) -> &'static str {
        match &self.primary {
            #[cfg(feature = "sqlite")]
            Primary::File(_) => "sqlite",
            Primary::Server(_) => "mysql",
        }
    }
}

impl SqlStore {
    /// A page of orders, the newest first. One that cannot be read, such as another version's, hides no other.
    async fn orders(
        &self,
        context: &'static str,
        reading: Reading,
        sql: &'static str,
        user: Option<&UserId>,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderPage, StoreError> {
        // Behind every id, since those have digits up to f.
        let before = before.map_or_else(|| "g".to_owned(), ToString::to_string);
        let limit = limit.clamp(1, MAX_ORDERS);
        let mut values: Vec<Value<'_>> = user.into_iter().map(Value::from).collect();
        // One more tells whether there is a next page.
        values.extend([
            Value::from(&before),
            Value::from(rows(limit + 1, MAX_ORDERS + 1)),
        ]);
        read!(self, context, reading, |conn| {
            let rows = conn.rows(sql, &values).await?;
            let mut items = Vec::with_capacity(limit);
            let mut last = None;
            for row in rows.iter().take(limit) {
                let Some(id) = id_of(row) else { continue };
                last = Some(id);
                match record(row) {
                    Ok(record) => items.push(Arc::new(record)),
                    Err(error) => {
                        tracing::error!(target: "ticketon::sql", order = %id, ?error, "passed over: an order that cannot be read");
                    }
                }
            }
            let next = last.filter(|_| rows.len() > limit);
            Ok(OrderPage { items, next })
        })
    }
}

async fn one(
    conn: &mut Conn,
    sql: impl Into<Statement>,
    values: &[Value<'_>],
) -> Result<Option<OrderRecord>, Fault> {
    let row = conn.row(sql, values).await?;
    row.map(|row| record(&row)).transpose()
}

async fn by_id(conn: &mut Conn, id: &str) -> Result<Option<OrderRecord>, Fault> {
    one(conn, "SELECT body FROM orders WHERE id = ?", values![id]).await
}

async fn of_hold(
    conn: &mut Conn,
    event: &EventId,
    hold: &HoldId,
) -> Result<Option<OrderRecord>, Fault> {
    let sql = "SELECT body FROM orders WHERE event_id = ? AND hold_id = ? AND hold_live = 1";
    one(conn, sql, values![event, &hold.to_string()]).await
}

/// The id of an order, if it is one.
fn id_of(row: &Row) -> Option<OrderId> {
    let id = row.parsed("id");
    id.inspect_err(|error| {
        tracing::error!(target: "ticketon::sql", ?error, "passed over: an order whose id is none");
    })
    .ok()
}

fn record(row: &Row) -> Result<OrderRecord, Fault> {
    let body = row.text("body")?;
    serde_json::from_str(&body)
        .map_err(|error| Fault::Corrupt(format!("the body of an order: {error}")))
}

fn entry(order: OrderId, row: &Row) -> Result<Entry, Fault> {
    Ok(Entry {
        order,
        seq: row.count("seq")?,
        at_ms: row.int("at_ms")?,
        kind: row.text("kind")?,
        body: row.text("body")?,
        prev: row.parsed("prev_hash")?,
        hash: row.parsed("hash")?,
    })
}

/// A LIMIT.
fn rows(limit: usize, most: usize) -> i64 {
    i64::try_from(limit.clamp(1, most)).unwrap_or(1)
}

/// A number that rows are compared with; none is larger than the largest that a column holds.
fn bounded(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
