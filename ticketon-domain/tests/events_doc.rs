//! `docs/events.md` has every event of an order, with exactly the payload that is sent.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};
use ticketon_domain::purchase::OrderEvent;

/// What every payload has beside what its event says.
const COMMON: [&str; 4] = ["orderId", "eventId", "userId", "status"];

/// Every kind of event, as the code spells them.
fn kinds() -> Vec<&'static str> {
    let code = include_str!("../src/purchase/event.rs");
    let (_, code) = code.split_once("pub const fn kind(").unwrap();
    let (code, _) = code.split_once("\n    }\n").unwrap();
    let arms = code.split("=> \"").skip(1);
    let mut kinds: Vec<&str> = arms.filter_map(|arm| arm.split('"').next()).collect();
    kinds.sort_unstable();
    kinds
}

/// The payload of each event as the document has it.
fn documented() -> BTreeMap<String, Map<String, Value>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
    let text = std::fs::read_to_string(file).unwrap();
    let sections = text.split("\n### `").skip(1);
    let read = sections.map(|section| {
        let (kind, rest) = section.split_once('`').unwrap();
        let (_, code) = rest.split_once("```json\n").unwrap();
        let (code, _) = code.split_once("```").unwrap();
        (kind.to_owned(), serde_json::from_str(code).unwrap())
    });
    read.collect()
}

#[test]
fn each_event_is_documented_with_its_payload() {
    let documented = documented();
    assert!(documented.len() >= 10);
    assert_eq!(documented.keys().collect::<Vec<_>>(), kinds());
    for (kind, payload) in documented {
        let name = match kind.as_str() {
            "ticket.used" => "ticketUsed",
            other => other.strip_prefix("order.").unwrap(),
        };
        let mut event = payload.clone();
        event.insert("kind".to_owned(), name.into());
        let event: OrderEvent = serde_json::from_value(event.into()).unwrap();
        assert_eq!(event.kind(), kind);
        let Value::Object(mut sent) = serde_json::to_value(&event).unwrap() else {
            panic!("{kind} is no object");
        };
        sent.remove("kind");
        for field in COMMON {
            sent.insert(field.to_owned(), payload[field].clone());
        }
        assert_eq!(sent, payload, "{kind}");
    }
}
