//! The calls of people who look at events, follow the seat map, and hold seats.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use ticketon_queue::guard::{Admission, Door, Guard, GuardRequest};
use ticketon_queue::http::{
    Body, Code, Endpoint, Inbound, Op, Principal, Problem, Route, SseEvent, accepts, empty,
    event_of, events, is_known, is_same_origin, json_response, without_body,
};
use ticketon_queue::id::random_bytes;
use ticketon_queue::{Clock, EventId, FieldError, UnixMs};

use super::maps::Maps;
use super::request::{hold_id, hold_seats};
use super::route::{
    EXTEND_HOLD, GET_EVENT, HOLD, LAYOUT, LIST_EVENTS, OWN_HOLDS, RELEASE_HOLD, ROUTES,
    SEAT_UPDATES, SEATS,
};
use super::snapshot::{SNAPSHOT_TYPE, encode_snapshot, etag, snapshot_json};
use super::wire::hold_json;
use crate::event::{Event, EventQuery, EventStatus, MAX_PAGE};
use crate::seat::{MapVersion, SeatUpdates, Seats, SeatsError};

/// A comment goes out after this long without an update.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The sign of life: a comment for proxies, and an event without an id for pages, which do not see comments.
const ALIVE: &[u8] = b": keep-alive\nevent: alive\ndata: {}\n\n";

/// How many events are listed without `?limit=`.
const PAGE: usize = 50;

/// Serves [`ROUTES`]: events, the seat map, holds.
///
/// Holding seats needs an admission, which the door checks.
#[derive(Debug, Clone)]
pub struct ShopHttp {
    seats: Seats,
    door: Guard,
    maps: Maps,
}

impl ShopHttp {
    /// The calls of these seats, behind this door: a [`Guard`], or a `&WaitingQueue` for a guard of the usual policy.
    #[must_use]
    pub fn new(seats: &Seats, door: impl Into<Guard>) -> Self {
        Self {
            seats: seats.clone(),
            door: door.into(),
            maps: Maps::default(),
        }
    }

    async fn answer(&self, op: Op, request: &Inbound) -> Result<Response<Body>, Problem> {
        if op == LIST_EVENTS {
            return self.list(request).await;
        }
        let event = event_of(request)?;
        match op {
            GET_EVENT => {
                let event = self.shown(&event).await?;
                Ok(json_response(StatusCode::OK, &event.to_json()))
            }
            LAYOUT => self.layout(&event, request).await,
            SEATS => self.snapshot(&event, request).await,
            SEAT_UPDATES => self.updates(&event, request).await,
            HOLD => self.hold(&event, request).await,
            OWN_HOLDS => self.own_holds(&event, request).await,
            EXTEND_HOLD => self.extend(&event, request).await,
            RELEASE_HOLD => self.release(&event, request).await,
            _ => Err(Problem::new(Code::NOT_FOUND)),
        }
    }

