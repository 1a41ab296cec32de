//! Layouts inside events: refused by path, exported as they are, known by their version.

use reqwest::Method;
use serde_json::{Value, json};

use super::shop::{SMALL, Shop, answer, event_json, next, since, small_hall};

/// The refused fields of an answer.
fn refused(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap().iter();
    errors
        .map(|error| error["field"].as_str().unwrap())
        .collect()
}

pub(crate) async fn a_bad_layout_is_refused_by_path(program: &str) {
    let shop = Shop::start(program).await;
    let put = async |changes: Value| {
        let answer = shop.put("bad", &event_json(changes)).await;
        answer.problem(422, "invalid")
    };
    for wrong in [json!("hall"), json!([]), json!(7)] {
        assert_eq!(refused(&put(json!({"layout": wrong})).await), ["layout"]);
    }
    let mut wrong = small_hall();
    wrong["sections"][0]["rows"][1]["segments"][0]["count"] = json!(0);
    wrong["sections"][1]["id"] = json!("A-B");
    wrong["areas"][0]["capacity"] = json!("many");
    wrong["stages"] = json!([]);
    // All that is wrong with the layout, and with the event around it.
    let problem = put(json!({"layout": wrong, "currency": "won", "colour": "red"})).await;
    let named = refused(&problem);
    for field in [
        "currency",
        "colour",
        "layout.stages",
        "layout.sections[0].rows[1].segments[0].count",
        "layout.sections[1].id",
        "layout.areas[0].capacity",
    ] {
        assert!(named.contains(&field), "{field}: {named:?}");
    }
    assert!(
        problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .all(|error| error["range"] != "")
    );

    // What contradicts itself is found only once all can be read.
    let mut twice = small_hall();
    twice["sections"][1]["id"] = json!("A");
    let problem = put(json!({"layout": twice})).await;
    assert_eq!(refused(&problem), ["layout.sections[1].id"]);
    let text = event_json(json!({})).to_string();
    let doubled = text.replacen("\"grades\":", "\"grades\":[\"vip\"],\"grades\":", 1);
    assert_ne!(doubled, text);
    let doubled = shop.admin(Method::PUT, "/admin/events/bad").body(doubled);
    answer(doubled).await.refuses("layout.grades");
    // Prices and grades belong together.
    let problem =
        put(json!({"prices": [{"grade": "vip", "amount": 1}, {"grade": "gold", "amount": 1}]}))
            .await;
    let named = refused(&problem);
    assert!(
        named.iter().all(|field| field.starts_with("prices")),
        "{named:?}"
    );

    // Long lists of mistakes are cut.
    let mut many = small_hall();
    many["sections"] = json!(vec![json!({"id": "-"}); 500]);
    assert_eq!(refused(&put(json!({"layout": many})).await).len(), 100);
    for (body, field) in [("[]", "(body)"), ("7", "(body)"), ("{}", "title.en")] {
        let put = shop.admin(Method::PUT, "/admin/events/bad").body(body);
        answer(put).await.refuses(field);
    }
    for body in ["", "{", "{\"layout\": {}", "{\"layout\": nope}"] {
        let put = shop.admin(Method::PUT, "/admin/events/bad").body(body);
        answer(put).await.problem(400, "malformed");
    }
    let get = shop.admin(Method::GET, "/admin/events/bad");
    answer(get).await.problem(404, "unknownEvent");
}

pub(crate) async fn a_layout_survives_its_export(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("first", json!({})).await;
    let export = async |event: &str| {
        let get = shop.admin(Method::GET, &format!("/admin/events/{event}/layout"));
        answer(get).await.is(200)
    };
    for event in ["first", "demo"] {
        let layout = export(event).await;
        assert_eq!(layout.header("content-type"), Some("application/json"));
        assert_eq!(layout.header("cache-control"), Some("no-store"));
        let of = shop.numbers(event).await;
        let copy = format!("copy-of-{event}");
        let made = event_json(json!({"layout": layout.json(), "prices": of["prices"]}));
        let made = shop.put(&copy, &made).await.is(200).json();
        assert_eq!(made["layoutVersion"], of["layoutVersion"]);
        assert_eq!(export(&copy).await.body, layout.body);
        let map = async |event: &str| shop.get(&format!("/events/{event}/layout")).await.json();
        assert_eq!(map(&copy).await, map(event).await);
    }
    // White space and the order of fields do not make another layout.
    let pretty = serde_json::to_string_pretty(&event_json(json!({}))).unwrap();
    let put = shop.admin(Method::PUT, "/admin/events/pretty").body(pretty);
    let pretty = answer(put).await.is(200).json();
    let first = shop.numbers("first").await;
    assert_eq!(pretty["layoutVersion"], first["layoutVersion"]);
}

pub(crate) async fn a_layout_is_sold_by_its_version(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("by", json!({})).await;
    let version = shop.numbers("by").await["layoutVersion"].clone();
    let by_version =
        |version: &Value| event_json(json!({"layout": null, "layoutVersion": version}));
    let other = shop
        .put("other", &by_version(&version))
        .await
        .is(200)
        .json();
    assert_eq!(other["layoutVersion"], version);
    assert_eq!(other["seats"]["counts"]["free"], SMALL);
    for unknown in [json!("0123456789abcdef"), json!(""), Value::Null] {
        let refused = shop.put("none", &by_version(&unknown)).await;
        assert!(refused.refuses("layoutVersion").contains("known"));
    }

    // Another layout is another map, which whoever watches is told to read.
    let ann = shop.buyer("by").await;
    let map = shop.map("by").await;
    let mut stream = ann.follows(&since(&map)).await;
    let mut larger = small_hall();
    larger["areas"][0]["capacity"] = json!(30);
    let changed = event_json(json!({"layout": larger}));
    let changed = shop.put("by", &changed).await.is(200).json();
    assert_ne!(changed["layoutVersion"], version);
    let told = next(&mut stream).await;
    assert_eq!(told.event, "resync");
    assert_eq!(told.json::<Value>()["epoch"], changed["seats"]["epoch"]);
    ticketon_tests::eventually(super::shop::SOON, || async {
        shop.map("by").await["layoutVersion"] == changed["layoutVersion"]
    })
    .await;
    assert_eq!(shop.map("by").await["counts"]["free"], SMALL + 10);
    let layout = format!(
        "/events/by/layout?v={}",
        changed["layoutVersion"].as_str().unwrap()
    );
    assert_eq!(shop.get(&layout).await.json()["seats"], SMALL + 10);
    ann.holds(&["floor/30"]).await;
}
