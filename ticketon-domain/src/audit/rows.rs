//! The rows beside an order's record: its columns, by which it is found, and its tickets, by which a seat is sold once.
//! Whoever changes one of them changes what the program does, and no entry's hash knows of it.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::StoredChain;
use super::finding::Wrong;
use crate::purchase::event::hashed;
use crate::purchase::{Order, OrderColumns, OrderRecord, TicketColumns};

/// What the rows have otherwise than an order makes them. `order` may be made anew from its entries.
pub(super) fn differences(chain: &StoredChain, record: &OrderRecord, order: &Order) -> Vec<Wrong> {
    let mut wrongs = Vec::new();
    if let Some(stored) = &chain.stored {
        columns(&stored.columns, record, &mut wrongs);
    }
    let mut rows: BTreeMap<&str, &TicketColumns> = BTreeMap::new();
    for row in &chain.tickets {
        rows.insert(&row.id, row);
    }
    for ticket in &order.tickets {
        let expected = TicketColumns::of(ticket, order, record.user.as_str());
        match rows.remove(expected.id.as_str()) {
            Some(row) => ticket_columns(row, &expected, order, &mut wrongs),
            None => wrongs.push(Wrong::TicketMissing {
                ticket: expected.id,
            }),
        }
    }
    wrongs.extend(rows.into_values().map(added));
    wrongs
}

/// The rows of tickets without an order.
pub(super) fn orphans(chain: &StoredChain) -> impl Iterator<Item = Wrong> + '_ {
    chain.tickets.iter().map(added)
}

fn added(row: &TicketColumns) -> Wrong {
    Wrong::TicketAdded {
        ticket: row.id.clone(),
    }
}

fn columns(stored: &OrderColumns, record: &OrderRecord, wrongs: &mut Vec<Wrong>) {
    let expected = OrderColumns::of(record);
    // No finding names a person.
    let user = |user: &str| hashed(&record.order.id, user);
    let mut differ = |column: &str, pair: Option<(String, String)>| {
        if let Some((stored, expected)) = pair {
            wrongs.push(Wrong::Column {
                column: column.to_owned(),
                stored,
                expected,
            });
        }
    };
    differ("event_id", pair(&stored.event, &expected.event));
    let users = pair(&stored.user, &expected.user);
    differ(
        "user_id (hashed)",
        users.map(|_| (user(&stored.user), user(&expected.user))),
    );
    differ("hold_id", pair(&stored.hold, &expected.hold));
    differ(
        "hold_live",
        optional(stored.hold_live.as_ref(), expected.hold_live.as_ref()),
    );
    differ("state", pair(&stored.state, &expected.state));
    differ(
        "payment_key",
        optional(stored.payment_key.as_ref(), expected.payment_key.as_ref()),
    );
    differ(
        "due_ms",
        optional(stored.due_ms.as_ref(), expected.due_ms.as_ref()),
    );
    let attention = optional(stored.attention_ms.as_ref(), expected.attention_ms.as_ref());
    differ("attention_ms", attention);
    differ("created_ms", pair(&stored.created_ms, &expected.created_ms));
    differ("version", pair(&stored.version, &expected.version));
}

fn ticket_columns(
    stored: &TicketColumns,
    expected: &TicketColumns,
    order: &Order,
    wrongs: &mut Vec<Wrong>,
) {
    let user = |user: &str| hashed(&order.id, user);
    let mut differ = |column: &str, pair: Option<(String, String)>| {
        if let Some((was, expected_text)) = pair {
            wrongs.push(Wrong::TicketDiffers {
                ticket: stored.id.clone(),
                column: column.to_owned(),
                stored: was,
                expected: expected_text,
            });
        }
    };
    differ("event_id", pair(&stored.event, &expected.event));
    differ("seat", pair(&stored.seat, &expected.seat));
    differ(
        "live",
        optional(stored.live.as_ref(), expected.live.as_ref()),
    );
    differ("state", pair(&stored.state, &expected.state));
    let users = pair(&stored.user, &expected.user);
    differ(
        "user_id (hashed)",
        users.map(|_| (user(&stored.user), user(&expected.user))),
    );
    differ("fence", pair(&stored.fence, &expected.fence));
    differ("price", pair(&stored.price, &expected.price));
    differ("grade", pair(&stored.grade, &expected.grade));
}

fn pair<T: PartialEq + Display>(stored: &T, expected: &T) -> Option<(String, String)> {
    (stored != expected).then(|| (stored.to_string(), expected.to_string()))
}

fn optional<T: PartialEq + Display>(
    stored: Option<&T>,
    expected: Option<&T>,
) -> Option<(String, String)> {
    let text = |value: Option<&T>| value.map_or_else(|| "NULL".to_owned(), ToString::to_string);
    (stored != expected).then(|| (text(stored), text(expected)))
}
