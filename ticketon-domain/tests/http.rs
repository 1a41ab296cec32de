//! Calls as HTTP sees them, on memory stores and a clock that the tests turn: what a client over a real connection
//! would have to wait for.

#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::{HeaderMap, HeaderValue, Method};
use ticketon_domain::adapter::memory::MemorySeatStore;
use ticketon_domain::event::{Event, EventStatus};
use ticketon_domain::http::{ROUTES, ShopHttp};
use ticketon_domain::seat::Seats;
use ticketon_domain::venue::sample;
use ticketon_queue::http::{ADMISSION_HEADER, Body, Endpoint as _, Inbound, Principal, SseEvent};
use ticketon_queue::{EventId, Joined, ManualClock, MemoryStore, RoomConfig, UserId, WaitingQueue};

const START_MS: i64 = 1_767_225_600_000;

struct World {
    clock: ManualClock,
    queue: WaitingQueue,
    seats: Seats,
    event: EventId,
}

async fn world() -> World {
    let clock = ManualClock::at(START_MS);
    let shared = Arc::new(clock.clone());
    let rooms = MemoryStore::with_clock(shared.clone());
    let queue = WaitingQueue::builder(rooms).clock(shared.clone());
    let queue = queue.dispatch(false).start().await.unwrap();
    let event = EventId::new("demo").unwrap();
    let room = RoomConfig::builder().capacity(1).build().unwrap();
    queue.ensure_room(&event, room).await.unwrap();
    let seats = Seats::builder(MemorySeatStore::new().with_clock(shared.clone()));
    let seats = seats.clock(shared).keep(false).start().await.unwrap();
    let sold = Event::builder(event.clone())
        .title("Demo", "데모")
        .venue("Club")
        .starts_at_ms(START_MS + 1_000_000)
        .status(EventStatus::Open)
        .currency("KRW")
        .price("standing", 1_000)
        .build()
        .unwrap();
    seats
        .put_event(sold, sample::club(10))
        .await
        .unwrap()
        .saved()
        .unwrap();
    World {
        clock,
        queue,
        seats,
        event,
    }
}

/// Opens the stream of updates, for whoever is admitted first.
async fn updates(world: &World) -> BoxStream<'static, SseEvent> {
    let ann = UserId::new("ann").unwrap();
    let joined = world.queue.join(&world.event, &ann).await.unwrap();
    let Joined::Admitted(admitted) = joined else {
        panic!("not admitted: {joined:?}");
    };
    let route = ROUTES
        .iter()
        .find(|route| route.op.as_str() == "watchSeats");
    let mut headers = HeaderMap::new();
    let token = HeaderValue::try_from(admitted.admission_token).unwrap();
    headers.insert(ADMISSION_HEADER, token);
    let request = Inbound {
        method: Method::GET,
        params: [("eventId", "demo")].into_iter().collect(),
        query: None,
        headers,
        caller: Some(Principal::new(ann)),
        body: Default::default(),
    };
    let shop = ShopHttp::new(&world.seats, &world.queue);
    let answer = shop.call(route.unwrap().op, request).await;
    assert_eq!(answer.status(), 200);
    match answer.into_body() {
        Body::Events(events) => events,
        other => panic!("no stream: {other:?}"),
    }
}

#[tokio::test]
async fn a_quiet_stream_says_every_fifteen_seconds_that_it_lives() {
    let world = world().await;
    let mut events = updates(&world).await;
    let hint = events.next().await.unwrap();
    assert!((1_000..3_000).contains(&hint.retry_ms.unwrap()), "{hint:?}");
    let first = events.next().await.unwrap().to_bytes();
    assert!(first.starts_with(b"event: resync\n"), "{first:?}");
    for _ in 0..3 {
        let mut next = std::pin::pin!(events.next());
        // Polled once, so that it waits from now on.
        assert!(futures_util::poll!(next.as_mut()).is_pending());
        world.clock.advance(Duration::from_millis(14_999));
        assert!(futures_util::poll!(next.as_mut()).is_pending());
        world.clock.advance(Duration::from_millis(1));
        let sign = next.await.unwrap().to_bytes();
        // For proxies, and for pages.
        assert_eq!(sign, ": keep-alive\nevent: alive\ndata: {}\n\n");
    }
    // A stop ends it, rather than let it fall silent.
    world.seats.shutdown().await;
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_stream_ends_with_the_admission_that_opened_it() {
    let world = world().await;
    let mut events = updates(&world).await;
    let hint = events.next().await;
    assert!(hint.is_some_and(|hint| hint.retry_ms.is_some()));
    assert!(events.next().await.is_some(), "a resync");
    // It claimed the admission, so it outlasts the time to do so.
    let mut seconds = 0;
    loop {
        let mut next = std::pin::pin!(events.next());
        assert!(futures_util::poll!(next.as_mut()).is_pending());
        world.clock.advance(Duration::from_secs(15));
        seconds += 15;
        match next.await {
            Some(sign) => assert!(sign.to_bytes().starts_with(b": keep-alive\n")),
            None => break,
        }
    }
    // 600 seconds is how long an admission lasts, and its token a little less.
    assert_eq!(seconds, 600);
}
