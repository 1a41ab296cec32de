//! The calls of people who wait: join, look, leave, and their own lease.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use http::{Method, Response, StatusCode, header};

use super::headers::{AdmissionSource, accepts, admission_from, is_prefetch, is_same_origin};
use super::identity::Principal;
use super::problem::{Code, Problem};
use super::reply::{empty, event_of, events, json_response, without_body};
use super::route::{Body, Endpoint, Inbound, Op, ROUTES, Route};
use super::sse::SseEvent;
use super::wire;
use crate::broker::{ClosedUpdate, Update, Updates};
use crate::clock::Clock;
use crate::guard::{Door, Guard, GuardRequest};
use crate::id::{EventId, random_u64};
use crate::queue::{JoinOptions, Joined, WaitingQueue, Watched};
use crate::store::{Left, Standing};

/// A comment goes out after this long without an event.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Serves [`ROUTES`].
#[derive(Debug, Clone)]
pub struct QueueHttp {
    queue: WaitingQueue,
    entry: Guard,
}

impl QueueHttp {
    /// The calls of this queue.
    #[must_use]
    pub fn new(queue: &WaitingQueue) -> Self {
        Self {
            queue: queue.clone(),
            entry: Guard::new(queue).cache(Duration::ZERO),
        }
    }

    async fn answer(&self, op: Op, request: &Inbound) -> Result<Response<Body>, Problem> {
        let event = event_of(request)?;
        if op == Op::DRAW {
            return self.draw(&event).await;
        }
        let caller = request
            .caller
            .as_ref()
            .ok_or_else(|| Problem::new(Code::UNAUTHENTICATED))?;
        match op {
            Op::JOIN if request.method == Method::HEAD => {
                // Looking at headers must not join anybody.
                self.queue.standing(&event, &caller.user).await?;
                Ok(empty(StatusCode::OK))
            }
            Op::JOIN => self.join(&event, caller, request).await,
            Op::STATUS => self.status(&event, caller).await,
            Op::LEAVE => self.leave(&event, caller, request).await,
            Op::ENTRY => self.entry(&event, caller, request).await,
            _ => Err(Problem::new(Code::NOT_FOUND)),
        }
    }

    async fn join(
        &self,
        event: &EventId,
        caller: &Principal,
        request: &Inbound,
    ) -> Result<Response<Body>, Problem> {
        let form = form_of(request)?;
        let last = request.headers.get("last-event-id");
        let last = last.and_then(|id| id.to_str().ok()).unwrap_or_default();
        if form == Form::Nothing || last.ends_with("-end") {
            return Ok(empty(StatusCode::NO_CONTENT));
        }
        let resumed = parse_id(last);
        let options = JoinOptions {
            lane: caller.lane.clone(),
            resume: resumed.map(|(epoch, _)| epoch),
        };
        if form == Form::Json {
            let options = JoinOptions {
                resume: None,
                ..options
            };
            let joined = self.queue.join_with(event, &caller.user, options).await?;
            return self.polled(event, joined);
        }
        match self.queue.watch_with(event, &caller.user, options).await? {
            Watched::Stream(updates) => Ok(events(self.stream(updates))),
            Watched::Refused(Joined::Gone { reason, epoch }) => {
                let sequence = resumed.map_or(0, |(_, sequence)| sequence);
                let closed = closed_event(&ClosedUpdate {
                    epoch,
                    sequence,
                    reason,
                });
                Ok(events(stream::iter([closed])))
            }
            Watched::Refused(refused) => self.polled(event, refused),
        }
    }

    /// The answer to a poll.
    fn polled(&self, event: &EventId, joined: Joined) -> Result<Response<Body>, Problem> {
        match joined {
            Joined::Waiting(update) => {
                let retry_after_ms = self.retry_after_ms(event, update.position);
                let body = wire::Polled {
                    status: "waiting",
                    data: wire::Waiting::from(&update),
                    retry_after_ms: Some(retry_after_ms),
                };
                Ok(json_response(StatusCode::ACCEPTED, &body))
            }
            Joined::Admitted(update) => {
                let body = wire::Polled {
                    status: "admitted",
                    data: wire::Admitted::from(&update),
                    retry_after_ms: None,
                };
                Ok(json_response(StatusCode::OK, &body))
            }
            Joined::Gone { reason, .. } => {
                Err(Problem::new(Code::NOT_JOINED).detail(format!("the place ended: {reason}")))
            }
            Joined::Full { retry_after } => {
                Err(Problem::new(Code::ROOM_FULL).retry_after(retry_after))
            }
            Joined::Refused { state } => Err(Problem::room_refuses(state)),
        }
    }

    /// Near the front people ask every one or two seconds, far behind less often, and always well within the grace.
    fn retry_after_ms(&self, event: &EventId, position: Option<u64>) -> u64 {
        let base = match position {
            Some(0..=50) => 1_000,
            Some(51..=1_000) => 3_000,
            _ => 8_000,
        };
        let grace = self.queue.grace_ms(event).unwrap_or(3_000);
        // Spread, so that people who came together do not ask together.
        (base + random_u64() % (base / 4)).min(grace / 3).max(250)
    }

    async fn draw(&self, event: &EventId) -> Result<Response<Body>, Problem> {
        let numbers = self.queue.numbers(event).await?;
        match wire::Draw::new(&numbers) {
            Some(draw) => Ok(json_response(StatusCode::OK, &draw)),
            None => Err(Problem::new(Code::NOT_FOUND).detail("this room has no draw")),
        }
    }