    async fn list(&self, request: &Inbound) -> Result<Response<Body>, Problem> {
        let limit = match request.query("limit") {
            None => PAGE,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_PAGE).contains(limit))
                .ok_or_else(|| {
                    Problem::invalid(FieldError::new("limit", text, format!("1 to {MAX_PAGE}")))
                })?,
        };
        let query = EventQuery {
            category: request.query("category"),
            statuses: vec![EventStatus::Open, EventStatus::Closed],
            after: request.query("after").map(after).transpose()?,
            limit,
            ..EventQuery::default()
        };
        let page = self.seats.list(&query).await?;
        let events: Vec<Value> = page.items.iter().map(|event| event.to_json()).collect();
        Ok(json_response(
            StatusCode::OK,
            &json!({"events": events, "next": page.next}),
        ))
    }

    /// An event that people may see: a draft is nobody's business yet.
    async fn shown(&self, event: &EventId) -> Result<Arc<Event>, Problem> {
        let found = self.seats.event(event).await?;
        if found.status() == EventStatus::Draft {
            let event = event.clone();
            return Err(SeatsError::UnknownEvent { event }.into());
        }
        Ok(found)
    }

    /// The layout for a map. A version never changes, so whoever names it may keep the answer.
    async fn layout(&self, event: &EventId, request: &Inbound) -> Result<Response<Body>, Problem> {
        self.shown(event).await?;
        let layout = self.seats.layout(event).await?;
        let tag = format!("\"{}\"", layout.version());
        let named = request.query("v").as_deref() == Some(layout.version());
        let caching = if named {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        if is_known(&request.headers, &tag) {
            return Ok(tagged(empty(StatusCode::NOT_MODIFIED), &tag, caching));
        }
        let body = Body::Full(self.maps.json(&layout));
        Ok(tagged(typed(body, "application/json"), &tag, caching))
    }

    async fn snapshot(
        &self,
        event: &EventId,
        request: &Inbound,
    ) -> Result<Response<Body>, Problem> {
        self.shown(event).await?;
        let view = self.seats.snapshot(event).await?.done()?;
        let tag = etag(view.snapshot());
        let mut response = if is_known(&request.headers, &tag) {
            empty(StatusCode::NOT_MODIFIED)
        } else if accepts(&request.headers, SNAPSHOT_TYPE) {
            typed(Body::Full(view.binary(encode_snapshot)), SNAPSHOT_TYPE)
        } else {
            let json =
                view.json(|snapshot| Bytes::from(snapshot_json(event, snapshot).to_string()));
            typed(Body::Full(json), "application/json")
        };
        let accept = HeaderValue::from_static("Accept");
        response.headers_mut().insert(header::VARY, accept);
        Ok(tagged(response, &tag, "no-cache"))
    }

    async fn updates(&self, event: &EventId, request: &Inbound) -> Result<Response<Body>, Problem> {
        let admission = self.admission(event, request).await?;
        self.shown(event).await?;
        let since = since(request)?;
        let updates = self.seats.watch(event, since).await?;
        let clock = Arc::clone(self.seats.clock());
        let updates = with_keep_alives(updates, clock, admission.expires_at_ms);
        let mut response = events(updates);
        admission.write_to(response.headers_mut());
        Ok(response)
    }

    async fn hold(&self, event: &EventId, request: &Inbound) -> Result<Response<Body>, Problem> {
        let admission = self.admission(event, request).await?;
        self.shown(event).await?;
        let wanted = hold_seats(request)?;
        let hold = self.seats.hold(&admission, wanted).await?.taken()?;
        let mut response = json_response(StatusCode::CREATED, &hold_json(&hold));
        admission.write_to(response.headers_mut());
        Ok(response)
    }

    async fn own_holds(
        &self,
        event: &EventId,
        request: &Inbound,
    ) -> Result<Response<Body>, Problem> {
        let caller = caller(request)?;
        let holds = self.seats.own(&(event, &caller.user)).await?.done()?;
        let holds: Vec<Value> = holds.iter().map(hold_json).collect();
        Ok(json_response(StatusCode::OK, &json!({"holds": holds})))
    }

    async fn extend(&self, event: &EventId, request: &Inbound) -> Result<Response<Body>, Problem> {
        let admission = self.admission(event, request).await?;
        let hold = self
            .seats
            .extend(&admission, hold_id(request)?)
            .await?
            .taken()?;
        let mut response = json_response(StatusCode::OK, &hold_json(&hold));
        admission.write_to(response.headers_mut());
        Ok(response)
    }

    async fn release(&self, event: &EventId, request: &Inbound) -> Result<Response<Body>, Problem> {
        let caller = caller(request)?;
        if !is_same_origin(&request.headers) {
            return Err(Problem::new(Code::FORBIDDEN).detail("the request comes from another site"));
        }
        let holder = (event, &caller.user);
        self.seats
            .release(&holder, hold_id(request)?)
            .await?
            .released()?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    async fn admission(&self, event: &EventId, request: &Inbound) -> Result<Admission, Problem> {
        let door = self
            .door
            .admit(&GuardRequest {
                event,
                method: &request.method,
                headers: &request.headers,
                address: "/",
                caller: request.caller.as_ref(),
                page: false,
            })
            .await;
        match door {
            Door::Open(admission) => Ok(admission),
            Door::Refuse(problem) => Err(problem),
            Door::Redirect(_) => Err(Problem::new(Code::ADMISSION_REQUIRED)),
        }
    }
}

/// The id that a page of events begins behind.
fn after(text: String) -> Result<EventId, Problem> {
    EventId::new(text).map_err(|error| {
        let mut refused = FieldError::from(&error);
        "after".clone_into(&mut refused.field);
        Problem::invalid(refused)
    })
}

/// The moment of the map that a watcher knows. Their own browser sends the id of the last event; where that is none of
/// ours, they know nothing.
fn since(request: &Inbound) -> Result<Option<MapVersion>, Problem> {
    if let Some(last) = request.headers.get("last-event-id")
        && !last.is_empty()
    {
        return Ok(last.to_str().ok().and_then(|id| id.parse().ok()));
    }
    let since = request.query("since").map(|text| text.parse());
    since.transpose().map_err(Problem::invalid)
}

fn caller(request: &Inbound) -> Result<&Principal, Problem> {
    let caller = request.caller.as_ref();
    caller.ok_or_else(|| Problem::new(Code::UNAUTHENTICATED))
}

/// A retry hint, then the updates, with signs of life in between. It ends with the admission: whoever has been given
/// more time comes again, and is looked at again.
fn with_keep_alives(
    updates: SeatUpdates,
    clock: Arc<dyn Clock>,
    until_ms: UnixMs,
) -> impl Stream<Item = SseEvent> + Send {
    let hint = SseEvent::retry(1_000 + u64::from(u16::from_be_bytes(random_bytes())) % 2_000);
    let events = stream::unfold(
        (updates, clock),
        move |(mut updates, clock): (SeatUpdates, Arc<dyn Clock>)| async move {
            let left_ms = until_ms.saturating_sub(clock.now_ms());
            let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
            if left.is_zero() {
                return None;
            }
            let event = tokio::select! {
                update = updates.next() => SseEvent::encoded(update?.frame),
                () = clock.sleep(left.min(KEEP_ALIVE)) => match clock.now_ms() < until_ms {
                    true => SseEvent::encoded(Bytes::from_static(ALIVE)),
                    false => return None,
                },
            };
            Some((event, (updates, clock)))
        },
    );
    stream::once(async { hint }).chain(events)
}

fn typed(body: Body, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    let content_type = HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

fn tagged(mut response: Response<Body>, tag: &str, caching: &'static str) -> Response<Body> {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}

#[async_trait]
impl Endpoint for ShopHttp {
    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    async fn call(&self, op: Op, request: Inbound) -> Response<Body> {
        let answer = self.answer(op, &request).await;
        without_body(
            &request.method,
            answer.unwrap_or_else(Problem::into_response),
        )
    }
}
