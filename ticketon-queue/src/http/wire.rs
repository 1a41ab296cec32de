//! The JSON shapes of the contract.

use serde_json::{Value, json};

use crate::broker::{AdmittedUpdate, WaitingUpdate};
use crate::clock::rfc3339;
use crate::id::EventId;
use crate::store::{Lease, RoomNumbers};

/// The data of a `waiting` event.
pub(super) fn waiting(update: &WaitingUpdate) -> Value {
    json!({
        "position": update.position,
        "waiting": update.waiting,
        "etaSeconds": update.eta.map(|eta| eta.seconds),
        "etaLowSeconds": update.eta.map(|eta| eta.low_seconds),
        "etaHighSeconds": update.eta.map(|eta| eta.high_seconds),
        "state": update.state,
        "lane": update.lane,
    })
}

/// The data of an `admitted` event.
pub(super) fn admitted(update: &AdmittedUpdate) -> Value {
    json!({
        "admissionToken": update.admission_token,
        "claimBy": rfc3339(update.claim_by_ms),
        "expiresAt": rfc3339(update.expires_at_ms),
        "fence": update.fence,
    })
}

/// A lease, as its owner sees it.
pub(super) fn entry(lease: &Lease) -> Value {
    json!({
        "fence": lease.fence,
        "claimBy": rfc3339(lease.claim_by_ms),
        "expiresAt": rfc3339(lease.expires_at_ms),
        "claimed": lease.claimed,
    })
}

/// A room, as operators see it.
pub(super) fn numbers(event: &EventId, numbers: &RoomNumbers) -> Value {
    let lanes: Vec<Value> = numbers
        .lanes
        .iter()
        .map(|lane| json!({"name": lane.name, "weight": lane.weight, "waiting": lane.waiting}))
        .collect();
    json!({
        "eventId": event,
        "state": numbers.state,
        "waiting": numbers.waiting(),
        "active": numbers.active,
        "capacity": numbers.config.capacity(),
        "joinedTotal": numbers.joined_total,
        "admittedTotal": numbers.admitted_total,
        "completedTotal": numbers.completed_total,
        "expiredTotal": numbers.expired_total,
        "leftTotal": numbers.left_total,
        "admitPerSecond": numbers.config.admit_per_second(),
        "lanes": lanes,
        "configVersion": numbers.config_version,
        "config": numbers.config.to_json(),
    })
}

/// Adds the fields of one object to another.
pub(super) fn merge(mut value: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (value.as_object_mut(), more) {
        fields.extend(more);
    }
    value
}
