//! The service's own pages: home, event, door, checkout, tickets, orders, operator. The waiting page is the core's.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use ticketon_axum::{Problem, into_response};
use ticketon_domain::seat::Seats;
use ticketon_queue::EventId;
use ticketon_queue::http::{Body, Code, Problem as CoreProblem, percent_encode};
use ticketon_queue::page::{file, fill, html};

use crate::events::{self, Listing};
use crate::toss_window::TossWindow;

/// The files under `/assets/`.
const ASSETS: &[(&str, &[u8])] = &[
    (
        "admin-client.js",
        include_bytes!("../assets/admin-client.js"),
    ),
    ("app-texts.js", include_bytes!("../assets/app-texts.js")),
    ("app.css", include_bytes!("../assets/app.css")),
    ("app.js", include_bytes!("../assets/app.js")),
    ("chart.js", include_bytes!("../assets/chart.js")),
    ("checkout.js", include_bytes!("../assets/checkout.js")),
    ("door.js", include_bytes!("../assets/door.js")),
    ("event.js", include_bytes!("../assets/event.js")),
    ("favicon.svg", include_bytes!("../assets/favicon.svg")),
    ("home.js", include_bytes!("../assets/home.js")),
    ("my-orders.js", include_bytes!("../assets/my-orders.js")),
    ("my-tickets.js", include_bytes!("../assets/my-tickets.js")),
    (
        "operator-orders.css",
        include_bytes!("../assets/operator-orders.css"),
    ),
    (
        "operator-orders.js",
        include_bytes!("../assets/operator-orders.js"),
    ),
    ("operator.css", include_bytes!("../assets/operator.css")),
    ("operator.js", include_bytes!("../assets/operator.js")),
    ("pay-return.js", include_bytes!("../assets/pay-return.js")),
    (
        "purchase-client.js",
        include_bytes!("../assets/purchase-client.js"),
    ),
    (
        "purchase-texts.js",
        include_bytes!("../assets/purchase-texts.js"),
    ),
    ("purchase.css", include_bytes!("../assets/purchase.css")),
    ("purchase.js", include_bytes!("../assets/purchase.js")),
    (
        "refund-dialog.js",
        include_bytes!("../assets/refund-dialog.js"),
    ),
    ("toss-window.js", include_bytes!("../assets/toss-window.js")),
];
const HOME: &str = include_str!("../assets/home.html");
const EVENT: &str = include_str!("../assets/event.html");
const DOOR: &str = include_str!("../assets/door.html");
const OPERATOR: &str = include_str!("../assets/operator.html");
const OPERATOR_ORDERS: &str = include_str!("../assets/operator-orders.html");
const CHECKOUT: &str = include_str!("../assets/checkout.html");
const PAY_RETURN: &str = include_str!("../assets/pay-return.html");
const MY_TICKETS: &str = include_str!("../assets/my-tickets.html");
const MY_ORDERS: &str = include_str!("../assets/my-orders.html");
/// Keeps tickets for entrances without a network. It is at the root, as it may only look after pages below its own path.
const TICKETS_WORKER: (&str, &[u8]) = (
    "tickets-worker.js",
    include_bytes!("../assets/tickets-worker.js"),
);

/// Pages that anybody may read. The checkout opens the payment window, if there is one.
pub(crate) fn public(listing: &Listing, toss_window: Option<TossWindow>) -> Router {
    let checkout = get(checkout).with_state((listing.clone(), toss_window));
    let event = get(event).with_state(listing.clone());
    let listed = get(listed).with_state(listing.clone());
    Router::new()
        .route("/", fixed(HOME))
        .route("/e/{event_id}", event)
        // What they show, they ask for by calls, each of which has its own rule.
        .route("/checkout/{event_id}/{hold_id}", checkout)
        .route("/pay/return", fixed(PAY_RETURN))
        .route("/my/tickets", fixed(MY_TICKETS))
        .route("/my/orders", fixed(MY_ORDERS))
        .route("/operator", fixed(OPERATOR))
        .route("/operator/orders", fixed(OPERATOR_ORDERS))
        .route(
            "/tickets-worker.js",
            get(|headers: HeaderMap| async move {
                let (name, bytes) = TICKETS_WORKER;
                into_response(file(&headers, name, bytes))
            }),
        )
        .route("/favicon.ico", get(|headers: HeaderMap| async move { asset(&headers, "favicon.svg") }))
        .route(
            "/assets/{asset}",
            get(|Path(name): Path<String>, headers: HeaderMap| async move { asset(&headers, &name) }),
        )
        .route("/demo/events", listed)
}

/// The door; the guard stands before it. Where the event has seats, it leads on to them.
pub(crate) fn door(seats: &Seats) -> Router {
    Router::new()
        .route("/door/{event_id}", get(enter))
        .with_state(seats.clone())
}

