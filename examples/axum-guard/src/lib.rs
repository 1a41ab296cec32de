//! One route behind a waiting room, on axum: the whole application.
//!
//! `/shop/{event_id}` is for admitted people alone; others are sent to `/wait/{event_id}`, where
//! they get a place in line. Visitors are guests with a signed cookie; a real shop would put
//! `Identify` behind its own authentication instead.

use axum::extract::State;
use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use guard_settings::Settings;
use serde::Serialize;
use ticketon_axum::{
    Admitted, EventFrom, Guard, GuestIdentity, Guests, Problem, admin_routes, not_found, routes,
    routes_of,
};
use ticketon_queue::guard::Admission;
use ticketon_queue::http::Code;
use ticketon_queue::page::WaitingPage;
use ticketon_queue::{EventId, Fenced, UserId, WaitingQueue};

/// The application; with an admin token also the operators' routes.
pub fn app(queue: &WaitingQueue, settings: &Settings) -> Router {
    let door = Guard::new(queue, EventFrom::path("event_id"))
        .waiting_page("/wait/{event_id}")
        .check(settings.check)
        .store_down(settings.store_down);
    let guests = Guests::new(queue.admission_keys().clone());
    let page = WaitingPage::new()
        .api_base("/queue")
        .return_to("/shop/{event_id}");
    let operators = settings.admin.clone();
    let operators = operators.map(|token| admin_routes(queue, token));
    Router::new()
        .route("/shop/{event_id}", get(shop).post(buy))
        .route_layer(door)
        .nest("/queue", routes(queue))
        .merge(routes_of(page))
        .layer(GuestIdentity::new(guests))
        .merge(operators.unwrap_or_default())
        .route(
            "/",
            get(async || Html(r#"<a href="/shop/demo">Buy tickets</a>"#)),
        )
        .route("/health/ready", get(ready))
        .fallback(not_found)
        .with_state(queue.clone())
}

/// The shop's page: a form that buys.
async fn shop(_admitted: Admitted) -> Html<&'static str> {
    Html(r#"<h1>You are in</h1><form method="post"><button>Buy</button></form>"#)
}

/// What was bought.
#[derive(Debug, Serialize)]
struct Order {
    event: EventId,
    user: UserId,
}

/// Buys, which completes the admission: the next person's turn.
async fn buy(
    State(queue): State<WaitingQueue>,
    admitted: Admitted,
) -> Result<Json<Order>, Problem> {
    let Admission {
        event, user, fence, ..
    } = admitted.into_inner();
    match queue.complete(&event, &user, fence).await? {
        Fenced::Done(()) => Ok(Json(Order { event, user })),
        _ => Err(Problem::new(Code::ADMISSION_REQUIRED).detail("the admission has ended")),
    }
}

/// Whether people can be served.
async fn ready(State(queue): State<WaitingQueue>) -> Result<&'static str, Problem> {
    match queue.ping().await {
        Ok(()) => Ok("ready"),
        Err(_) => Err(Problem::new(Code::STORE_UNAVAILABLE)),
    }
}
