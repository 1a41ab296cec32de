//! Idempotency keys (P4): the same request, the same answer; another request, another key.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use ticketon_tests::RedisServer;

use super::shop::{
    KEY, NOBODYS, SOON, Shop, answer, confirm_body, eventually, new_key, same, ticket,
};

pub(crate) async fn a_key_is_required(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let (order, paid) = (ann.order(1).await, ann.paid(1).await);
    let payment = ann.payment(&order, "approve").await;
    let refund = format!("/purchase/{}/refund", paid["orderId"].as_str().unwrap());
    for (path, body) in [
        ("/purchase/confirm", confirm_body(&order, &payment)),
        (refund.as_str(), json!({"reason": "x"})),
    ] {
        let post = || ann.call(Method::POST, path).json(&body);
        let long = "k".repeat(129);
        for bad in [
            post(),
            post().header(KEY, ""),
            post().header(KEY, "a b"),
            post().header(KEY, long.as_str()),
            post().header(KEY, "a").header(KEY, "b"),
            post().header(KEY, "é".as_bytes()),
        ] {
            answer(bad).await.problem(400, "malformed");
        }
    }
    assert_eq!(ann.see(&order).await, order);
    assert_eq!(ann.see(&paid).await, paid);
    ann.confirm_as(&"k".repeat(128), &order, &payment)
        .await
        .is(200);
}

pub(crate) async fn a_retry_gets_the_same_answer(program: &str) {
    let mut shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let order = ann.order(2).await;
    let payment = ann.payment(&order, "approve").await;
    let first = ann.confirm_as("k", &order, &payment).await.is(200);
    same(&ann.confirm_as("k", &order, &payment).await, &first);
    // The order goes on, the answer does not; how the body was written makes no difference.
    ann.refund(&order, &json!({"reason": "x"})).await;
    let text = format!(
        r#"{{ "amount": {}, "nothing": null, "paymentKey": {payment}, "orderId": {} }}"#,
        order["amount"], order["orderId"]
    );
    let post = ann.call(Method::POST, "/purchase/confirm").header(KEY, "k");
    same(&answer(post.body(text)).await, &first);
    // After a restart too.
    let token = ann.token.clone();
    shop.app.restart().await;
    let post = shop.call(Method::POST, "/purchase/confirm");
    let post = post.bearer_auth(token).header(KEY, "k");
    let again = answer(post.json(&confirm_body(&order, &payment))).await;
    same(&again, &first);
}

pub(crate) async fn a_refusal_is_given_again(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let order = ann.order(1).await;
    let payment = ann.payment(&order, "decline").await;
    let declined = ann.confirm_as("declined", &order, &payment).await;
    same(
        &ann.confirm_as("declined", &order, &payment).await,
        &declined,
    );
    declined.problem(402, "paymentDeclined");
    let mut wrong = ann.order(1).await;
    wrong["amount"] = json!(1);
    let refused = ann.confirm_as("amount", &wrong, &payment).await;
    same(&ann.confirm_as("amount", &wrong, &payment).await, &refused);
    refused.problem(409, "amountMismatch");
    let unknown = json!({"orderId": NOBODYS, "amount": 1});
    let refused = ann.confirm_as("unknown", &unknown, &payment).await;
    same(
        &ann.confirm_as("unknown", &unknown, &payment).await,
        &refused,
    );
    refused.problem(404, "unknownOrder");
    // What cannot be read is no request yet: its key is free.
    let post = ann
        .call(Method::POST, "/purchase/confirm")
        .header(KEY, "unread");
    answer(post.body("{")).await.problem(400, "malformed");
    let order = ann.order(1).await;
    let payment = ann.payment(&order, "approve").await;
    ann.confirm_as("unread", &order, &payment).await.is(200);
}

pub(crate) async fn another_request_needs_another_key(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let (ann, ben) = (shop.buyer("night").await, shop.buyer("night").await);
    let (order, other) = (ann.order(1).await, ann.order(1).await);
    let payment = ann.payment(&order, "approve").await;
    let theirs = ann.payment(&other, "approve").await;
    let first = ann.confirm_as("k", &order, &payment).await.is(200);
    for (order, payment) in [(&other, &theirs), (&order, &theirs), (&other, &payment)] {
        let refused = ann.confirm_as("k", order, payment).await;
        refused.problem(422, "idempotencyMismatch");
    }
    assert_eq!(ann.see(&other).await, other);
    // A key is one's own, and an operation's own.
    let bens = ben.order(1).await;
    let payment_of_ben = ben.payment(&bens, "approve").await;
    ben.confirm_as("k", &bens, &payment_of_ben).await.is(200);
    let refunded = ann.refund_as("k", &order, &json!({"reason": "x"})).await;
    assert_eq!(refunded.status, 200, "{}", refunded.body);
    let mut others = vec![json!({"reason": "y"})];
    others.push(json!({"reason": "x", "tickets": [ticket(&first.json(), 0)]}));
    for body in others {
        let refused = ann.refund_as("k", &order, &body).await;
        refused.problem(422, "idempotencyMismatch");
    }
    let elsewhere = ann.refund_as("k", &other, &json!({"reason": "x"})).await;
    elsewhere.problem(422, "idempotencyMismatch");
    same(
        &ann.refund_as("k", &order, &json!({"reason": "x"})).await,
        &refunded,
    );
}

