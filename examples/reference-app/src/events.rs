//! What the pages say about the events on sale.

use serde_json::{Value, json};
use ticketon_queue::EventId;
use ticketon_queue::page::Title;

use crate::demo::DEMO;

/// The demo's title.
pub(crate) const ENGLISH: &str = "Northern Lights, live";
pub(crate) const KOREAN: &str = "노던 라이츠 내한 공연";
/// Where and when it is.
pub(crate) const VENUE: &str = "Harbour Hall, Busan";
pub(crate) const STARTS_AT: &str = "2027-05-08T19:00:00+09:00";

/// All events, as the pages list them.
#[must_use]
pub(crate) fn list() -> Value {
    json!([{
        "id": DEMO,
        "title": {"en": ENGLISH, "ko": KOREAN},
        "venue": {"en": VENUE, "ko": "부산 하버홀"},
        "startsAt": STARTS_AT,
        "image": null,
        "waitUrl": format!("/wait/{DEMO}"),
        "doorUrl": format!("/door/{DEMO}"),
    }])
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
