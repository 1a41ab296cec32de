//! The admission, as an argument of handlers.

use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use futures_util::future::LocalBoxFuture;
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
/// verifies by itself, given `app_data(web::Data::new(queue))` and a path parameter `event_id` or
/// `eventId`; without those it answers 500 `guardMisplaced`. Where it verified by itself, add
/// [`Admission::headers`] to the answer, which then carries the claimed token.
///
/// ```
/// use ticketon_actix::{Admitted, Problem};
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

impl FromRequest for Admitted {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            if let Some(admission) = request.extensions().get::<Admission>() {
                return Ok(Self(admission.clone()));
            }
            let queue = request.app_data::<Data<WaitingQueue>>();
            let guard = Guard::new(queue.ok_or_else(misplaced)?);
            let event = of_path(&request, &NAMES)?;
            match decide(&guard, &event, &request, false).await {
                Door::Open(admission) => Ok(Self(admission)),
                Door::Refuse(problem) => Err(Problem(problem)),
                Door::Redirect(_) => Err(Problem::new(Code::ADMISSION_REQUIRED)),
            }
        })
    }
}
