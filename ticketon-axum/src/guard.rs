//! The guard: a layer that only admitted people pass.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{OriginalUri, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use ticketon_queue::guard::{Check, Door, GuardRequest, StoreDown};
use ticketon_queue::http::see_other;
use ticketon_queue::{EventId, WaitingQueue, guard as contract};
use tower_layer::Layer;
use tower_service::Service;

use crate::convert;
use crate::event::EventFrom;
use crate::principal::caller;
use crate::problem::Problem;

/// Lets admitted people pass, claims their admission with their first request, and sends others to
/// the waiting page (people who ask for HTML) or refuses them.
///
/// As `route_layer` it stands before all routes added so far. Behind it, handlers take
/// [`Admitted`](crate::Admitted). Where no event can be found it answers 500 `guardMisplaced`, so
/// a guard in the wrong place opens nothing.
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

    async fn decide(&self, parts: &mut Parts) -> Door {
        match self.event.find(parts).await {
            Ok(event) => decide(&self.door, &event, parts, true).await,
            Err(problem) => Door::Refuse(problem),
        }
    }
}

/// Asks a door of the contract about this request.
pub(crate) async fn decide(
    door: &contract::Guard,
    event: &EventId,
    parts: &Parts,
    page: bool,
) -> Door {
    // Inside a nest the request's own address lacks the prefix.
    let original = parts.extensions.get::<OriginalUri>();
    let uri = original.map_or(&parts.uri, |original| &original.0);
    door.admit(&GuardRequest {
        event,
        method: &parts.method,
        headers: &convert::headers(parts),
        address: uri.path_and_query().map_or("/", |address| address.as_str()),
        caller: caller(parts),
        page,
    })
    .await
}

impl<S> Layer<S> for Guard {
    type Service = GuardService<S>;

    fn layer(&self, inner: S) -> GuardService<S> {
        GuardService {
            inner,
            guard: self.clone(),
        }
    }
}

/// What [`Guard`] makes of a service.
#[derive(Debug, Clone)]
pub struct GuardService<S> {
    inner: S,
    guard: Guard,
}

impl<S> Service<Request> for GuardService<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let guard = self.guard.clone();
        // The ready one goes with the request; its clone is asked for readiness next.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match guard.decide(&mut parts).await {
                Door::Open(admission) => {
                    parts.extensions.insert(admission.clone());
                    let mut response = inner.call(Request::from_parts(parts, body)).await?;
                    admission.write_to(response.headers_mut());
                    Ok(response)
                }
                Door::Redirect(to) => Ok(convert::response(see_other(&to))),
                Door::Refuse(problem) => Ok(Problem(problem).into_response()),
            }
        })
    }
}