/// An answer that may change is not kept, but what was asked is.
pub(crate) async fn a_key_keeps_its_request_while_nothing_is_decided(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let (order, other) = (ann.order(1).await, ann.order(1).await);
    let payment = ann.payment(&order, "delay").await;
    ann.confirm_as("k", &order, &payment).await.is(202);
    let elsewhere = ann.payment(&other, "approve").await;
    let refused = ann.confirm_as("k", &other, &elsewhere).await;
    refused.problem(422, "idempotencyMismatch");
    ann.until(&order, "paid").await;
    let paid = ann.confirm_as("k", &order, &payment).await.is(200);
    same(&ann.confirm_as("k", &order, &payment).await, &paid);
    // What is not there uses up no key.
    let nobodys = json!({"orderId": "0123456789abcdef0123456789abcdef", "amount": 1_000});
    let lost = ann.confirm_as("n", &nobodys, &elsewhere).await;
    lost.problem(404, "unknownOrder");
    ann.confirm_as("n", &other, &elsewhere).await.is(200);
}

pub(crate) async fn a_running_request_is_waited_for(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let order = ann.order(1).await;
    let payment = ann.payment(&order, "approve").await;
    shop.close_gate();
    let meanwhile = async {
        ann.until(&order, "confirming").await;
        let waits = ann.confirm_as("k", &order, &payment).await;
        let after = waits.header("retry-after").map(str::to_owned);
        assert!(after.is_some_and(|after| after.parse::<u32>().is_ok_and(|seconds| seconds > 0)));
        waits.problem(409, "stillRunning");
        // The order is being worked on, whatever the key.
        let waits = ann.confirm_as("other", &order, &payment).await;
        assert!(waits.header("retry-after").is_some());
        waits.problem(409, "stillRunning");
        let mut body = confirm_body(&order, &payment);
        body["amount"] = json!(1);
        let mismatch = ann.post_as("k", "/purchase/confirm", &body).await;
        mismatch.problem(422, "idempotencyMismatch");
        shop.open_gate();
    };
    let (first, ()) = tokio::join!(ann.confirm_as("k", &order, &payment), meanwhile);
    let first = first.is(200);
    same(&ann.confirm_as("k", &order, &payment).await, &first);
    // Who was told to wait was told nothing for good.
    assert_eq!(
        ann.confirm_as("other", &order, &payment)
            .await
            .is(200)
            .json(),
        first.json()
    );
}

pub(crate) async fn who_hangs_up_finds_it_done(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let order = ann.order(1).await;
    let payment = ann.payment(&order, "approve").await;
    shop.close_gate();
    let post = ann.call(Method::POST, "/purchase/confirm").header(KEY, "k");
    let call = tokio::spawn(post.json(&confirm_body(&order, &payment)).send());
    ann.until(&order, "confirming").await;
    call.abort();
    assert!(call.await.is_err());
    // The server has seen them go before the provider answers.
    for _ in 0..10 {
        ann.see(&order).await;
    }
    shop.open_gate();
    let paid = ann.until(&order, "paid").await;
    let again = eventually(SOON, || async {
        let again = ann.confirm_as("k", &order, &payment).await;
        (again.status != 409).then_some(again)
    })
    .await;
    assert_eq!(again.is(200).json(), paid);
}

pub(crate) async fn a_crash_frees_the_key(program: &str) {
    // The hold outlives the process, so that the order can be paid by the next.
    let redis = RedisServer::start().await;
    let settings = [
        ("TICKETON_LEASE_MS", "3000"),
        ("TICKETON_REDIS_URL", &redis.url()),
    ];
    let mut shop = Shop::with(program, &settings).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let order = ann.order(1).await;
    let payment = ann.payment(&order, "approve").await;
    let (token, body) = (ann.token.clone(), confirm_body(&order, &payment));
    shop.close_gate();
    let post = ann.call(Method::POST, "/purchase/confirm").header(KEY, "k");
    let call = tokio::spawn(post.json(&body).send());
    ann.until(&order, "confirming").await;
    shop.app.kill9();
    assert!(call.await.unwrap().is_err());
    shop.open_gate();
    shop.app.restart().await;
    let confirm = || {
        shop.call(Method::POST, "/purchase/confirm")
            .bearer_auth(&token)
            .json(&body)
    };
    let first = eventually(SOON, || async {
        let again = answer(confirm().header(KEY, "k")).await;
        // Whoever asks too early waits, and whoever asks in time gets the answer that nobody got.
        assert!([200, 202, 409].contains(&again.status), "{}", again.body);
        (again.status == 200).then_some(again)
    })
    .await;
    assert_eq!(first.json()["status"], "paid");
    same(&answer(confirm().header(KEY, "k")).await, &first);
    assert_eq!(
        shop.kinds(&order).await,
        ["order.initiated", "order.confirmStarted", "order.paid"]
    );
}

pub(crate) async fn many_at_once_charge_once(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let order = ann.order(2).await;
    let payment = ann.payment(&order, "approve").await;
    let calls = (0..20).map(|call| {
        let key = if call % 2 == 0 {
            "k".to_owned()
        } else {
            new_key()
        };
        let (ann, order, payment) = (&ann, &order, &payment);
        async move { ann.confirm_as(&key, order, payment).await }
    });
    let answers = join_all(calls).await;
    let paid = ann.until(&order, "paid").await;
    for told in answers {
        match told.status {
            200 => assert_eq!(told.json(), paid),
            202 => assert_eq!(told.json()["status"], "confirming"),
            _ => assert_eq!(
                told.problem(409, "stillRunning")["code"],
                Value::from("stillRunning")
            ),
        }
    }
    assert_eq!(
        shop.kinds(&order).await,
        ["order.initiated", "order.confirmStarted", "order.paid"]
    );
}
