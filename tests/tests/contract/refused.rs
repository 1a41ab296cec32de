//! What cannot be read or is out of range: the answer says what, and what would be accepted.

use reqwest::{Body, Method};
use serde_json::{Value, json};

use super::shop::{Answer, Shop, answer, waiting};

/// Most bytes of a config.
const LIMIT: usize = 16 * 1_024;

/// The calls that name an event, for an id as it stands in the path.
fn calls(id: &str) -> Vec<(Method, String)> {
    vec![
        (Method::GET, waiting(id)),
        (Method::DELETE, waiting(id)),
        (Method::GET, format!("{}/status", waiting(id))),
        (Method::GET, format!("/queue/events/{id}/tickets/entry")),
        (Method::GET, format!("/wait/{id}")),
        (Method::GET, format!("/admin/rooms/{id}")),
        (Method::PUT, format!("/admin/rooms/{id}")),
        (Method::POST, format!("/admin/rooms/{id}/open")),
    ]
}

/// Calls as a guest or as the operator, as the path wants it.
async fn send(shop: &Shop, guest: &str, (method, path): (Method, String)) -> Answer {
    if path.starts_with("/admin") {
        let config = json!({"capacity": 1});
        answer(shop.admin(method, &path).json(&config)).await
    } else {
        answer(shop.call(method, &path).bearer_auth(guest)).await
    }
}

pub(crate) async fn bad_ids_are_named(program: &str) {
    let shop = Shop::start(program).await;
    let ann = shop.guest().await;
    let long = "x".repeat(129);
    for id in ["", &long, "%00", "a%0ab", "a%7Bb", "%7D", "%C2%85"] {
        for call in calls(id) {
            let (method, path) = call.clone();
            let refused = send(&shop, &ann.token, call).await;
            assert_eq!(refused.status, 422, "{method} {path}: {}", refused.body);
            refused.refuses("eventId");
        }
        if !id.is_empty() {
            answer(ann.get(&format!("/shop/{id}")))
                .await
                .refuses("eventId");
        }
    }
}

