//! What cannot be read, and what no route takes.

use reqwest::Method;
use serde_json::{Value, json};
use ticketon_domain::http::{PURCHASE_ADMIN_ROUTES, PURCHASE_ROUTES};

use super::shop::{Answer, KEY, NOBODYS, Shop, answer, confirm_body, id, new_key};

/// The fields that an answer names, in the order of their names.
#[track_caller]
fn named(answer: Answer) -> Vec<String> {
    let problem = answer.problem(422, "invalid");
    let errors = problem["errors"].as_array().unwrap().iter();
    let mut fields: Vec<String> = errors
        .map(|error| {
            // Each with what was sent, and what is accepted.
            assert!(error["value"].is_string(), "{error}");
            assert!(
                error["range"]
                    .as_str()
                    .is_some_and(|range| !range.is_empty()),
                "{error}"
            );
            error["field"].as_str().unwrap().to_owned()
        })
        .collect();
    fields.sort();
    fields
}

pub(crate) async fn what_cannot_be_read_is_named_in_full(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let (order, paid) = (ann.order(1).await, ann.paid(1).await);
    let refund = format!("/purchase/{}/refund", id(&paid));
    let admin_refund = format!("/admin/orders/{}/refund", id(&paid));
    let good = json!({"orderId": id(&order), "paymentKey": "k", "amount": 30_000});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let long = "k".repeat(201);
    let (too_many, reason) = (vec![NOBODYS; 101], "r".repeat(201));
    let cases: Vec<(&str, Value, Vec<&str>)> = vec![
        ("/purchase/initiate", json!({}), vec!["eventId", "holdId"]),
        (
            "/purchase/initiate",
            json!({"eventId": null, "holdId": 7, "x": 1}),
            vec!["eventId", "holdId", "x"],
        ),
        (
            "/purchase/initiate",
            json!({"eventId": "", "holdId": "short"}),
            vec!["eventId", "holdId"],
        ),
        (
            "/purchase/initiate",
            json!({"eventId": "a{b", "holdId": NOBODYS}),
            vec!["eventId"],
        ),
        ("/purchase/initiate", json!([1]), vec!["(body)"]),
        ("/purchase/confirm", json!("text"), vec!["(body)"]),
        (
            "/purchase/confirm",
            json!({}),
            vec!["amount", "orderId", "paymentKey"],
        ),
        (
            "/purchase/confirm",
            json!({"orderId": 1, "paymentKey": [], "amount": "1"}),
            vec!["amount", "orderId", "paymentKey"],
        ),
        (
            "/purchase/confirm",
            with("orderId", json!("A".repeat(32))),
            vec!["orderId"],
        ),
        (
            "/purchase/confirm",
            with("paymentKey", json!("")),
            vec!["paymentKey"],
        ),
        (
            "/purchase/confirm",
            with("paymentKey", json!("a b")),
            vec!["paymentKey"],
        ),
        (
            "/purchase/confirm",
            with("paymentKey", json!("결제")),
            vec!["paymentKey"],
        ),
        (
            "/purchase/confirm",
            with("paymentKey", json!(long)),
            vec!["paymentKey"],
        ),
        (
            "/purchase/confirm",
            with("amount", json!(-1)),
            vec!["amount"],
        ),
        (
            "/purchase/confirm",
            with("amount", json!(30_000.5)),
            vec!["amount"],
        ),
        (
            "/purchase/confirm",
            with("amount", json!(1e30)),
            vec!["amount"],
        ),
        (
            "/purchase/confirm",
            with("amount", json!(true)),
            vec!["amount"],
        ),
        (
            "/purchase/confirm",
            with("currency", json!("KRW")),
            vec!["currency"],
        ),
        (&refund, json!({}), vec!["reason"]),
        (&refund, json!({"reason": " "}), vec!["reason"]),
        (&refund, json!({"reason": "a\nb"}), vec!["reason"]),
        (&refund, json!({"reason": reason}), vec!["reason"]),
        // A selection that is empty gives nothing back, least of all everything.
        (
            &refund,
            json!({"reason": "x", "tickets": []}),
            vec!["tickets"],
        ),
        (
            &refund,
            json!({"reason": "x", "tickets": NOBODYS}),
            vec!["tickets"],
        ),
        (
            &refund,
            json!({"reason": "x", "tickets": too_many}),
            vec!["tickets"],
        ),
        (
            &refund,
            json!({"reason": "x", "tickets": ["x", NOBODYS, 3]}),
            vec!["tickets[0]", "tickets[2]"],
        ),
        (&refund, json!({"reason": "x", "amount": 1}), vec!["amount"]),
    ];
    for (path, body, fields) in cases {
        assert_eq!(named(ann.post(path, &body).await), fields, "{path} {body}");
    }
    for (path, body, fields) in [
        ("/tickets/verify", json!({}), vec!["code"]),
        (
            "/tickets/verify",
            json!({"code": 1, "checkIn": "yes", "gate": 1}),
            vec!["checkIn", "code", "gate"],
        ),
        (
            &admin_refund,
            json!({"tickets": []}),
            vec!["reason", "tickets"],
        ),
    ] {
        assert_eq!(
            named(shop.operate(path, &body).await),
            fields,
            "{path} {body}"
        );
    }
    for path in ["/purchase/initiate", "/purchase/confirm", &refund] {
        for text in ["", "{", "nonsense", "{\"a\":1}{"] {
            let post = ann.call(Method::POST, path).header(KEY, new_key());
            answer(post.body(text)).await.problem(400, "malformed");
        }
    }
    assert_eq!(ann.see(&order).await, order);
    assert_eq!(ann.see(&paid).await, paid);
    // 200 characters are a reason, of any script.
    let reason = "환".repeat(200);
    let refunded = ann
        .refund(&paid, &json!({"reason": reason}))
        .await
        .is(200)
        .json();
    assert_eq!(refunded["refunds"][0]["reason"], json!(reason));
}

