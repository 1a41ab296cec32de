//! Holding seats: by their labels, the best available, units of an area; and what is refused.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use ticketon_tests::eventually;

use super::shop::{
    ADMISSION, Answer, Buyer, KEY, SMALL, SOON, Shop, answer, fields, labels, new_key, states,
};

/// Limits that are in nobody's way.
fn no_limits() -> Value {
    json!({"perOrder": 8, "perUser": 1_000})
}

/// Sends this body as it stands.
async fn post(buyer: &Buyer<'_>, body: &str) -> Answer {
    let post = buyer.call(Method::POST, "/holds").header(KEY, new_key());
    answer(post.body(body.to_owned())).await
}

/// The refused fields of an answer, in their order.
fn refused(answer: Answer) -> Vec<String> {
    let problem = answer.problem(422, "invalid");
    let errors = problem["errors"].as_array().unwrap().iter();
    errors
        .map(|error| error["field"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) async fn seats_are_held_by_their_labels(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("hold", json!({})).await;
    let ann = shop.buyer("hold").await;
    let wanted = json!({"seats": ["B-1-2", "A-1-1", "floor/7"]});
    let answer = ann.wants(&wanted).await.is(201);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    // The first call behind the door claims the admission.
    assert!(answer.header(ADMISSION).is_some());
    let hold = answer.json();
    let names = [
        "id",
        "eventId",
        "seats",
        "total",
        "currency",
        "expiresAt",
        "maxExpiresAt",
        "fence",
        "salesVersion",
    ];
    assert_eq!(fields(&hold), BTreeSet::from(names));
    let id = hold["id"].as_str().unwrap();
    assert!(
        id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(hold["eventId"], "hold");
    // In the order in which they were asked for.
    let seats = json!([
        {"label": "B-1-2", "grade": "standard", "price": 99_000},
        {"label": "A-1-1", "grade": "vip", "price": 165_000},
        {"label": "floor/7", "grade": "standard", "price": 99_000},
    ]);
    assert_eq!(hold["seats"], seats);
    assert_eq!(
        (&hold["total"], &hold["currency"]),
        (&json!(363_000), &json!("KRW"))
    );
    assert_eq!(hold["salesVersion"], 1);
    assert!(hold["fence"].as_u64() > Some(0));
    let (end, last) = (hold["expiresAt"].as_str(), hold["maxExpiresAt"].as_str());
    assert!(end.unwrap().ends_with('Z') && end < last, "{hold}");

    assert_eq!(ann.own().await, [hold]);
    let counts = &shop.numbers("hold").await["seats"]["counts"];
    assert_eq!(
        *counts,
        json!({"free": SMALL - 3, "held": 3, "sold": 0, "blocked": 0})
    );
    eventually(SOON, || async {
        let states = states(&shop.map("hold").await);
        (states[0], states[17], states[28]) == (1, 1, 1)
    })
    .await;
}

pub(crate) async fn the_best_available_fit_every_wish(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("best", json!({"limits": no_limits()})).await;
    let ann = shop.buyer("best").await;
    let best = |wishes: Value| json!({"bestAvailable": wishes});

    let in_section = ann.gets(&best(json!({"count": 2, "section": "B"}))).await;
    assert!(
        in_section.iter().all(|label| label.starts_with("B-1-")),
        "{in_section:?}"
    );
    // Side by side, and where others do not have to stand up for a wheelchair.
    let two = ann.gets(&best(json!({"count": 2}))).await;
    let (row, number) = two[0].rsplit_once('-').unwrap();
    let beside = number.parse::<u32>().unwrap() + 1;
    assert_eq!(two[1], format!("{row}-{beside}"));
    assert!(!two.contains(&"A-1-8".to_owned()), "{two:?}");
    let standard = ann
        .gets(&best(json!({"count": 3, "grades": ["standard"]})))
        .await;
    let sitting = |label: &String| label.starts_with("A-2-") || label.starts_with("B-1-");
    assert!(standard.iter().all(sitting), "{standard:?}");
    let cheap = ann
        .gets(&best(json!({"count": 1, "maxPrice": 99_000})))
        .await;
    assert!(!cheap[0].starts_with("A-1-"), "{cheap:?}");
    let accessible = ann
        .gets(&best(json!({"count": 1, "accessible": true})))
        .await;
    assert_eq!(accessible, ["A-1-8"]);
    // People stand where they say so, or in an area of a grade that they name.
    let standing = ann
        .gets(&best(json!({"count": 8, "section": "floor"})))
        .await;
    assert!(
        standing.iter().all(|label| label.starts_with("floor/")),
        "{standing:?}"
    );
    let all = best(json!({
        "count": 2, "grades": ["vip", "standard"], "section": "A", "maxPrice": 165_000, "accessible": false,
    }));
    let all = ann.gets(&all).await;
    assert!(all.iter().all(|label| label.starts_with("A-")), "{all:?}");
    // No wish is as good as a wish that is null.
    let nulls = json!({
        "bestAvailable": {"count": 1, "grades": null, "section": null, "maxPrice": null, "accessible": null},
        "seats": null, "area": null,
    });
    assert_eq!(ann.gets(&nulls).await.len(), 1);
}

pub(crate) async fn units_of_an_area_are_held(program: &str) {
    let shop = Shop::start(program).await;
    shop.event(
        "stand",
        json!({"limits": no_limits(), "seatSelection": false}),
    )
    .await;
    let ann = shop.buyer("stand").await;
    let mut units = BTreeSet::new();
    for count in [8, 8, 4] {
        let held = ann.gets(&json!({"area": "floor", "count": count})).await;
        assert_eq!(held.len(), count);
        units.extend(held);
    }
    let all: BTreeSet<String> = (1..=20).map(|unit| format!("floor/{unit}")).collect();
    assert_eq!(units, all);
    ann.wants(&json!({"area": "floor", "count": 1}))
        .await
        .problem(409, "noSeats");
}

pub(crate) async fn a_retry_finds_its_hold(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("retry", json!({"limits": no_limits()})).await;
    let (ann, ben) = (shop.buyer("retry").await, shop.buyer("retry").await);
    let bodies = [
        json!({"seats": ["A-1-1", "A-1-2"]}),
        json!({"bestAvailable": {"count": 2}}),
        json!({"area": "floor", "count": 2}),
    ];
    for (index, body) in bodies.iter().enumerate() {
        let key = format!("order-{index}!~");
        let hold = ann.ask(&key, body).await.is(201).json();
        let version = shop.numbers("retry").await["seats"]["version"].clone();
        let again = join_all((0..8).map(|_| ann.ask(&key, body))).await;
        for again in again {
            assert_eq!(again.is(201).json(), hold);
        }
        assert_eq!(shop.numbers("retry").await["seats"]["version"], version);
        // The key stands for that request alone.
        for other in [
            json!({"seats": ["A-1-7"]}),
            json!({"bestAvailable": {"count": 1}}),
        ] {
            ann.ask(&key, &other)
                .await
                .problem(422, "idempotencyMismatch");
        }
        assert_eq!(ann.own().await.len(), index + 1);
    }
    // Another person's key is another key.
    let own = ben.ask("order-1!~", &bodies[1]).await.is(201).json();
    assert_ne!(own["id"], ann.own().await[1]["id"]);
    // Answers that were never read: the first call of many decides.
    let many = join_all((0..8).map(|_| ben.ask("together", &bodies[1]))).await;
    let first = many[0].json();
    assert!(many.iter().all(|answer| answer.json() == first));
    assert_eq!(ben.own().await.len(), 2);
}

pub(crate) async fn a_key_is_required(program: &str) {
    let shop = Shop::start(program).await;
    let ann = shop.buyer("demo").await;
    let body = json!({"seats": ["A-1-1"]});
    let post = || ann.call(Method::POST, "/holds").json(&body);
    let named = async |request| {
        let problem = answer(request).await.problem(400, "malformed");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("Idempotency-Key"), "{detail}");
    };
    named(post()).await;
    for key in ["", " ", "a b", &"k".repeat(129)] {
        named(post().header(KEY, key)).await;
    }
    named(post().header(KEY, HeaderValue::from_bytes("키".as_bytes()).unwrap())).await;
    named(post().header(KEY, "one").header(KEY, "two")).await;
    assert_eq!(ann.own().await, [] as [Value; 0]);
    answer(post().header(KEY, "k".repeat(128))).await.is(201);
}

pub(crate) async fn taken_seats_are_named(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("taken", json!({"limits": no_limits()})).await;
    let (ann, ben) = (shop.buyer("taken").await, shop.buyer("taken").await);
    ann.holds(&["A-1-2", "floor/3"]).await;
    shop.block("taken", "block", &json!(["A-1-4"]))
        .await
        .is(200);
    let before = shop.numbers("taken").await;

    // All or none: the free ones stay free. Also for who holds them already.
    for buyer in [&ben, &ann] {
        let seats = json!({"seats": ["A-1-1", "A-1-4", "floor/3", "A-1-2"]});
        let problem = buyer.wants(&seats).await.problem(409, "seatsTaken");
        let taken = problem["errors"].as_array().unwrap().iter();
        let taken: Vec<&str> = taken
            .map(|error| error["value"].as_str().unwrap())
            .collect();
        assert_eq!(taken, ["A-1-4", "floor/3", "A-1-2"]);
        assert!(
            problem["errors"]
                .as_array()
                .unwrap()
                .iter()
                .all(|error| error["field"] == "seats")
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("A-1-4, floor/3, A-1-2"), "{detail}");
    }
    assert_eq!(shop.numbers("taken").await, before);
    assert_eq!(ben.own().await, [] as [Value; 0]);

    // Of many who want the same seats, one gets them.
    let many = join_all((0..6).map(|_| shop.buyer("taken"))).await;
    let wanted = json!({"seats": ["A-2-1", "A-2-2"]});
    let answers = join_all(many.iter().map(|buyer| buyer.wants(&wanted))).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 409).count(),
        5,
        "{statuses:?}"
    );
}

