//! What becomes of a hold: it is seen, extended, given back, ends; and by whom.

use reqwest::Method;
use serde_json::{Value, json};
use ticketon_tests::eventually;

use super::shop::{ELSEWHERE, KEY, SOON, Shop, answer, labels, new_key, states};

pub(crate) async fn own_holds_are_ones_own(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("own", json!({})).await;
    let (ann, ben) = (shop.buyer("own").await, shop.buyer("own").await);
    assert_eq!(ann.own().await, [] as [Value; 0]);
    let first = ann.holds(&["A-1-1"]).await;
    let second = ann.holds(&["A-2-1", "A-2-2"]).await;
    let other = ben.holds(&["B-1-1"]).await;
    assert_eq!(ann.own().await, [first, second]);
    assert_eq!(ben.own().await, [other]);
    // Of another event the same person has none, and needs no admission to learn that.
    let elsewhere = ann.guest.call(Method::GET, "/events/demo/holds");
    assert_eq!(answer(elsewhere).await.is(200).json(), json!({"holds": []}));
    answer(shop.stranger(Method::GET, "/events/own/holds"))
        .await
        .problem(401, "unauthenticated");
}

pub(crate) async fn a_hold_is_extended_up_to_the_cap(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("longer", json!({"holdSeconds": 30, "maxHoldSeconds": 31}))
        .await;
    let ann = shop.buyer("longer").await;
    let hold = ann.holds(&["A-1-1", "A-1-2"]).await;
    let last = &hold["maxExpiresAt"];
    assert!(hold["expiresAt"].as_str() < last.as_str());
    let version = shop.numbers("longer").await["seats"]["version"].clone();
    eventually(SOON, || async {
        let longer = ann.extend(&hold).await.is(200).json();
        for field in ["id", "seats", "fence", "total", "maxExpiresAt"] {
            assert_eq!(longer[field], hold[field], "{field}");
        }
        longer["expiresAt"] == *last
    })
    .await;
    // Never beyond, and it stays where it is.
    assert_eq!(ann.extend(&hold).await.is(200).json()["expiresAt"], *last);
    assert_eq!(ann.own().await[0]["expiresAt"], *last);
    assert_eq!(shop.numbers("longer").await["seats"]["version"], version);
}

pub(crate) async fn a_release_may_be_repeated(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("back", json!({})).await;
    let (ann, ben) = (shop.buyer("back").await, shop.buyer("back").await);
    let hold = ann.holds(&["A-1-1", "A-1-2"]).await;
    for _ in 0..3 {
        let released = ann.release(&hold).await.is(204);
        assert!(released.bytes.is_empty());
    }
    assert_eq!(ann.own().await, [] as [Value; 0]);
    assert_eq!(shop.numbers("back").await["seats"]["version"], 2);
    let now = ben.holds(&["A-1-1", "A-1-2"]).await;
    // A late repetition does not touch who has the seats now.
    ann.release(&hold).await.is(204);
    assert_eq!(ben.own().await, [now]);
    ann.release(&json!({"id": "0".repeat(32)}))
        .await
        .problem(404, "unknownHold");
    for id in [
        "x",
        &"0".repeat(31),
        &"0".repeat(33),
        &"g".repeat(32),
        "%7B",
    ] {
        let hold = json!({"id": id});
        let range = ann.release(&hold).await.refuses("holdId");
        assert_eq!(range, "32 hexadecimal digits");
        ann.extend(&hold).await.refuses("holdId");
    }
}

pub(crate) async fn nobody_else_touches_a_hold(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("mine", json!({})).await;
    let (ann, ben) = (shop.buyer("mine").await, shop.buyer("mine").await);
    let hold = ann.holds(&["A-1-1"]).await;
    let before = (shop.numbers("mine").await, ann.own().await);
    ben.extend(&hold).await.problem(404, "unknownHold");
    ben.release(&hold).await.problem(404, "unknownHold");
    // The same person's hold is none of another event's.
    let path = format!("/events/demo/holds/{}", hold["id"].as_str().unwrap());
    answer(ann.guest.call(Method::DELETE, &path))
        .await
        .problem(404, "unknownHold");
    assert_eq!((shop.numbers("mine").await, ann.own().await), before);

    // Whoever has left the waiting room extends nothing, but can see and give back what is theirs.
    let leave = ann
        .guest
        .call(Method::DELETE, &ann.path("/tickets/waiting"));
    answer(leave).await.is(204);
    // A door believes the store for a second.
    eventually(SOON, || async { ann.extend(&hold).await.status == 403 }).await;
    let wanted = json!({"seats": ["A-1-2"]});
    ann.wants(&wanted).await.problem(403, "admissionRequired");
    assert_eq!(ann.own().await.len(), 1);
    ann.release(&hold).await.is(204);
}

