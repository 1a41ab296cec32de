//! What operators see and do.

use reqwest::Method;
use serde_json::{Value, json};
use ticketon_domain::adapter::sandbox::Sandbox;
use ticketon_domain::event::{Currency, Money};
use ticketon_domain::purchase::{CancelPayment, PaymentKey, PaymentProvider as _};

use super::shop::{NOBODYS, SOON, Shop, answer, eventually, fields, id, new_key, ticket};

pub(crate) async fn an_order_tells_its_story(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let hold = ann.hold(&json!(1)).await;
    let body = json!({"eventId": "night", "holdId": hold["id"]});
    let post = ann.call(Method::POST, "/purchase/initiate").json(&body);
    let made = answer(post.header("x-correlation-id", "trace-7"))
        .await
        .is(201)
        .json();
    // What is not fit for a log is not kept.
    for unfit in ["a b".to_owned(), "x".repeat(129), String::new()] {
        let hold = ann.hold(&json!(1)).await;
        let body = json!({"eventId": "night", "holdId": hold["id"]});
        let post = ann.call(Method::POST, "/purchase/initiate").json(&body);
        let made = answer(post.header("x-correlation-id", unfit))
            .await
            .is(201)
            .json();
        assert_eq!(shop.order(&made).await.get("correlationId"), None);
    }
    let payment = ann.payment(&made, "approve").await;
    let paid = ann.confirm(&made, &payment).await.is(200).json();
    let seen = shop.order(&made).await;
    // All that the buyer sees, and more.
    for (name, value) in paid.as_object().unwrap() {
        assert_eq!(&seen[name], value, "{name}");
    }
    assert!(
        seen["userId"]
            .as_str()
            .is_some_and(|user| user.starts_with("guest-"))
    );
    assert_eq!(seen["correlationId"], "trace-7");
    assert_eq!(seen["attempts"], 0);
    assert_eq!(
        (seen.get("attention"), seen.get("leaseUntil")),
        (None, None)
    );
    let audit = seen["audit"].as_array().unwrap();
    let told = |entry: &Value| {
        (
            entry["seq"].as_u64().unwrap(),
            entry["kind"].as_str().unwrap().to_owned(),
        )
    };
    let told: Vec<_> = audit.iter().map(told).collect();
    let expected = [
        (1, "order.initiated"),
        (2, "order.confirmStarted"),
        (3, "order.paid"),
    ];
    assert_eq!(told, expected.map(|(seq, kind)| (seq, kind.to_owned())));
    for entry in audit {
        assert_eq!(fields(entry), ["at", "event", "hash", "kind", "seq"].into());
        assert_eq!(entry["hash"].as_str().map(str::len), Some(64));
    }
    // The audit names nobody.
    assert!(
        !json!(audit)
            .to_string()
            .contains(seen["userId"].as_str().unwrap())
    );
    let path = format!("/admin/orders/{}/audit", id(&made));
    assert_eq!(
        shop.operator(&path).await,
        json!({"orderId": id(&made), "audit": audit})
    );
    for rest in ["", "/audit"] {
        let missing =
            answer(shop.admin(Method::GET, &format!("/admin/orders/{NOBODYS}{rest}"))).await;
        missing.problem(404, "unknownOrder");
    }
}

/// The orders that somebody should look at.
async fn attention(shop: &Shop) -> Vec<Value> {
    let page = shop.operator("/admin/orders?attention=true").await;
    page["orders"].as_array().unwrap().clone()
}

pub(crate) async fn orders_that_need_somebody_are_listed(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let paid = ann.paid(1).await;
    assert_eq!(attention(&shop).await, [] as [Value; 0]);
    // Nothing is left to do about it.
    let retry = format!("/admin/orders/{}/retry", id(&paid));
    let seen = shop.operate(&retry, &json!({})).await.is(200).json();
    assert_eq!(seen["status"], "paid");
    // Somebody gives the money back at the provider, past the shop; the provider says that something happened.
    let sandbox = Sandbox::with_book(shop.store().await);
    let key = PaymentKey::new(paid["payment"]["paymentKey"].as_str().unwrap()).unwrap();
    let cancel = CancelPayment {
        key: key.clone(),
        amount: Some(Money::new(10_000, Currency::KRW)),
        reason: "by hand".to_owned(),
        idempotency_key: new_key(),
    };
    sandbox.cancel(&cancel).await.unwrap();
    let hint = json!({"eventType": "PAYMENT_STATUS_CHANGED", "data": {"paymentKey": key.as_str(), "status": "PARTIAL_CANCELED"}});
    let post = shop.call(Method::POST, "/payments/toss/webhook");
    answer(post.json(&hint)).await.is(200);
    let listed = eventually(SOON, || async {
        let listed = attention(&shop).await;
        (listed.len() == 1).then_some(listed)
    })
    .await;
    assert_eq!(listed[0]["orderId"], paid["orderId"]);
    assert_eq!(listed[0]["attention"]["code"], "refundedElsewhere");
    assert!(listed[0]["attention"]["since"].is_string());
    assert_eq!(listed[0]["audit"], json!([]));
    // Looked at, it is as before; once it is settled, it is off the list.
    let seen = shop.operate(&retry, &json!({})).await.is(200).json();
    assert_eq!(seen["attention"]["code"], "refundedElsewhere");
    assert_eq!(attention(&shop).await.len(), 1);
    let no_flag = shop.operate(&retry, &json!({"settled": "yes"})).await;
    no_flag.refuses("settled");
    let not = json!({"settled": false, "why": "so"});
    let seen = shop.operate(&retry, &not).await.is(200).json();
    assert_eq!(seen["attention"]["code"], "refundedElsewhere");
    let settled = json!({"settled": true});
    let seen = shop.operate(&retry, &settled).await.is(200).json();
    assert_eq!(seen["orderId"], paid["orderId"]);
    assert_eq!(seen["attention"], Value::Null);
    assert_eq!(attention(&shop).await, [] as [Value; 0]);
    for bad in ["", "?attention=false", "?attention="] {
        let get = shop.admin(Method::GET, &format!("/admin/orders{bad}"));
        assert_eq!(answer(get).await.refuses("attention"), "true");
    }
    let get = shop.admin(Method::GET, "/admin/orders?attention=true&limit=0");
    answer(get).await.refuses("limit");
}

pub(crate) async fn an_operator_gives_money_back(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let paid = ann.paid(2).await;
    let path = format!("/admin/orders/{}/refund", id(&paid));
    let one = json!({"reason": "a broken seat", "tickets": [ticket(&paid, 0)]});
    let first = shop.operate(&path, &one).await.is(200).json();
    assert_eq!(first["status"], "partiallyRefunded");
    assert!(first["userId"].is_string());
    let events = first["audit"].as_array().unwrap().iter();
    let asked = events
        .map(|entry| &entry["event"])
        .find(|event| event["cause"].is_string());
    assert_eq!(asked.unwrap()["cause"], "operator");
    shop.operate(&path, &one).await.problem(409, "ticketState");
    let rest = shop.operate(&path, &json!({"reason": "canceled"})).await;
    assert!([200, 202].contains(&rest.status), "{}", rest.body);
    let ended = ann.until(&paid, "refunded").await;
    assert_eq!(ended["refundedAmount"], 60_000);
    let nobodys = format!("/admin/orders/{NOBODYS}/refund");
    shop.operate(&nobodys, &one)
        .await
        .problem(404, "unknownOrder");
}