pub(crate) async fn nothing_is_held_where_nothing_fits(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("full", json!({"limits": no_limits()})).await;
    let ann = shop.buyer("full").await;
    let best = |wishes: Value| json!({"bestAvailable": wishes});
    for wishes in [
        json!({"count": 1, "accessible": true, "section": "B"}),
        json!({"count": 1, "accessible": true, "maxPrice": 99_000}),
        json!({"count": 7, "section": "B"}),
        json!({"count": 1, "maxPrice": 98_999}),
        json!({"count": 1, "grades": ["vip"], "section": "B"}),
        json!({"count": 1, "section": "floor", "accessible": true}),
    ] {
        let problem = ann.wants(&best(wishes)).await.problem(409, "noSeats");
        assert_eq!(problem.get("errors"), None);
    }
    ann.holds(&["B-1-2", "B-1-4", "B-1-6"]).await;
    let apart = best(json!({"count": 2, "section": "B"}));
    ann.wants(&apart).await.problem(409, "noSeats");
    assert_eq!(ann.own().await.len(), 1);
}

pub(crate) async fn limits_are_kept(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("limit", json!({"limits": {"perOrder": 4, "perUser": 6}}))
        .await;
    let (ann, ben) = (shop.buyer("limit").await, shop.buyer("limit").await);
    let five = ["A-1-1", "A-1-2", "A-1-3", "A-1-4", "A-1-5"];
    for (body, field) in [
        (json!({"seats": five}), "seats"),
        (json!({"seats": []}), "seats"),
        (
            json!({"bestAvailable": {"count": 5}}),
            "bestAvailable.count",
        ),
        (json!({"area": "floor", "count": 5}), "count"),
    ] {
        let range = ann.wants(&body).await.refuses(field);
        assert_eq!(range, "1 to 4 seats an order", "{body}");
    }
    let hold = ann.holds(&five[..4]).await;
    let three = json!({"bestAvailable": {"count": 3}});
    let problem = ann.wants(&three).await.problem(409, "userLimit");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("4 seats") && detail.contains("at most 6"),
        "{detail}"
    );
    ann.wants(&json!({"area": "floor", "count": 2}))
        .await
        .is(201);
    for body in [
        json!({"seats": ["A-2-1"]}),
        json!({"area": "floor", "count": 1}),
    ] {
        ann.wants(&body).await.problem(409, "userLimit");
    }
    // Each person has their own limit, and what is given back counts no more.
    ben.wants(&three).await.is(201);
    ann.release(&hold).await.is(204);
    ann.wants(&three).await.is(201);
}