/// Asks whether the seats are free again.
async fn are_free(shop: &Shop, event: &str) -> bool {
    states(&shop.map(event).await)
        .iter()
        .all(|state| *state == 0)
}

pub(crate) async fn an_ended_hold_says_why(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("ended", json!({"holdSeconds": 1, "maxHoldSeconds": 1}))
        .await;
    let ann = shop.buyer("ended").await;
    let ended = async |hold: &Value, key: &str, wanted: &Value, why: &str| {
        let problem = ann.extend(hold).await.problem(410, "holdEnded");
        assert_eq!(problem["detail"], why);
        // A late retry does not take the seats anew.
        let problem = ann.ask(key, wanted).await.problem(410, "holdEnded");
        assert_eq!(problem["detail"], why);
        ann.ask(key, &json!({"seats": ["A-2-8"]}))
            .await
            .problem(422, "idempotencyMismatch");
        ann.release(hold).await.is(204);
        assert_eq!(ann.own().await, [] as [Value; 0]);
        eventually(SOON, || are_free(&shop, "ended")).await;
    };

    let wanted = json!({"seats": ["A-1-1", "A-1-2"]});
    let hold = ann.ask("expires", &wanted).await.is(201).json();
    eventually(SOON, || async { ann.own().await.is_empty() }).await;
    ended(&hold, "expires", &wanted, "expired").await;

    shop.event("ended", json!({"holdSeconds": 300})).await;
    let hold = ann.ask("released", &wanted).await.is(201).json();
    ann.release(&hold).await.is(204);
    ended(&hold, "released", &wanted, "released").await;

    // The seats that expired can be held by anybody.
    shop.buyer("ended").await.holds(&["A-1-1", "A-1-2"]).await;
}

pub(crate) async fn another_site_can_do_nothing(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("site", json!({})).await;
    let ann = shop.buyer("site").await;
    let hold = ann.holds(&["A-1-1"]).await;
    let id = hold["id"].as_str().unwrap();
    let cookies = format!(
        "ticketon_guest={}; ticketon_admission_site={}",
        ann.guest.token, ann.admission
    );
    // As a browser asks: it sends its cookies along, wherever the page is from.
    let by_browser = |method: Method, rest: &str| {
        let call = shop
            .call(method, &ann.path(rest))
            .header("cookie", &cookies);
        call.header(KEY, new_key())
            .json(&json!({"seats": ["A-1-2"]}))
    };
    let unsafe_calls = [
        (Method::POST, "/holds".to_owned()),
        (Method::POST, format!("/holds/{id}/extend")),
        (Method::DELETE, format!("/holds/{id}")),
    ];
    let before = (shop.numbers("site").await, ann.own().await);
    for (method, rest) in &unsafe_calls {
        for (name, value) in ELSEWHERE {
            let call = by_browser(method.clone(), rest).header(name, value);
            answer(call).await.problem(403, "forbidden");
        }
    }
    assert_eq!((shop.numbers("site").await, ann.own().await), before);
    for ((method, rest), status) in unsafe_calls.iter().zip([201, 200, 204]) {
        let call = by_browser(method.clone(), rest);
        let own = call.header("origin", shop.app.base_url());
        answer(own).await.is(status);
    }
    let left: Vec<String> = ann.own().await.iter().flat_map(labels).collect();
    assert_eq!(left, ["A-1-2"]);
    // An admission in the header is nothing that another site can make a browser send.
    let by_header = ann.call(Method::POST, "/holds").header(KEY, new_key());
    let by_header = by_header.header("origin", "https://partner.test");
    answer(by_header.json(&json!({"seats": ["A-1-3"]})))
        .await
        .is(201);
}
