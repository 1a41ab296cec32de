//! Events, as people see them.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::shop::{ADMISSION, KEY, Shop, answer, event_json, fields};

/// The fields of an event.
const EVENT: [&str; 23] = [
    "id",
    "title",
    "venue",
    "category",
    "categoryName",
    "startsAt",
    "status",
    "sale",
    "seatSelection",
    "ageLimit",
    "currency",
    "prices",
    "limits",
    "holdSeconds",
    "maxHoldSeconds",
    "paymentDeadlineSeconds",
    "paymentMarginSeconds",
    "orphans",
    "layoutVersion",
    "salesVersion",
    "version",
    "opensAt",
    "closesAt",
];

fn ids(page: &Value) -> Vec<&str> {
    let events = page["events"].as_array().unwrap().iter();
    events.map(|event| event["id"].as_str().unwrap()).collect()
}

pub(crate) async fn events_are_listed_by_pages(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("b", json!({"category": "musical"})).await;
    shop.event("c", json!({"category": "concert"})).await;
    shop.event("a", json!({})).await;
    shop.event("f", json!({})).await;
    for (event, status) in [("f", "closed"), ("e", "cancelled"), ("d", "draft")] {
        shop.put(event, &event_json(json!({"status": status})))
            .await
            .is(200);
    }
    let page = async |query: &str| shop.get(&format!("/events{query}")).await.is(200).json();

    let all = page("").await;
    assert_eq!(fields(&all), BTreeSet::from(["events", "next"]));
    assert_eq!(ids(&all), ["a", "b", "c", "demo", "f"]);
    assert_eq!(all["next"], Value::Null);
    let one = shop.get("/events/a").await.is(200).json();
    assert_eq!(all["events"][0], one);

    let first = page("?limit=2").await;
    assert_eq!((ids(&first), &first["next"]), (vec!["a", "b"], &json!("b")));
    let second = page("?limit=2&after=b").await;
    assert_eq!(
        (ids(&second), &second["next"]),
        (vec!["c", "demo"], &json!("demo"))
    );
    let last = page("?limit=2&after=demo").await;
    assert_eq!((ids(&last), &last["next"]), (vec!["f"], &Value::Null));
    // An id that no event has says where to begin all the same.
    assert_eq!(ids(&page("?after=bb").await), ["c", "demo", "f"]);
    assert_eq!(ids(&page("?category=concert").await), ["c", "demo"]);
    let concert = page("?category=concert&limit=1").await;
    assert_eq!((ids(&concert), &concert["next"]), (vec!["c"], &json!("c")));
    for none in ["?category=none", "?category=", "?category=%00", "?after=zz"] {
        let empty = page(none).await;
        assert_eq!(empty, json!({"events": [], "next": null}), "{none}");
    }
}

pub(crate) async fn an_event_is_shown_whole(program: &str) {
    let shop = Shop::start(program).await;
    let answer = shop.get("/events/demo").await.is(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let event = answer.json();
    let (window, own) = (&EVENT[21..], &EVENT[..21]);
    assert_eq!(fields(&event), own.iter().copied().collect());
    assert_eq!(fields(&event["sale"]), window.iter().copied().collect());
    assert_eq!(event["id"], "demo");
    assert_eq!(
        event["title"],
        json!({"en": "Spring Tour", "ko": "봄 투어"})
    );
    assert_eq!(event["category"], "concert");
    assert_eq!(event["startsAt"], "2099-01-01T00:00:00Z");
    assert_eq!(event["sale"]["closesAt"], event["startsAt"]);
    assert_eq!(event["status"], "open");
    assert_eq!(event["currency"], "KRW");
    assert_eq!(
        event["prices"][0],
        json!({"grade": "vip", "amount": 165_000})
    );
    assert_eq!(event["limits"], json!({"perOrder": 4, "perUser": 4}));
    assert_eq!(
        (&event["holdSeconds"], &event["maxHoldSeconds"]),
        (&json!(300), &json!(600))
    );
    assert_eq!(event["seatSelection"], true);
    assert_eq!(
        (&event["salesVersion"], &event["version"]),
        (&json!(1), &json!(1))
    );
    let version = event["layoutVersion"].as_str().unwrap();
    assert!(version.len() == 16 && version.bytes().all(|b| b.is_ascii_hexdigit()));
    // Who may still buy, may not, and never will, is told.
    for status in ["closed", "cancelled"] {
        shop.event("told", json!({"status": "open"})).await;
        shop.put("told", &event_json(json!({"status": status})))
            .await
            .is(200);
        let event = shop.get("/events/told").await.is(200).json();
        assert_eq!(event["status"], status);
    }
}

pub(crate) async fn unknown_events_and_drafts_are_404(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("draft", json!({"status": "draft"})).await;
    shop.room("nowhere").await;
    for event in ["nowhere", "draft"] {
        let buyer = shop.buyer(event).await;
        for rest in ["", "/layout", "/seats"] {
            shop.get(&buyer.path(rest))
                .await
                .problem(404, "unknownEvent");
        }
        let refused = buyer.updates("").connect().await.unwrap_err();
        assert_eq!(refused.status(), 404);
        buyer
            .wants(&json!({"seats": ["A-1-1"]}))
            .await
            .problem(404, "unknownEvent");
    }
    // Whoever has no admission does not learn whether there is such an event.
    let guest = shop.guest().await;
    for event in ["nowhere", "draft", "never-heard-of"] {
        let post = guest.call(Method::POST, &format!("/events/{event}/holds"));
        let post = post.header(KEY, "k").header(ADMISSION, "x");
        answer(post).await.problem(403, "admissionRequired");
    }
    let buyer = shop.buyer("nowhere").await;
    let id = json!({"id": "0".repeat(32)});
    buyer.extend(&id).await.problem(404, "unknownEvent");
    buyer.release(&id).await.problem(404, "unknownEvent");
    answer(buyer.call(Method::GET, "/holds"))
        .await
        .problem(404, "unknownEvent");
    for (method, rest) in [
        (Method::GET, ""),
        (Method::GET, "/layout"),
        (Method::POST, "/seats/block"),
        (Method::POST, "/seats/unblock"),
        (Method::POST, "/seats/rebuild"),
    ] {
        let call = shop.admin(method, &format!("/admin/events/nowhere{rest}"));
        let call = call.json(&json!({"seats": ["A-1-1"]}));
        answer(call).await.problem(404, "unknownEvent");
    }
    assert_eq!(shop.numbers("draft").await["status"], "draft");
}

pub(crate) async fn what_selects_events_is_checked(program: &str) {
    let shop = Shop::start(program).await;
    for limit in ["0", "101", "-1", "1.5", "x", "", "99999999999999999999"] {
        let range = shop.get(&format!("/events?limit={limit}")).await;
        assert_eq!(range.refuses("limit"), "1 to 100", "{limit}");
    }
    for limit in ["1", "100"] {
        shop.get(&format!("/events?limit={limit}")).await.is(200);
    }
    for after in ["", "a%7Bb", "%00", &"x".repeat(129)] {
        shop.get(&format!("/events?after={after}"))
            .await
            .refuses("after");
    }
}