pub(crate) async fn what_cannot_be_read_is_named_in_full(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("read", json!({"limits": no_limits()})).await;
    let ann = shop.buyer("read").await;
    let before = shop.numbers("read").await;
    for broken in [
        "",
        " ",
        "{",
        "nope",
        "{\"seats\": [}",
        "{} {}",
        "{\"seats\": [\"A-1-1\"]}x",
    ] {
        post(&ann, broken).await.problem(400, "malformed");
    }
    let long = "x".repeat(65);
    let best = |wishes: Value| json!({"bestAvailable": wishes});
    let cases: Vec<(Value, &[&str])> = vec![
        (json!([]), &["(body)"]),
        (json!("A-1-1"), &["(body)"]),
        (Value::Null, &["(body)"]),
        (json!({}), &["seats"]),
        (json!({"seats": null}), &["seats"]),
        (json!({"seat": ["A-1-1"]}), &["seat", "seats"]),
        (
            json!({"seats": ["A-1-1"], "color": 1, "count": 1}),
            &["color", "count"],
        ),
        (
            json!({"seats": ["A-1-1"], "bestAvailable": {"count": 1}}),
            &["bestAvailable"],
        ),
        (
            json!({"bestAvailable": {"count": 1}, "area": "floor", "count": 1}),
            &["area", "count"],
        ),
        (json!({"seats": "A-1-1"}), &["seats"]),
        (json!({"seats": {"0": "A-1-1"}}), &["seats"]),
        (
            json!({"seats": [1, "A-1-1", null, {}]}),
            &["seats[0]", "seats[2]", "seats[3]"],
        ),
        (
            json!({"seats": ["A 1 1", "", long, "A-1-1\n"]}),
            &["seats[0]", "seats[1]", "seats[2]", "seats[3]"],
        ),
        (best(json!(5)), &["bestAvailable"]),
        (best(json!([])), &["bestAvailable"]),
        (best(json!({})), &["bestAvailable.count"]),
        (
            best(json!({"count": 1, "rank": 1})),
            &["bestAvailable.rank"],
        ),
        (
            best(
                json!({"count": "2", "grades": "vip", "section": 5, "maxPrice": -1, "accessible": "yes", "x": 0}),
            ),
            &[
                "bestAvailable.x",
                "bestAvailable.count",
                "bestAvailable.grades",
                "bestAvailable.section",
                "bestAvailable.maxPrice",
                "bestAvailable.accessible",
            ],
        ),
        (
            best(json!({"count": 1, "grades": []})),
            &["bestAvailable.grades"],
        ),
        (
            best(json!({"count": 1, "grades": vec!["vip"; 33]})),
            &["bestAvailable.grades"],
        ),
        (
            best(json!({"count": 1, "grades": ["vip", 1]})),
            &["bestAvailable.grades[1]"],
        ),
        (
            best(json!({"count": 1, "maxPrice": 1.5})),
            &["bestAvailable.maxPrice"],
        ),
        (json!({"area": 5, "count": 1}), &["area"]),
        (json!({"area": "floor"}), &["count"]),
        (
            json!({"area": "floor", "count": 1, "section": "A"}),
            &["section"],
        ),
    ];
    for (body, expected) in cases {
        let mut named = refused(post(&ann, &body.to_string()).await);
        let mut expected: Vec<&str> = expected.to_vec();
        named.sort_unstable();
        expected.sort_unstable();
        assert_eq!(named, expected, "{body}");
    }
    for count in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!("2"),
        json!(101),
        json!(1e300),
        json!(true),
    ] {
        for (body, field) in [
            (best(json!({"count": count})), "bestAvailable.count"),
            (json!({"area": "floor", "count": count}), "count"),
        ] {
            let range = ann.wants(&body).await.refuses(field);
            assert_eq!(range, "1 to 100", "{body}");
        }
    }
    // An answer does not grow with the mistakes.
    let many = refused(post(&ann, &json!({"seats": vec![0; 5_000]}).to_string()).await);
    assert_eq!(many.len(), 100);
    assert_eq!(shop.numbers("read").await, before);
}

