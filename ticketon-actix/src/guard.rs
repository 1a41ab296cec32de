//! The guard: middleware that only admitted people pass.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::{Error, HttpMessage as _, HttpRequest};
use futures_util::future::{LocalBoxFuture, Ready, ok};
use ticketon_queue::guard::{Check, Door, GuardRequest, StoreDown};
use ticketon_queue::http::see_other;
use ticketon_queue::{EventId, WaitingQueue, guard as contract};

use crate::convert;
use crate::event::EventFrom;
use crate::principal::caller;

/// Lets admitted people pass, claims their admission with their first request, and sends others to
/// the waiting page (people who ask for HTML) or refuses them.
///
/// Make one outside of `HttpServer::new` and wrap its clones: they share what they remember. Behind
/// it, handlers take [`Admitted`](crate::Admitted). Where no event can be found it answers 500
/// `guardMisplaced`, so a guard in the wrong place opens nothing.
#[derive(Debug, Clone)]
pub struct Guard {
    door: contract::Guard,
    event: EventFrom,
}

impl Guard {
    /// A guard that checks leases and refuses while the store is down.
    #[must_use]
    pub fn new(queue: &WaitingQueue, event: EventFrom) -> Self {
        Self {
            door: contract::Guard::new(queue),
            event,
        }
    }

    /// Where people without an admission who ask for a page are sent: a path with one `{name}` in
    /// the place of the event's id.
    #[must_use]
    pub fn waiting_page(mut self, path: impl Into<Arc<str>>) -> Self {
        self.door = self.door.waiting_page(path);
        self
    }

    /// How claimed tokens are checked.
    #[must_use]
    pub fn check(mut self, check: Check) -> Self {
        self.door = self.door.check(check);
        self
    }

    /// What happens while the store does not answer.
    #[must_use]
    pub fn store_down(mut self, policy: StoreDown) -> Self {
        self.door = self.door.store_down(policy);
        self
    }

    async fn decide(&self, request: &ServiceRequest) -> Door {
        match self.event.find(request) {
            Ok(event) => decide(&self.door, &event, request.request(), true).await,
            Err(problem) => Door::Refuse(problem),
        }
    }
}

/// Asks a door of the contract about this request.
pub(crate) async fn decide(
    door: &contract::Guard,
    event: &EventId,
    request: &HttpRequest,
    page: bool,
) -> Door {
    let address = request.uri().path_and_query();
    door.admit(&GuardRequest {
        event,
        method: &convert::method(request.method()),
        headers: &convert::headers(request.head()),
        address: address.map_or("/", |address| address.as_str()),
        caller: caller(request).as_ref(),
        page,
    })
    .await
}

impl<S, B> Transform<S, ServiceRequest> for Guard
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = GuardService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ok(GuardService {
            inner: Rc::new(inner),
            guard: self.clone(),
        })
    }
}

/// What [`Guard`] makes of a service.
#[derive(Debug)]
pub struct GuardService<S> {
    inner: Rc<S>,
    guard: Guard,
}

impl<S, B> Service<ServiceRequest> for GuardService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let guard = self.guard.clone();
        let inner = Rc::clone(&self.inner);
        Box::pin(async move {
            let refusal = match guard.decide(&request).await {
                Door::Open(admission) => {
                    request.extensions_mut().insert(admission.clone());
                    let mut response = inner.call(request).await?;
                    convert::append(response.headers_mut(), admission.headers());
                    return Ok(response.map_into_left_body());
                }
                Door::Redirect(to) => convert::response(see_other(&to)),
                Door::Refuse(problem) => convert::response(problem.into_response()),
            };
            Ok(request.into_response(refusal).map_into_right_body())
        })
    }
}
