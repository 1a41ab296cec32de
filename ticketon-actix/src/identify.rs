//! Identity by the host's word.

use std::fmt;
use std::sync::Arc;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::{Error, HttpMessage as _};
use futures_util::future::{Ready, ok};
use ticketon_queue::http::Principal;

type Find = Arc<dyn Fn(&ServiceRequest) -> Option<Principal> + Send + Sync>;

/// Tells the routes and guards behind it who calls.
///
/// It reads what the host's own authentication has left in the request, so it belongs inside that
/// middleware. `None` changes nothing: whom an outer one identified stays identified.
///
/// ```
/// use actix_web::HttpMessage as _;
/// use actix_web::dev::ServiceRequest;
/// use ticketon_actix::Identify;
/// use ticketon_queue::http::Principal;
/// use ticketon_queue::{LaneName, UserId};
///
/// struct MyUser { id: UserId, is_member: bool }
///
/// let identify = Identify::with(|request: &ServiceRequest| {
///     let extensions = request.extensions();
///     let user = extensions.get::<MyUser>()?;
///     let principal = Principal::new(user.id.clone());
///     Some(match user.is_member {
///         true => principal.in_lane(LaneName::new("members").ok()?),
///         false => principal,
///     })
/// });
/// # drop(identify);
/// ```
#[derive(Clone)]
pub struct Identify(Find);

impl Identify {
    /// Identifies callers by a function of the request, which yields a `UserId` or a `Principal`.
    #[must_use]
    pub fn with<F, P>(find: F) -> Self
    where
        F: Fn(&ServiceRequest) -> Option<P> + Send + Sync + 'static,
        P: Into<Principal>,
    {
        Self(Arc::new(move |request| find(request).map(Into::into)))
    }
}

impl fmt::Debug for Identify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identify(..)")
    }
}

impl<S, B> Transform<S, ServiceRequest> for Identify
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = IdentifyService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ok(IdentifyService {
            inner,
            identify: self.clone(),
        })
    }
}

/// What [`Identify`] makes of a service.
#[derive(Debug)]
pub struct IdentifyService<S> {
    inner: S,
    identify: Identify,
}

impl<S, B> Service<ServiceRequest> for IdentifyService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = S::Future;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> S::Future {
        if let Some(principal) = (self.identify.0)(&request) {
            request.extensions_mut().insert(principal);
        }
        self.inner.call(request)
    }
}