pub(crate) async fn what_the_venue_lacks_is_named(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("lacks", json!({"limits": no_limits()})).await;
    let ann = shop.buyer("lacks").await;
    let before = shop.numbers("lacks").await;
    for (body, expected) in [
        (json!({"seats": ["A-1-9"]}), vec!["seats[0]"]),
        (
            json!({"seats": ["floor/21", "A-1-1", "floor/0", "a-1-1"]}),
            vec!["seats[0]", "seats[2]", "seats[3]"],
        ),
        (
            json!({"seats": ["A-1-1", "A-1-2", "A-1-1", "none"]}),
            vec!["seats[2]", "seats[3]"],
        ),
        (json!({"area": "A", "count": 1}), vec!["area"]),
        (json!({"area": "", "count": 1}), vec!["area"]),
        (
            json!({"bestAvailable": {"count": 1, "grades": ["vip", "VIP", "gold"], "section": "C"}}),
            vec![
                "bestAvailable.grades[1]",
                "bestAvailable.grades[2]",
                "bestAvailable.section",
            ],
        ),
    ] {
        assert_eq!(refused(ann.wants(&body).await), expected, "{body}");
    }
    assert_eq!(shop.numbers("lacks").await, before);

    // Where seats are not picked, units still may be: they are all alike.
    shop.event("given", json!({"seatSelection": false})).await;
    let ann = shop.buyer("given").await;
    let picked = json!({"seats": ["A-1-1", "floor/1"]});
    let range = ann.wants(&picked).await.refuses("seats[0]");
    assert!(range.contains("bestAvailable"), "{range}");
    ann.holds(&["floor/1", "floor/2"]).await;
    ann.wants(&json!({"bestAvailable": {"count": 2}}))
        .await
        .is(201);
}

