//! The operator's extra call: more visitors for the demo.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use ticketon_axum::Problem;
use ticketon_queue::http::{AdminToken, Code, Problem as CoreProblem, bearer};
use ticketon_queue::{EventId, FieldError};

use crate::demo::Crowd;

/// The most visitors one call may add.
const MAX_VISITORS: u64 = 10_000;

/// What the route needs.
#[derive(Debug, Clone)]
pub(crate) struct VisitorState {
    /// The simulated crowd.
    pub(crate) crowd: Crowd,
    /// Who may call.
    pub(crate) token: AdminToken,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    count: u64,
}

/// `POST /admin/demo/{event_id}/visitors` `{count}`: sends simulated fans into the line.
///
/// # Errors
/// 401, 403, 400 and 422 problems.
pub(crate) async fn visitors(
    State(state): State<VisitorState>,
    Path(event): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    match bearer(&headers) {
        Some(token) if state.token.matches(token) => {}
        Some(_) => return Err(CoreProblem::new(Code::FORBIDDEN).into()),
        None => return Err(CoreProblem::new(Code::UNAUTHENTICATED).into()),
    }
    let event = EventId::new(event).map_err(|error| CoreProblem::from(&error))?;
    let request: Request = serde_json::from_slice(&body)
        .map_err(|error| CoreProblem::new(Code::MALFORMED).detail(error.to_string()))?;
    if !(1..=MAX_VISITORS).contains(&request.count) {
        let range = format!("1 to {MAX_VISITORS}");
        return Err(CoreProblem::invalid(FieldError::new("count", request.count, range)).into());
    }
    let count = usize::try_from(request.count).unwrap_or(usize::MAX);
    let sent = state.crowd.send(&event, count);
    Ok(Json(json!({"sent": sent})))
}
