//! Joining, by stream and by polls, and looking without joining.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use ticketon_tests::eventually;

use super::shop::{SOON, Shop, answer, fields, next, until, waiting};

const WAITING: [&str; 7] = [
    "position",
    "waiting",
    "etaSeconds",
    "etaLowSeconds",
    "etaHighSeconds",
    "state",
    "lane",
];
const ADMITTED: [&str; 4] = ["admissionToken", "claimBy", "expiresAt", "fence"];

fn with_poll_fields(names: &[&'static str]) -> BTreeSet<&'static str> {
    [names, &["status", "retryAfterMs"]]
        .concat()
        .into_iter()
        .collect()
}

pub(crate) async fn a_stream_says_waiting_then_admitted(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("stream", &json!({"capacity": 1})).await;
    let (ann, ben) = (shop.guest().await, shop.guest().await);

    let mut inside = ann.join("stream").await;
    assert_eq!(inside.headers()["content-type"], "text/event-stream");
    assert_eq!(inside.headers()["cache-control"], "no-store");
    let hint = inside.next_block(SOON).await.expect("a hint");
    assert!(hint.retry.is_some(), "{hint:?}");
    let admitted = next(&mut inside).await;
    assert_eq!(admitted.event, "admitted");
    let data: Value = admitted.json();
    assert_eq!(fields(&data), BTreeSet::from(ADMITTED));
    let (claim_by, expires_at) = (&data["claimBy"], &data["expiresAt"]);
    assert!(claim_by.as_str().unwrap().ends_with('Z'), "{data}");
    assert!(claim_by.as_str() < expires_at.as_str(), "{data}");
    assert!(data["fence"].as_u64() > Some(0), "{data}");

    let mut in_line = ben.join("stream").await;
    let place = next(&mut in_line).await;
    assert_eq!(place.event, "waiting");
    let data: Value = place.json();
    assert_eq!(fields(&data), BTreeSet::from(WAITING));
    assert_eq!(data["position"], 1);
    assert_eq!(data["waiting"], 1);
    assert_eq!(data["state"], "open");
    assert_eq!(data["lane"], "general");
    let (epoch, sequence) = place.id.as_deref().unwrap().split_once('-').unwrap();
    assert!(epoch.parse::<u64>().is_ok() && sequence.parse::<i64>().is_ok());

    ann.leave("stream").await.is(204);
    until(&mut in_line, "admitted").await;
}

pub(crate) async fn a_poll_answers_202_then_200(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("poll", &json!({"capacity": 1})).await;
    let (ann, ben) = (shop.guest().await, shop.guest().await);

    let admitted = ann.poll("poll").await.is(200);
    assert_eq!(admitted.header("content-type"), Some("application/json"));
    assert_eq!(admitted.header("cache-control"), Some("no-store"));
    assert_eq!(admitted.json()["status"], "admitted");
    assert_eq!(fields(&admitted.json()), with_poll_fields(&ADMITTED));

    let place = ben.poll("poll").await.is(202).json();
    assert_eq!(place["status"], "waiting");
    assert_eq!(fields(&place), with_poll_fields(&WAITING));
    assert!(place["retryAfterMs"].as_u64() >= Some(250), "{place}");

    ann.leave("poll").await.is(204);
    eventually(SOON, || async { ben.poll("poll").await.status == 200 }).await;
}

pub(crate) async fn positions_count_from_one(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("count", &json!({"capacity": 1})).await;
    let ann = shop.guest().await;
    ann.admitted("count").await;
    let mut people = Vec::new();
    for position in 1..=3 {
        let person = shop.guest().await;
        let place = person.poll("count").await.is(202).json();
        assert_eq!(place["position"], position);
        assert_eq!(place["waiting"], position);
        people.push(person);
    }
    // Asking again changes nothing.
    assert_eq!(people[1].poll("count").await.json()["position"], 2);

    people[0].leave("count").await.is(204);
    for (person, position) in people[1..].iter().zip(1..) {
        assert_eq!(person.poll("count").await.json()["position"], position);
    }
}

pub(crate) async fn a_reload_keeps_the_place(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("reload", &json!({"capacity": 1})).await;
    shop.guest().await.admitted("reload").await;
    let (ben, cara) = (shop.guest().await, shop.guest().await);
    let mut first = ben.join("reload").await;
    let before = next(&mut first).await;
    let _behind = cara.join("reload").await;

    drop(first);
    let again = ben
        .stream("reload")
        .last_event_id(before.id.as_deref().unwrap());
    let after = next(&mut again.connect().await.unwrap()).await;
    assert_eq!(after.id, before.id);
    assert_eq!(after.json::<Value>()["position"], 1);
    assert_eq!(shop.numbers("reload").await["joinedTotal"], 3);
}

pub(crate) async fn a_newer_stream_replaces_the_older(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("newer", &json!({"capacity": 1})).await;
    shop.guest().await.admitted("newer").await;
    let ben = shop.guest().await;
    let mut older = ben.join("newer").await;
    next(&mut older).await;

    let mut newer = ben.join("newer").await;
    assert_eq!(next(&mut newer).await.event, "waiting");
    let last = older.until_end(SOON).await.pop().expect("a last event");
    assert_eq!(last.event, "closed");
    assert_eq!(last.json::<Value>(), json!({"reason": "replaced"}));
    let end = last.id.unwrap();
    assert!(end.ends_with("-end"), "{end}");

    // A browser would connect again by itself: it must not take the place over.
    let refused = ben.stream("newer").last_event_id(&end).connect().await;
    assert_eq!(refused.unwrap_err().status(), 204);
    ben.leave("newer").await.is(204);
    let told = until(&mut newer, "closed").await;
    assert_eq!(told.json::<Value>(), json!({"reason": "left"}));
}

pub(crate) async fn looking_never_joins(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("look", &json!({"capacity": 1})).await;
    let ann = shop.guest().await;
    let path = waiting("look");
    let head = ann
        .call(Method::HEAD, &path)
        .header("accept", "text/event-stream");
    answer(head).await.is(200);
    let page = ann.get(&path).header("accept", "text/html,*/*;q=0.8");
    answer(page).await.problem(406, "notAcceptable");
    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "prefetch"),
    ] {
        for accept in ["text/event-stream", "application/json"] {
            let prefetch = ann.get(&path).header(name, value).header("accept", accept);
            answer(prefetch).await.is(204);
        }
    }
    ann.status("look").await.problem(404, "notJoined");
    assert_eq!(shop.numbers("look").await["joinedTotal"], 0);
}

