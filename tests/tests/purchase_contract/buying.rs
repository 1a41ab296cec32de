//! From a hold to tickets, and all that may come between.

use reqwest::Method;
use serde_json::{Value, json};

use super::shop::{NOBODYS, SOON, Shop, answer, confirm_body, eventually, fields, id};

pub(crate) async fn an_order_is_made_of_a_hold(program: &str) {
    let shop = Shop::start(program).await;
    let ann = shop.buyer("demo").await;
    let hold = ann.hold(&json!(["A-1-1", "A-1-2"])).await;
    let made = ann.initiate(&hold).await.is(201);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let order = made.json();
    let expected = [
        "amount",
        "checkout",
        "createdAt",
        "currency",
        "eventId",
        "holdId",
        "orderId",
        "payUntil",
        "refundedAmount",
        "refunds",
        "seats",
        "status",
        "tickets",
    ];
    assert_eq!(fields(&order), expected.into());
    assert_eq!(order["status"], "pending");
    assert_eq!(order["eventId"], "demo");
    assert_eq!(order["holdId"], hold["id"]);
    assert_eq!(
        (&order["amount"], &order["currency"]),
        (&hold["total"], &json!("KRW"))
    );
    assert_eq!(order["seats"], hold["seats"]);
    assert_eq!(order["tickets"], json!([]));
    assert_eq!(
        order["checkout"],
        json!({"provider": "sandbox", "payUrl": "/sandbox/pay"})
    );
    assert!(
        order["payUntil"].as_str() > order["createdAt"].as_str(),
        "{order}"
    );
    // The same hold again: the same order.
    assert_eq!(ann.initiate(&hold).await.is(201).json(), order);
    assert_eq!(ann.see(&order).await, order);
    assert_eq!(ann.history().await, [order]);
}

pub(crate) async fn a_payment_makes_tickets(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let order = ann.order(2).await;
    let payment = ann.payment(&order, "approve").await;
    let answered = ann.confirm(&order, &payment).await.is(200);
    assert_eq!(answered.header("cache-control"), Some("no-store"));
    let paid = answered.json();
    assert_eq!(paid["status"], "paid");
    assert_eq!(paid["amount"], 60_000);
    assert_eq!(paid["payment"]["provider"], "sandbox");
    assert_eq!(paid["payment"]["paymentKey"], payment);
    assert!(paid["payment"]["approvedAt"].is_string(), "{paid}");
    assert_eq!(paid.get("checkout"), None);
    let tickets = paid["tickets"].as_array().unwrap();
    for (ticket, seat) in tickets.iter().zip(order["seats"].as_array().unwrap()) {
        assert_eq!(ticket["seat"], seat["label"]);
        assert_eq!(
            (&ticket["price"], &ticket["status"]),
            (&json!(30_000), &json!("valid"))
        );
    }
    assert_eq!(tickets.len(), 2);
    assert_eq!(ann.see(&order).await, paid);
    // The map hears of it, and the admission is complete.
    eventually(SOON, || async {
        (shop.counts("night").await["sold"] == 2).then_some(())
    })
    .await;
    eventually(SOON, || async {
        let room = shop.operator("/admin/rooms/night").await;
        (room["completedTotal"] == 1 && room["active"] == 0).then_some(())
    })
    .await;
}

pub(crate) async fn a_declined_payment_is_final(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let hold = ann.hold(&json!(1)).await;
    let order = ann.initiate(&hold).await.is(201).json();
    let payment = ann.payment(&order, "decline").await;
    let declined = ann
        .confirm(&order, &payment)
        .await
        .problem(402, "paymentDeclined");
    assert!(
        declined["detail"]
            .as_str()
            .is_some_and(|detail| !detail.is_empty())
    );
    let failed = ann.see(&order).await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["tickets"][0]["status"], "void");
    assert!(failed["failure"]["message"].is_string(), "{failed}");
    // A declined order is final; its hold may be bought again.
    let again = ann.initiate(&hold).await.is(201).json();
    assert_ne!(again["orderId"], order["orderId"]);
    let payment = ann.payment(&again, "approve").await;
    ann.confirm(&again, &payment).await.is(200);
}

pub(crate) async fn a_payment_that_is_not_decided_is_looked_at_again(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let order = ann.order(1).await;
    let payment = ann.payment(&order, "delay").await;
    let waiting = ann
        .confirm_as("late", &order, &payment)
        .await
        .is(202)
        .json();
    assert_eq!(waiting["status"], "confirming");
    assert_eq!(waiting["tickets"][0]["status"], "reserved");
    ann.cancel(&order).await.problem(409, "orderState");
    let paid = ann.until(&order, "paid").await;
    // What was not decided then is now.
    assert_eq!(
        ann.confirm_as("late", &order, &payment)
            .await
            .is(200)
            .json(),
        paid
    );
    assert_eq!(
        shop.kinds(&order).await,
        ["order.initiated", "order.confirmStarted", "order.paid"]
    );
}

