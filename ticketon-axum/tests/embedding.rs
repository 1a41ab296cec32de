//! How a host may put the pieces together, and what they do when put together wrongly.

// A failed unwrap in a test is the failure itself.
#![allow(clippy::unwrap_used)]

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use ticketon_axum::{
    Admitted, EventFrom, Guard, GuestIdentity, Guests, Identify, Principal, Problem, routes,
};
use ticketon_queue::{EventId, Joined, MemoryStore, RoomConfig, UserId, WaitingQueue};
use tower::ServiceExt as _;
use tower_layer::Layer as _;

/// A queue with a room, and an admission token of Ann's.
async fn admitted() -> (WaitingQueue, String) {
    let queue = WaitingQueue::builder(MemoryStore::new())
        .start()
        .await
        .unwrap();
    let event = EventId::new("sale").unwrap();
    let config = RoomConfig::builder().capacity(1).build().unwrap();
    queue.ensure_room(&event, config).await.unwrap();
    let ann = UserId::new("ann").unwrap();
    let Joined::Admitted(admitted) = queue.join(&event, &ann).await.unwrap() else {
        panic!("a slot was free");
    };
    (queue, admitted.admission_token)
}

/// The host's own authentication: a header.
fn identify() -> Identify {
    Identify::with(|parts: &Parts| UserId::new(parts.headers.get("x-user")?.to_str().ok()?).ok())
}

async fn enter(admitted: Admitted) -> Response {
    let hello = format!("{} at {}", admitted.user, admitted.event);
    (admitted, hello).into_response()
}

/// What Ann is answered: status, headers as they print, body.
async fn ask(app: Router, path: &str, headers: &[(&str, &str)]) -> (u16, String, String) {
    let mut request = Request::get(path).header("x-user", "ann");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let names: Vec<String> = parts
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    let body = to_bytes(body, 100_000).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    (parts.status.as_u16(), names.join("\n"), body)
}

#[tokio::test]
async fn a_nested_door_returns_to_the_whole_address() {
    let (queue, token) = admitted().await;
    let door = Guard::new(&queue, EventFrom::path("event_id")).waiting_page("/wait/{event_id}");
    let shop = Router::new()
        .route("/shop/{event_id}", get(enter))
        .route_layer(door);
    let app = Router::new().nest("/{tenant}", shop).layer(identify());
    let html = [("accept", "text/html")];
    let (status, headers, _) = ask(app.clone(), "/acme/shop/sale?row=1", &html).await;
    assert_eq!(status, 303);
    let location = "location: /wait/sale?return=%2Facme%2Fshop%2Fsale%3Frow%3D1";
    assert!(headers.contains(location), "{headers}");

    let header = [("ticketon-admission", &*token)];
    let (status, headers, body) = ask(app, "/acme/shop/sale", &header).await;
    assert_eq!((status, &*body), (200, "ann at sale"));
    assert!(headers.contains("ticketon-admission: "), "{headers}");
}

#[tokio::test]
async fn nested_routes_keep_their_matched_path() {
    let (queue, _) = admitted().await;
    let see = from_fn(async |path: MatchedPath, request: Request, next: Next| {
        let mut response = next.run(request).await;
        let seen = path.as_str().parse().unwrap();
        response.headers_mut().insert("x-matched", seen);
        response
    });
    let app: Router = Router::new()
        .nest("/{tenant}/queue", routes(&queue))
        .layer(identify())
        .layer(see);
    let path = "/acme/queue/events/sale/tickets/waiting/status";
    let (status, headers, _) = ask(app, path, &[]).await;
    assert_eq!(status, 200);
    let matched = "x-matched: /{tenant}/queue/events/{eventId}/tickets/waiting/status";
    assert!(headers.contains(matched), "{headers}");
}

#[tokio::test]
async fn a_door_finds_its_event_where_the_host_says() {
    let (queue, token) = admitted().await;
    let by_host = EventFrom::with(|parts: &Parts| {
        EventId::new(
            parts
                .headers
                .get("host")?
                .to_str()
                .ok()?
                .split('.')
                .next()?,
        )
        .ok()
    });
    for event in [EventFrom::fixed(EventId::new("sale").unwrap()), by_host] {
        let app = Router::new()
            .route("/shop", get(enter))
            .route_layer(Guard::new(&queue, event))
            .layer(identify());
        let headers = [("ticketon-admission", &*token), ("host", "sale.shop.test")];
        assert_eq!(ask(app.clone(), "/shop", &headers).await.0, 200);
        let elsewhere = [("host", "other.shop.test")];
        assert_eq!(ask(app, "/shop", &elsewhere).await.0, 403);
    }
}

