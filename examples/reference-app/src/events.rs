//! What the pages say about the events on sale.

use serde_json::{Value, json};
use ticketon_domain::event::{EventQuery, EventStatus};
use ticketon_domain::seat::{Seats, SeatsError};
use ticketon_queue::EventId;
use ticketon_queue::clock::rfc3339;
use ticketon_queue::http::percent_encode;
use ticketon_queue::page::Title;

use crate::demo::DEMO;

/// The demo's title.
pub(crate) const ENGLISH: &str = "Northern Lights, live";
pub(crate) const KOREAN: &str = "노던 라이츠 내한 공연";
/// Where and when it is.
pub(crate) const VENUE: &str = "Harbour Hall, Busan";
pub(crate) const STARTS_AT: &str = "2027-05-08T19:00:00+09:00";

/// Events on the start page, at the most.
const LISTED: usize = 100;

/// What the pages know of events.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    /// The catalog.
    pub(crate) seats: Seats,
    /// Whether there is the demo.
    pub(crate) demo: bool,
}

impl Listing {
    /// The events on sale, as the pages list them: the demo first, of which more is known, then those of the catalog.
    ///
    /// # Errors
    /// The catalog failed.
    pub(crate) async fn list(&self) -> Result<Value, SeatsError> {
        let mut listed = Vec::new();
        if self.demo {
            let venue = json!({"en": VENUE, "ko": "부산 하버홀"});
            let title = Title::new(ENGLISH, KOREAN);
            listed.push(entry(DEMO, &title, &venue, STARTS_AT));
        }
        let query = EventQuery {
            statuses: vec![EventStatus::Open],
            limit: LISTED,
            ..EventQuery::default()
        };
        for event in &self.seats.list(&query).await?.items {
            if event.id().as_str() != DEMO {
                let (id, venue) = (event.id().as_str(), json!(event.venue()));
                let starts_at = rfc3339(event.starts_at_ms());
                let title = Title::new(&event.title().en, &event.title().ko);
                listed.push(entry(id, &title, &venue, &starts_at));
            }
        }
        Ok(listed.into())
    }

    /// The English title, for pages that are written before their reader's language is known; the id if nothing is known.
    pub(crate) async fn english_title(&self, event: &EventId) -> String {
        match self.seats.event(event).await {
            Ok(known) => known.title().en.clone(),
            Err(_) => english_title(event),
        }
    }
}

fn entry(id: &str, title: &Title, venue: &Value, starts_at: &str) -> Value {
    let path = percent_encode(id);
    json!({
        "id": id,
        "title": {"en": title.english(), "ko": title.korean()},
        "venue": venue,
        "startsAt": starts_at,
        "image": null,
        "waitUrl": format!("/wait/{path}"),
        "doorUrl": format!("/door/{path}"),
    })
}

/// What an event is called; its id if nothing is known.
#[must_use]
pub(crate) fn title(event: &EventId) -> Title {
    if event.as_str() == DEMO {
        Title::new(ENGLISH, KOREAN)
    } else {
        event.as_str().into()
    }
}

/// The English title, for pages that are written before their reader's language is known.
#[must_use]
pub(crate) fn english_title(event: &EventId) -> String {
    if event.as_str() == DEMO {
        ENGLISH.to_owned()
    } else {
        event.to_string()
    }
}
