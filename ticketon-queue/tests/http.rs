//! Doors and calls as HTTP sees them, on the memory store and a clock that the tests turn.

#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Response, header};
use serde_json::Value;
use ticketon_queue::guard::{Admission, Check, Door, Guard, GuardRequest};
use ticketon_queue::http::{
    ADMISSION_HEADER, AdminHttp, AdminToken, Body, Code, Endpoint as _, Inbound, Op, Params,
    Principal, QueueHttp,
};
use ticketon_queue::{
    EventId, Joined, ManualClock, MemoryStore, RoomConfig, Standing, UserId, WaitingQueue,
};

#[path = "http/broken.rs"]
mod broken;

const START_MS: i64 = 1_767_225_600_000;
const ADMIN: &str = "0123456789abcdef";

struct World {
    queue: WaitingQueue,
    clock: ManualClock,
    event: EventId,
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn config() -> RoomConfig {
    RoomConfig::builder()
        .capacity(1)
        .claim_ttl_seconds(30)
        .entry_ttl_seconds(60)
        .build()
        .unwrap()
}

async fn world() -> World {
    let clock = ManualClock::at(START_MS);
    let store = MemoryStore::with_clock(Arc::new(clock.clone()));
    let queue = WaitingQueue::builder(store)
        .clock(Arc::new(clock.clone()))
        .dispatch(false)
        .start()
        .await
        .unwrap();
    let event = EventId::new("demo").unwrap();
    queue.ensure_room(&event, config()).await.unwrap();
    World {
        queue,
        clock,
        event,
    }
}

/// One request of Ann's.
struct Ask<'a> {
    method: Method,
    token: &'a str,
    purpose: Option<&'static str>,
}

impl<'a> Ask<'a> {
    fn get(token: &'a str) -> Self {
        Self {
            method: Method::GET,
            token,
            purpose: None,
        }
    }

    fn head(token: &'a str) -> Self {
        Self {
            method: Method::HEAD,
            ..Self::get(token)
        }
    }

    fn prefetch(token: &'a str) -> Self {
        Self {
            purpose: Some("prefetch;prerender"),
            ..Self::get(token)
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/html"));
        headers.insert(ADMISSION_HEADER, self.token.parse().unwrap());
        if let Some(purpose) = self.purpose {
            headers.insert("sec-purpose", HeaderValue::from_static(purpose));
        }
        headers
    }
}

impl World {
    /// Admits Ann: her unclaimed token and her fence.
    async fn admit(&self) -> (String, u64) {
        let Joined::Admitted(update) = self.queue.join(&self.event, &user("ann")).await.unwrap()
        else {
            panic!("nobody else is here");
        };
        (update.admission_token, update.fence)
    }

