//! How a host may put the pieces together, and what they do when put together wrongly.

// A failed unwrap in a test is the failure itself.
#![allow(clippy::unwrap_used)]

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::{self, Data};
use actix_web::{App, Error};
use ticketon_actix::{
    Admitted, EventFrom, Guard, GuestIdentity, Guests, Identify, Principal, Problem, routes,
};
use ticketon_queue::{EventId, Joined, MemoryStore, RoomConfig, UserId, WaitingQueue};

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
    Identify::with(|request: &ServiceRequest| {
        UserId::new(request.headers().get("x-user")?.to_str().ok()?).ok()
    })
}

async fn enter(admitted: Admitted) -> String {
    format!("{} at {}", admitted.user, admitted.event)
}

/// What Ann is answered: status, headers as they print, body.
async fn ask<T, B>(app: App<T>, path: &str, headers: &[(&str, &str)]) -> (u16, String, String)
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    let app = init_service(app).await;
    let mut request = TestRequest::get()
        .uri(path)
        .insert_header(("x-user", "ann"));
    for (name, value) in headers {
        request = request.insert_header((*name, *value));
    }
    let response = call_service(&app, request.to_request()).await;
    let status = response.status().as_u16();
    let names: Vec<String> = response
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    let body = read_body(response).await;
    let body = String::from_utf8(body.to_vec()).unwrap();
    (status, names.join("\n"), body)
}

#[actix_web::test]
async fn a_nested_door_returns_to_the_whole_address() {
    let (queue, token) = admitted().await;
    let door = Guard::new(&queue, EventFrom::path("event_id")).waiting_page("/wait/{event_id}");
    let app = || {
        let shop = web::resource("/shop/{event_id}").route(web::get().to(enter));
        App::new()
            .service(web::scope("/{tenant}").service(shop.wrap(door.clone())))
            .wrap(identify())
    };
    let html = [("accept", "text/html")];
    let (status, headers, _) = ask(app(), "/acme/shop/sale?row=1", &html).await;
    assert_eq!(status, 303);
    let location = "location: /wait/sale?return=%2Facme%2Fshop%2Fsale%3Frow%3D1";
    assert!(headers.contains(location), "{headers}");

    let header = [("ticketon-admission", &*token)];
    let (status, headers, body) = ask(app(), "/acme/shop/sale", &header).await;
    assert_eq!((status, &*body), (200, "ann at sale"));
    assert!(headers.contains("ticketon-admission: "), "{headers}");
}

#[actix_web::test]
async fn nested_routes_keep_their_match_pattern() {
    let (queue, _) = admitted().await;
    let seen = |request: &ServiceRequest| -> Option<UserId> {
        let user = UserId::new("ann").ok();
        user.filter(|_| request.match_pattern().is_some())
    };
    let scope = web::scope("/{tenant}/queue").configure(routes(&queue));
    let app = App::new().service(scope).wrap(Identify::with(seen));
    let path = "/acme/queue/events/sale/tickets/waiting/status";
    let (status, _, body) = ask(app, path, &[]).await;
    assert_eq!(status, 200, "{body}");
}

#[actix_web::test]
async fn a_door_finds_its_event_where_the_host_says() {
    let (queue, token) = admitted().await;
    let by_host = EventFrom::with(|request: &ServiceRequest| {
        EventId::new(
            request
                .headers()
                .get("host")?
                .to_str()
                .ok()?
                .split('.')
                .next()?,
        )
        .ok()
    });
    for event in [EventFrom::fixed(EventId::new("sale").unwrap()), by_host] {
        let door = Guard::new(&queue, event);
        let app = || {
            let shop = web::resource("/shop").route(web::get().to(enter));
            App::new().service(shop.wrap(door.clone())).wrap(identify())
        };
        let headers = [("ticketon-admission", &*token), ("host", "sale.shop.test")];
        assert_eq!(ask(app(), "/shop", &headers).await.0, 200);
        let elsewhere = [("host", "other.shop.test")];
        assert_eq!(ask(app(), "/shop", &elsewhere).await.0, 403);
    }
}