#[tokio::test]
async fn a_door_without_an_event_opens_nothing() {
    let (queue, token) = admitted().await;
    let header = [("ticketon-admission", &*token)];
    for event in [EventFrom::path("event_id"), EventFrom::with(|_| None)] {
        let door = Guard::new(&queue, event);
        let routed = Router::new()
            .route("/shop/{event}", get(enter))
            .route_layer(door);
        let (status, _, body) = ask(routed.layer(identify()), "/shop/sale", &header).await;
        assert_eq!(status, 500);
        assert!(body.contains("guardMisplaced"), "{body}");
    }
    // Outside of the router there is no path parameter yet.
    let inner: Router = Router::new().route("/shop/{event_id}", get(enter));
    let door = Guard::new(&queue, EventFrom::path("event_id"));
    let outside = Router::new().fallback_service(door.layer(inner));
    assert_eq!(ask(outside, "/shop/sale", &header).await.0, 500);
}

#[tokio::test]
async fn an_admission_is_verified_without_a_door() {
    let (queue, token) = admitted().await;
    let app: Router = Router::new()
        .route("/a/{event_id}", get(enter))
        .route("/b/{eventId}", get(enter))
        .route("/c/{id}", get(enter))
        .layer(identify());
    let header = [("ticketon-admission", &*token)];
    // Nobody said which queue decides.
    assert_eq!(ask(app.clone(), "/a/sale", &header).await.0, 500);

    let app = app.layer(Extension(queue));
    for path in ["/a/sale", "/b/sale"] {
        assert_eq!(ask(app.clone(), path, &[]).await.0, 403, "{path}");
        let (status, headers, _) = ask(app.clone(), path, &header).await;
        assert_eq!(status, 200, "{path}");
        assert!(
            headers.contains("set-cookie: ticketon_admission_sale="),
            "{headers}"
        );
    }
    assert_eq!(ask(app.clone(), "/a/other", &header).await.0, 403);
    assert_eq!(ask(app, "/c/sale", &header).await.0, 500);
}

#[tokio::test]
async fn a_door_does_not_change_other_routes() {
    let (queue, _) = admitted().await;
    let app = Router::new()
        .route("/shop/{event_id}", post(enter))
        .route_layer(Guard::new(&queue, EventFrom::path("event_id")))
        .route("/open", get(async || "open"))
        .layer(identify());
    assert_eq!(ask(app.clone(), "/open", &[]).await.0, 200);
    assert_eq!(ask(app, "/nothing", &[]).await.0, 404);
}

#[tokio::test]
async fn identity_is_the_outermost_that_knows() {
    let (queue, _) = admitted().await;
    let who =
        async |principal: Principal| -> Result<String, Problem> { Ok(principal.user.to_string()) };
    let maybe = async |principal: Option<Principal>| format!("{}", principal.is_some());
    let guests = Guests::new(queue.admission_keys().clone());
    let cookie = guests.issue(queue.clock().now_ms()).cookie;
    let cookie = cookie
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let known = GuestIdentity::new(guests).recognize_only();
    let routes = || -> Router {
        Router::new()
            .route("/", get(who))
            .route("/maybe", get(maybe))
    };

    // Guests inside: whom the host knows is no guest.
    let inside = routes().layer(known.clone()).layer(identify());
    let (_, _, body) = ask(inside, "/", &[("cookie", &cookie)]).await;
    assert_eq!(body, "ann");
    // Guests alone: the cookie says who it is, and nobody is made a guest.
    let alone = routes().layer(known);
    let (_, _, body) = ask(alone.clone(), "/", &[("cookie", &cookie)]).await;
    assert!(body.starts_with("guest-"), "{body}");
    let (status, headers, _) = ask(alone.clone(), "/", &[]).await;
    assert_eq!(status, 401);
    assert!(!headers.contains("set-cookie"), "{headers}");
    assert_eq!(ask(alone, "/maybe", &[]).await.2, "false");
}

/// HTTP/2 has no `Host`: a browser that says only `Origin` is still known to be at home.
#[tokio::test]
async fn the_own_site_may_call_over_http2() {
    let (queue, token) = admitted().await;
    let door = Guard::new(&queue, EventFrom::path("event_id"));
    let app = Router::new()
        .route("/shop/{event_id}", post(enter))
        .route_layer(door)
        .merge(routes(&queue))
        .layer(identify());
    let call = async |method: &str, path: &str, origin: &str| {
        let request = Request::builder()
            .method(method)
            .uri(format!("https://shop.test{path}"))
            .header("x-user", "ann")
            .header("origin", origin)
            .header("cookie", format!("ticketon_admission_sale={token}"))
            .body(Body::empty())
            .unwrap();
        app.clone().oneshot(request).await.unwrap().status()
    };
    for (origin, buys, leaves) in [
        ("https://evil.test", 403, 403),
        ("https://shop.test", 200, 204),
    ] {
        assert_eq!(call("POST", "/shop/sale", origin).await, buys, "{origin}");
        let left = call("DELETE", "/events/sale/tickets/waiting", origin).await;
        assert_eq!(left, leaves, "{origin}");
    }
}
