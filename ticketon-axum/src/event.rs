//! Which event a guarded request is about.

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequestParts as _, RawPathParams};
use axum::http::request::Parts;
use ticketon_queue::EventId;
use ticketon_queue::http::{Code, Params, Problem, is_decodable, undecodable};

type Find = Arc<dyn Fn(&Parts) -> Option<EventId> + Send + Sync>;

/// Where a [`Guard`](crate::Guard) finds the event.
///
/// ```
/// use axum::http::request::Parts;
/// use ticketon_axum::EventFrom;
/// use ticketon_queue::EventId;
///
/// let by_path = EventFrom::path("event_id"); // of a route such as /shop/{event_id}
/// let one_sale = EventFrom::fixed(EventId::new("spring-tour")?);
/// let by_host = EventFrom::with(|parts: &Parts| {
///     let host = parts.headers.get("host")?.to_str().ok()?;
///     EventId::new(host.split('.').next()?).ok()
/// });
/// # drop((by_path, one_sale, by_host));
/// # Ok::<(), ticketon_queue::IdError>(())
/// ```
#[derive(Clone)]
pub struct EventFrom(Source);

#[derive(Clone)]
enum Source {
    Path(Arc<str>),
    Fixed(EventId),
    With(Find),
}

impl EventFrom {
    /// The path parameter of this name.
    #[must_use]
    pub fn path(name: impl Into<Arc<str>>) -> Self {
        Self(Source::Path(name.into()))
    }

    /// Always this event.
    #[must_use]
    pub fn fixed(event: EventId) -> Self {
        Self(Source::Fixed(event))
    }

    /// By a function of the request; `None` answers 500 `guardMisplaced`.
    #[must_use]
    pub fn with(find: impl Fn(&Parts) -> Option<EventId> + Send + Sync + 'static) -> Self {
        Self(Source::With(Arc::new(find)))
    }

    pub(crate) async fn find(&self, parts: &mut Parts) -> Result<EventId, Problem> {
        match &self.0 {
            Source::Path(name) => of_path(parts, &[name]).await,
            Source::Fixed(event) => Ok(event.clone()),
            Source::With(find) => find(parts).ok_or_else(misplaced),
        }
    }
}

impl fmt::Debug for EventFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Path(name) => f.debug_tuple("Path").field(name).finish(),
            Source::Fixed(event) => f.debug_tuple("Fixed").field(event).finish(),
            Source::With(_) => f.write_str("With(..)"),
        }
    }
}

/// The path parameters, decoded.
pub(crate) async fn params(parts: &mut Parts) -> Result<Params, Problem> {
    if !is_decodable(parts.uri.path()) {
        return Err(undecodable());
    }
    match RawPathParams::from_request_parts(parts, &()).await {
        Ok(params) => Ok(params.iter().collect()),
        // The route has none.
        Err(_) => Ok(Params::default()),
    }
}

/// The event that the first of these path parameters names.
pub(crate) async fn of_path(parts: &mut Parts, names: &[&str]) -> Result<EventId, Problem> {
    let params = params(parts).await?;
    let id = names.iter().find_map(|name| params.get(name));
    EventId::new(id.ok_or_else(misplaced)?).map_err(|error| Problem::from(&error))
}

pub(crate) fn misplaced() -> Problem {
    Problem::new(Code::GUARD_MISPLACED)
}