pub(crate) async fn status_looks_without_joining(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("status", &json!({"capacity": 1})).await;
    let (ann, ben) = (shop.guest().await, shop.guest().await);
    ann.status("status").await.problem(404, "notJoined");
    ann.admitted("status").await;
    assert_eq!(
        ann.status("status").await.is(200).json()["status"],
        "admitted"
    );
    ben.poll("status").await.is(202);
    let place = ben.status("status").await.is(200).json();
    assert_eq!(place["status"], "waiting");
    assert_eq!(fields(&place), with_poll_fields(&WAITING));
}

pub(crate) async fn a_full_room_says_when_to_retry(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("full", &json!({"capacity": 1, "maxWaiting": 1}))
        .await;
    shop.guest().await.admitted("full").await;
    shop.guest().await.poll("full").await.is(202);
    let late = shop.guest().await;
    let refused = late.poll("full").await;
    let seconds = refused
        .header("retry-after")
        .and_then(|text| text.parse::<u32>().ok());
    assert!(seconds > Some(0), "{seconds:?}");
    refused.problem(429, "roomFull");
    assert_eq!(
        late.stream("full").connect().await.unwrap_err().status(),
        429
    );
    late.status("full").await.problem(404, "notJoined");
}

pub(crate) async fn an_unknown_event_is_404(program: &str) {
    let shop = Shop::start(program).await;
    let ann = shop.guest().await;
    ann.poll("nowhere").await.problem(404, "unknownEvent");
    ann.status("nowhere").await.problem(404, "unknownEvent");
    ann.leave("nowhere").await.problem(404, "unknownEvent");
    let refused = ann.stream("nowhere").connect().await.unwrap_err();
    assert_eq!(refused.status(), 404);
}

pub(crate) async fn who_is_not_identified_is_401(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("known", &json!({"capacity": 1})).await;
    let path = waiting("known");
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::GET, format!("{path}/status")),
        (Method::GET, "/queue/events/known/tickets/entry".to_owned()),
        (Method::GET, "/shop/known".to_owned()),
    ] {
        // Somebody else's credentials: they make no guest, and tell nothing.
        let refused = answer(shop.call(method, &path).bearer_auth("of-somebody-else")).await;
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        assert_eq!(refused.cookie("ticketon_guest"), None);
        refused.problem(401, "unauthenticated");
    }
    assert_eq!(shop.numbers("known").await["joinedTotal"], 0);
}

pub(crate) async fn a_guest_gets_one_cookie(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("cookie", &json!({"capacity": 1})).await;
    let join = || shop.call(Method::GET, &waiting("cookie"));
    let first = answer(join()).await.is(200);
    let line = first.set_cookie("ticketon_guest").expect("a cookie");
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(line.contains(part), "{line}");
    }
    let cookie = first.cookie("ticketon_guest").unwrap();
    let known = format!("theme=dark; ticketon_guest={cookie}");
    let second = answer(join().header("cookie", known)).await.is(200);
    assert_eq!(second.cookie("ticketon_guest"), None);
    assert_eq!(second.json()["fence"], first.json()["fence"]);
    // A forged one makes a new guest, who waits.
    let forged = format!("ticketon_guest={}x", &cookie[..cookie.len() - 1]);
    let other = answer(join().header("cookie", forged)).await.is(202);
    assert!(other.cookie("ticketon_guest").is_some());
}
