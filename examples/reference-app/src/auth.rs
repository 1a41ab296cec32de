//! Guests: anybody may ask for an anonymous identity.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::json;
use ticketon_queue::WaitingQueue;
use ticketon_queue::http::Guests;

/// What the guest route needs.
#[derive(Debug, Clone)]
pub(crate) struct GuestState {
    /// Who signs guests.
    pub(crate) guests: Guests,
    /// Whose clock counts.
    pub(crate) queue: WaitingQueue,
}

/// `POST /auth/guest`: a new guest, as a bearer token and as an HttpOnly cookie. A guest who asks
/// again stays who they are.
pub(crate) async fn guest(State(state): State<GuestState>, headers: http::HeaderMap) -> Response {
    let now = state.queue.clock().now_ms();
    let guest = match state.guests.identify(&headers, now) {
        Some(known) => state.guests.renew(&known.user, now),
        None => state.guests.issue(now),
    };
    let body = json!({"accessToken": guest.token, "userId": guest.user});
    (
        [
            (header::SET_COOKIE, guest.cookie),
            (
                header::CACHE_CONTROL,
                http::HeaderValue::from_static("no-store"),
            ),
        ],
        Json(body),
    )
        .into_response()
}
