//! Which event a guarded request is about.

use std::fmt;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::dev::ServiceRequest;
use percent_encoding::percent_decode_str;
use ticketon_queue::EventId;
use ticketon_queue::http::{Code, Params, Problem, is_decodable, undecodable};

type Find = Arc<dyn Fn(&ServiceRequest) -> Option<EventId> + Send + Sync>;

/// Where a [`Guard`](crate::Guard) finds the event.
///
/// ```
/// use actix_web::dev::ServiceRequest;
/// use ticketon_actix::EventFrom;
/// use ticketon_queue::EventId;
///
/// let by_path = EventFrom::path("event_id"); // of a resource such as /shop/{event_id}
/// let one_sale = EventFrom::fixed(EventId::new("spring-tour")?);
/// let by_host = EventFrom::with(|request: &ServiceRequest| {
///     let host = request.headers().get("host")?.to_str().ok()?;
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
    pub fn with(find: impl Fn(&ServiceRequest) -> Option<EventId> + Send + Sync + 'static) -> Self {
        Self(Source::With(Arc::new(find)))
    }

    pub(crate) fn find(&self, request: &ServiceRequest) -> Result<EventId, Problem> {
        match &self.0 {
            Source::Path(name) => of_path(request.request(), &[name]),
            Source::Fixed(event) => Ok(event.clone()),
            Source::With(find) => find(request).ok_or_else(misplaced),
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
pub(crate) fn params(request: &HttpRequest) -> Result<Params, Problem> {
    if !is_decodable(request.uri().path()) {
        return Err(undecodable());
    }
    // actix-web decodes all but `%`, `/` and `+`, so decoding the rest is exact.
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let params = request.match_info().iter();
    Ok(params.map(|(name, text)| (name, decoded(text))).collect())
}

/// The event that the first of these path parameters names.
pub(crate) fn of_path(request: &HttpRequest, names: &[&str]) -> Result<EventId, Problem> {
    let params = params(request)?;
    let id = names.iter().find_map(|name| params.get(name));
    EventId::new(id.ok_or_else(misplaced)?).map_err(|error| Problem::from(&error))
}

pub(crate) fn misplaced() -> Problem {
    Problem::new(Code::GUARD_MISPLACED)
}
