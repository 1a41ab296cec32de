//! Identity for hosts that have none: a signed anonymous cookie.

use std::sync::Arc;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderValue};
use actix_web::{Error, HttpMessage as _};
use futures_util::future::{FutureExt as _, LocalBoxFuture, Ready, TryFutureExt as _, ok};
use http::header::SET_COOKIE;
use ticketon_queue::http::{Guests, Principal};
use ticketon_queue::{Clock, SystemClock};

use crate::convert;

/// Recognises guests by their cookie or bearer token, and makes guests of new visitors.
///
/// A new guest is identified in the very request that made them. Whom an outer middleware
/// identified stays who they are, and a request with an `Authorization` header never makes a guest:
/// it has an identity already, even if this middleware does not know it.
///
/// ```
/// use ticketon_actix::{GuestIdentity, Guests};
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
    fn identify(&self, request: &ServiceRequest) -> Option<http::HeaderValue> {
        if request.extensions().get::<Principal>().is_some() {
            return None;
        }
        let now = self.clock.now_ms();
        let headers = convert::headers(request.head());
        if let Some(principal) = self.guests.identify(&headers, now) {
            request.extensions_mut().insert(principal);
            return None;
        }
        if !self.issue || request.headers().contains_key(AUTHORIZATION) {
            return None;
        }
        let guest = self.guests.issue(now);
        request.extensions_mut().insert(Principal::new(guest.user));
        Some(guest.cookie)
    }
}

impl<S, B> Transform<S, ServiceRequest> for GuestIdentity
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = GuestService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ok(GuestService {
            inner,
            identity: self.clone(),
        })
    }
}

/// What [`GuestIdentity`] makes of a service.
#[derive(Debug)]
pub struct GuestService<S> {
    inner: S,
    identity: GuestIdentity,
}

impl<S, B> Service<ServiceRequest> for GuestService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<ServiceResponse<B>, Error>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let cookie = self.identity.identify(&request);
        let answer = self.inner.call(request);
        answer
            .map_ok(move |mut response| {
                if let Some(cookie) = cookie {
                    let headers = response.headers_mut();
                    convert::append(headers, [(SET_COOKIE, cookie)]);
                    // An answer that makes somebody a guest must not be kept for somebody else.
                    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                }
                response
            })
            .boxed_local()
    }
}