async fn enter(State(seats): State<Seats>, Path(id): Path<String>) -> Response {
    let event = match EventId::new(id) {
        Ok(event) => event,
        Err(error) => return Problem(CoreProblem::from(&error)).into_response(),
    };
    if seats.event(&event).await.is_ok() {
        return Redirect::to(&format!("/seats/{}", percent_encode(event.as_str()))).into_response();
    }
    let title = events::english_title(&event);
    into_response(filled(DOOR, &event, &title, &[]))
}

/// A page that is the same for everybody.
fn fixed(page: &'static str) -> MethodRouter {
    get(move || async move { into_response(html(page.to_owned())) })
}

async fn event(State(listing): State<Listing>, Path(id): Path<String>) -> Response {
    let filled = match known(&listing, id).await {
        Ok((event, title)) => filled(EVENT, &event, &title, &[]),
        Err(problem) => return problem.into_response(),
    };
    into_response(filled)
}

/// An event of the path, and what it is called.
async fn known(listing: &Listing, id: String) -> Result<(EventId, String), Problem> {
    let event = EventId::new(id).map_err(|error| Problem(CoreProblem::from(&error)))?;
    let title = listing.english_title(&event).await;
    Ok((event, title))
}

/// The events on sale.
async fn listed(State(listing): State<Listing>) -> Response {
    match listing.list().await {
        Ok(listed) => Json(listed).into_response(),
        Err(error) => Problem(error.into()).into_response(),
    }
}

/// The checkout of a hold, which is looked for when the page makes its order.
async fn checkout(
    State((listing, window)): State<(Listing, Option<TossWindow>)>,
    Path((event, hold)): Path<(String, String)>,
) -> Response {
    let script = window.as_ref().map_or("", TossWindow::script);
    let (event, title) = match known(&listing, event).await {
        Ok(known) => known,
        Err(problem) => return problem.into_response(),
    };
    let more = [("hold_id", hold.as_str()), ("toss_script", script)];
    let mut page = filled(CHECKOUT, &event, &title, &more);
    if let Some(window) = window {
        window.allow(&mut page);
    }
    into_response(page)
}

/// A page of an event.
fn filled(
    template: &str,
    event: &EventId,
    title: &str,
    more: &[(&str, &str)],
) -> http::Response<Body> {
    let mut values = vec![("event_id", event.as_str()), ("event_title", title)];
    values.extend(more);
    html(fill(template, &values))
}

fn asset(headers: &HeaderMap, name: &str) -> Response {
    match ASSETS.iter().find(|(other, _)| *other == name) {
        Some((name, bytes)) => into_response(file(headers, name, bytes)),
        None => Problem::new(Code::NOT_FOUND).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let served = name.ends_with(".html")
                || name == TICKETS_WORKER.0
                || ASSETS.iter().any(|(other, _)| *other == name);
            assert!(served, "{name}");
        }
    }

    #[test]
    fn every_problem_of_a_purchase_is_explained_in_both_languages() {
        let texts = include_str!("../assets/purchase-texts.js");
        let mut explained = texts
            .split("    problems: {")
            .skip(1)
            .map(|part| part.split("\n    },").next().unwrap());
        let [english, korean] = [explained.next().unwrap(), explained.next().unwrap()];
        assert_eq!(explained.next(), None);
        for code in CODES {
            let entry = format!("      {}: [", code.as_str());
            for problems in [english, korean] {
                assert!(problems.contains(&entry), "{entry}");
            }
        }
    }

    /// What the calls of these pages may answer.
    const CODES: &[Code] = {
        use ticketon_domain::http as shop;
        &[
            shop::AMOUNT_MISMATCH,
            shop::FAULT,
            shop::HOLD_ENDED,
            shop::IDEMPOTENCY_MISMATCH,
            shop::MAP_NOT_READY,
            shop::NOTHING_TO_REFUND,
            shop::ORDER_EXPIRED,
            shop::ORDER_STATE,
            shop::PAYMENT_DECLINED,
            shop::PAYMENT_TAKEN,
            shop::SALES_CHANGED,
            shop::SALE_CLOSED,
            shop::SEATS_TAKEN,
            shop::STILL_RUNNING,
            shop::TICKET_STATE,
            shop::UNKNOWN_HOLD,
            shop::UNKNOWN_ORDER,
            shop::UNKNOWN_TICKET,
            shop::USER_LIMIT,
            Code::ADMISSION_REQUIRED,
            Code::FORBIDDEN,
            Code::INVALID,
            Code::MALFORMED,
            Code::NOT_FOUND,
            Code::STORE_UNAVAILABLE,
            Code::TOO_LARGE,
            Code::UNAUTHENTICATED,
            Code::UNKNOWN_EVENT,
        ]
    };
}