pub(crate) async fn an_event_off_sale_sells_nothing(program: &str) {
    let shop = Shop::start(program).await;
    let start = "2099-01-01T00:00:00Z";
    for (event, changes, why) in [
        (
            "early",
            json!({"sale": {"opensAt": "2098-01-01T00:00:00Z", "closesAt": start}}),
            "2098",
        ),
        (
            "late",
            json!({"sale": {"opensAt": "2000-01-01T00:00:00Z", "closesAt": "2001-01-01T00:00:00Z"}}),
            "2001",
        ),
        ("shut", json!({}), "closed"),
        ("off", json!({}), "cancelled"),
    ] {
        shop.event(event, changes.clone()).await;
        if changes == json!({}) {
            let body = super::shop::event_json(json!({"status": why}));
            shop.put(event, &body).await.is(200);
        }
        let ann = shop.buyer(event).await;
        for body in [
            json!({"seats": ["A-1-1"]}),
            json!({"bestAvailable": {"count": 1}}),
            json!({"area": "floor", "count": 1}),
        ] {
            let problem = ann.wants(&body).await.problem(409, "saleClosed");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(why), "{event}: {detail}");
        }
        // The map can still be looked at.
        assert_eq!(shop.map(event).await["counts"]["free"], SMALL);
    }
    // What was held before is not extended any more, but can be given back.
    shop.event("ends", json!({})).await;
    let ann = shop.buyer("ends").await;
    let hold = ann
        .ask("k", &json!({"seats": ["A-1-1"]}))
        .await
        .is(201)
        .json();
    shop.put(
        "ends",
        &super::shop::event_json(json!({"status": "closed"})),
    )
    .await
    .is(200);
    ann.extend(&hold).await.problem(409, "saleClosed");
    assert_eq!(ann.own().await, std::slice::from_ref(&hold));
    ann.release(&hold).await.is(204);
}

pub(crate) async fn nobody_leaves_a_seat_alone_where_that_is_refused(program: &str) {
    let shop = Shop::start(program).await;
    for orphans in ["strict", "lenient", "allow"] {
        shop.event(orphans, json!({"orphans": orphans})).await;
    }
    let ann = shop.buyer("strict").await;
    for (seats, lone) in [
        (json!(["A-1-2"]), vec!["A-1-1"]),
        (json!(["A-1-7", "A-2-2"]), vec!["A-1-8", "A-2-1"]),
        (json!(["A-1-1", "A-1-3"]), vec!["A-1-2"]),
    ] {
        let refused = ann.wants(&json!({"seats": seats})).await;
        let problem = refused.problem(409, "leavesOrphan");
        let named = problem["errors"].as_array().unwrap().iter();
        let named: Vec<&str> = named
            .map(|error| error["value"].as_str().unwrap())
            .collect();
        assert_eq!(named, lone, "{seats}");
    }
    assert_eq!(shop.numbers("strict").await["seats"]["version"], 0);
    let hold = ann.holds(&["A-1-1", "A-1-2", "floor/2"]).await;
    assert_eq!(labels(&hold).len(), 3);
    // Elsewhere people may pick what they like.
    for event in ["lenient", "allow"] {
        shop.buyer(event).await.holds(&["A-1-2"]).await;
    }
}

pub(crate) async fn a_handler_of_the_host_holds_seats(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("host", json!({})).await;
    let ann = shop.buyer("host").await;
    let buy = |seats: Value| {
        let post = ann.guest.call(Method::POST, "/shop/host");
        post.header(ADMISSION, &ann.admission).json(&seats)
    };
    let bought = answer(buy(json!(["A-1-1", "A-1-2"]))).await.is(200);
    assert_eq!(bought.body, "KRW 330,000");
    assert_eq!(labels(&ann.own().await[0]), ["A-1-1", "A-1-2"]);
    answer(buy(json!(["A-1-2"])))
        .await
        .problem(409, "seatsTaken");
    answer(buy(json!(["none"]))).await.refuses("seats[0]");
    let stranger = shop.guest().await.call(Method::POST, "/shop/host");
    answer(stranger.json(&json!(["A-1-3"])))
        .await
        .problem(403, "admissionRequired");
    assert_eq!(shop.numbers("host").await["seats"]["version"], 1);
}
