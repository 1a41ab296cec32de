//! The JSON shapes of the contract.

use serde_json::{Value, json};
use ticketon_queue::clock::rfc3339;

use crate::seat::SeatHold;

/// A hold, as its holder gets it.
pub(super) fn hold_json(hold: &SeatHold) -> Value {
    let seats: Vec<Value> = hold
        .seats
        .iter()
        .map(|seat| json!({"label": seat.label, "grade": seat.grade, "price": seat.price}))
        .collect();
    json!({
        "id": hold.id,
        "eventId": hold.event,
        "seats": seats,
        "total": hold.total.amount,
        "currency": hold.total.currency,
        "expiresAt": hold.expires_at_ms.map(rfc3339),
        "maxExpiresAt": rfc3339(hold.max_expires_at_ms),
        "fence": hold.fence,
        "salesVersion": hold.sales_version,
    })
}
