//! The calls of operators: events, numbers, blocked seats, rebuilds.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::shop::{KEY, SMALL, Shop, answer, event_json, fields, labels};

pub(crate) async fn operators_need_the_token(program: &str) {
    let shop = Shop::start(program).await;
    let paths = [
        (Method::GET, ""),
        (Method::GET, "/layout"),
        (Method::POST, "/seats/block"),
    ];
    for (method, rest) in paths {
        let path = format!("/admin/events/demo{rest}");
        let call = || shop.call(method.clone(), &path);
        answer(call()).await.problem(401, "unauthenticated");
        answer(call().header("authorization", "Basic YTpi"))
            .await
            .problem(401, "unauthenticated");
        for wrong in [
            "",
            "an-admin-token-of-the-suit",
            "an-admin-token-of-the-suite2",
        ] {
            let refused = answer(call().bearer_auth(wrong)).await;
            assert!([401, 403].contains(&refused.status), "{}", refused.status);
        }
    }
    // Before anything is read of what was sent.
    let put = shop.call(Method::PUT, "/admin/events/%7B").body("{");
    answer(put).await.problem(401, "unauthenticated");
}

pub(crate) async fn an_event_is_made_and_changed(program: &str) {
    let shop = Shop::start(program).await;
    let made = shop
        .put("made", &event_json(json!({})))
        .await
        .is(200)
        .json();
    let versions = |event: &Value| (event["version"].as_u64(), event["salesVersion"].as_u64());
    assert_eq!(versions(&made), (Some(1), Some(1)));
    assert_eq!(made["seats"]["counts"]["free"], SMALL);
    assert_eq!(shop.numbers("made").await, made);
    // The same again is nothing new; neither is what was got, put as it is.
    let same = shop
        .put("made", &event_json(json!({})))
        .await
        .is(200)
        .json();
    assert_eq!(same, made);
    assert_eq!(shop.put("made", &made).await.is(200).json(), made);

    let mut renamed = made.clone();
    renamed["title"] = json!({"en": "Encore", "ko": "앙코르"});
    let renamed = shop.put("made", &renamed).await.is(200).json();
    assert_eq!(versions(&renamed), (Some(2), Some(1)));
    let shown = shop.get("/events/made").await.json();
    assert_eq!(shown["title"], json!({"en": "Encore", "ko": "앙코르"}));
    let mut dearer = renamed.clone();
    dearer["prices"][0]["amount"] = json!(200_000);
    let dearer = shop.put("made", &dearer).await.is(200).json();
    assert_eq!(versions(&dearer), (Some(3), Some(2)));
    let hold = {
        shop.room("made").await;
        shop.buyer("made").await.holds(&["A-1-1"]).await
    };
    assert_eq!(
        (&hold["total"], &hold["salesVersion"]),
        (&json!(200_000), &json!(2))
    );

    // A change of what somebody else has changed meanwhile is refused; without a version it is meant to win.
    shop.put("made", &renamed).await.problem(409, "conflict");
    let blind = event_json(json!({"venue": "New Hall"}));
    assert_eq!(shop.put("made", &blind).await.is(200).json()["version"], 4);
    shop.put("later", &event_json(json!({"version": 3})))
        .await
        .problem(409, "conflict");
}

pub(crate) async fn changes_that_make_no_sense_are_conflicts(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("frozen", json!({})).await;
    let ann = shop.buyer("frozen").await;
    let hold = ann.holds(&["A-1-1"]).await;
    let mut other = super::shop::small_hall();
    other["areas"][0]["capacity"] = json!(30);
    let before = shop.numbers("frozen").await;
    for (changes, why) in [
        (json!({"layout": other}), "layout"),
        (json!({"currency": "JPY"}), "currency"),
        (json!({"status": "draft"}), "draft"),
    ] {
        let refused = shop.put("frozen", &event_json(changes)).await;
        let problem = refused.problem(409, "conflict");
        assert!(
            problem["detail"].as_str().unwrap().contains(why),
            "{problem}"
        );
    }
    assert_eq!(shop.numbers("frozen").await, before);
    ann.release(&hold).await.is(204);
    let changes = json!({"layout": other, "currency": "JPY"});
    let changed = shop
        .put("frozen", &event_json(changes))
        .await
        .is(200)
        .json();
    assert_eq!(changed["seats"]["counts"]["free"], SMALL + 10);
    let cancel = event_json(json!({"status": "cancelled"}));
    shop.put("made", &cancel).await.is(200);
    shop.put("made", &event_json(json!({})))
        .await
        .problem(409, "conflict");
}

