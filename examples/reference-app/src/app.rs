//! All routes of the service, by role. Each one's access rule is written beside it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use http::{StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use ticketon_axum::{EventFrom, Guard, GuestIdentity};
use ticketon_domain::adapter::sandbox::{Sandbox, SandboxHttp};
use ticketon_domain::http::{
    PurchaseAdminHttp, PurchaseHttp, ShopAdminHttp, ShopHttp, TossWebhookHttp,
};
use ticketon_domain::outbox::Relay;
use ticketon_domain::page::SeatPage;
use ticketon_domain::purchase::Purchases;
use ticketon_domain::seat::Seats;
use ticketon_queue::WaitingQueue;
use ticketon_queue::http::{AdminToken, Guests};
use ticketon_queue::page::WaitingPage;
use tokio::sync::watch;

use crate::args::Role;
use crate::auth::{GuestState, guest};
use crate::demo::Crowd;
use crate::events::Listing;
use crate::limits::{Gate, Limit};
use crate::operator::{VisitorState, visitors};
use crate::proxies::Proxies;
use crate::toss_window::TossWindow;
use crate::{events, limits, outbox, pages, telemetry};

/// What the routes need.
pub(crate) struct Parts {
    /// The waiting rooms.
    pub(crate) queue: WaitingQueue,
    /// The seats.
    pub(crate) seats: Seats,
    /// What is bought.
    pub(crate) purchases: Purchases,
    /// What brings events to their bus.
    pub(crate) relay: Arc<Relay>,
    /// Payments without money, if those are used.
    pub(crate) sandbox: Option<Sandbox>,
    /// The payment window of Toss Payments, if buyers pay there.
    pub(crate) toss_window: Option<TossWindow>,
    /// How long a request that moves money has its idempotency key for itself.
    pub(crate) request_lease: Duration,
    /// What this process does.
    pub(crate) role: Role,
    /// The operator's key.
    pub(crate) admin_token: AdminToken,
    /// Whether cookies carry `Secure`.
    pub(crate) secure_cookies: bool,
    /// The simulated crowd, if there is one.
    pub(crate) crowd: Option<Crowd>,
    /// Guests that one client address may become.
    pub(crate) guest_limit: Limit,
    /// Joins of one client address.
    pub(crate) join_limit: Limit,
    /// Who is believed what they say of a client's address.
    pub(crate) proxies: Arc<Proxies>,
    /// Where metrics are read.
    pub(crate) metrics: PrometheusHandle,
    /// Becomes true when the process is going away.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// The service.
pub(crate) fn app(parts: &Parts) -> Router {
    let ready = Ready {
        queue: parts.queue.clone(),
        seats: parts.seats.clone(),
        purchases: parts.purchases.clone(),
        relay: Arc::clone(&parts.relay),
        stopping: parts.stopping.clone(),
    };
    let metrics = parts.metrics.clone();
    // Anybody: they tell nothing about people.
    let mut app = Router::new()
        .route(
            "/health/live",
            get(|| async { Json(json!({"status": "live"})) }),
        )
        .route("/health/ready", get(is_ready).with_state(ready))
        .route(
            "/metrics",
            get(|| async move {
                (
                    [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
                    metrics.render(),
                )
            }),
        );
    if parts.role != Role::Dispatcher {
        app = app.merge(for_visitors(parts)).merge(for_operators(parts));
    }
    app.fallback(ticketon_axum::not_found)
        .layer(middleware::from_fn(telemetry::correlate))
}

fn for_visitors(parts: &Parts) -> Router {
    let queue = &parts.queue;
    let guests = Guests::new(queue.admission_keys().clone()).secure_cookies(parts.secure_cookies);
    let door = Guard::new(queue, EventFrom::path("event_id")).waiting_page("/wait/{event_id}");
    let page = WaitingPage::new()
        .guest_url("/auth/guest")
        .return_to("/door/{event_id}")
        .title(events::title);
    let guest_state = GuestState {
        guests: guests.clone(),
        queue: queue.clone(),
    };
    let guest_gate = Gate::new("guests", parts.guest_limit, &parts.proxies);
    let join_gate = Gate::new("joins", parts.join_limit, &parts.proxies);
    let waiting = ticketon_axum::routes(queue)
        .route_layer(middleware::from_fn_with_state(join_gate, limits::joins));
    let guests_are_made = post(guest)
        .with_state(guest_state)
        .route_layer(middleware::from_fn_with_state(guest_gate, limits::each));
    // Holds and the seat page check the admission by themselves.
    let inner_door = ticketon_queue::guard::Guard::new(queue).waiting_page("/wait/{event_id}");
    let shop = ticketon_axum::routes_of(ShopHttp::new(&parts.seats, inner_door.clone()));
    let purchases = PurchaseHttp::new(&parts.purchases, inner_door.clone());
    let purchases = ticketon_axum::routes_of(purchases.request_lease(parts.request_lease));
    let seat_page = SeatPage::new(inner_door)
        .title(events::title)
        .next_url("/checkout/{event_id}/{hold_id}");
    let seat_page = ticketon_axum::routes_of(seat_page);
    let payments = match &parts.sandbox {
        // The page: anybody. Payments: whoever is identified.
        Some(sandbox) => ticketon_axum::routes_of(SandboxHttp::new(sandbox)),
        // Anybody: what a webhook says is only a hint.
        None => ticketon_axum::routes_of(TossWebhookHttp::new(&parts.purchases)),
    };
    // Each of these asks the database, and a webhook the provider.
    let purchase_gate = Gate::new("purchases", parts.join_limit, &parts.proxies);
    let purchases = purchases
        .merge(payments)
        .route_layer(middleware::from_fn_with_state(purchase_gate, limits::each));
    let listing = Listing {
        seats: parts.seats.clone(),
        demo: parts.crowd.is_some(),
    };
    // Whoever is admitted to the event of the path.
    pages::door(&parts.seats)
        .route_layer(door)
        // Events and maps: anybody. Holds: whoever is admitted.
        .merge(shop)
        .merge(seat_page)
        // Orders and tickets: whoever is identified, for themselves; a new order: whoever is admitted.
        .merge(purchases)
        // Whoever is identified, for themselves.
        .merge(waiting)
        // Anybody.
        .merge(ticketon_axum::routes_of(page))
        .merge(pages::public(&listing, parts.toss_window.clone()))
        .route("/auth/guest", guests_are_made)
        .layer(GuestIdentity::new(guests).recognize_only())
}

fn for_operators(parts: &Parts) -> Router {
    // Whoever carries the admin token.
    let token = &parts.admin_token;
    let shop = ShopAdminHttp::new(&parts.seats, token.clone());
    let admin = ticketon_axum::admin_routes(&parts.queue, token.clone())
        .merge(ticketon_axum::routes_of(shop))
        .merge(ticketon_axum::routes_of(PurchaseAdminHttp::new(
            &parts.purchases,
            token.clone(),
        )));
    match &parts.crowd {
        None => admin,
        Some(crowd) => {
            let state = VisitorState {
                crowd: crowd.clone(),
                token: parts.admin_token.clone(),
            };
            admin.route(
                "/admin/demo/{event_id}/visitors",
                post(visitors).with_state(state),
            )
        }
    }
}

#[derive(Clone)]
struct Ready {
    queue: WaitingQueue,
    seats: Seats,
    purchases: Purchases,
    relay: Arc<Relay>,
    stopping: watch::Receiver<bool>,
}

/// Ready to take people: the store answers, and the process is not going away. How events fare is told, and no reason to
/// send people elsewhere: they wait in the outbox.
async fn is_ready(State(ready): State<Ready>) -> (StatusCode, Json<Value>) {
    let status = if *ready.stopping.borrow() {
        "stopping"
    } else if ready.queue.ping().await.is_err()
        || ready.seats.ping().await.is_err()
        || ready.purchases.store().ping().await.is_err()
    {
        "storeUnavailable"
    } else {
        let events = outbox::state(&ready.relay.health());
        return (
            StatusCode::OK,
            Json(json!({"status": "ready", "events": events})),
        );
    };
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(json!({"status": status})),
    )
}
