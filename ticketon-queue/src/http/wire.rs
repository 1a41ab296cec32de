//! The JSON shapes of the contract, fields in the contract's order.

use serde::Serialize;
use serde_json::Value;

use crate::broker::{AdmittedUpdate, WaitingUpdate};
use crate::clock::rfc3339;
use crate::draw::DRAW_ALGORITHM;
use crate::id::{EventId, LaneName};
use crate::state::{Reason, RoomState};
use crate::store::{Lease, RoomNumbers};

/// The data of a `waiting` event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Waiting<'a> {
    position: Option<u64>,
    waiting: u64,
    eta_seconds: Option<u64>,
    eta_low_seconds: Option<u64>,
    eta_high_seconds: Option<u64>,
    state: RoomState,
    lane: &'a LaneName,
}

impl<'a> From<&'a WaitingUpdate> for Waiting<'a> {
    fn from(update: &'a WaitingUpdate) -> Self {
        Self {
            position: update.position,
            waiting: update.waiting,
            eta_seconds: update.eta.map(|eta| eta.seconds),
            eta_low_seconds: update.eta.map(|eta| eta.low_seconds),
            eta_high_seconds: update.eta.map(|eta| eta.high_seconds),
            state: update.state,
            lane: &update.lane,
        }
    }
}

/// The data of an `admitted` event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Admitted<'a> {
    admission_token: &'a str,
    claim_by: String,
    expires_at: String,
    fence: u64,
}

impl<'a> From<&'a AdmittedUpdate> for Admitted<'a> {
    fn from(update: &'a AdmittedUpdate) -> Self {
        Self {
            admission_token: &update.admission_token,
            claim_by: rfc3339(update.claim_by_ms),
            expires_at: rfc3339(update.expires_at_ms),
            fence: update.fence,
        }
    }
}

/// The data of a `closed` event.
#[derive(Serialize)]
pub(super) struct Closed {
    pub(super) reason: Reason,
}

/// The answer to a poll: a status, the event's fields, and when to ask again.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Polled<T> {
    pub(super) status: &'static str,
    #[serde(flatten)]
    pub(super) data: T,
    pub(super) retry_after_ms: Option<u64>,
}

/// A draw: what is known before the opening, and after it what everybody's place follows from.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Draw<'a> {
    epoch: u64,
    commitment: &'a str,
    algorithm: &'static str,
    opens_at: Option<String>,
    #[serde(flatten)]
    outcome: Option<Drawn>,
}

#[derive(Serialize)]
struct Drawn {
    key: String,
    drawn: u64,
}

impl<'a> Draw<'a> {
    /// `None` for a room without a draw.
    pub(super) fn new(numbers: &'a RoomNumbers) -> Option<Self> {
        let draw = numbers.draw.as_ref()?;
        Some(Self {
            epoch: numbers.epoch,
            commitment: &draw.commitment,
            algorithm: DRAW_ALGORITHM,
            opens_at: numbers.config.opens_at_ms().map(rfc3339),
            outcome: draw.key.as_ref().map(|key| Drawn {
                key: key.to_hex(),
                drawn: draw.drawn,
            }),
        })
    }
}

/// A lease, as its owner sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    fence: u64,
    claim_by: String,
    expires_at: String,
    claimed: bool,
}

impl From<&Lease> for Entry {
    fn from(lease: &Lease) -> Self {
        Self {
            fence: lease.fence,
            claim_by: rfc3339(lease.claim_by_ms),
            expires_at: rfc3339(lease.expires_at_ms),
            claimed: lease.claimed,
        }
    }
}

#[derive(Serialize)]
struct Lane<'a> {
    name: &'a LaneName,
    weight: u32,
    waiting: u64,
}

/// A room, as operators see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Numbers<'a> {
    event_id: &'a EventId,
    state: RoomState,
    waiting: u64,
    active: u64,
    capacity: u32,
    joined_total: u64,
    admitted_total: u64,
    completed_total: u64,
    expired_total: u64,
    left_total: u64,
    admit_per_second: u32,
    lanes: Vec<Lane<'a>>,
    config_version: u64,
    config: Value,
}

impl<'a> Numbers<'a> {
    pub(super) fn new(event_id: &'a EventId, numbers: &'a RoomNumbers) -> Self {
        let lane = |lane: &'a crate::store::LaneNumbers| Lane {
            name: &lane.name,
            weight: lane.weight,
            waiting: lane.waiting,
        };
        Self {
            event_id,
            state: numbers.state,
            waiting: numbers.waiting(),
            active: numbers.active,
            capacity: numbers.config.capacity(),
            joined_total: numbers.joined_total,
            admitted_total: numbers.admitted_total,
            completed_total: numbers.completed_total,
            expired_total: numbers.expired_total,
            left_total: numbers.left_total,
            admit_per_second: numbers.config.admit_per_second(),
            lanes: numbers.lanes.iter().map(lane).collect(),
            config_version: numbers.config_version,
            config: numbers.config.to_json(),
        }
    }
}

/// A page of rooms.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rooms {
    /// Each a [`Numbers`].
    pub(super) rooms: Vec<Value>,
    pub(super) next_after: Option<EventId>,
    pub(super) store: &'static str,
}

/// The JSON text of a shape.
pub(super) fn text(shape: &impl Serialize) -> String {
    serde_json::to_string(shape).expect("the shapes have string keys alone")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::RateMeter;
    use crate::config::RoomConfig;
    use crate::room::Room;

    #[test]
    fn events_read_as_the_contract_spells_them() {
        let room = Room::new(RoomConfig::builder().capacity(9).build().unwrap(), 0);
        let update = WaitingUpdate {
            epoch: 1,
            sequence: 1,
            position: Some(42),
            waiting: 1500,
            eta: RateMeter::default().eta(&room.numbers(0), 0, 8_400),
            state: RoomState::Open,
            lane: LaneName::default(),
        };
        assert_eq!(
            text(&Waiting::from(&update)),
            r#"{"position":42,"waiting":1500,"etaSeconds":84,"etaLowSeconds":75,"etaHighSeconds":135,"state":"open","lane":"general"}"#
        );
        let update = AdmittedUpdate {
            epoch: 1,
            sequence: 1,
            admission_token: "x.y.z".to_owned(),
            claim_by_ms: 1_767_225_600_000,
            expires_at_ms: 1_767_225_601_500,
            fence: 7,
            claimed: false,
        };
        assert_eq!(
            text(&Admitted::from(&update)),
            r#"{"admissionToken":"x.y.z","claimBy":"2026-01-01T00:00:00Z","expiresAt":"2026-01-01T00:00:01.5Z","fence":7}"#
        );
        let closed = Closed {
            reason: Reason::RoomClosed,
        };
        assert_eq!(text(&closed), r#"{"reason":"roomClosed"}"#);
    }
}
