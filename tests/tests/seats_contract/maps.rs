//! The layout and the snapshot: what a map page draws.

use reqwest::Method;
use serde_json::{Value, json};
use ticketon_tests::eventually;

use super::shop::{ADMISSION, Answer, SMALL, SOON, Shop, answer, fields, states};

/// The media type of the binary form.
const BINARY: &str = "application/vnd.ticketon.seats";

/// Asks for something as whoever has the answer with this tag.
async fn again(shop: &Shop, path: &str, tag: &str) -> Answer {
    answer(shop.call(Method::GET, path).header("if-none-match", tag)).await
}

pub(crate) async fn a_layout_is_kept_by_its_version(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("hall", json!({})).await;
    let event = shop.get("/events/hall").await.json();
    let version = event["layoutVersion"].as_str().unwrap();
    let tag = format!("\"{version}\"");
    // The first answer to a visitor makes a guest, and nobody may keep it.
    let guest = shop.guest().await;
    let get = async |path: &str| answer(guest.call(Method::GET, path)).await.is(200);

    let named = get(&format!("/events/hall/layout?v={version}")).await;
    assert_eq!(named.header("content-type"), Some("application/json"));
    assert_eq!(named.header("etag"), Some(tag.as_str()));
    let forever = Some("public, max-age=31536000, immutable");
    assert_eq!(named.header("cache-control"), forever);
    let map = named.json();
    assert_eq!(map["version"], version);
    assert_eq!(map["seats"], SMALL);
    assert_eq!(map["grades"], json!(["vip", "standard"]));
    let sections = map["sections"].as_array().unwrap();
    assert_eq!(sections.len(), 2);
    assert_eq!(sections[1]["start"], 16);

    // Who names no version, or one that is gone, gets the present one and asks again the next time.
    for query in ["", "?v=", "?v=0000000000000000"] {
        let other = get(&format!("/events/hall/layout{query}")).await;
        assert_eq!(other.header("cache-control"), Some("no-cache"), "{query}");
        assert_eq!(other.header("etag"), Some(tag.as_str()));
        assert_eq!(other.json(), map);
    }
    for path in [
        "/events/hall/layout".to_owned(),
        format!("/events/hall/layout?v={version}"),
    ] {
        let known = guest.call(Method::GET, &path).header("if-none-match", &tag);
        let known = answer(known).await.is(304);
        assert!(known.body.is_empty());
        assert_eq!(known.header("etag"), Some(tag.as_str()));
    }
    again(&shop, "/events/hall/layout", "\"0000000000000000\"")
        .await
        .is(200);
}

/// The binary form, read as the documentation says.
struct Snapshot {
    epoch: u64,
    version: u64,
    layout: String,
    states: Vec<u8>,
}

