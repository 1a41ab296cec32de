//! Operators: their token, rooms, states and numbers.

use reqwest::Method;
use serde_json::{Value, json};
use ticketon_tests::eventually;

use super::shop::{SOON, Shop, answer, fields, next, until};

pub(crate) async fn operators_need_the_token(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("secret", &json!({"capacity": 1})).await;
    let before = shop.numbers("secret").await;
    for (method, path) in [
        (Method::GET, "/admin/rooms"),
        (Method::GET, "/admin/rooms/secret"),
        (Method::GET, "/admin/rooms/nowhere"),
        (Method::PUT, "/admin/rooms/secret"),
        (Method::PUT, "/admin/rooms/new"),
        (Method::POST, "/admin/rooms/secret/close"),
        (Method::POST, "/admin/rooms/secret/explode"),
    ] {
        let call = || {
            let config = json!({"capacity": 9});
            shop.call(method.clone(), path).json(&config)
        };
        let nobody = answer(call()).await;
        assert_eq!(nobody.header("www-authenticate"), Some("Bearer"));
        nobody.problem(401, "unauthenticated");
        let basic = call().basic_auth("admin", Some(super::shop::ADMIN));
        answer(basic).await.problem(401, "unauthenticated");
        for wrong in [
            "x",
            "an-admin-token-of-the-suite2",
            "An-admin-token-of-the-suite",
        ] {
            answer(call().bearer_auth(wrong))
                .await
                .problem(403, "forbidden");
        }
    }
    assert_eq!(shop.numbers("secret").await, before);
    let new = shop.admin(Method::GET, "/admin/rooms/new");
    answer(new).await.problem(404, "unknownEvent");
}

pub(crate) async fn a_paused_room_admits_nobody(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("pause", &json!({"capacity": 5})).await;
    assert_eq!(
        shop.change("pause", "pause").await.is(200).json()["state"],
        "paused"
    );
    let ann = shop.guest().await;
    let mut stream = ann.join("pause").await;
    let place = next(&mut stream).await;
    assert_eq!(place.event, "waiting");
    assert_eq!(place.json::<Value>()["state"], "paused");
    // A slot is free all the time.
    assert_eq!(shop.numbers("pause").await["active"], 0);
    assert_eq!(
        shop.change("pause", "resume").await.is(200).json()["state"],
        "open"
    );
    until(&mut stream, "admitted").await;
}

pub(crate) async fn a_draining_room_admits_who_waits(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("drain", &json!({"capacity": 1})).await;
    let (ann, ben, cara) = (shop.guest().await, shop.guest().await, shop.guest().await);
    ann.admitted("drain").await;
    let mut stream = ben.join("drain").await;
    next(&mut stream).await;
    shop.change("drain", "drain").await.is(200);
    cara.poll("drain").await.problem(410, "roomClosed");
    assert_eq!(
        cara.stream("drain").connect().await.unwrap_err().status(),
        410
    );
    ann.leave("drain").await.is(204);
    until(&mut stream, "admitted").await;
}

pub(crate) async fn a_sold_out_room_tells_who_waits(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("sold", &json!({"capacity": 1})).await;
    let (ann, ben, cara) = (shop.guest().await, shop.guest().await, shop.guest().await);
    ann.admitted("sold").await;
    let mut stream = ben.join("sold").await;
    next(&mut stream).await;
    assert_eq!(
        shop.change("sold", "soldOut").await.is(200).json()["state"],
        "soldOut"
    );
    let told = |data: &Value| data["state"] == "soldOut" && data["position"] == 1;
    stream
        .until(|event| event.is_message() && told(&event.json()), SOON)
        .await;
    cara.poll("sold").await.problem(410, "soldOut");
    // Returned seats reopen it: the place was kept.
    ann.leave("sold").await.is(204);
    shop.change("sold", "open").await.is(200);
    until(&mut stream, "admitted").await;
}

pub(crate) async fn a_closed_room_ends_places_but_no_admission(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("close", &json!({"capacity": 1})).await;
    let (ann, ben) = (shop.guest().await, shop.guest().await);
    let token = ann.admitted("close").await;
    let mut stream = ben.join("close").await;
    next(&mut stream).await;
    assert_eq!(
        shop.change("close", "close").await.is(200).json()["state"],
        "closed"
    );
    let last = stream.until_end(SOON).await.pop().expect("a last event");
    assert_eq!(last.event, "closed");
    assert_eq!(last.json::<Value>(), json!({"reason": "roomClosed"}));
    ben.poll("close").await.problem(410, "roomClosed");
    ann.shop("close", &token).await.is(200);
}

