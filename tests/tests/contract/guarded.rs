//! The door: whom it opens for, and what it answers to others.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use sha2::Sha256;
use ticketon_tests::eventually;

use super::shop::{ADMISSION, Guest, SECRET, SOON, Shop, answer, fields, until};

/// The own lease of an event.
fn entry(event: &str) -> String {
    format!("/queue/events/{event}/tickets/entry")
}

pub(crate) async fn the_first_call_claims_and_later_ones_pass(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("claim", &json!({"capacity": 1})).await;
    let ann = shop.guest().await;
    let token = ann.admitted("claim").await;

    let first = ann.shop("claim", &token).await.is(200);
    let claimed = first.header(ADMISSION).expect("a claimed token").to_owned();
    assert_ne!(claimed, token);
    let line = first
        .set_cookie("ticketon_admission_claim")
        .expect("a cookie");
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(line.contains(part), "{line}");
    }
    let cookie = first.cookie("ticketon_admission_claim").unwrap();
    assert_eq!(cookie, claimed);

    let second = ann.shop("claim", &claimed).await.is(200);
    let cookie = format!("ticketon_admission_claim={claimed}");
    let third = ann.get("/shop/claim").header("cookie", cookie);
    let third = answer(third).await.is(200);
    for later in [second, third] {
        assert_eq!(later.header(ADMISSION), None);
        assert_eq!(later.set_cookie("ticketon_admission_claim"), None);
    }
    // The claim's answer may have been lost: the first token claims again.
    let again = ann.shop("claim", &token).await.is(200);
    assert!(again.header(ADMISSION).is_some());
    assert_eq!(shop.numbers("claim").await["admittedTotal"], 1);
}

pub(crate) async fn without_admission_people_are_redirected_and_calls_refused(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("a b", &json!({"capacity": 1})).await;
    let ann = shop.guest().await;
    let html = "text/html,application/xhtml+xml,*/*;q=0.8";
    let address = "/shop/a%20b?seat=A1&next=//evil.test";
    let sent = answer(ann.get(address).header("accept", html))
        .await
        .is(303);
    let expected = "/wait/a%20b?return=%2Fshop%2Fa%2520b%3Fseat%3DA1%26next%3D%2F%2Fevil.test";
    assert_eq!(sent.header("location"), Some(expected));
    // The page is there, and returns to this site alone.
    let page = answer(ann.get(expected)).await.is(200).body;
    let own = "data-return-to=\"/shop/a%20b?seat=A1&amp;next=//evil.test\"";
    assert!(page.contains(own), "{page}");
    let page = answer(ann.get("/wait/a%20b?return=%2F%2Fevil.test"))
        .await
        .is(200);
    assert!(page.body.contains("data-return-to=\"/shop/a%20b\""));

    for accept in ["application/json", "*/*", "text/event-stream"] {
        let refused = answer(ann.get(address).header("accept", accept)).await;
        refused.problem(403, "admissionRequired");
    }
    let post = ann.call(Method::POST, address).header("accept", html);
    answer(post).await.problem(403, "admissionRequired");
    answer(ann.get(&entry("a%20b")).header("accept", html))
        .await
        .problem(403, "admissionRequired");
    // Whoever is not identified may still see the page.
    let nobody = shop.call(Method::GET, address).bearer_auth("x");
    answer(nobody.header("accept", html)).await.is(303);
}

