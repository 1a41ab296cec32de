//! The admission, as an argument of handlers.

use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponseParts, ResponseParts};
use ticketon_queue::guard::{Admission, Door, Guard};
use ticketon_queue::http::Code;
use ticketon_queue::{EventId, Holder, UserId, WaitingQueue};

use crate::event::{misplaced, of_path};
use crate::guard::decide;
use crate::problem::Problem;

/// The path parameters that name the event where no guard does.
const NAMES: [&str; 2] = ["event_id", "eventId"];

/// A verified admission: the handler runs for nobody else.
///
/// Behind a [`Guard`](crate::Guard) it is the admission that the guard verified. Without one it
/// verifies by itself, given an `Extension<WaitingQueue>` and a path parameter `event_id` or
/// `eventId`; without those it answers 500 `guardMisplaced`. Where it verified by itself, put it
/// into the answer, which then carries the claimed token: `(admitted, Json(order))`.
///
/// ```
/// use ticketon_axum::{Admitted, Problem};
/// async fn buy(admitted: Admitted) -> Result<String, Problem> {
///     Ok(format!("hello {}, fence {}", admitted.user, admitted.fence))
/// }
/// # drop(buy);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted(Admission);

impl Admitted {
    /// The admission alone.
    #[must_use]
    pub fn into_inner(self) -> Admission {
        self.0
    }
}

impl Holder for Admitted {
    fn event(&self) -> &EventId {
        &self.0.event
    }

    fn user(&self) -> &UserId {
        &self.0.user
    }

    fn admission_fence(&self) -> Option<u64> {
        Some(self.0.fence)
    }
}

impl Deref for Admitted {
    type Target = Admission;

    fn deref(&self) -> &Admission {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Admitted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if let Some(admission) = parts.extensions.get::<Admission>() {
            return Ok(Self(admission.clone()));
        }
        let queue = parts.extensions.get::<WaitingQueue>().cloned();
        let guard = Guard::new(&queue.ok_or_else(misplaced)?);
        let event = of_path(parts, &NAMES).await?;
        match decide(&guard, &event, parts, false).await {
            Door::Open(admission) => Ok(Self(admission)),
            Door::Refuse(problem) => Err(Problem(problem)),
            Door::Redirect(_) => Err(Problem::new(Code::ADMISSION_REQUIRED)),
        }
    }
}

impl IntoResponseParts for Admitted {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        self.0.write_to(parts.headers_mut());
        Ok(parts)
    }
}