fn decode(bytes: &[u8]) -> Snapshot {
    let (magic, rest) = bytes.split_at(4);
    assert_eq!(magic, b"TKS1");
    let number = |from: usize, length: usize| {
        let bytes = rest[from..from + length].iter();
        bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let (epoch, version) = (number(0, 8), number(8, 8));
    let seats = usize::try_from(number(16, 4)).unwrap();
    let name_length = usize::try_from(number(20, 1)).unwrap();
    let (name, bits) = rest[21..].split_at(name_length);
    assert_eq!(bits.len(), seats.div_ceil(4));
    let states = (0..seats).map(|seat| bits[seat / 4] >> (6 - 2 * (seat % 4)) & 3);
    Snapshot {
        epoch,
        version,
        layout: String::from_utf8(name.to_vec()).unwrap(),
        states: states.collect(),
    }
}

async fn binary(shop: &Shop, event: &str, accept: &str) -> Answer {
    let get = shop.call(Method::GET, &format!("/events/{event}/seats"));
    answer(get.header("accept", accept)).await.is(200)
}

pub(crate) async fn a_snapshot_has_two_forms(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("forms", json!({})).await;
    let buyer = shop.buyer("forms").await;
    buyer.holds(&["A-1-1", "B-1-6"]).await;
    shop.block("forms", "block", &json!(["A-1-2", "floor/20"]))
        .await
        .is(200);
    // The map may be a moment old.
    let taken = |map: &Value| states(map).iter().filter(|state| **state != 0).count();
    eventually(SOON, || async { taken(&shop.map("forms").await) == 4 }).await;

    let get = shop.get("/events/forms/seats").await.is(200);
    assert_eq!(get.header("content-type"), Some("application/json"));
    let map = get.json();
    let names = [
        "eventId",
        "epoch",
        "version",
        "layoutVersion",
        "counts",
        "states",
    ];
    assert_eq!(fields(&map), names.into_iter().collect());
    assert_eq!(map["eventId"], "forms");
    assert_eq!(map["version"], 2);
    let counts = json!({"free": SMALL - 4, "held": 2, "sold": 0, "blocked": 2});
    assert_eq!(map["counts"], counts);
    let mut expected = vec![0; 42];
    (expected[0], expected[1], expected[21], expected[41]) = (1, 3, 1, 3);
    assert_eq!(states(&map), expected);

    for accept in [
        BINARY,
        "application/vnd.ticketon.seats;q=0.9, application/json;q=0.5",
    ] {
        let get = binary(&shop, "forms", accept).await;
        assert_eq!(get.header("content-type"), Some(BINARY));
        let snapshot = decode(&get.bytes);
        assert_eq!(snapshot.states, expected);
        assert_eq!(
            (&json!(snapshot.epoch), &json!(snapshot.version)),
            (&map["epoch"], &map["version"])
        );
        assert_eq!(snapshot.layout, map["layoutVersion"]);
    }
    for accept in ["application/json", "*/*", "text/html"] {
        let get = binary(&shop, "forms", accept).await;
        assert_eq!(get.header("content-type"), Some("application/json"));
        assert_eq!(get.header("vary"), Some("Accept"));
    }
    // Whatever the size of the hall.
    let demo = decode(&binary(&shop, "demo", BINARY).await.bytes);
    assert_eq!(demo.states, vec![0; 350]);
}

pub(crate) async fn a_snapshot_is_known_by_its_tag(program: &str) {
    let shop = Shop::start(program).await;
    let guest = shop.guest().await;
    let path = "/events/demo/seats";
    let first = answer(guest.call(Method::GET, path)).await.is(200);
    let map = first.json();
    let tag = format!("\"{}-{}\"", map["epoch"], map["version"]);
    assert_eq!(first.header("etag"), Some(tag.as_str()));
    assert_eq!(first.header("cache-control"), Some("no-cache"));
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".to_owned(),
    ] {
        for accept in [BINARY, "application/json"] {
            let get = guest.call(Method::GET, path).header("accept", accept);
            let get = answer(get.header("if-none-match", &known)).await.is(304);
            assert!(get.bytes.is_empty());
            assert_eq!(get.header("etag"), Some(tag.as_str()));
            assert_eq!(get.header("cache-control"), Some("no-cache"));
            assert_eq!(get.header("vary"), Some("Accept"));
        }
    }
    for other in ["\"1-1\"", "x", "", &tag.replace('"', "")] {
        again(&shop, path, other).await.is(200);
    }
    shop.buyer("demo").await.holds(&["A-1-1"]).await;
    let changed = || async { again(&shop, path, &tag).await.status == 200 };
    eventually(SOON, changed).await;
}

pub(crate) async fn head_is_get_without_a_body(program: &str) {
    let shop = Shop::start(program).await;
    let buyer = shop.buyer("demo").await;
    buyer.holds(&["A-1-1"]).await;
    for path in [
        "/events",
        "/events/demo",
        "/events/demo/layout",
        "/events/demo/seats",
        "/events/demo/seats/updates",
        "/events/demo/holds",
        "/admin/events/demo",
        "/admin/events/demo/layout",
    ] {
        let call = |method: Method| match path.starts_with("/admin") {
            true => shop.admin(method, path),
            false => buyer
                .guest
                .call(method, path)
                .header(ADMISSION, &buyer.admission),
        };
        let head = answer(call(Method::HEAD)).await.is(200);
        assert!(head.bytes.is_empty(), "{path}");
        // An open stream has no end to wait for: its headers are enough.
        let get = call(Method::GET).send().await.unwrap();
        for name in ["content-type", "etag", "vary"] {
            assert_eq!(
                head.headers.get(name),
                get.headers().get(name),
                "{path}: {name}"
            );
        }
        // A wrong call gets the same status as well.
        let missing = path.replace("demo", "nowhere");
        if missing != path {
            let head = answer(call_to(&shop, &buyer.guest.token, Method::HEAD, &missing)).await;
            let get = answer(call_to(&shop, &buyer.guest.token, Method::GET, &missing)).await;
            assert_eq!(
                (head.status, head.bytes.len()),
                (get.status, 0),
                "{missing}"
            );
        }
    }
}

fn call_to(shop: &Shop, guest: &str, method: Method, path: &str) -> reqwest::RequestBuilder {
    match path.starts_with("/admin") {
        true => shop.admin(method, path),
        false => shop.call(method, path).bearer_auth(guest),
    }
}