    async fn is_claimed(&self) -> bool {
        match self.queue.standing(&self.event, &user("ann")).await {
            Ok(Standing::Admitted(lease)) => lease.claimed,
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&self, guard: &Guard, ask: Ask<'_>) -> Door {
        guard
            .admit(&GuardRequest {
                event: &self.event,
                method: &ask.method,
                headers: &ask.headers(),
                address: "/shop",
                caller: Some(&Principal::new(user("ann"))),
                page: true,
            })
            .await
    }

    async fn open(&self, guard: &Guard, ask: Ask<'_>) -> Admission {
        match self.ask(guard, ask).await {
            Door::Open(admission) => admission,
            other => panic!("{other:?}"),
        }
    }

    async fn call(&self, op: Op, ask: Ask<'_>) -> Response<Body> {
        let caller = Some(Principal::new(user("ann")));
        self.call_as(op, &ask.method, ask.headers(), caller, "demo")
            .await
    }

    async fn call_as(
        &self,
        op: Op,
        method: &Method,
        headers: HeaderMap,
        caller: Option<Principal>,
        event: &str,
    ) -> Response<Body> {
        let request = inbound(method, headers, caller, event);
        QueueHttp::new(&self.queue).call(op, request).await
    }
}

fn inbound(method: &Method, headers: HeaderMap, caller: Option<Principal>, event: &str) -> Inbound {
    Inbound {
        method: method.clone(),
        params: Params::from_iter([("eventId", event)]),
        query: None,
        headers,
        caller,
        body: bytes::Bytes::new(),
    }
}

fn token_of(admission: &Admission) -> Option<String> {
    let mut headers = admission.headers();
    let (_, token) = headers.find(|(name, _)| *name == ADMISSION_HEADER)?;
    Some(token.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_extended_admission_outlives_its_first_token() {
    let world = world().await;
    let (unclaimed, fence) = world.admit().await;
    // An answer of the store is believed for longer than the token lasts.
    let guard = Guard::new(&world.queue).cache(Duration::from_secs(3_600));
    let claimed = world.open(&guard, Ask::get(&unclaimed)).await;
    let mut token = token_of(&claimed).expect("a claimed token");
    world.clock.advance(Duration::from_secs(30));
    let by = Duration::from_secs(600);
    let ann = user("ann");
    world
        .queue
        .extend(&world.event, &ann, fence, by)
        .await
        .unwrap();
    let mut renewed = 0;
    for _ in 0..12 {
        world.clock.advance(Duration::from_secs(5));
        let admission = world.open(&guard, Ask::get(&token)).await;
        if let Some(new) = token_of(&admission) {
            token = new;
            renewed += 1;
        }
    }
    assert_eq!(renewed, 1);
}

#[tokio::test]
async fn an_answer_with_a_token_is_not_stored() {
    let world = world().await;
    let (unclaimed, _) = world.admit().await;
    let admission = world
        .open(&Guard::new(&world.queue), Ask::get(&unclaimed))
        .await;
    let mut answer = HeaderMap::new();
    answer.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=60"),
    );
    answer.insert(header::SET_COOKIE, HeaderValue::from_static("basket=1"));
    admission.write_to(&mut answer);
    let kept: Vec<_> = answer.get_all(header::CACHE_CONTROL).iter().collect();
    assert_eq!(kept, ["no-store"]);
    assert_eq!(answer.get_all(header::SET_COOKIE).iter().count(), 2);
}

#[tokio::test]
async fn looking_at_a_door_claims_nothing() {
    let world = world().await;
    let (unclaimed, _) = world.admit().await;
    for check in [
        Check::Offline,
        Check::Lease {
            cache: Duration::from_secs(1),
        },
    ] {
        let guard = Guard::new(&world.queue)
            .check(check)
            .waiting_page("/wait/{id}");
        let looked = world.open(&guard, Ask::head(&unclaimed)).await;
        assert_eq!(looked.headers().count(), 0);
        match world.ask(&guard, Ask::prefetch(&unclaimed)).await {
            Door::Refuse(problem) => assert_eq!(problem.code, Code::ADMISSION_REQUIRED),
            other => panic!("{other:?}"),
        }
        assert!(!world.is_claimed().await, "{check:?}");
    }
    let guard = Guard::new(&world.queue);
    let claimed = token_of(&world.open(&guard, Ask::get(&unclaimed)).await).unwrap();
    assert!(world.is_claimed().await);
    world.open(&guard, Ask::prefetch(&claimed)).await;
}

#[tokio::test]
async fn a_look_at_an_ended_admission_is_refused() {
    let world = world().await;
    let (unclaimed, fence) = world.admit().await;
    let ann = user("ann");
    world
        .queue
        .leave(&world.event, &ann, Some(fence))
        .await
        .unwrap();
    let door = world
        .ask(&Guard::new(&world.queue), Ask::head(&unclaimed))
        .await;
    assert!(matches!(door, Door::Refuse(_)), "{door:?}");
}

#[tokio::test]
async fn looking_at_the_entry_claims_nothing() {
    let world = world().await;
    let (unclaimed, _) = world.admit().await;
    let head = world.call(Op::ENTRY, Ask::head(&unclaimed)).await;
    assert_eq!(head.status(), 200);
    assert!(matches!(head.body(), Body::Empty));
    let prefetch = world.call(Op::ENTRY, Ask::prefetch(&unclaimed)).await;
    assert_eq!(prefetch.status(), 403);
    assert!(!world.is_claimed().await);
    let entry = world.call(Op::ENTRY, Ask::get(&unclaimed)).await;
    assert_eq!(entry.status(), 200);
    assert!(world.is_claimed().await);
}

#[tokio::test]
async fn head_answers_what_get_would_without_a_body() {
    let world = world().await;
    let ann = || Some(Principal::new(user("ann")));
    for (op, caller, event, status) in [
        (Op::JOIN, None, "demo", 401),
        (Op::JOIN, ann(), "no-such-room", 404),
        (Op::JOIN, ann(), "demo", 200),
        (Op::STATUS, None, "demo", 401),
        (Op::STATUS, ann(), "demo", 404),
        (Op::ENTRY, ann(), "demo", 403),
        (Op::DRAW, None, "demo", 404),
    ] {
        let head = &Method::HEAD;
        let headers = HeaderMap::new();
        let answer = world.call_as(op, head, headers, caller, event).await;
        assert_eq!(answer.status(), status, "{op:?}");
        assert!(matches!(answer.body(), Body::Empty), "{op:?}");
    }
    let joined = world.queue.numbers(&world.event).await.unwrap();
    assert_eq!(joined.joined_total, 0);
}

fn admin(queue: &WaitingQueue) -> (AdminHttp, HeaderMap) {
    let admin = AdminHttp::new(queue, AdminToken::new(ADMIN).unwrap());
    let mut headers = HeaderMap::new();
    let value = format!("bearer {ADMIN}");
    headers.insert(header::AUTHORIZATION, value.parse().unwrap());
    (admin, headers)
}

fn json(answer: &Response<Body>) -> Value {
    match answer.body() {
        Body::Full(bytes) => serde_json::from_slice(bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn operators_may_look_with_head() {
    let world = world().await;
    let (admin, headers) = admin(&world.queue);
    for (headers, event, status) in [
        (headers.clone(), "demo", 200),
        (headers, "no-such-room", 404),
        (HeaderMap::new(), "demo", 401),
    ] {
        let request = inbound(&Method::HEAD, headers, None, event);
        let answer = admin.call(Op::GET_ROOM, request).await;
        assert_eq!(answer.status(), status);
        assert!(matches!(answer.body(), Body::Empty));
    }
}

#[tokio::test]
async fn the_list_of_rooms_does_not_hide_a_broken_store() {
    let queue = broken::queue(&["a"], &[]).await;
    let (admin, headers) = admin(&queue);
    let request = inbound(&Method::GET, headers, None, "");
    let answer = admin.call(Op::LIST_ROOMS, request).await;
    assert_eq!(answer.status(), 503);
}

#[tokio::test]
async fn the_list_goes_on_behind_rooms_that_went() {
    // Both rooms of the first page go while it is read.
    let queue = broken::queue(&[], &["a", "b"]).await;
    let (admin, headers) = admin(&queue);
    let mut request = inbound(&Method::GET, headers, None, "");
    request.query = Some("limit=2".to_owned());
    let page = json(&admin.call(Op::LIST_ROOMS, request.clone()).await);
    assert_eq!(page["rooms"], Value::Array(Vec::new()));
    assert_eq!(page["nextAfter"], "b");
    request.query = Some("limit=2&after=b".to_owned());
    let page = json(&admin.call(Op::LIST_ROOMS, request).await);
    assert_eq!(page["rooms"][0]["eventId"], "c");
    assert_eq!(page["nextAfter"], Value::Null);
}
