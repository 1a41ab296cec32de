//! What no route takes: bad ids, long bodies, other methods, unknown paths.

use reqwest::{Body, Method};
use serde_json::{Value, json};
use ticketon_domain::http::{ADMIN_ROUTES, ROUTES};

use super::shop::{Answer, KEY, Shop, answer, event_json, new_key};

pub(crate) async fn bad_ids_are_named(program: &str) {
    let shop = Shop::start(program).await;
    let ann = shop.buyer("demo").await;
    let long = "x".repeat(129);
    for route in ROUTES.iter().chain(ADMIN_ROUTES) {
        if !route.path.contains("{eventId}") {
            continue;
        }
        let call = |id: &str| {
            let path = route.path.replace("{eventId}", id);
            let path = path.replace("{holdId}", &"0".repeat(32));
            let method = Method::from_bytes(route.method.as_bytes()).unwrap();
            let call = match path.starts_with("/admin") {
                true => shop.admin(method, &path),
                false => ann.guest.call(method, &path),
            };
            call.header(KEY, "k").json(&json!({"seats": ["A-1-1"]}))
        };
        for id in ["", &long, "%00", "a%0ab", "a%7Bb", "%7D", "%C2%85"] {
            let refused = answer(call(id)).await;
            assert_eq!(refused.status, 422, "{} {id}: {}", route.path, refused.body);
            refused.refuses("eventId");
        }
        for id in ["%", "%zz", "%ff"] {
            answer(call(id)).await.problem(400, "malformed");
        }
    }
    // Whatever else an id is made of, it is one.
    for id in ["a%20b", "%ED%95%9C%EA%B5%AD", "a%2Fb", "1.5~x"] {
        shop.event(id, json!({})).await;
        let event = shop.get(&format!("/events/{id}")).await.is(200).json();
        let hold = shop.buyer(id).await.holds(&["A-1-1"]).await;
        assert_eq!(hold["eventId"], event["id"], "{id}");
    }
}

/// A body of just so many bytes.
fn padded(body: &Value, length: usize) -> String {
    let body = body.to_string();
    format!("{body}{}", " ".repeat(length - body.len()))
}

pub(crate) async fn bodies_over_the_limit_are_too_large(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("large", json!({})).await;
    let ann = shop.buyer("large").await;
    let before = shop.numbers("large").await;
    let limit = |op: &str| {
        let mut routes = ROUTES.iter().chain(ADMIN_ROUTES);
        let route = routes.find(|route| route.op.as_str() == op);
        route.expect("a route").body_limit
    };
    let post = async |rest: &str, body: Body| -> Answer {
        let post = ann.call(Method::POST, rest).header(KEY, new_key());
        answer(post.body(body)).await
    };
    let labels = json!({"seats": ["A-1-1"]});
    let most = limit("holdSeats");
    assert_eq!(most, 16 * 1_024);
    post("/holds", padded(&labels, most + 1).into())
        .await
        .problem(413, "tooLarge");
    // In pieces, without a length said before.
    let pieces = [padded(&labels, most), " ".to_owned()].map(Ok::<_, std::io::Error>);
    let pieces = Body::wrap_stream(futures_util::stream::iter(pieces));
    post("/holds", pieces).await.problem(413, "tooLarge");
    let operate = async |method: Method, path: &str, length: usize, body: &Value| {
        let path = format!("/admin/events/large{path}");
        answer(shop.admin(method, &path).body(padded(body, length))).await
    };
    for (path, op) in [
        ("/seats/block", "blockSeats"),
        ("/seats/unblock", "unblockSeats"),
    ] {
        operate(Method::POST, path, limit(op) + 1, &labels)
            .await
            .problem(413, "tooLarge");
    }
    operate(
        Method::POST,
        "/seats/rebuild",
        limit("rebuildSeats") + 1,
        &json!({}),
    )
    .await
    .problem(413, "tooLarge");
    let event = event_json(json!({"venue": "Larger"}));
    operate(Method::PUT, "", limit("putEvent") + 1, &event)
        .await
        .problem(413, "tooLarge");
    assert_eq!(shop.numbers("large").await, before);

    let hold = post("/holds", padded(&labels, most).into())
        .await
        .is(201)
        .json();
    let extend = format!("/holds/{}/extend", hold["id"].as_str().unwrap());
    let most = limit("extendHold");
    post(&extend, padded(&json!({}), most + 1).into())
        .await
        .problem(413, "tooLarge");
    post(&extend, padded(&json!({}), most).into()).await.is(200);
    operate(Method::PUT, "", limit("putEvent"), &event)
        .await
        .is(200);
    // A thousand of the longest labels fit.
    let longest = vec!["x".repeat(64); 1_000];
    let block = shop.block("large", "block", &json!(longest)).await;
    block.refuses("seats[999]");
}

pub(crate) async fn wrong_methods_are_405(program: &str) {
    let shop = Shop::start(program).await;
    let ann = shop.buyer("demo").await;
    let id = "0".repeat(32);
    for (path, allow) in [
        ("/events".to_owned(), "GET, HEAD"),
        ("/events/demo".to_owned(), "GET, HEAD"),
        ("/events/demo/layout".to_owned(), "GET, HEAD"),
        ("/events/demo/seats".to_owned(), "GET, HEAD"),
        ("/events/demo/seats/updates".to_owned(), "GET, HEAD"),
        ("/events/demo/holds".to_owned(), "POST, GET, HEAD"),
        (format!("/events/demo/holds/{id}"), "DELETE"),
        (format!("/events/demo/holds/{id}/extend"), "POST"),
        ("/admin/events/demo".to_owned(), "PUT, GET, HEAD"),
        ("/admin/events/demo/layout".to_owned(), "GET, HEAD"),
        ("/admin/events/demo/seats/block".to_owned(), "POST"),
        ("/admin/events/demo/seats/unblock".to_owned(), "POST"),
        ("/admin/events/demo/seats/rebuild".to_owned(), "POST"),
    ] {
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            if allow.split(", ").any(|allowed| allowed == method.as_str()) {
                continue;
            }
            let call = match path.starts_with("/admin") {
                true => shop.admin(method, &path),
                false => ann.guest.call(method, &path),
            };
            let refused = answer(call).await;
            assert_eq!(
                refused.header("allow"),
                Some(allow),
                "{path}: {}",
                refused.body
            );
            refused.problem(405, "methodNotAllowed");
        }
    }
}

pub(crate) async fn unknown_paths_are_404(program: &str) {
    let shop = Shop::start(program).await;
    for path in [
        "/nothing",
        "/events/demo/",
        "/events/demo/seat",
        "/events/demo/seats/",
        "/events/demo/seats/updates/now",
        "/events/demo/holds/",
        "/events/demo/holds/x/extend/now",
        "/events/demo/holds/x/release",
        "/admin/events/demo/seats",
        "/admin/events/demo/seats/explode",
        "/admin/events/demo/layout/now",
    ] {
        for method in [Method::GET, Method::POST] {
            let missing = answer(shop.admin(method.clone(), path)).await;
            assert_eq!(missing.status, 404, "{method} {path}: {}", missing.body);
            missing.problem(404, "notFound");
        }
    }
}
