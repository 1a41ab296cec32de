//! Problems: what a call answers when it does not do what it was asked (RFC 9457).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::route::Body;
use crate::error::{ConfigError, FieldError, QueueError};
use crate::id::IdError;
use crate::state::RoomState;

/// A stable code with its status and title: what programs match on.
///
/// The waiting room's are the constants here; who builds further routes on this contract adds
/// constants of their own by [`Code::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code {
    status: u16,
    name: &'static str,
    title: &'static str,
}

impl Code {
    /// 400: the request cannot be read.
    pub const MALFORMED: Self = Self::new(400, "malformed", "The request cannot be read");
    /// 401: nobody is identified.
    pub const UNAUTHENTICATED: Self = Self::new(401, "unauthenticated", "Nobody is identified");
    /// 403: not for this caller.
    pub const FORBIDDEN: Self = Self::new(403, "forbidden", "Not allowed");
    /// 403: the door needs an admission.
    pub const ADMISSION_REQUIRED: Self =
        Self::new(403, "admissionRequired", "An admission is required");
    /// 404: no such room.
    pub const UNKNOWN_EVENT: Self = Self::new(404, "unknownEvent", "No such event");
    /// 404: the caller is not in the room.
    pub const NOT_JOINED: Self = Self::new(404, "notJoined", "Not in the waiting room");
    /// 404: no such path.
    pub const NOT_FOUND: Self = Self::new(404, "notFound", "Nothing is here");
    /// 405: no such method here.
    pub const METHOD_NOT_ALLOWED: Self =
        Self::new(405, "methodNotAllowed", "This path has no such method");
    /// 406: the answer has no form that the caller accepts.
    pub const NOT_ACCEPTABLE: Self =
        Self::new(406, "notAcceptable", "No acceptable form of the answer");
    /// 409: the state does not allow it.
    pub const CONFLICT: Self = Self::new(409, "conflict", "The state does not allow this");
    /// 410: the room takes nobody any more.
    pub const ROOM_CLOSED: Self = Self::new(410, "roomClosed", "The waiting room is closed");
    /// 410: nothing is left.
    pub const SOLD_OUT: Self = Self::new(410, "soldOut", "Sold out");
    /// 413: the body is too large.
    pub const TOO_LARGE: Self = Self::new(413, "tooLarge", "The body is too large");
    /// 422: values are refused.
    pub const INVALID: Self = Self::new(422, "invalid", "Values are refused");
    /// 429: the room holds as many people as it may.
    pub const ROOM_FULL: Self = Self::new(429, "roomFull", "The waiting room is full");
    /// 500: a guard stands where no event can be found.
    pub const GUARD_MISPLACED: Self = Self::new(500, "guardMisplaced", "The guard finds no event");
    /// 503: the store does not answer, or this process is going away.
    pub const STORE_UNAVAILABLE: Self = Self::new(503, "storeUnavailable", "Try again in a moment");

    /// A code: its status (400 to 599), its name on the wire in camelCase, and a title for people.
    ///
    /// # Panics
    /// When the status is none of an error; in a constant, that is when compiling.
    #[must_use]
    pub const fn new(status: u16, name: &'static str, title: &'static str) -> Self {
        assert!(
            status >= 400 && status <= 599,
            "a problem's status is 400 to 599"
        );
        Self {
            status,
            name,
            title,
        }
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.name
    }

    /// Its status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    const fn title(self) -> &'static str {
        self.title
    }
}

/// A problem: a stable code, and details for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} ({}){}", .code.title(), .code.as_str(), .detail.as_deref().map(|d| format!(": {d}")).unwrap_or_default())]
pub struct Problem {
    /// The code.
    pub code: Code,
    /// What happened, with which value.
    pub detail: Option<String>,
    /// The refused fields.
    pub errors: Vec<FieldError>,
    /// When trying again makes sense.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// A problem without details.
    #[must_use]
    pub fn new(code: Code) -> Self {
        let retry_after = (code == Code::STORE_UNAVAILABLE).then_some(Duration::from_secs(2));
        Self {
            code,
            detail: None,
            errors: Vec::new(),
            retry_after,
        }
    }

    /// Says what happened.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// A refused field.
    #[must_use]
    pub fn invalid(field: FieldError) -> Self {
        let mut problem = Self::new(Code::INVALID);
        problem.errors.push(field);
        problem
    }

    /// Says when trying again makes sense.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// A room that takes nobody in this state.
    #[must_use]
    pub fn room_refuses(state: RoomState) -> Self {
        Self::new(match state {
            RoomState::SoldOut => Code::SOLD_OUT,
            _ => Code::ROOM_CLOSED,
        })
        .detail(format!("the room is {state}"))
    }

    /// The JSON body.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut value = json!({
            "type": format!("urn:ticketon:problem:{}", self.code.as_str()),
            "title": self.code.title(),
            "status": self.code.status().as_u16(),
            "code": self.code.as_str(),
        });
        if let Some(detail) = &self.detail {
            value["detail"] = detail.as_str().into();
        }
        if !self.errors.is_empty() {
            value["errors"] = json!(self.errors);
        }
        value
    }

    /// The answer.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let body = Bytes::from(self.to_json().to_string());
        let mut response = Response::new(Body::Full(body));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = self.retry_after {
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(after.as_secs().max(1)),
            );
        }
        if self.code == Code::UNAUTHENTICATED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::UnknownEvent { event } => Self::new(Code::UNKNOWN_EVENT)
                .detail(format!("no waiting room has the id {event:?}")),
            QueueError::Config(error) => error.into(),
            QueueError::Store(error) => {
                // The cause is the operator's, not the caller's. The store has logged it; under a stampede one
                // line a request would bury it.
                tracing::debug!(target: "ticketon::http", error = &error as &dyn std::error::Error, "store failed");
                Self::new(Code::STORE_UNAVAILABLE)
            }
            QueueError::ShutDown => {
                Self::new(Code::STORE_UNAVAILABLE).detail("this server is going away")
            }
        }
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        let mut problem = Self::new(Code::INVALID);
        problem.errors = error.fields;
        problem
    }
}

impl From<IdError> for Problem {
    fn from(error: IdError) -> Self {
        Self::from(&error)
    }
}

impl From<&IdError> for Problem {
    fn from(error: &IdError) -> Self {
        Self::invalid(FieldError::from(error)).detail(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EventId;

    #[test]
    fn a_refused_id_is_a_problem_by_the_question_mark() {
        fn event(text: &str) -> Result<EventId, Problem> {
            Ok(EventId::new(text)?)
        }
        let problem = event("").unwrap_err();
        assert_eq!(problem.code, Code::INVALID);
        assert_eq!(problem.errors.len(), 1);
    }
}
