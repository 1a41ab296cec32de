//! Problems: what a call answers when it does not do what it was asked (RFC 9457).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::route::Body;
use crate::error::{ConfigError, FieldError, QueueError};
use crate::id::IdError;
use crate::state::RoomState;

/// The stable codes; each has one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// 400: the request cannot be read.
    Malformed,
    /// 401: nobody is identified.
    Unauthenticated,
    /// 403: not for this caller.
    Forbidden,
    /// 403: the door needs an admission.
    AdmissionRequired,
    /// 404: no such room.
    UnknownEvent,
    /// 404: the caller is not in the room.
    NotJoined,
    /// 404: no such path.
    NotFound,
    /// 405: no such method here.
    MethodNotAllowed,
    /// 406: the answer has no form that the caller accepts.
    NotAcceptable,
    /// 409: the state does not allow it.
    Conflict,
    /// 410: the room takes nobody any more.
    RoomClosed,
    /// 410: nothing is left.
    SoldOut,
    /// 413: the body is too large.
    TooLarge,
    /// 422: values are refused.
    Invalid,
    /// 429: the room holds as many people as it may.
    RoomFull,
    /// 500: a guard stands where no event can be found.
    GuardMisplaced,
    /// 503: the store does not answer, or this process is going away.
    StoreUnavailable,
}

impl Code {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// Its status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.row().0
    }

    fn title(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::Malformed => (S::BAD_REQUEST, "malformed", "The request cannot be read"),
            Self::Unauthenticated => (S::UNAUTHORIZED, "unauthenticated", "Nobody is identified"),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "Not allowed"),
            Self::AdmissionRequired => (
                S::FORBIDDEN,
                "admissionRequired",
                "An admission is required",
            ),
            Self::UnknownEvent => (S::NOT_FOUND, "unknownEvent", "No such event"),
            Self::NotJoined => (S::NOT_FOUND, "notJoined", "Not in the waiting room"),
            Self::NotFound => (S::NOT_FOUND, "notFound", "Nothing is here"),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "methodNotAllowed",
                "This path has no such method",
            ),
            Self::NotAcceptable => (
                S::NOT_ACCEPTABLE,
                "notAcceptable",
                "No acceptable form of the answer",
            ),
            Self::Conflict => (S::CONFLICT, "conflict", "The state does not allow this"),
            Self::RoomClosed => (S::GONE, "roomClosed", "The waiting room is closed"),
            Self::SoldOut => (S::GONE, "soldOut", "Sold out"),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "tooLarge", "The body is too large"),
            Self::Invalid => (S::UNPROCESSABLE_ENTITY, "invalid", "Values are refused"),
            Self::RoomFull => (S::TOO_MANY_REQUESTS, "roomFull", "The waiting room is full"),
            Self::GuardMisplaced => (
                S::INTERNAL_SERVER_ERROR,
                "guardMisplaced",
                "The guard finds no event",
            ),
            Self::StoreUnavailable => (
                S::SERVICE_UNAVAILABLE,
                "storeUnavailable",
                "Try again in a moment",
            ),
        }
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
        let retry_after = (code == Code::StoreUnavailable).then_some(Duration::from_secs(2));
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
        let mut problem = Self::new(Code::Invalid);
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
            RoomState::SoldOut => Code::SoldOut,
            _ => Code::RoomClosed,
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
        if self.code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::UnknownEvent { event } => Self::new(Code::UnknownEvent)
                .detail(format!("no waiting room has the id {event:?}")),
            QueueError::Config(error) => error.into(),
            QueueError::Store(error) => {
                // The cause is the operator's, not the caller's. The store has logged it; under a stampede one
                // line a request would bury it.
                tracing::debug!(target: "ticketon::http", error = &error as &dyn std::error::Error, "store failed");
                Self::new(Code::StoreUnavailable)
            }
            QueueError::ShutDown => {
                Self::new(Code::StoreUnavailable).detail("this server is going away")
            }
        }
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        let mut problem = Self::new(Code::Invalid);
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
        assert_eq!(problem.code, Code::Invalid);
        assert_eq!(problem.errors.len(), 1);
    }
}
