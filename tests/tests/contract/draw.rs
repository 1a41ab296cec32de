//! The draw: what is told before the opening, and what after it.

use reqwest::Method;
use serde_json::{Value, json};

use super::shop::{Shop, answer, fields, next};

fn path(event: &str) -> String {
    format!("/queue/events/{event}/draw")
}

fn config() -> Value {
    json!({"capacity": 1, "opening": "draw", "opensAt": "2999-01-01T00:00:00Z"})
}

pub(crate) async fn a_draw_is_published_step_by_step(program: &str) {
    let shop = Shop::start(program).await;
    // Nobody has to say who they are.
    let draw = async || answer(shop.call(Method::GET, &path("luck"))).await;
    draw().await.problem(404, "unknownEvent");
    shop.room("luck", &json!({"capacity": 1})).await;
    draw().await.problem(404, "notFound");

    shop.room("luck", &config()).await;
    let before = draw().await.is(200);
    assert_eq!(before.header("cache-control"), Some("no-store"));
    let told = before.json();
    let names = ["algorithm", "commitment", "epoch", "opensAt"];
    assert_eq!(fields(&told), names.into_iter().collect());
    assert_eq!(told["algorithm"], "hmac-sha256/52");
    assert_eq!(told["opensAt"], "2999-01-01T00:00:00Z");
    assert_eq!(told["commitment"].as_str().unwrap().len(), 64);

    // Whatever can be asked before the opening, the key is in none of it.
    let ann = shop.guest().await;
    let mut stream = ann.join("luck").await;
    let mut heard = vec![
        before.body,
        next(&mut stream).await.data,
        ann.poll("luck").await.body,
        ann.status("luck").await.body,
        shop.numbers("luck").await.to_string(),
        answer(shop.admin(Method::GET, "/admin/rooms")).await.body,
        answer(shop.call(Method::HEAD, &path("luck"))).await.body,
    ];
    heard.push(shop.app.output());

    shop.change("luck", "open").await.is(200);
    let after = draw().await.is(200).json();
    let names = [
        "algorithm",
        "commitment",
        "drawn",
        "epoch",
        "key",
        "opensAt",
    ];
    assert_eq!(fields(&after), names.into_iter().collect());
    for same in ["algorithm", "commitment", "epoch", "opensAt"] {
        assert_eq!(after[same], told[same], "{same}");
    }
    assert_eq!(after["drawn"], 1);
    let key = after["key"].as_str().unwrap();
    assert_eq!(key.len(), 64);
    for text in heard {
        assert!(!text.contains(key), "{text}");
    }
    answer(shop.call(Method::POST, &path("luck")))
        .await
        .problem(405, "methodNotAllowed");
}

pub(crate) async fn a_draw_tells_no_place_before_it(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("luck", &config()).await;
    let (ann, ben, cem) = (shop.guest().await, shop.guest().await, shop.guest().await);
    let mut streams = Vec::new();
    for guest in [&ann, &ben] {
        let mut stream = guest.join("luck").await;
        let first = next(&mut stream).await;
        let place: Value = first.json();
        assert_eq!(place["position"], Value::Null, "{place}");
        assert_eq!(place["etaSeconds"], Value::Null, "{place}");
        assert_eq!(place["state"], "scheduled");
        // `<epoch>-<sequence>`, and a drawn sequence is below zero.
        let id = first.id.as_deref().expect("an id");
        let (_, sequence) = id.split_once('-').expect("two parts");
        assert!(sequence.parse::<i64>().unwrap() < 0, "{id}");
        streams.push(stream);
    }
    let polled = cem.poll("luck").await.is(202).json();
    assert_eq!(
        (&polled["position"], &polled["waiting"]),
        (&Value::Null, &json!(3))
    );
    assert!(polled["retryAfterMs"].as_u64().unwrap() > 0);
    let looked = cem.status("luck").await.is(200).json();
    assert_eq!(looked["position"], Value::Null);

    // Somebody is in: neither the way of the draw nor its time may change.
    for (field, value) in [
        ("opening", json!("fifo")),
        ("opensAt", json!("2998-01-01T00:00:00Z")),
    ] {
        let mut changed = config();
        changed[field] = value;
        let put = shop.admin(Method::PUT, "/admin/rooms/luck").json(&changed);
        let problem = answer(put).await.problem(409, "conflict");
        assert!(
            problem["detail"].as_str().unwrap().contains(field),
            "{problem}"
        );
    }

    // A reload before the opening keeps the place, also by its negative id.
    let id = streams[0].last_event_id().expect("an id").to_owned();
    streams[0] = ann
        .stream("luck")
        .last_event_id(&id)
        .connect()
        .await
        .unwrap();
    assert_eq!(next(&mut streams[0]).await.id, Some(id));

    shop.change("luck", "open").await.is(200);
    let mut last = Vec::new();
    for stream in &mut streams {
        let told = stream
            .until(
                |event| event.event == "admitted" || event.json::<Value>()["position"].is_number(),
                super::shop::SOON,
            )
            .await;
        last.push(told);
    }
    let late = shop.guest().await.poll("luck").await.is(202).json();
    assert!(late["position"].as_u64().unwrap() >= 3, "{late}");
}

pub(crate) async fn a_draw_needs_its_time(program: &str) {
    let shop = Shop::start(program).await;
    let put = |config: Value| {
        let put = shop.admin(Method::PUT, "/admin/rooms/luck").json(&config);
        answer(put)
    };
    let range = put(json!({"capacity": 1, "opening": "draw"}))
        .await
        .refuses("opensAt");
    assert!(range.contains("draw"), "{range}");
    let range = put(json!({"capacity": 1, "opening": "lottery"}))
        .await
        .refuses("opening");
    assert!(range.contains("fifo") && range.contains("draw"), "{range}");
}
