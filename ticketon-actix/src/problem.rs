//! Problems as answers of handlers.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, Responder, ResponseError};
use ticketon_queue::http as contract;

use crate::convert;

/// An RFC 9457 problem: the error type of handlers.
///
/// Whatever turns into a [`contract::Problem`] turns into this by `?`: errors of the queue, of
/// configs and of ids, and those that a host's own type converts.
///
/// ```
/// use ticketon_actix::Problem;
/// use ticketon_queue::http::Code;
/// # use ticketon_queue::{EventId, WaitingQueue};
/// # async fn handler(queue: WaitingQueue, event: EventId) -> Result<String, Problem> {
/// let numbers = queue.numbers(&event).await?;
/// if numbers.active == 0 {
///     return Err(Problem::new(Code::NOT_FOUND).detail("nobody is in"));
/// }
/// # Ok(String::new())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem(pub contract::Problem);

impl Problem {
    /// A problem without details.
    #[must_use]
    pub fn new(code: contract::Code) -> Self {
        Self(contract::Problem::new(code))
    }

    /// Says what happened.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self(self.0.detail(detail))
    }
}

impl<E: Into<contract::Problem>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.status().as_u16())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        convert::response(self.0.clone().into_response())
    }
}

impl Responder for Problem {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        convert::response(self.0.into_response())
    }
}

/// A default service that answers unknown paths with a problem:
/// `.default_service(web::to(ticketon_actix::not_found))`.
pub async fn not_found() -> Problem {
    Problem::new(contract::Code::NOT_FOUND)
}