#[actix_web::test]
async fn a_door_without_an_event_opens_nothing() {
    let (queue, token) = admitted().await;
    let header = [("ticketon-admission", &*token)];
    for event in [EventFrom::path("event_id"), EventFrom::with(|_| None)] {
        let shop = web::resource("/shop/{event}").route(web::get().to(enter));
        let shop = shop.wrap(Guard::new(&queue, event));
        let app = App::new().service(shop).wrap(identify());
        let (status, _, body) = ask(app, "/shop/sale", &header).await;
        assert_eq!(status, 500);
        assert!(body.contains("guardMisplaced"), "{body}");
    }
    // Around the whole application there is no path parameter yet.
    let app = App::new()
        .route("/shop/{event_id}", web::get().to(enter))
        .wrap(Guard::new(&queue, EventFrom::path("event_id")))
        .wrap(identify());
    assert_eq!(ask(app, "/shop/sale", &header).await.0, 500);
}

#[actix_web::test]
async fn an_admission_is_verified_without_a_door() {
    let (queue, token) = admitted().await;
    let app = || {
        App::new()
            .route("/a/{event_id}", web::get().to(enter))
            .route("/b/{eventId}", web::get().to(enter))
            .route("/c/{id}", web::get().to(enter))
    };
    let header = [("ticketon-admission", &*token)];
    // Nobody said which queue decides.
    assert_eq!(ask(app().wrap(identify()), "/a/sale", &header).await.0, 500);

    let queue = Data::new(queue);
    let app = || app().app_data(queue.clone()).wrap(identify());
    for path in ["/a/sale", "/b/sale"] {
        assert_eq!(ask(app(), path, &[]).await.0, 403, "{path}");
        assert_eq!(ask(app(), path, &header).await.0, 200, "{path}");
    }
    assert_eq!(ask(app(), "/a/other", &header).await.0, 403);
    assert_eq!(ask(app(), "/c/sale", &header).await.0, 500);
}

#[actix_web::test]
async fn identity_is_the_outermost_that_knows() {
    async fn who(principal: Principal) -> Result<String, Problem> {
        Ok(principal.user.to_string())
    }
    async fn maybe(principal: Option<Principal>) -> String {
        principal.is_some().to_string()
    }
    let (queue, _) = admitted().await;
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
    let app = || {
        App::new()
            .route("/", web::get().to(who))
            .route("/maybe", web::get().to(maybe))
            .wrap(known.clone())
    };

    // Guests inside: whom the host knows is no guest.
    let (_, _, body) = ask(app().wrap(identify()), "/", &[("cookie", &cookie)]).await;
    assert_eq!(body, "ann");
    // Guests alone: the cookie says who it is, and nobody is made a guest.
    let (_, _, body) = ask(app(), "/", &[("cookie", &cookie)]).await;
    assert!(body.starts_with("guest-"), "{body}");
    let (status, headers, _) = ask(app(), "/", &[]).await;
    assert_eq!(status, 401);
    assert!(!headers.contains("set-cookie"), "{headers}");
    assert_eq!(ask(app(), "/maybe", &[]).await.2, "false");
}

/// HTTP/2 has no `Host`: a browser that says only `Origin` is still known to be at home.
#[actix_web::test]
async fn the_own_site_may_call_over_http2() {
    let (queue, token) = admitted().await;
    let door = Guard::new(&queue, EventFrom::path("event_id"));
    let shop = web::resource("/shop/{event_id}").route(web::post().to(enter));
    let app = App::new()
        .service(shop.wrap(door))
        .configure(routes(&queue))
        .wrap(identify());
    let app = init_service(app).await;
    let call = async |request: TestRequest, path: &str, origin: &str| {
        let request = request
            .uri(&format!("https://shop.test{path}"))
            .insert_header(("x-user", "ann"))
            .insert_header(("origin", origin))
            .insert_header(("cookie", format!("ticketon_admission_sale={token}")));
        let response = call_service(&app, request.to_request()).await;
        response.status().as_u16()
    };
    for (origin, buys, leaves) in [
        ("https://evil.test", 403, 403),
        ("https://shop.test", 200, 204),
    ] {
        let bought = call(TestRequest::post(), "/shop/sale", origin).await;
        assert_eq!(bought, buys, "{origin}");
        let path = "/events/sale/tickets/waiting";
        let left = call(TestRequest::delete(), path, origin).await;
        assert_eq!(left, leaves, "{origin}");
    }
}