/// A token made of this one: changed, then signed with a secret.
fn forge(token: &str, secret: &str, change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let part = |text: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    let mut parts = token.split('.');
    let mut header = part(parts.next().unwrap());
    let mut claims = part(parts.next().unwrap());
    change(&mut header, &mut claims);
    let [header, claims] = [header, claims].map(|json| URL_SAFE_NO_PAD.encode(json.to_string()));
    let signed = format!("{header}.{claims}");
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let signature = mac.chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Tokens that must open nothing for their bearer, and why.
async fn wrong_tokens(shop: &Shop, ann: &Guest<'_>, token: &str) -> Vec<(&'static str, String)> {
    let ben = shop.guest().await;
    let tampered = {
        let forged = forge(token, SECRET, |_, claims| claims["fnc"] = json!(1));
        let signature = token.rsplit_once('.').unwrap().1;
        format!("{}.{signature}", forged.rsplit_once('.').unwrap().0)
    };
    let unsigned = forge(token, SECRET, |header, _| header["alg"] = json!("none"));
    let signed = |change: fn(&mut Value, &mut Value)| forge(token, SECRET, change);
    vec![
        ("empty", String::new()),
        ("junk", "junk".to_owned()),
        ("dots", "..".to_owned()),
        ("long", "x".repeat(6_000)),
        ("of another person", ben.admitted("token").await),
        ("for another event", ann.admitted("other").await),
        ("a guest's", ann.token.clone()),
        ("tampered", tampered),
        ("cut", token[..token.len() - 2].to_owned()),
        ("alg none, signed", unsigned.clone()),
        (
            "alg none",
            format!("{}.", unsigned.rsplit_once('.').unwrap().0),
        ),
        (
            "a foreign key",
            forge(token, "another secret, of as many bytes", |_, _| {}),
        ),
        (
            "an unknown key",
            signed(|header, _| header["kid"] = json!("old")),
        ),
        (
            "another type",
            signed(|header, _| header["typ"] = json!("JWT")),
        ),
        (
            "expired",
            signed(|_, claims| claims["exp"] = json!(1_000_000_000)),
        ),
        (
            "from the future",
            signed(|_, claims| claims["iat"] = json!(9_000_000_000_u64)),
        ),
        (
            "another user",
            signed(|_, claims| claims["sub"] = json!("ann")),
        ),
        (
            "another event",
            signed(|_, claims| claims["evt"] = json!("other")),
        ),
        (
            "a bad event",
            signed(|_, claims| claims["evt"] = json!("{}")),
        ),
        (
            "an older fence",
            signed(|_, claims| claims["fnc"] = json!(1)),
        ),
        (
            "an older epoch",
            signed(|_, claims| claims["epc"] = json!(1)),
        ),
        (
            "an older fence, claimed",
            signed(|_, claims| {
                claims["fnc"] = json!(1);
                claims["clm"] = json!(true);
            }),
        ),
        ("no claims", signed(|_, claims| *claims = json!({}))),
        (
            "huge times",
            signed(|_, claims| claims["iat"] = json!(1e300)),
        ),
    ]
}

pub(crate) async fn no_other_token_opens_the_door(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("token", &json!({"capacity": 5})).await;
    shop.room("other", &json!({"capacity": 5})).await;
    let ann = shop.guest().await;
    let token = ann.admitted("token").await;
    for (what, wrong) in wrong_tokens(&shop, &ann, &token).await {
        for path in ["/shop/token".to_owned(), entry("token")] {
            let by_header = ann.get(&path).header(ADMISSION, &wrong);
            let cookie = format!("ticketon_admission_token={wrong}");
            let by_cookie = ann.get(&path).header("cookie", cookie);
            for request in [by_header, by_cookie] {
                let refused = answer(request).await;
                assert_eq!(refused.status, 403, "{what} at {path}: {}", refused.body);
                refused.problem(403, "admissionRequired");
            }
        }
    }
    let bytes = HeaderValue::from_bytes(b"\xff\xfe").unwrap();
    let refused = answer(ann.get("/shop/token").header(ADMISSION, bytes)).await;
    refused.problem(403, "admissionRequired");

    // Signed by hand as the others were, but nothing changed: so those failed for what they were.
    let honest = forge(&token, SECRET, |_, _| {});
    ann.shop("token", &honest).await.is(200);
    let ben = shop.guest().await;
    ben.shop("token", &honest)
        .await
        .problem(403, "admissionRequired");
}

pub(crate) async fn buying_completes_the_admission(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("buy", &json!({"capacity": 1})).await;
    let (ann, ben) = (shop.guest().await, shop.guest().await);
    let token = ann.admitted("buy").await;
    let mut inside = ann.join("buy").await;
    let mut in_line = ben.join("buy").await;

    let post = ann
        .call(Method::POST, "/shop/buy")
        .header(ADMISSION, &token);
    let order = answer(post).await.is(200);
    assert_eq!(order.json()["event"], "buy");
    assert!(order.header(ADMISSION).is_some(), "it claimed as well");
    let last = inside.until_end(SOON).await.pop().expect("a last event");
    assert_eq!(last.json::<Value>(), json!({"reason": "completed"}));
    until(&mut in_line, "admitted").await;

    // A guard believes the store for a second.
    let refused = || async { ann.shop("buy", &token).await.status == 403 };
    eventually(SOON, refused).await;
    assert_eq!(shop.numbers("buy").await["completedTotal"], 1);
    assert_eq!(ann.poll("buy").await.is(202).json()["position"], 1);
}

pub(crate) async fn another_site_cannot_use_the_cookie(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("site", &json!({"capacity": 1})).await;
    let ann = shop.guest().await;
    let token = ann.admitted("site").await;
    let cookie = format!("ticketon_admission_site={token}");
    let buy = || {
        ann.call(Method::POST, "/shop/site")
            .header("cookie", &cookie)
    };
    for (name, value) in [
        ("origin", "https://evil.test"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        answer(buy().header(name, value))
            .await
            .problem(403, "forbidden");
    }
    assert_eq!(shop.numbers("site").await["completedTotal"], 0);
    answer(buy().header("origin", shop.app.base_url()))
        .await
        .is(200);
}

pub(crate) async fn the_own_lease_can_be_seen(program: &str) {
    let shop = Shop::start(program).await;
    shop.room("entry", &json!({"capacity": 1})).await;
    let ann = shop.guest().await;
    let admitted = ann.poll("entry").await.is(200).json();
    let token = admitted["admissionToken"].as_str().unwrap();
    let seen = answer(ann.get(&entry("entry")).header(ADMISSION, token))
        .await
        .is(200);
    let lease = seen.json();
    let names = ["fence", "claimBy", "expiresAt", "claimed"];
    assert_eq!(fields(&lease), BTreeSet::from(names));
    assert_eq!(lease["claimed"], true);
    assert_eq!(lease["fence"], admitted["fence"]);
    assert!(seen.header(ADMISSION).is_some(), "it claims");
    ann.leave("entry").await.is(204);
    let late = ann.get(&entry("entry")).header(ADMISSION, token);
    answer(late).await.problem(403, "admissionRequired");
}
