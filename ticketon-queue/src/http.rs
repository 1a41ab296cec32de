//! The HTTP contract of the waiting room, once for every framework.
//!
//! Routes, bodies, problems and server-sent events are spelled with the types of the `http` crate
//! alone. An adapter registers each [`Route`] natively, collects the body under the route's limit,
//! calls [`Endpoint::call`] and converts the answer; it decides nothing.

mod admin;
mod headers;
mod identity;
mod problem;
mod queue;
mod reply;
mod route;
mod sse;
mod wire;

pub use crate::guard::percent_encode;
pub use admin::{AdminHttp, AdminToken};
pub use headers::{
    ADMISSION_HEADER, AdmissionSource, accepts, admission_cookie, admission_from, cookie, is_known,
    is_prefetch, is_same_origin, prefers_page, safe_return,
};
pub use identity::{GUEST_COOKIE, Guest, Guests, Principal, bearer};
pub use problem::{Code, Problem};
pub use queue::QueueHttp;
pub use reply::{empty, event_of, events, json_response, see_other, without_body};
pub use route::{
    ADMIN_ROUTES, Access, Body, Endpoint, Inbound, Op, Params, ROUTES, Route, is_decodable,
    method_not_allowed, not_found, too_large, undecodable,
};
pub use sse::SseEvent;