pub(crate) async fn numbers_say_what_is_taken(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("numbers", json!({})).await;
    let numbers = shop.numbers("numbers").await;
    assert_eq!(
        fields(&numbers["seats"]),
        BTreeSet::from(["counts", "epoch", "version"])
    );
    let epoch = numbers["seats"]["epoch"].clone();
    assert!(epoch.as_u64() > Some(0));
    let counts = |held: u64, blocked: u64| {
        let free = SMALL - held - blocked;
        json!({"free": free, "held": held, "sold": 0, "blocked": blocked})
    };
    assert_eq!(
        numbers["seats"],
        json!({"counts": counts(0, 0), "epoch": epoch, "version": 0})
    );
    let ann = shop.buyer("numbers").await;
    let hold = ann.holds(&["A-1-1", "A-1-2", "A-1-3"]).await;
    let blocked = shop.block("numbers", "block", &json!(["floor/1"])).await;
    // Every change answers with the numbers after it.
    assert_eq!(
        blocked.is(200).json()["seats"],
        json!({"counts": counts(3, 1), "epoch": epoch, "version": 2})
    );
    ann.release(&hold).await.is(204);
    assert_eq!(
        shop.numbers("numbers").await["seats"]["counts"],
        counts(0, 1)
    );
}

pub(crate) async fn blocked_seats_are_out_of_sale(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("block", json!({})).await;
    let ann = shop.buyer("block").await;
    ann.holds(&["A-1-3"]).await;
    let before = shop.numbers("block").await;
    // All or none: a seat that somebody holds is not taken from them.
    let refused = shop
        .block("block", "block", &json!(["A-1-1", "A-1-3"]))
        .await;
    let problem = refused.problem(409, "seatsTaken");
    assert_eq!(problem["errors"][0]["value"], "A-1-3");
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(1));
    assert_eq!(shop.numbers("block").await, before);

    let seats = json!(["A-1-1", "floor/5", "A-1-1"]);
    let blocked = shop.block("block", "block", &seats).await.is(200).json();
    assert_eq!(blocked["seats"]["counts"]["blocked"], 2);
    // Again changes nothing.
    assert_eq!(
        shop.block("block", "block", &seats).await.is(200).json(),
        blocked
    );
    let problem = ann.wants(&json!({"seats": ["A-1-2", "A-1-1"]})).await;
    let problem = problem.problem(409, "seatsTaken");
    assert_eq!(problem["errors"][0]["value"], "A-1-1");

    // Seats that are not blocked stay what they are.
    let seats = json!(["A-1-1", "A-1-3", "B-1-1"]);
    let freed = shop.block("block", "unblock", &seats).await.is(200).json();
    let counts = json!({"free": SMALL - 2, "held": 1, "sold": 0, "blocked": 1});
    assert_eq!(freed["seats"]["counts"], counts);
    ann.holds(&["A-1-1"]).await;
}

pub(crate) async fn labels_of_operators_are_checked(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("labels", json!({})).await;
    let before = shop.numbers("labels").await;
    for verb in ["block", "unblock"] {
        let path = format!("/admin/events/labels/seats/{verb}");
        let send = async |body: String| answer(shop.admin(Method::POST, &path).body(body)).await;
        send("{".to_owned()).await.problem(400, "malformed");
        for (body, field) in [
            (json!([]), "(body)"),
            (json!({}), "seats"),
            (json!({"seats": []}), "seats"),
            (json!({"seats": "A-1-1"}), "seats"),
            (json!({"seats": ["A-1-1"], "reason": "x"}), "reason"),
            (json!({"seats": ["A-1-1", 7]}), "seats[1]"),
            (json!({"seats": ["A-1-1", "A-1-9"]}), "seats[1]"),
        ] {
            send(body.to_string()).await.refuses(field);
        }
        let many: Vec<String> = (1..=1_001).map(|unit| format!("floor/{unit}")).collect();
        let range = shop
            .block("labels", verb, &json!(many))
            .await
            .refuses("seats");
        assert_eq!(range, "1 to 1000 seats");
    }
    assert_eq!(shop.numbers("labels").await, before);
}

pub(crate) async fn a_rebuild_keeps_what_lasts(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("anew", json!({})).await;
    let ann = shop.buyer("anew").await;
    let wanted = json!({"seats": ["A-1-1", "A-1-2"]});
    let hold = ann.ask("once", &wanted).await.is(201).json();
    shop.block("anew", "block", &json!(["B-1-1"])).await.is(200);
    let before = shop.numbers("anew").await;

    let rebuild = shop.admin(Method::POST, "/admin/events/anew/seats/rebuild");
    let rebuilt = answer(rebuild).await.is(200).json();
    assert_eq!(rebuilt, shop.numbers("anew").await);
    assert!(rebuilt["seats"]["epoch"].as_u64() > before["seats"]["epoch"].as_u64());
    let counts = json!({"free": SMALL - 1, "held": 0, "sold": 0, "blocked": 1});
    assert_eq!(rebuilt["seats"]["counts"], counts);
    assert_eq!(rebuilt["version"], before["version"]);

    // Holds ended with the old map, and nothing of them is known any more.
    assert_eq!(ann.own().await, [] as [Value; 0]);
    ann.extend(&hold).await.problem(404, "unknownHold");
    let anew = ann.ask("once", &wanted).await.is(201).json();
    assert_eq!(labels(&anew), ["A-1-1", "A-1-2"]);
    assert!(anew["fence"].as_u64() > hold["fence"].as_u64());
    let post = ann.call(Method::POST, "/holds").header(KEY, "two");
    let post = post.json(&json!({"seats": ["B-1-1"]}));
    answer(post).await.problem(409, "seatsTaken");
}
