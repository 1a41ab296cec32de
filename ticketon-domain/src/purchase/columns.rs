//! What of an order and its tickets stands in columns, beside the order's body: what they are found by, and what unique
//! keys judge. All of it follows from the order's record, so a column that says otherwise was changed by hand.

use super::order::{Order, Ticket};
use super::record::OrderRecord;

/// The columns of an order, without its id and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderColumns {
    /// The event.
    pub event: String,
    /// Who buys.
    pub user: String,
    /// The hold.
    pub hold: String,
    /// 1 while the hold is this order's own, and nothing after.
    pub hold_live: Option<i64>,
    /// The state's name.
    pub state: String,
    /// The payment that it is bound to.
    pub payment_key: Option<String>,
    /// When somebody must look at it next.
    pub due_ms: Option<i64>,
    /// Since when it waits for an operator.
    pub attention_ms: Option<i64>,
    /// When it was made.
    pub created_ms: i64,
    /// How many events made it.
    pub version: i64,
}

/// The columns of a ticket, without its order and the time of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketColumns {
    /// Its id.
    pub id: String,
    /// The event.
    pub event: String,
    /// Its seat.
    pub seat: String,
    /// 1 for as long as it keeps its seat, and nothing after.
    pub live: Option<i64>,
    /// The state's name.
    pub state: String,
    /// Who bought it.
    pub user: String,
    /// The fence of the hold that it was bought from.
    pub fence: i64,
    /// What it cost.
    pub price: i64,
    /// The seat's grade.
    pub grade: String,
}

impl OrderColumns {
    /// Those of an order.
    #[must_use]
    pub fn of(record: &OrderRecord) -> Self {
        let order = &record.order;
        Self {
            event: order.event.as_str().to_owned(),
            user: record.user.as_str().to_owned(),
            hold: order.hold.to_string(),
            hold_live: order.state.claims_hold().then_some(1),
            state: order.state.as_str().to_owned(),
            payment_key: order
                .payment
                .as_ref()
                .map(|claim| claim.key.as_str().to_owned()),
            due_ms: record.due_ms(),
            attention_ms: record.work.attention.as_ref().map(|why| why.since_ms),
            created_ms: order.created_at_ms,
            version: number(order.version),
        }
    }
}

impl TicketColumns {
    /// Those of a ticket of an order that this user bought.
    #[must_use]
    pub fn of(ticket: &Ticket, order: &Order, user: &str) -> Self {
        Self {
            id: ticket.id.to_string(),
            event: order.event.as_str().to_owned(),
            seat: ticket.seat.as_str().to_owned(),
            live: ticket.state.is_live().then_some(1),
            state: ticket.state.as_str().to_owned(),
            user: user.to_owned(),
            fence: number(order.fence),
            price: number(ticket.price),
            grade: ticket.grade.clone(),
        }
    }
}

/// As a column has it. A store refuses to write what is more than a column holds.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
