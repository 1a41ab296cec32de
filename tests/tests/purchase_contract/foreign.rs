//! What other people and other sites can do: nothing.

use reqwest::Method;
use serde_json::{Value, json};

use super::shop::{
    ELSEWHERE, KEY, NOBODYS, SOON, Shop, answer, confirm_body, eventually, id, new_key, same,
    ticket,
};

pub(crate) async fn orders_of_others_do_not_exist(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let (ann, ben) = (shop.buyer("night").await, shop.buyer("night").await);
    let (order, paid) = (ann.order(1).await, ann.paid(1).await);
    let payment = ann.payment(&order, "approve").await;
    let nobodys = json!({"orderId": NOBODYS, "amount": order["amount"]});
    // An order of somebody else reads exactly like none.
    let path = |order: &Value| format!("/purchase/{}", id(order));
    let missing = ben.get(&path(&nobodys)).await;
    same(&ben.get(&path(&order)).await, &missing);
    missing.problem(404, "unknownOrder");
    same(
        &ben.confirm(&order, &payment).await,
        &ben.confirm(&nobodys, &payment).await,
    );
    for foreign in [&order, &paid] {
        ben.confirm(foreign, &payment)
            .await
            .problem(404, "unknownOrder");
        ben.cancel(foreign).await.problem(404, "unknownOrder");
        let all = json!({"reason": "mine now"});
        ben.refund(foreign, &all).await.problem(404, "unknownOrder");
    }
    let one = json!({"reason": "mine now", "tickets": [ticket(&paid, 0)]});
    ben.refund(&paid, &one).await.problem(404, "unknownOrder");
    let qr = |ticket: &str| format!("/tickets/{ticket}/qr.svg");
    let missing = ben.get(&qr(NOBODYS)).await;
    same(
        &ben.get(&qr(ticket(&paid, 0).as_str().unwrap())).await,
        &missing,
    );
    missing.problem(404, "unknownTicket");
    assert_eq!(ben.history().await, [] as [Value; 0]);
    assert_eq!(ben.tickets().await, [] as [Value; 0]);
    assert_eq!(ann.see(&order).await, order);
    assert_eq!(ann.see(&paid).await, paid);
}

pub(crate) async fn another_site_can_do_nothing(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let hold = ann.hold(&json!(1)).await;
    let (order, paid) = (ann.order(1).await, ann.paid(1).await);
    let payment = ann.payment(&order, "approve").await;
    let before = ann.history().await;
    // The admission that the payment ended is not the one that is sent.
    eventually(SOON, || async {
        let room = shop.operator("/admin/rooms/night").await;
        (room["completedTotal"] == 1).then_some(())
    })
    .await;
    let cookies = format!(
        "ticketon_guest={}; ticketon_admission_night={}",
        ann.token,
        ann.comes_in().await
    );
    let own = |path: &str, body: &Value| {
        let post = shop.call(Method::POST, path).header("cookie", &cookies);
        post.header(KEY, new_key()).json(body)
    };
    let calls = [
        (
            "/purchase/initiate".to_owned(),
            json!({"eventId": "night", "holdId": hold["id"]}),
        ),
        (
            "/purchase/confirm".to_owned(),
            confirm_body(&order, &payment),
        ),
        (format!("/purchase/{}/cancel", id(&order)), json!({})),
        (
            format!("/purchase/{}/refund", id(&paid)),
            json!({"reason": "x"}),
        ),
    ];
    for (path, body) in &calls {
        for (name, value) in ELSEWHERE {
            let refused = answer(own(path, body).header(name, value)).await;
            assert_eq!(
                refused.status, 403,
                "{path} {name}: {value}: {}",
                refused.body
            );
            refused.problem(403, "forbidden");
        }
    }
    assert_eq!(ann.history().await, before);
    // The same from the page itself.
    let page = |path: &str, body: &Value| own(path, body).header("sec-fetch-site", "same-origin");
    answer(page(&calls[0].0, &calls[0].1)).await.is(201);
    answer(page(&calls[1].0, &calls[1].1)).await.is(200);
    answer(page(&calls[3].0, &calls[3].1)).await.is(200);
}
