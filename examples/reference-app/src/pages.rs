//! The service's own pages: home, event, door, operator. The waiting page is the core's.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use ticketon_axum::{Problem, into_response};
use ticketon_domain::seat::Seats;
use ticketon_queue::EventId;
use ticketon_queue::http::{Code, Problem as CoreProblem, percent_encode};
use ticketon_queue::page::{file, fill, html};

use crate::events;

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
    ("door.js", include_bytes!("../assets/door.js")),
    ("event.js", include_bytes!("../assets/event.js")),
    ("favicon.svg", include_bytes!("../assets/favicon.svg")),
    ("home.js", include_bytes!("../assets/home.js")),
    ("operator.css", include_bytes!("../assets/operator.css")),
    ("operator.js", include_bytes!("../assets/operator.js")),
];
const HOME: &str = include_str!("../assets/home.html");
const EVENT: &str = include_str!("../assets/event.html");
const DOOR: &str = include_str!("../assets/door.html");
const OPERATOR: &str = include_str!("../assets/operator.html");

/// Pages that anybody may read.
pub(crate) fn public() -> Router {
    Router::new()
        .route("/", get(|| async { into_response(html(HOME.to_owned())) }))
        .route("/e/{event_id}", get(event))
        .route("/operator", get(|| async { into_response(html(OPERATOR.to_owned())) }))
        .route("/favicon.ico", get(|headers: HeaderMap| async move { asset(&headers, "favicon.svg") }))
        .route(
            "/assets/{asset}",
            get(|Path(name): Path<String>, headers: HeaderMap| async move { asset(&headers, &name) }),
        )
        .route("/demo/events", get(|| async { Json(events::list()) }))
}

/// The door; the guard stands before it. Where the event has seats, it leads on to them.
pub(crate) fn door(seats: &Seats) -> Router {
    Router::new()
        .route("/door/{event_id}", get(enter))
        .with_state(seats.clone())
}

async fn enter(State(seats): State<Seats>, id: Path<String>) -> Response {
    if let Ok(event) = EventId::new(id.as_str())
        && seats.event(&event).await.is_ok()
    {
        return Redirect::to(&format!("/seats/{}", percent_encode(event.as_str()))).into_response();
    }
    page(DOOR, id).await
}

async fn event(id: Path<String>) -> Response {
    page(EVENT, id).await
}

async fn page(template: &str, Path(id): Path<String>) -> Response {
    match EventId::new(id) {
        Ok(event) => {
            let title = events::english_title(&event);
            let values = [
                ("event_id", event.as_str()),
                ("event_title", title.as_str()),
            ];
            into_response(html(fill(template, &values)))
        }
        Err(error) => Problem(CoreProblem::from(&error)).into_response(),
    }
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
            let served = name.ends_with(".html") || ASSETS.iter().any(|(other, _)| *other == name);
            assert!(served, "{name}");
        }
    }
}