pub(crate) async fn bad_ids_are_named(program: &str) {
    let shop = Shop::start(program).await;
    let ann = shop.buyer("demo").await;
    let long = "0".repeat(33);
    for route in PURCHASE_ROUTES.iter().chain(PURCHASE_ADMIN_ROUTES) {
        let Some((_, rest)) = route.path.split_once('{') else {
            continue;
        };
        let (name, _) = rest.split_once('}').unwrap();
        let call = |id: &str| {
            let path = route.path.replace(&format!("{{{name}}}"), id);
            let method = Method::from_bytes(route.method.as_bytes()).unwrap();
            let call = match path.starts_with("/admin") {
                true => shop.admin(method, &path),
                false => ann.call(method, &path),
            };
            call.header(KEY, new_key()).json(&json!({"reason": "x"}))
        };
        for id in ["x", &long, "%00", "0%200", &NOBODYS.replace("00", "0A")] {
            let refused = answer(call(id)).await;
            assert_eq!(refused.status, 422, "{} {id}: {}", route.path, refused.body);
            assert!(refused.refuses(name).contains("32"));
        }
        for id in ["%", "%zz", "%ff"] {
            answer(call(id)).await.problem(400, "malformed");
        }
        let missing = answer(call(NOBODYS)).await;
        assert_eq!(missing.status, 404, "{}: {}", route.path, missing.body);
    }
}

pub(crate) async fn bodies_over_the_limit_are_too_large(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let (order, paid) = (ann.order(1).await, ann.paid(1).await);
    let payment = ann.payment(&order, "approve").await;
    let padded = |body: &Value, length: usize| {
        let body = body.to_string();
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    for route in PURCHASE_ROUTES.iter().chain(PURCHASE_ADMIN_ROUTES) {
        if route.body_limit == 0 {
            continue;
        }
        let path = route.path.replace("{orderId}", id(&paid));
        let call = match path.starts_with("/admin") || path.ends_with("verify") {
            true => shop.admin(Method::POST, &path),
            false => ann.call(Method::POST, &path),
        };
        let body = padded(&json!({"reason": "x"}), route.body_limit + 1);
        answer(call.header(KEY, new_key()).body(body.clone()))
            .await
            .problem(413, "tooLarge");
        if path.starts_with("/admin") || path.ends_with("verify") {
            let nobody = shop.call(Method::POST, &path).header(KEY, new_key());
            answer(nobody.body(body))
                .await
                .problem(401, "unauthenticated");
        }
    }
    assert_eq!(ann.see(&paid).await, paid);
    let confirm = PURCHASE_ROUTES
        .iter()
        .find(|route| route.path == "/purchase/confirm");
    let body = padded(&confirm_body(&order, &payment), confirm.unwrap().body_limit);
    let post = ann
        .call(Method::POST, "/purchase/confirm")
        .header(KEY, new_key());
    answer(post.body(body)).await.is(200);
}

pub(crate) async fn wrong_methods_and_paths_are_told(program: &str) {
    let shop = Shop::start(program).await;
    let ann = shop.buyer("demo").await;
    for (path, allow) in [
        ("/purchase/initiate".to_owned(), "POST"),
        ("/purchase/confirm".to_owned(), "POST"),
        ("/purchase/history".to_owned(), "GET, HEAD"),
        (format!("/purchase/{NOBODYS}"), "GET, HEAD"),
        (format!("/purchase/{NOBODYS}/cancel"), "POST"),
        (format!("/purchase/{NOBODYS}/refund"), "POST"),
        ("/tickets".to_owned(), "GET, HEAD"),
        ("/tickets/verify".to_owned(), "POST"),
        (format!("/tickets/{NOBODYS}/qr.svg"), "GET, HEAD"),
        ("/payments/toss/webhook".to_owned(), "POST"),
        ("/admin/orders".to_owned(), "GET, HEAD"),
        (format!("/admin/orders/{NOBODYS}/audit"), "GET, HEAD"),
        (format!("/admin/orders/{NOBODYS}/retry"), "POST"),
    ] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            if allow.split(", ").any(|allowed| allowed == method.as_str()) {
                continue;
            }
            let refused = answer(ann.call(method, &path)).await;
            assert_eq!(
                refused.header("allow"),
                Some(allow),
                "{path}: {}",
                refused.body
            );
            refused.problem(405, "methodNotAllowed");
        }
    }
    for path in [
        "/purchase",
        "/purchase/",
        "/tickets/",
        "/tickets/x",
        "/admin/orders/x/y",
        "/payments/toss",
    ] {
        let missing = answer(ann.call(Method::GET, path)).await;
        assert_eq!(missing.status, 404, "{path}: {}", missing.body);
    }
    let head = answer(ann.call(Method::HEAD, "/purchase/history"))
        .await
        .is(200);
    assert_eq!(head.body, "");
}
