//! The seat map page and its ES modules, for any host.
//!
//! Static files without a build step, under the same strict content security policy as the waiting
//! page, whose sheet and words they share: nest both at the same path. Only admitted people see the
//! page; others are sent to the waiting page.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::Response;
use ticketon_queue::EventId;
use ticketon_queue::guard::{Door, Guard, GuardRequest};
use ticketon_queue::http::{
    Access, Body, Code, Endpoint, Inbound, Op, Problem, Route, event_of, not_found, percent_encode,
    see_other, without_body,
};
use ticketon_queue::page::{Title, file, fill, html};

const TEMPLATE: &str = include_str!("page/assets/seats.html");

/// The files that the page loads.
const ASSETS: &[(&str, &[u8])] = &[
    (
        "hold-client.js",
        include_bytes!("page/assets/hold-client.js"),
    ),
    (
        "seat-camera.js",
        include_bytes!("page/assets/seat-camera.js"),
    ),
    ("seat-feed.js", include_bytes!("page/assets/seat-feed.js")),
    ("seat-grid.js", include_bytes!("page/assets/seat-grid.js")),
    ("seat-list.js", include_bytes!("page/assets/seat-list.js")),
    ("seat-map.js", include_bytes!("page/assets/seat-map.js")),
    ("seat-plan.js", include_bytes!("page/assets/seat-plan.js")),
    (
        "seat-sprites.js",
        include_bytes!("page/assets/seat-sprites.js"),
    ),
    ("seat-texts.js", include_bytes!("page/assets/seat-texts.js")),
    ("seats.css", include_bytes!("page/assets/seats.css")),
    ("seats.js", include_bytes!("page/assets/seats.js")),
];

const SEAT_PAGE: Op = Op::new("seatPage");
const SEAT_ASSET: Op = Op::new("seatAsset");

/// The routes of the seat map page.
pub const PAGE_ROUTES: &[Route] = &[
    Route {
        op: SEAT_PAGE,
        method: "GET",
        path: "/seats/{eventId}",
        access: Access::Admitted,
        body_limit: 0,
        request: None,
        response: None,
        summary: "The seat map page",
    },
    Route {
        op: SEAT_ASSET,
        method: "GET",
        path: "/ticketon/seats/{asset}",
        access: Access::Public,
        body_limit: 0,
        request: None,
        response: None,
        summary: "The files of the seat map page",
    },
];

type TitleOf = Arc<dyn Fn(&EventId) -> Title + Send + Sync>;

/// The seat map page: an [`Endpoint`] that an adapter serves, beside the waiting page.
///
/// ```
/// use ticketon_domain::page::SeatPage;
/// use ticketon_queue::guard::Guard;
/// # use ticketon_queue::WaitingQueue;
/// # fn example(queue: &WaitingQueue) {
/// let door = Guard::new(queue).waiting_page("/wait/{event_id}");
/// let page = SeatPage::new(door).title(|event| format!("Tickets for {event}"));
/// # drop(page);
/// # }
/// ```
#[derive(Clone)]
pub struct SeatPage {
    door: Guard,
    api_base: String,
    base: String,
    waiting_url: String,
    home_url: String,
    next_url: String,
    title: TitleOf,
}

impl fmt::Debug for SeatPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeatPage")
            .field("api_base", &self.api_base)
            .field("next_url", &self.next_url)
            .finish_non_exhaustive()
    }
}

impl SeatPage {
    /// A page behind this door, whose routes, and those of queue and seats, are at the host's root.
    #[must_use]
    pub fn new(door: Guard) -> Self {
        Self {
            door,
            api_base: String::new(),
            base: String::new(),
            waiting_url: "/wait/{event_id}".to_owned(),
            home_url: "/".to_owned(),
            next_url: String::new(),
            title: Arc::new(|event| event.as_str().into()),
        }
    }

    /// Where the routes of queue and seats are nested, without a trailing slash.
    #[must_use]
    pub fn api_base(mut self, path: impl Into<String>) -> Self {
        self.api_base = path.into();
        self
    }

    /// Where this page's routes and the waiting page's are nested, without a trailing slash.
    #[must_use]
    pub fn nested_at(mut self, path: impl Into<String>) -> Self {
        self.base = path.into();
        self
    }

    /// Where people join again whose time is up; `{event_id}` stands for the id.
    #[must_use]
    pub fn waiting_url(mut self, path: impl Into<String>) -> Self {
        self.waiting_url = path.into();
        self
    }

    /// Where people go who have left.
    #[must_use]
    pub fn home_url(mut self, path: impl Into<String>) -> Self {
        self.home_url = path.into();
        self
    }

    /// Where people go on with their hold: `{event_id}` and `{hold_id}` stand for the ids. Without it the page
    /// ends with the hold.
    #[must_use]
    pub fn next_url(mut self, path: impl Into<String>) -> Self {
        self.next_url = path.into();
        self
    }

    /// What an event is called: a text, or a [`Title`] with one for each language.
    #[must_use]
    pub fn title<T: Into<Title>>(
        mut self,
        title: impl Fn(&EventId) -> T + Send + Sync + 'static,
    ) -> Self {
        self.title = Arc::new(move |event| title(event).into());
        self
    }

    /// The page of an event.
    #[must_use]
    pub fn render(&self, event: &EventId) -> String {
        let title = (self.title)(event);
        let id = percent_encode(event.as_str());
        fill(
            TEMPLATE,
            &[
                ("event_id", event.as_str()),
                ("event_title", title.english()),
                ("event_title_ko", title.korean()),
                ("api_base", &self.api_base),
                ("waiting_base", &format!("{}/ticketon", self.base)),
                ("assets_base", &format!("{}/ticketon/seats", self.base)),
                ("waiting_url", &self.waiting_url.replace("{event_id}", &id)),
                ("home_url", &self.home_url),
                ("next_url", &self.next_url.replace("{event_id}", &id)),
            ],
        )
    }

    async fn page(&self, request: &Inbound) -> Result<Response<Body>, Problem> {
        let event = event_of(request)?;
        let address = format!("{}/seats/{}", self.base, percent_encode(event.as_str()));
        let door = self
            .door
            .admit(&GuardRequest {
                event: &event,
                method: &request.method,
                headers: &request.headers,
                address: &address,
                caller: request.caller.as_ref(),
                page: true,
            })
            .await;
        match door {
            Door::Open(admission) => {
                let mut response = html(self.render(&event));
                admission.write_to(response.headers_mut());
                Ok(response)
            }
            Door::Redirect(to) => Ok(see_other(&to)),
            Door::Refuse(problem) => Err(problem),
        }
    }
}

#[async_trait]
impl Endpoint for SeatPage {
    fn routes(&self) -> &'static [Route] {
        PAGE_ROUTES
    }

    async fn call(&self, op: Op, request: Inbound) -> Response<Body> {
        let answer = match op {
            SEAT_PAGE => self.page(&request).await,
            SEAT_ASSET => {
                let name = request.params.get("asset").unwrap_or_default();
                Ok(match ASSETS.iter().find(|(other, _)| *other == name) {
                    Some((name, bytes)) => file(&request.headers, name, bytes),
                    None => not_found(),
                })
            }
            _ => Err(Problem::new(Code::NOT_FOUND)),
        };
        without_body(
            &request.method,
            answer.unwrap_or_else(Problem::into_response),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/page/assets");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let served = name == "seats.html" || ASSETS.iter().any(|(other, _)| *other == name);
            assert!(served, "{name}");
        }
    }
}