pub(crate) async fn a_scheduled_room_opens_on_demand(program: &str) {
    let shop = Shop::start(program).await;
    let config = json!({"capacity": 1, "opensAt": "2999-01-01T00:00:00Z"});
    shop.room("later", &config).await;
    assert_eq!(shop.numbers("later").await["state"], "scheduled");
    let ann = shop.guest().await;
    assert_eq!(ann.poll("later").await.is(202).json()["state"], "scheduled");
    shop.change("later", "open").await.is(200);
    eventually(SOON, || async { ann.poll("later").await.status == 200 }).await;
}

pub(crate) async fn changes_that_make_no_sense_are_conflicts(program: &str) {
    let shop = Shop::start(program).await;
    let lanes = |names: &[&str]| -> Value {
        let lanes: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"capacity": 1, "lanes": lanes, "opensAt": "2999-01-01T00:00:00Z"})
    };
    shop.room("conflict", &lanes(&["first", "second"])).await;
    shop.guest().await.poll("conflict").await.is(202);
    let put = shop.admin(Method::PUT, "/admin/rooms/conflict");
    answer(put.json(&lanes(&["second"])))
        .await
        .problem(409, "conflict");
    assert_eq!(fields(&shop.numbers("conflict").await["lanes"][0]).len(), 3);

    for verb in ["pause", "resume", "drain", "soldOut"] {
        shop.change("conflict", verb).await.problem(409, "conflict");
    }
    shop.change("conflict", "close").await.is(200);
    for verb in ["open", "pause", "resume", "drain", "soldOut"] {
        shop.change("conflict", verb).await.problem(409, "conflict");
    }
    // Its answer may have been lost.
    shop.change("conflict", "close").await.is(200);
    assert_eq!(shop.numbers("conflict").await["state"], "closed");
    shop.change("nowhere", "open")
        .await
        .problem(404, "unknownEvent");
}

pub(crate) async fn rooms_are_listed_by_pages(program: &str) {
    let shop = Shop::start(program).await;
    for event in ["page-c", "page-a", "page-b"] {
        shop.room(event, &json!({"capacity": 1})).await;
    }
    let list = async |query: &str| {
        let get = shop.admin(Method::GET, &format!("/admin/rooms{query}"));
        answer(get).await
    };
    let ids = |page: &Value| -> Vec<String> {
        let rooms = page["rooms"].as_array().unwrap().iter();
        rooms
            .map(|room| room["eventId"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = list("").await.is(200).json();
    assert_eq!(ids(&all), ["demo", "page-a", "page-b", "page-c"]);
    assert_eq!(all["nextAfter"], Value::Null);
    let first = list("?limit=2&after=demo").await.is(200).json();
    assert_eq!(ids(&first), ["page-a", "page-b"]);
    assert_eq!(first["nextAfter"], "page-b");
    let second = list("?after=page%2Db").await.is(200).json();
    assert_eq!(ids(&second), ["page-c"]);
    for limit in ["0", "1001", "-1", "x", ""] {
        list(&format!("?limit={limit}")).await.refuses("limit");
    }
}

pub(crate) async fn numbers_count_what_happened(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("numbers", &json!({"capacity": 1, "admitPerSecond": 7}))
        .await;
    let (ann, ben) = (shop.guest().await, shop.guest().await);
    ann.admitted("numbers").await;
    ben.poll("numbers").await.is(202);
    let numbers = shop.numbers("numbers").await;
    for (field, value) in [
        ("eventId", json!("numbers")),
        ("state", json!("open")),
        ("waiting", json!(1)),
        ("active", json!(1)),
        ("capacity", json!(1)),
        ("joinedTotal", json!(2)),
        ("admittedTotal", json!(1)),
        ("completedTotal", json!(0)),
        ("expiredTotal", json!(0)),
        ("leftTotal", json!(0)),
        ("admitPerSecond", json!(7)),
        (
            "lanes",
            json!([{"name": "general", "weight": 1, "waiting": 1}]),
        ),
    ] {
        assert_eq!(numbers[field], value, "{field}");
    }
    ben.leave("numbers").await.is(204);
    let numbers = shop.numbers("numbers").await;
    assert_eq!(
        (&numbers["waiting"], &numbers["leftTotal"]),
        (&json!(0), &json!(1))
    );
    // More slots admit who waits, without a restart.
    ben.poll("numbers").await.is(202);
    shop.room("numbers", &json!({"capacity": 2})).await;
    eventually(SOON, || async { ben.poll("numbers").await.status == 200 }).await;
}
