//! How a change of an order is written: its row, its tickets, its audit, its news and its seat messages.

use std::collections::BTreeMap;

use super::super::statement::{marks, rows_of_marks};
use super::{Conn, Fault, Value, number, values};
use crate::purchase::{
    Change, Changed, OrderColumns, OrderRecord, Ticket, TicketColumns, TicketState,
};
use crate::venue::SeatLabel;

/// The row of an order.
pub(super) struct OrderRow<'a> {
    pub(super) id: String,
    record: &'a OrderRecord,
    columns: OrderColumns,
    body: String,
}

impl<'a> OrderRow<'a> {
    pub(super) fn of(record: &'a OrderRecord) -> Result<Self, ticketon_queue::StoreError> {
        let context = "write an order";
        let row = || {
            // The columns would hold something else.
            number(record.order.version)?;
            number(record.order.fence)?;
            Ok(Self {
                id: record.order.id.to_string(),
                columns: OrderColumns::of(record),
                body: serde_json::to_string(record)
                    .map_err(|error| Fault::Corrupt(error.to_string()))?,
                record,
            })
        };
        row().map_err(|fault: Fault| fault.into_store_error(context))
    }

    fn payment_key(&self) -> Option<&str> {
        self.columns.payment_key.as_deref()
    }

    pub(super) async fn insert(&self, conn: &mut Conn) -> Result<(), Fault> {
        let columns = &self.columns;
        let sql = "INSERT INTO orders (id, event_id, user_id, hold_id, hold_live, state, payment_key, due_ms, \
                   attention_ms, created_ms, version, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values = values![
            &self.id,
            &columns.event,
            &columns.user,
            &columns.hold,
            columns.hold_live,
            &columns.state,
            self.payment_key(),
            columns.due_ms,
            columns.attention_ms,
            columns.created_ms,
            columns.version,
            &self.body,
        ];
        conn.run(sql, values).await.map(drop)
    }

    async fn update(&self, conn: &mut Conn) -> Result<(), Fault> {
        let columns = &self.columns;
        let sql = "UPDATE orders SET hold_live = ?, state = ?, payment_key = ?, due_ms = ?, attention_ms = ?, \
                   version = ?, body = ? WHERE id = ?";
        let values = values![
            columns.hold_live,
            &columns.state,
            self.payment_key(),
            columns.due_ms,
            columns.attention_ms,
            columns.version,
            &self.body,
            &self.id,
        ];
        conn.run(sql, values).await.map(drop)
    }
}

/// Writes all of a change, or nothing where a unique key says no.
pub(super) async fn change(
    conn: &mut Conn,
    before: &OrderRecord,
    change: Change,
) -> Result<Changed, Fault> {
    let row = OrderRow::of(&change.record)?;
    match row.update(conn).await {
        Ok(()) => {}
        Err(Fault::Duplicate) => {
            let sql = "SELECT 1 FROM orders WHERE payment_key = ? AND id <> ?";
            let key = row.payment_key().unwrap_or_default();
            return match conn.row(sql, values![key, &row.id]).await? {
                Some(_) => Ok(Changed::PaymentTaken),
                None => Err(Fault::race("a key was free again a moment later")),
            };
        }
        Err(fault) => return Err(fault),
    }
    let (new, moved) = tickets(before, &change.record);
    let taken = insert(conn, &row, &new).await?;
    if !taken.is_empty() {
        conn.undo();
        return Ok(Changed::SeatsTaken(taken));
    }
    follow_up(conn, &change, &moved).await?;
    Ok(Changed::Done(Box::new(change.record)))
}

/// The ids of tickets, by the state that they have now.
pub(super) type Moved = BTreeMap<TicketState, Vec<String>>;

/// The tickets that are new, and those that have another state than before.
fn tickets<'a>(before: &OrderRecord, after: &'a OrderRecord) -> (Vec<&'a Ticket>, Moved) {
    let (mut new, mut moved) = (Vec::new(), Moved::new());
    for ticket in &after.order.tickets {
        match before.order.ticket(&ticket.id) {
            None => new.push(ticket),
            Some(old) if old.state != ticket.state => {
                let ids = moved.entry(ticket.state).or_default();
                ids.push(ticket.id.to_string());
            }
            Some(_) => {}
        }
    }
    (new, moved)
}