    async fn status(&self, event: &EventId, caller: &Principal) -> Result<Response<Body>, Problem> {
        let joined = match self.queue.standing(event, &caller.user).await? {
            Standing::Waiting(place) => Joined::Waiting(self.queue.describe(event, &place)),
            Standing::Admitted(lease) => {
                Joined::Admitted(self.queue.admitted(event, &caller.user, &lease))
            }
            Standing::Gone { reason, .. } => {
                return Err(
                    Problem::new(Code::NOT_JOINED).detail(format!("the place ended: {reason}"))
                );
            }
            Standing::Absent => return Err(Problem::new(Code::NOT_JOINED)),
        };
        let mut response = self.polled(event, joined)?;
        *response.status_mut() = StatusCode::OK;
        Ok(response)
    }

    async fn leave(
        &self,
        event: &EventId,
        caller: &Principal,
        request: &Inbound,
    ) -> Result<Response<Body>, Problem> {
        if !is_same_origin(&request.headers) {
            return Err(Problem::new(Code::FORBIDDEN).detail("the request comes from another site"));
        }
        // A token in the header says which admission is meant. The cookie may be of an earlier one.
        let fence = admission_from(&request.headers, event)
            .filter(|(_, source)| *source == AdmissionSource::Header)
            .and_then(|(token, _)| self.queue.verify(token).ok())
            .filter(|claims| claims.event == *event && claims.user == caller.user)
            .map(|claims| claims.fence);
        match self.queue.leave(event, &caller.user, fence).await? {
            // An older admission of the same person ended by itself: it is left already.
            Left::Waiting | Left::Admitted | Left::NotJoined | Left::Stale => {
                Ok(empty(StatusCode::NO_CONTENT))
            }
        }
    }

    async fn entry(
        &self,
        event: &EventId,
        caller: &Principal,
        request: &Inbound,
    ) -> Result<Response<Body>, Problem> {
        let door = self
            .entry
            .admit(&GuardRequest {
                event,
                method: &request.method,
                headers: &request.headers,
                address: "/",
                caller: Some(caller),
                page: false,
            })
            .await;
        let admission = match door {
            Door::Open(admission) => admission,
            Door::Refuse(problem) => return Err(problem),
            Door::Redirect(_) => return Err(Problem::new(Code::ADMISSION_REQUIRED)),
        };
        let Standing::Admitted(lease) = self.queue.standing(event, &caller.user).await? else {
            return Err(Problem::new(Code::ADMISSION_REQUIRED).detail("the admission has ended"));
        };
        let mut response = json_response(StatusCode::OK, &wire::Entry::from(&lease));
        admission.write_to(response.headers_mut());
        Ok(response)
    }

    /// The events of a connection: a retry hint, then each update, with comments in between.
    fn stream(
        &self,
        updates: Updates,
    ) -> impl futures_util::Stream<Item = SseEvent> + Send + use<> {
        let clock = Arc::clone(self.queue.clock());
        let hint = SseEvent::retry(1_000 + random_u64() % 2_000);
        let events = stream::unfold(
            (updates, clock),
            |(mut updates, clock): (Updates, Arc<dyn Clock>)| async move {
                let event = tokio::select! {
                    update = updates.next() => update_event(&update?)?,
                    () = clock.sleep(KEEP_ALIVE) => SseEvent::keep_alive(),
                };
                Some((event, (updates, clock)))
            },
        );
        stream::once(async { hint }).chain(events)
    }
}

#[async_trait]
impl Endpoint for QueueHttp {
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

/// What a join answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Events,
    Json,
    /// A prefetch: nothing at all.
    Nothing,
}

fn form_of(request: &Inbound) -> Result<Form, Problem> {
    let headers = &request.headers;
    if is_prefetch(headers) {
        return Ok(Form::Nothing);
    }
    if accepts(headers, "text/event-stream") {
        return Ok(Form::Events);
    }
    let page = accepts(headers, "text/html") || accepts(headers, "application/xhtml+xml");
    let json = accepts(headers, "application/json") || accepts(headers, "application/*");
    let any = !headers.contains_key(header::ACCEPT) || accepts(headers, "*/*");
    if json || (any && !page) {
        return Ok(Form::Json);
    }
    Err(Problem::new(Code::NOT_ACCEPTABLE)
        .detail("Accept text/event-stream to join and stream, or application/json to join and ask"))
}

/// `<epoch>-<sequence>`; the sequence of a drawn place is below zero: `<epoch>--5`.
fn parse_id(id: &str) -> Option<(u64, i64)> {
    let (epoch, sequence) = id.split_once('-')?;
    Some((epoch.parse().ok()?, sequence.parse().ok()?))
}

/// The event of an update; `None` ends the stream without one.
fn update_event(update: &Update) -> Option<SseEvent> {
    Some(match update {
        Update::Waiting(update) => SseEvent::new(
            "waiting",
            format!("{}-{}", update.epoch, update.sequence),
            wire::text(&wire::Waiting::from(update)),
        ),
        Update::Admitted(update) => SseEvent::new(
            "admitted",
            format!("{}-{}", update.epoch, update.sequence),
            wire::text(&wire::Admitted::from(update)),
        ),
        Update::Closed(update) => closed_event(update),
        Update::Reconnect { after_ms } => SseEvent::retry(*after_ms),
        Update::Refused(_) => return None,
    })
}

fn closed_event(update: &ClosedUpdate) -> SseEvent {
    SseEvent::new(
        "closed",
        format!("{}-{}-end", update.epoch, update.sequence),
        wire::text(&wire::Closed {
            reason: update.reason,
        }),
    )
}