pub(crate) async fn a_lost_answer_is_paid_once(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let order = ann.order(1).await;
    let payment = ann.payment(&order, "loseAnswer").await;
    let told = ann.confirm(&order, &payment).await;
    assert!([200, 202].contains(&told.status), "{}", told.body);
    let paid = ann.until(&order, "paid").await;
    assert_eq!(ann.confirm(&order, &payment).await.is(200).json(), paid);
    assert_eq!(
        shop.kinds(&order).await,
        ["order.initiated", "order.confirmStarted", "order.paid"]
    );
}

pub(crate) async fn the_amount_is_only_compared(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let order = ann.order(2).await;
    let payment = ann.payment(&order, "approve").await;
    for amount in [0, 1, 59_999, 60_001, u64::MAX] {
        let mut body = confirm_body(&order, &payment);
        body["amount"] = json!(amount);
        let refused = ann.post("/purchase/confirm", &body).await;
        let problem = refused.problem(409, "amountMismatch");
        assert_eq!(problem["errors"][0]["field"], "amount");
    }
    assert_eq!(ann.see(&order).await, order);
    ann.confirm(&order, &payment).await.is(200);
}

pub(crate) async fn a_payment_belongs_to_one_order(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let (ann, ben) = (shop.buyer("night").await, shop.buyer("night").await);
    let (order, other) = (ann.order(1).await, ben.order(1).await);
    let payment = ann.payment(&order, "approve").await;
    let paid = ann.confirm(&order, &payment).await.is(200).json();
    ben.confirm(&other, &payment)
        .await
        .problem(409, "paymentTaken");
    assert_eq!(ben.see(&other).await["tickets"], json!([]));
    let second = ann.payment(&order, "approve").await;
    ann.confirm(&order, &second)
        .await
        .problem(409, "paymentTaken");
    assert_eq!(ann.see(&order).await, paid);
}

pub(crate) async fn an_order_is_given_up(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let order = ann.order(2).await;
    let payment = ann.payment(&order, "approve").await;
    assert_eq!(
        ann.cancel(&order).await.is(200).json()["status"],
        "canceled"
    );
    assert_eq!(shop.counts("night").await["free"], 200);
    let detail = ann.cancel(&order).await.problem(409, "orderState")["detail"].to_string();
    assert!(detail.contains("canceled"), "{detail}");
    ann.confirm(&order, &payment)
        .await
        .problem(409, "orderState");
    ann.refund(&order, &json!({"reason": "x"}))
        .await
        .problem(409, "orderState");
    assert_eq!(ann.see(&order).await["status"], "canceled");
}

pub(crate) async fn an_order_that_was_not_paid_in_time_is_gone(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({"paymentDeadlineSeconds": 1}))
        .await;
    let ann = shop.buyer("night").await;
    let order = ann.order(1).await;
    let payment = ann.payment(&order, "approve").await;
    ann.until(&order, "expired").await;
    ann.confirm(&order, &payment)
        .await
        .problem(410, "orderExpired");
    assert_eq!(ann.see(&order).await["status"], "expired");
}

pub(crate) async fn a_changed_sale_is_not_sold(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let order = ann.order(1).await;
    let payment = ann.payment(&order, "approve").await;
    let prices = json!([{"grade": "all", "amount": 31_000}]);
    shop.event("night", &json!({"prices": prices})).await;
    ann.confirm(&order, &payment)
        .await
        .problem(409, "salesChanged");
    assert_eq!(ann.see(&order).await["status"], "failed");
}

pub(crate) async fn holds_that_cannot_be_bought_say_why(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let (ann, ben) = (shop.buyer("night").await, shop.buyer("night").await);
    let hold = ann.hold(&json!(1)).await;
    ben.initiate(&hold).await.problem(404, "unknownHold");
    ann.initiate(&json!({"id": NOBODYS}))
        .await
        .problem(404, "unknownHold");
    let path = format!("/events/night/holds/{}", hold["id"].as_str().unwrap());
    answer(ann.call(Method::DELETE, &path)).await.is(204);
    let ended = ann.initiate(&hold).await.problem(410, "holdEnded");
    assert_eq!(ended["detail"], "released");
    // Whoever is not admitted to the event of the body makes no order there.
    let cara = shop.buyer("demo").await;
    let body = json!({"eventId": "night", "holdId": hold["id"]});
    let refused = cara.post("/purchase/initiate", &body).await;
    refused.problem(403, "admissionRequired");
    assert_eq!(ann.history().await, [] as [Value; 0]);
    let paid = ann.paid(1).await;
    assert_eq!(ann.history().await[0]["orderId"], id(&paid));
}
