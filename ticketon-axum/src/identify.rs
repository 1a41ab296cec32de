//! Identity by the host's word.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::Request;
use axum::http::request::Parts;
use ticketon_queue::http::Principal;
use tower_layer::Layer;
use tower_service::Service;

type Find = Arc<dyn Fn(&Parts) -> Option<Principal> + Send + Sync>;

/// Tells the routes and guards behind it who calls.
///
/// It reads what the host's own authentication has left in the request, so it belongs inside that
/// layer. `None` changes nothing: whom an outer layer identified stays identified.
///
/// ```
/// use axum::http::request::Parts;
/// use ticketon_axum::Identify;
/// use ticketon_queue::http::Principal;
/// use ticketon_queue::{LaneName, UserId};
///
/// #[derive(Clone)]
/// struct MyUser { id: UserId, is_member: bool }
///
/// let identify = Identify::with(|parts: &Parts| {
///     let user = parts.extensions.get::<MyUser>()?;
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
        F: Fn(&Parts) -> Option<P> + Send + Sync + 'static,
        P: Into<Principal>,
    {
        Self(Arc::new(move |parts| find(parts).map(Into::into)))
    }
}

impl fmt::Debug for Identify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identify(..)")
    }
}

impl<S> Layer<S> for Identify {
    type Service = IdentifyService<S>;

    fn layer(&self, inner: S) -> IdentifyService<S> {
        IdentifyService {
            inner,
            identify: self.clone(),
        }
    }
}

/// What [`Identify`] makes of a service.
#[derive(Debug, Clone)]
pub struct IdentifyService<S> {
    inner: S,
    identify: Identify,
}

impl<S, B> Service<Request<B>> for IdentifyService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let (mut parts, body) = request.into_parts();
        if let Some(principal) = (self.identify.0)(&parts) {
            parts.extensions.insert(principal);
        }
        self.inner.call(Request::from_parts(parts, body))
    }
}
