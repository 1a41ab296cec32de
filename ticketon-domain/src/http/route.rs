//! The route table of events and seats.

use ticketon_queue::http::{Access, Op, Route};

/// The most bytes that an event with its layout may have.
const MAX_LAYOUT_BYTES: usize = 16 * 1024 * 1024;
/// The most bytes that the labels of one call of an operator may have: enough for 1,000 of the longest.
const MAX_LABELS_BYTES: usize = 128 * 1024;

/// Events.
pub(super) const LIST_EVENTS: Op = Op::new("listEvents");
/// One event.
pub(super) const GET_EVENT: Op = Op::new("getEvent");
/// Where the seats are.
pub(super) const LAYOUT: Op = Op::new("getLayout");
/// The seat map as it is.
pub(super) const SEATS: Op = Op::new("getSeats");
/// What changes on the map, as server-sent events.
pub(super) const SEAT_UPDATES: Op = Op::new("watchSeats");
/// Hold seats, all or none.
pub(super) const HOLD: Op = Op::new("holdSeats");
/// The own holds.
pub(super) const OWN_HOLDS: Op = Op::new("ownHolds");
/// Let a hold last longer, up to the event's limit.
pub(super) const EXTEND_HOLD: Op = Op::new("extendHold");
/// Give the seats of a hold back.
pub(super) const RELEASE_HOLD: Op = Op::new("releaseHold");
/// Make or change an event, with its layout.
pub(super) const PUT_EVENT: Op = Op::new("putEvent");
/// One event with its numbers.
pub(super) const ADMIN_EVENT: Op = Op::new("getAdminEvent");
/// The venue layout, as it was imported.
pub(super) const EXPORT_LAYOUT: Op = Op::new("exportLayout");
/// Take free seats out of sale, all or none.
pub(super) const BLOCK_SEATS: Op = Op::new("blockSeats");
/// Put blocked seats back on sale.
pub(super) const UNBLOCK_SEATS: Op = Op::new("unblockSeats");
/// Build the map anew from what is sold and blocked.
pub(super) const REBUILD_SEATS: Op = Op::new("rebuildSeats");

/// The routes for people who buy.
pub const ROUTES: &[Route] = &[
    Route {
        op: LIST_EVENTS,
        method: "GET",
        path: "/events",
        access: Access::Public,
        body_limit: 0,
        request: None,
        response: Some("Events"),
        summary: "Events: ?category=, ?after= and ?limit= (1 to 100) page through them",
    },
    Route {
        op: GET_EVENT,
        method: "GET",
        path: "/events/{eventId}",
        access: Access::Public,
        body_limit: 0,
        request: None,
        response: Some("Event"),
        summary: "One event",
    },
    Route {
        op: LAYOUT,
        method: "GET",
        path: "/events/{eventId}/layout",
        access: Access::Public,
        body_limit: 0,
        request: None,
        response: Some("MapLayout"),
        summary: "Where the seats are: immutable for each ?v=version",
    },
    Route {
        op: SEATS,
        method: "GET",
        path: "/events/{eventId}/seats",
        access: Access::Public,
        body_limit: 0,
        request: None,
        response: Some("Seats"),
        summary: "The seat map as it is: JSON, or binary with Accept: application/vnd.ticketon.seats",
    },
    Route {
        op: SEAT_UPDATES,
        method: "GET",
        path: "/events/{eventId}/seats/updates",
        access: Access::Admitted,
        body_limit: 0,
        request: None,
        response: None,
        summary: "What changes on the map, as server-sent events; ?since=epoch-version or Last-Event-ID",
    },
    Route {
        op: HOLD,
        method: "POST",
        path: "/events/{eventId}/holds",
        access: Access::Admitted,
        body_limit: 16 * 1024,
        request: Some("HoldSeats"),
        response: Some("Hold"),
        summary: "Hold seats, all or none; needs Idempotency-Key",
    },
    Route {
        op: OWN_HOLDS,
        method: "GET",
        path: "/events/{eventId}/holds",
        access: Access::Identified,
        body_limit: 0,
        request: None,
        response: Some("Holds"),
        summary: "The own holds",
    },
    Route {
        op: EXTEND_HOLD,
        method: "POST",
        path: "/events/{eventId}/holds/{holdId}/extend",
        access: Access::Admitted,
        body_limit: 1024,
        request: None,
        response: Some("Hold"),
        summary: "Let a hold last longer, up to the event's limit",
    },
    Route {
        op: RELEASE_HOLD,
        method: "DELETE",
        path: "/events/{eventId}/holds/{holdId}",
        access: Access::Identified,
        body_limit: 0,
        request: None,
        response: None,
        summary: "Give the seats of a hold back",
    },
];

/// The routes for operators.
pub const ADMIN_ROUTES: &[Route] = &[
    Route {
        op: PUT_EVENT,
        method: "PUT",
        path: "/admin/events/{eventId}",
        access: Access::Admin,
        body_limit: MAX_LAYOUT_BYTES,
        request: Some("PutEvent"),
        response: Some("AdminEvent"),
        summary: "Make or change an event, with its layout",
    },
    Route {
        op: ADMIN_EVENT,
        method: "GET",
        path: "/admin/events/{eventId}",
        access: Access::Admin,
        body_limit: 0,
        request: None,
        response: Some("AdminEvent"),
        summary: "One event with its numbers",
    },
    Route {
        op: EXPORT_LAYOUT,
        method: "GET",
        path: "/admin/events/{eventId}/layout",
        access: Access::Admin,
        body_limit: 0,
        request: None,
        response: Some("Layout"),
        summary: "The venue layout, as it was imported",
    },
    Route {
        op: BLOCK_SEATS,
        method: "POST",
        path: "/admin/events/{eventId}/seats/block",
        access: Access::Admin,
        body_limit: MAX_LABELS_BYTES,
        request: Some("SeatLabels"),
        response: Some("AdminEvent"),
        summary: "Take free seats out of sale, all or none",
    },
    Route {
        op: UNBLOCK_SEATS,
        method: "POST",
        path: "/admin/events/{eventId}/seats/unblock",
        access: Access::Admin,
        body_limit: MAX_LABELS_BYTES,
        request: Some("SeatLabels"),
        response: Some("AdminEvent"),
        summary: "Put blocked seats back on sale",
    },
    Route {
        op: REBUILD_SEATS,
        method: "POST",
        path: "/admin/events/{eventId}/seats/rebuild",
        access: Access::Admin,
        body_limit: 1024,
        request: None,
        response: Some("AdminEvent"),
        summary: "Build the map anew from what is sold and blocked; holds end",
    },
];
