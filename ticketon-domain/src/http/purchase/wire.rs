//! The JSON shapes of purchases that are not those of the service itself.

use http::{Response, StatusCode};
use serde_json::{Value, json};
use ticketon_queue::http::{Body, json_response};

use crate::purchase::{
    OrderState, OrderView, OrderViews, RefundState, TicketCode, TicketKeys, TicketState, TicketView,
};

/// 200 for an order with which all is done, 202 for one that has to be looked at again.
pub(super) fn order_response(order: &OrderView) -> Response<Body> {
    json_response(status_of(order), order)
}

/// Whether an order is decided.
pub(super) fn status_of(order: &OrderView) -> StatusCode {
    let requested = |state| state == RefundState::Requested;
    let waits = order.status == OrderState::Confirming
        || order.refunds.iter().any(|refund| requested(refund.status));
    if waits {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    }
}

/// The tickets of orders that are good or were, each with its code.
pub(super) fn tickets_json(page: &OrderViews, keys: &TicketKeys) -> Value {
    let shown =
        |ticket: &&TicketView| matches!(ticket.status, TicketState::Valid | TicketState::Used);
    let mut tickets = Vec::new();
    for order in &page.orders {
        for ticket in order.tickets.iter().filter(shown) {
            let code = keys.sign(&TicketCode {
                ticket: ticket.ticket_id,
                order: order.order_id,
                event: order.event_id.clone(),
                seat: ticket.seat.clone(),
            });
            let mut shown = json!({
                "ticketId": ticket.ticket_id,
                "orderId": order.order_id,
                "eventId": order.event_id,
                "seat": ticket.seat,
                "grade": ticket.grade,
                "price": ticket.price,
                "currency": order.currency,
                "status": ticket.status,
                "code": code,
            });
            if let Some(at) = &ticket.used_at {
                shown["usedAt"] = at.as_str().into();
            }
            tickets.push(shown);
        }
    }
    json!({"tickets": tickets, "next": page.next})
}