pub(crate) async fn unusual_ids_are_taken(program: &str) {
    let shop = Shop::start(program).await;
    let ann = shop.guest().await;
    let long = "x".repeat(128);
    for (id, means) in [
        (&*long, &*long),
        ("%ED%95%9C%20%EA%B8%80", "한 글"),
        ("a%2Fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("a+b%2Bc", "a+b+c"),
        ("%2541%25", "%41%"),
        (".-_~!$&'()*,;=:@", ".-_~!$&'()*,;=:@"),
        ("a%3Fb%23c", "a?b#c"),
    ] {
        shop.room(id, &json!({"capacity": 1})).await;
        assert_eq!(shop.numbers(id).await["eventId"], means);
        let token = ann.admitted(id).await;
        ann.shop(id, &token).await.is(200);
    }
}

pub(crate) async fn undecodable_paths_are_malformed(program: &str) {
    let shop = Shop::start(program).await;
    let ann = shop.guest().await;
    for id in ["%", "%2", "%zz", "%ff", "%ED%95", "a%C0%80"] {
        for call in calls(id) {
            let (method, path) = call.clone();
            let refused = send(&shop, &ann.token, call).await;
            assert_eq!(refused.status, 400, "{method} {path}: {}", refused.body);
            refused.problem(400, "malformed");
        }
        answer(ann.get(&format!("/shop/{id}")))
            .await
            .problem(400, "malformed");
    }
}

async fn put(shop: &Shop, body: impl Into<Body>) -> Answer {
    let put = shop.admin(Method::PUT, "/admin/rooms/config");
    answer(put.header("content-type", "application/json").body(body)).await
}

pub(crate) async fn broken_bodies_are_malformed(program: &str) {
    let shop = Shop::start(program).await;
    for body in [
        "",
        " ",
        "{",
        "{\"capacity\":1",
        "capacity=1",
        "{\"capacity\":1}}",
        "\u{0}",
    ] {
        put(&shop, body).await.problem(400, "malformed");
    }
    put(&shop, b"{\"capacity\":\"\xff\"}".to_vec())
        .await
        .problem(400, "malformed");
    for body in ["[]", "null", "1", "\"x\""] {
        put(&shop, body).await.problem(422, "invalid");
    }
    let numbers = shop.admin(Method::GET, "/admin/rooms/config");
    answer(numbers).await.problem(404, "unknownEvent");
}

pub(crate) async fn bodies_over_the_limit_are_too_large(program: &str) {
    let shop = Shop::start(program).await;
    let padded = |length: usize| {
        let config = r#"{"capacity": 1}"#;
        format!("{config}{}", " ".repeat(length - config.len()))
    };
    put(&shop, padded(LIMIT + 1)).await.problem(413, "tooLarge");
    // In pieces, without a length said before.
    let pieces = [padded(LIMIT), " ".to_owned()].map(Ok::<_, std::io::Error>);
    let pieces = Body::wrap_stream(futures_util::stream::iter(pieces));
    put(&shop, pieces).await.problem(413, "tooLarge");
    answer(shop.admin(Method::GET, "/admin/rooms/config"))
        .await
        .problem(404, "unknownEvent");
    put(&shop, padded(LIMIT)).await.is(200);
    let open = shop.admin(Method::POST, "/admin/rooms/config/open");
    answer(open.body("x".repeat(1_025)))
        .await
        .problem(413, "tooLarge");
    // Nobody collects what somebody sends who may not.
    let nobody = || {
        shop.call(Method::PUT, "/admin/rooms/config")
            .body(padded(LIMIT + 1))
    };
    answer(nobody()).await.problem(401, "unauthenticated");
    answer(nobody().bearer_auth("x"))
        .await
        .problem(403, "forbidden");
}

pub(crate) async fn unknown_config_fields_are_named(program: &str) {
    let shop = Shop::start(program).await;
    for name in ["capcity", "Capacity", "admit_per_second", "state", ""] {
        let config = json!({"capacity": 1, name: 1});
        let accepted = put(&shop, config.to_string()).await.refuses(name);
        assert!(accepted.contains("capacity, admitPerSecond"), "{accepted}");
    }
    let lane = json!({"capacity": 1, "lanes": [{"name": "a", "wieght": 1}]});
    put(&shop, lane.to_string())
        .await
        .refuses("lanes[0].wieght");
}

pub(crate) async fn config_fields_out_of_range_are_named(program: &str) {
    let shop = Shop::start(program).await;
    for (field, most) in [
        ("capacity", 1_000_000),
        ("admitPerSecond", 100_000),
        ("admitBurst", 1_000_000),
        ("claimTtlSeconds", 3_600),
        ("entryTtlSeconds", 86_400),
        ("awayGraceSeconds", 86_400),
        ("maxWaiting", 10_000_000),
    ] {
        let wrong = [
            json!(0),
            json!(-1),
            json!(1.5),
            json!("1"),
            json!(true),
            json!([]),
        ];
        let huge = [json!(most + 1), json!(u64::MAX), json!(1e300)];
        for value in wrong.into_iter().chain(huge) {
            let mut config = json!({"capacity": 1});
            config[field] = value;
            let range = put(&shop, config.to_string()).await.refuses(field);
            assert!(range.contains(&format!("1 to {most}")), "{field}: {range}");
        }
    }
    put(&shop, "{}").await.refuses("capacity");
    let lanes = |lanes: Value| json!({"capacity": 1, "lanes": lanes}).to_string();
    let many: Vec<Value> = (0..17).map(|n| json!({"name": format!("l{n}")})).collect();
    for (value, field) in [
        (json!([]), "lanes"),
        (json!("general"), "lanes"),
        (json!(many), "lanes"),
        (json!([1]), "lanes[0]"),
        (json!([{"name": "VIP"}]), "lanes[0].name"),
        (json!([{"name": "a"}, {"name": "a"}]), "lanes[1].name"),
        (json!([{"name": "a", "weight": 0}]), "lanes[0].weight"),
        (json!([{"name": "a", "weight": 1_001}]), "lanes[0].weight"),
    ] {
        put(&shop, lanes(value)).await.refuses(field);
    }
    let more = |field: &str, value: Value| json!({"capacity": 1, field: value}).to_string();
    put(&shop, more("opensAt", json!("tomorrow")))
        .await
        .refuses("opensAt");
    put(&shop, more("opening", json!("fastest")))
        .await
        .refuses("opening");
    // All at once: each is named.
    let both = put(&shop, r#"{"capacity": 0, "maxWaiting": 0}"#).await;
    let problem = both.problem(422, "invalid");
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(2));
    answer(shop.admin(Method::GET, "/admin/rooms/config"))
        .await
        .problem(404, "unknownEvent");
}

pub(crate) async fn wrong_methods_are_405(program: &str) {
    let shop = Shop::start(program).await;
    let ann = shop.guest().await;
    for (method, path, allow) in [
        (Method::POST, waiting("x"), "GET, HEAD, DELETE"),
        (Method::PUT, waiting("x"), "GET, HEAD, DELETE"),
        (
            Method::DELETE,
            format!("{}/status", waiting("x")),
            "GET, HEAD",
        ),
        (
            Method::POST,
            "/queue/events/x/tickets/entry".to_owned(),
            "GET, HEAD",
        ),
        (Method::POST, "/wait/x".to_owned(), "GET, HEAD"),
        (Method::POST, "/admin/rooms".to_owned(), "GET, HEAD"),
        (
            Method::DELETE,
            "/admin/rooms/x".to_owned(),
            "GET, HEAD, PUT",
        ),
        (Method::GET, "/admin/rooms/x/open".to_owned(), "POST"),
    ] {
        let refused = send(&shop, &ann.token, (method, path.clone())).await;
        assert_eq!(refused.header("allow"), Some(allow), "{path}");
        refused.problem(405, "methodNotAllowed");
    }
}

pub(crate) async fn unknown_paths_are_404(program: &str) {
    let shop = Shop::start(program).await;
    for path in [
        "/nothing",
        "/queue",
        "/queue/events/x",
        "/queue/events/x/tickets/waiting/",
        "/queue/admin/rooms",
        "/admin",
        "/admin/rooms/x/open/now",
        "/events/x/tickets/waiting",
        "/ticketon/none.js",
        "/ticketon/..%2Fwaiting.js",
    ] {
        for method in [Method::GET, Method::POST] {
            if path.starts_with("/ticketon") && method == Method::POST {
                continue;
            }
            let missing = answer(shop.admin(method.clone(), path)).await;
            assert_eq!(missing.status, 404, "{method} {path}: {}", missing.body);
            missing.problem(404, "notFound");
        }
    }
    let verb = shop.admin(Method::POST, "/admin/rooms/x/explode");
    answer(verb).await.problem(404, "notFound");
}