/// Writes tickets that are new; answers which seats have other people's live tickets.
async fn insert(
    conn: &mut Conn,
    row: &OrderRow<'_>,
    new: &[&Ticket],
) -> Result<Vec<SeatLabel>, Fault> {
    let order = &row.record.order;
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = Vec::with_capacity(new.len());
    for ticket in new {
        // The column would hold something else.
        number(ticket.price)?;
        rows.push(TicketColumns::of(ticket, order, row.record.user.as_str()));
    }
    let mut values: Vec<Value<'_>> = Vec::with_capacity(new.len() * 11);
    for ticket in &rows {
        values.extend(values![
            &ticket.id,
            &row.id,
            &ticket.event,
            &ticket.seat,
            ticket.live,
            &ticket.state,
            &ticket.user,
            ticket.fence,
            ticket.price,
            &ticket.grade,
            order.changed_at_ms,
        ]);
    }
    let sql = "INSERT INTO tickets (id, order_id, event_id, seat, live, state, user_id, fence, price, grade, \
               changed_ms) VALUES";
    match conn
        .run(format!("{sql} {}", rows_of_marks(new.len(), 11)), &values)
        .await
    {
        Ok(_) => Ok(Vec::new()),
        Err(Fault::Duplicate) => taken(conn, row, new).await,
        Err(fault) => Err(fault),
    }
}

/// The seats of these tickets that somebody else has.
async fn taken(
    conn: &mut Conn,
    row: &OrderRow<'_>,
    tickets: &[&Ticket],
) -> Result<Vec<SeatLabel>, Fault> {
    let mut values: Vec<Value<'_>> = values![&row.record.order.event, &row.id].to_vec();
    values.extend(tickets.iter().map(|ticket| Value::from(&ticket.seat)));
    let sql =
        "SELECT seat FROM tickets WHERE event_id = ? AND live = 1 AND order_id <> ? AND seat IN";
    let sql = format!("{sql} ({}) ORDER BY seat", marks(tickets.len()));
    let rows = conn.rows(sql, &values).await?;
    if rows.is_empty() {
        return Err(Fault::race("a seat was free again a moment later"));
    }
    rows.iter().map(|row| row.parsed("seat")).collect()
}

/// Writes what a change brings beside the order: in its tickets, for its audit, for others, for the map.
pub(super) async fn follow_up(
    conn: &mut Conn,
    change: &Change,
    moved: &Moved,
) -> Result<(), Fault> {
    let order = &change.record.order;
    let id = order.id.to_string();
    let mut statements: Vec<(String, Vec<Value<'_>>)> = Vec::new();
    for (state, ids) in moved {
        let mut values =
            values![state.as_str(), live(state.is_live()), order.changed_at_ms].to_vec();
        values.extend(ids.iter().map(Value::from));
        let sql = "UPDATE tickets SET state = ?, live = ?, changed_ms = ? WHERE id IN";
        statements.push((format!("{sql} ({})", marks(ids.len())), values));
    }
    let mut hashes = Vec::with_capacity(change.entries.len());
    for entry in &change.entries {
        hashes.push((
            number(entry.seq)?,
            entry.prev.to_string(),
            entry.hash.to_string(),
        ));
    }
    if !hashes.is_empty() {
        let mut values: Vec<Value<'_>> = Vec::with_capacity(7 * hashes.len());
        for (entry, (seq, prev, hash)) in change.entries.iter().zip(&hashes) {
            values.extend(values![
                &id,
                *seq,
                entry.at_ms,
                &entry.kind,
                &entry.body,
                prev,
                hash
            ]);
        }
        let sql = "INSERT INTO audit (order_id, seq, at_ms, kind, body, prev_hash, hash) VALUES";
        let rows = rows_of_marks(hashes.len(), 7);
        statements.push((format!("{sql} {rows}"), values));
    }
    let mut names = Vec::with_capacity(change.news.len());
    for news in &change.news {
        names.push((news.aggregate.to_string(), number(news.version)?));
    }
    if !names.is_empty() {
        let mut values: Vec<Value<'_>> = Vec::with_capacity(7 * names.len());
        for (news, (aggregate, version)) in change.news.iter().zip(&names) {
            values.extend(values![
                u32::from(news.aggregate.shard()),
                aggregate,
                *version,
                &news.kind,
                news.occurred_at_ms,
                news.correlation.as_deref(),
                &news.payload,
            ]);
        }
        let sql = "INSERT INTO outbox (shard, aggregate, version, kind, occurred_ms, correlation, payload) VALUES";
        let rows = rows_of_marks(names.len(), 7);
        statements.push((format!("{sql} {rows}"), values));
    }
    let bodies: Result<Vec<String>, serde_json::Error> =
        change.messages.iter().map(serde_json::to_string).collect();
    let bodies = bodies.map_err(|error| Fault::Corrupt(error.to_string()))?;
    if !bodies.is_empty() {
        let mut values: Vec<Value<'_>> = Vec::with_capacity(3 * bodies.len());
        for body in &bodies {
            values.extend(values![&order.event, &id, body]);
        }
        let sql = "INSERT INTO seat_messages (event_id, order_id, body) VALUES";
        statements.push((format!("{sql} {}", rows_of_marks(bodies.len(), 3)), values));
    }
    if statements.is_empty() {
        return Ok(());
    }
    conn.run_all(statements).await
}

fn live(is_live: bool) -> Option<i64> {
    is_live.then_some(1)
}
