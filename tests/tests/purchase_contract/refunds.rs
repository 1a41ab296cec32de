//! Giving tickets back.

use serde_json::{Value, json};

use super::shop::{NOBODYS, Shop, same, ticket};

pub(crate) async fn all_is_given_back(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let paid = ann.paid(3).await;
    let refunded = ann
        .refund(&paid, &json!({"reason": "ill, sorry"}))
        .await
        .is(200)
        .json();
    assert_eq!(refunded["status"], "refunded");
    assert_eq!(refunded["refundedAmount"], 90_000);
    let refund = &refunded["refunds"][0];
    assert_eq!(
        (&refund["status"], &refund["amount"]),
        (&json!("completed"), &json!(90_000))
    );
    assert_eq!(refund["reason"], "ill, sorry");
    assert_eq!(refund["tickets"].as_array().map(Vec::len), Some(3));
    let states = refunded["tickets"].as_array().unwrap().iter();
    assert!(
        states.clone().all(|ticket| ticket["status"] == "refunded"),
        "{refunded}"
    );
    assert_eq!(ann.tickets().await, [] as [Value; 0]);
    ann.refund(&paid, &json!({"reason": "again"}))
        .await
        .problem(409, "orderState");
    // The seats are sold again.
    let ben = shop.buyer("night").await;
    ben.paid(4).await;
}

pub(crate) async fn tickets_are_given_back_one_by_one(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let paid = ann.paid(3).await;
    let one = json!({"reason": "one less", "tickets": [ticket(&paid, 1)]});
    let first = ann.refund(&paid, &one).await.is(200).json();
    assert_eq!(first["status"], "partiallyRefunded");
    assert_eq!(first["refundedAmount"], 30_000);
    let states = |order: &Value| -> Vec<Value> {
        let tickets = order["tickets"].as_array().unwrap().iter();
        tickets.map(|ticket| ticket["status"].clone()).collect()
    };
    assert_eq!(states(&first), ["valid", "refunded", "valid"]);
    ann.refund(&paid, &one).await.problem(409, "ticketState");
    // Named twice, given back once; the rest goes without naming it.
    let twice = json!({"reason": "x", "tickets": [ticket(&paid, 0), ticket(&paid, 0)]});
    let second = ann.refund(&paid, &twice).await;
    assert!([200, 202].contains(&second.status), "{}", second.body);
    let rest = ann.refund(&paid, &json!({"reason": "the rest"})).await;
    assert!([200, 202].contains(&rest.status), "{}", rest.body);
    let ended = ann.until(&paid, "refunded").await;
    assert_eq!(ended["refundedAmount"], 90_000);
    assert_eq!(ended["refunds"].as_array().map(Vec::len), Some(3));
    assert_eq!(states(&ended), ["refunded"; 3]);
}

pub(crate) async fn a_retry_of_a_refund_is_told_what_came_of_it(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let paid = ann.paid(2).await;
    let body = |at| json!({"reason": "x", "tickets": [ticket(&paid, at)]});
    let first = ann.refund_as("one", &paid, &body(0)).await.is(200);
    same(&ann.refund_as("one", &paid, &body(0)).await, &first);
    // The provider gives back one after the other: the second waits.
    let waiting = ann.refund_as("two", &paid, &body(1)).await.is(202).json();
    assert_eq!(waiting["refunds"][1]["status"], "requested");
    assert_eq!(waiting["tickets"][1]["status"], "refunding");
    let again = ann.refund_as("two", &paid, &body(1)).await;
    assert!([200, 202].contains(&again.status), "{}", again.body);
    let ended = ann.until(&paid, "refunded").await;
    let done = ann.refund_as("two", &paid, &body(1)).await.is(200);
    assert_eq!(done.json(), ended);
    same(&ann.refund_as("two", &paid, &body(1)).await, &done);
    same(&ann.refund_as("one", &paid, &body(0)).await, &first);
    assert_eq!(ended["refundedAmount"], 60_000);
}

pub(crate) async fn what_cannot_be_given_back_is_refused(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let pending = ann.order(1).await;
    ann.refund(&pending, &json!({"reason": "x"}))
        .await
        .problem(409, "orderState");
    let (paid, other) = (ann.paid(1).await, ann.paid(1).await);
    for stranger in [json!(NOBODYS), ticket(&other, 0).clone()] {
        let body = json!({"reason": "x", "tickets": [ticket(&paid, 0), stranger]});
        ann.refund(&paid, &body).await.problem(404, "unknownTicket");
    }
    let code = ann.tickets().await;
    let code = code
        .iter()
        .find(|one| one["orderId"] == paid["orderId"])
        .unwrap();
    shop.verify(&code["code"], true).await.is(200);
    let body = json!({"reason": "x", "tickets": [ticket(&paid, 0)]});
    let used = ann.refund(&paid, &body).await.problem(409, "ticketState");
    assert!(
        used["detail"].as_str().unwrap().contains("used since 20"),
        "{used}"
    );
    ann.refund(&paid, &json!({"reason": "x"}))
        .await
        .problem(409, "nothingToRefund");
    assert_eq!(ann.see(&paid).await["refunds"], json!([]));
    assert_eq!(ann.see(&other).await, other);
}
