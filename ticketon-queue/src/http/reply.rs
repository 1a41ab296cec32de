//! Answers and inputs as every endpoint of the contract has them.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::{HeaderValue, Method, Response, StatusCode, Uri, header};

use super::problem::Problem;
use super::route::{Body, Inbound};
use super::sse::SseEvent;
use super::wire;
use crate::id::EventId;

/// The event of the path: its parameter `eventId`.
///
/// # Errors
/// 422 `invalid` when that is not an event id.
pub fn event_of(request: &Inbound) -> Result<EventId, Problem> {
    let text = request.params.get("eventId").unwrap_or_default();
    EventId::new(text).map_err(|error| Problem::from(&error))
}

/// A stream of server-sent events, which nothing between here and the browser may keep or hold back.
#[must_use]
pub fn events(events: impl Stream<Item = SseEvent> + Send + 'static) -> Response<Body> {
    let mut response = Response::new(Body::Events(events.boxed()));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "Accept"),
        // Compression would hold events back.
        (header::CONTENT_ENCODING, "identity"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Sends a browser elsewhere, by `GET` (303).
#[must_use]
pub fn see_other(to: &Uri) -> Response<Body> {
    let mut response = empty(StatusCode::SEE_OTHER);
    if let Ok(to) = HeaderValue::try_from(to.to_string()) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

/// An answer to this method: to `HEAD` goes what `GET` would get, but its body.
#[must_use]
pub fn without_body(method: &Method, response: Response<Body>) -> Response<Body> {
    if *method == Method::HEAD {
        return response.map(|_| Body::Empty);
    }
    response
}

/// An answer without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer in JSON.
#[must_use]
pub fn json_response(status: StatusCode, body: &impl serde::Serialize) -> Response<Body> {
    let mut response = Response::new(Body::Full(Bytes::from(wire::text(body))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "Accept"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
