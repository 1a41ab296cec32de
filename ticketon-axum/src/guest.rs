//! Identity for hosts that have none: a signed anonymous cookie.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::{HeaderValue, Request, Response, header};
use futures_util::future::{BoxFuture, FutureExt as _, TryFutureExt as _};
use ticketon_queue::http::{Guests, Principal};
use ticketon_queue::{Clock, SystemClock};
use tower_layer::Layer;
use tower_service::Service;

/// Recognises guests by their cookie or bearer token, and makes guests of new visitors.
///
/// A new guest is identified in the very request that made them. Whom an outer layer identified
/// stays who they are, and a request with an `Authorization` header never makes a guest: it has an
/// identity already, even if this layer does not know it.
///
/// ```
/// use ticketon_axum::{GuestIdentity, Guests};
/// use ticketon_queue::AdmissionKeys;
/// let guests = GuestIdentity::new(Guests::new(AdmissionKeys::random()));
/// // Before routes that must not make guests, for example those of another origin:
/// let known = guests.clone().recognize_only();
/// # drop((guests, known));
/// ```
#[derive(Debug, Clone)]
pub struct GuestIdentity {
    guests: Guests,
    clock: Arc<dyn Clock>,
    issue: bool,
}

impl GuestIdentity {
    /// Guests by these keys, on the system's clock.
    #[must_use]
    pub fn new(guests: Guests) -> Self {
        Self {
            guests,
            clock: Arc::new(SystemClock),
            issue: true,
        }
    }

    /// Another clock, for tests.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes no new guests: who has no valid token stays unidentified.
    #[must_use]
    pub fn recognize_only(mut self) -> Self {
        self.issue = false;
        self
    }

    /// Identifies the caller, and returns the cookie of a new guest.
    fn identify<B>(&self, request: &mut Request<B>) -> Option<HeaderValue> {
        if request.extensions().get::<Principal>().is_some() {
            return None;
        }
        let now = self.clock.now_ms();
        if let Some(principal) = self.guests.identify(request.headers(), now) {
            request.extensions_mut().insert(principal);
            return None;
        }
        if !self.issue || request.headers().contains_key(header::AUTHORIZATION) {
            return None;
        }
        let guest = self.guests.issue(now);
        request.extensions_mut().insert(Principal::new(guest.user));
        Some(guest.cookie)
    }
}

impl<S> Layer<S> for GuestIdentity {
    type Service = GuestService<S>;

    fn layer(&self, inner: S) -> GuestService<S> {
        GuestService {
            inner,
            identity: self.clone(),
        }
    }
}

/// What [`GuestIdentity`] makes of a service.
#[derive(Debug, Clone)]
pub struct GuestService<S> {
    inner: S,
    identity: GuestIdentity,
}

impl<S, B, R> Service<Request<B>> for GuestService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let cookie = self.identity.identify(&mut request);
        let answer = self.inner.call(request);
        answer
            .map_ok(move |mut response| {
                if let Some(cookie) = cookie {
                    let headers = response.headers_mut();
                    headers.append(header::SET_COOKIE, cookie);
                    // An answer that makes somebody a guest must not be kept for somebody else.
                    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                }
                response
            })
            .boxed()
    }
}
