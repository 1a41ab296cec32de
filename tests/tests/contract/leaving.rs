//! Leaving, coming back after the end, and going without a word.

use reqwest::Method;
use serde_json::{Value, json};
use ticketon_tests::eventually;

use super::shop::{ADMISSION, SOON, Shop, answer, next, until, waiting};

pub(crate) async fn leaving_closes_the_stream(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("leave", &json!({"capacity": 1})).await;
    let ann = shop.guest().await;
    let mut inside = ann.join("leave").await;
    next(&mut inside).await;
    let ben = shop.guest().await;
    let mut in_line = ben.join("leave").await;
    next(&mut in_line).await;

    for (person, stream) in [(&ben, in_line), (&ann, inside)] {
        let mut stream = stream;
        person.leave("leave").await.is(204);
        let last = stream.until_end(SOON).await.pop().expect("a last event");
        assert_eq!(last.event, "closed");
        assert_eq!(last.json::<Value>(), json!({"reason": "left"}));
        let end = last.id.unwrap();
        assert!(end.ends_with("-end"), "{end}");
        let again = person.stream("leave").last_event_id(&end).connect().await;
        assert_eq!(again.unwrap_err().status(), 204);
        person.status("leave").await.problem(404, "notJoined");
        // Leaving again is no error: the first answer may have been lost.
        person.leave("leave").await.is(204);
    }
    assert_eq!(shop.numbers("leave").await["leftTotal"], 2);
}

pub(crate) async fn an_ended_place_is_not_joined_again(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("ended", &json!({"capacity": 1})).await;
    let keeper = shop.guest().await;
    keeper.admitted("ended").await;
    let ben = shop.guest().await;
    let mut stream = ben.join("ended").await;
    let place = next(&mut stream).await.id.unwrap();
    drop(stream);
    ben.leave("ended").await.is(204);

    // The stream had broken before it could say so.
    let resumed = ben.stream("ended").last_event_id(&place);
    let mut resumed = resumed.connect().await.unwrap();
    let events = resumed.until_end(SOON).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].event, "closed");
    assert_eq!(events[0].json::<Value>(), json!({"reason": "left"}));
    ben.status("ended").await.problem(404, "notJoined");
    // Without that id it is a new wish to join, at the back.
    assert_eq!(ben.poll("ended").await.is(202).json()["position"], 1);
}

pub(crate) async fn a_place_of_an_older_epoch_joins_again(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("epoch", &json!({"capacity": 1})).await;
    shop.guest().await.admitted("epoch").await;
    for id in ["1-1", "junk", "18446744073709551616-1", "--"] {
        let ben = shop.guest().await;
        let mut stream = ben
            .stream("epoch")
            .last_event_id(id)
            .connect()
            .await
            .unwrap();
        assert_eq!(next(&mut stream).await.event, "waiting", "{id}");
    }
}

pub(crate) async fn a_dropped_connection_starts_the_grace(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("grace", &json!({"capacity": 1, "awayGraceSeconds": 1}))
        .await;
    let ann = shop.guest().await;
    let _inside = ann.join("grace").await;
    let (ben, cara) = (shop.guest().await, shop.guest().await);
    let mut goes = ben.join("grace").await;
    next(&mut goes).await;
    let mut stays = cara.join("grace").await;
    assert_eq!(next(&mut stays).await.json::<Value>()["position"], 2);

    drop(goes);
    // The bound is shorter than the time between keep-alive comments: the end of the connection
    // itself must be noticed, not a failed write.
    eventually(SOON, || async {
        shop.numbers("grace").await["waiting"] == 1
    })
    .await;
    let moved = |text: &Value| text["position"] == 1;
    stays
        .until(
            |event| event.event == "waiting" && moved(&event.json()),
            SOON,
        )
        .await;
    ben.status("grace").await.problem(404, "notJoined");
}

pub(crate) async fn another_site_cannot_make_people_leave(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("origin", &json!({"capacity": 1})).await;
    let ann = shop.guest().await;
    let token = ann.admitted("origin").await;
    let leave = || {
        ann.call(Method::DELETE, &waiting("origin"))
            .header(ADMISSION, &token)
    };
    for (name, value) in [
        ("origin", "https://evil.test"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        answer(leave().header(name, value))
            .await
            .problem(403, "forbidden");
        ann.status("origin").await.is(200);
    }
    let mut stream = ann.join("origin").await;
    answer(leave().header("origin", shop.app.base_url()))
        .await
        .is(204);
    until(&mut stream, "closed").await;
}
