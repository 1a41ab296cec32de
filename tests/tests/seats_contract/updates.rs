//! The live map: what changes, in order, without a gap.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use ticketon_tests::{SseClient, SseEvent, eventually};

use super::shop::{ADMISSION, Buyer, SOON, Shop, answer, fields, next, since, states};

/// The names of an update's lists, by state.
const LISTS: [&str; 4] = ["free", "held", "sold", "blocked"];

/// Someone who keeps a map by its updates, as a page does.
struct Watcher {
    map: Value,
    states: Vec<u8>,
    stream: SseClient,
}

impl Watcher {
    async fn start(buyer: &Buyer<'_>) -> Self {
        let map = buyer.guest.shop.map(&buyer.event).await;
        Self {
            states: states(&map),
            stream: buyer.follows(&since(&map)).await,
            map,
        }
    }

    fn version(&self) -> u64 {
        self.map["version"].as_u64().unwrap()
    }

    /// Reads one update, which must fit the map as it is.
    async fn step(&mut self) -> SseEvent {
        let event = next(&mut self.stream).await;
        assert_eq!(event.event, "seats");
        let update: Value = event.json();
        assert_eq!(update["epoch"], self.map["epoch"]);
        assert_eq!(update["from"], self.map["version"], "a gap");
        assert!(update["version"].as_u64() > update["from"].as_u64());
        let id = format!("{}-{}", update["epoch"], update["version"]);
        assert_eq!(event.id.as_deref(), Some(id.as_str()));
        let known = ["epoch", "from", "version"];
        for name in fields(&update) {
            assert!(known.contains(&name) || LISTS.contains(&name), "{name}");
        }
        for (state, name) in LISTS.into_iter().enumerate() {
            for seat in update[name].as_array().into_iter().flatten() {
                let seat = usize::try_from(seat.as_u64().unwrap()).unwrap();
                self.states[seat] = u8::try_from(state).unwrap();
            }
        }
        self.map["version"] = update["version"].clone();
        event
    }

    /// Reads updates up to this version.
    async fn until(&mut self, version: u64) {
        while self.version() < version {
            self.step().await;
        }
    }
}

pub(crate) async fn updates_need_an_admission(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("other", json!({})).await;
    let path = "/events/demo/seats/updates";
    answer(shop.stranger(Method::GET, path))
        .await
        .problem(401, "unauthenticated");
    let guest = shop.guest().await;
    answer(guest.call(Method::GET, path))
        .await
        .problem(403, "admissionRequired");
    let elsewhere = guest.admitted("other").await;
    let ann = shop.buyer("demo").await;
    for token in [&elsewhere.admission, &ann.admission] {
        let get = elsewhere.guest.call(Method::GET, path);
        let get = get.header(ADMISSION, token);
        answer(get).await.problem(403, "admissionRequired");
    }
    // A stream may be what claims the admission.
    let stream = ann.follows("").await;
    assert!(stream.headers().contains_key(ADMISSION));
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    assert_eq!(stream.headers()["cache-control"], "no-store");
    // Browsers cannot set headers of a stream: their cookie opens it.
    let cookie = format!("ticketon_admission_demo={}", ann.admission);
    let by_cookie = ticketon_tests::SseClient::request(&shop.app.url(path));
    let by_cookie = by_cookie.bearer(&ann.guest.token).cookie(&cookie);
    by_cookie.connect().await.unwrap();
}

pub(crate) async fn changes_come_in_order_and_without_a_gap(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("live", json!({})).await;
    let ann = shop.buyer("live").await;
    let mut first = Watcher::start(&ann).await;
    let hint = first.stream.next_block(SOON).await.expect("a hint");
    assert!(
        (1_000..3_000).contains(&hint.retry.expect("a time").as_millis()),
        "{hint:?}"
    );

    let hold = ann.holds(&["A-1-1", "floor/20"]).await;
    first.step().await;
    assert_eq!((first.states[0], first.states[41]), (1, 1));

    // A second watcher comes in the middle, and both see the rest.
    let mut second = Watcher::start(&shop.buyer("live").await).await;
    shop.block("live", "block", &json!(["B-1-1"])).await.is(200);
    ann.release(&hold).await.is(204);
    ann.holds(&["A-2-1"]).await;
    shop.block("live", "unblock", &json!(["B-1-1"]))
        .await
        .is(200);
    ann.holds(&["floor/1"]).await;
    let at = shop.numbers("live").await["seats"]["version"].as_u64();
    assert_eq!(at, Some(6));
    for watcher in [&mut first, &mut second] {
        watcher.until(6).await;
        let mut expected = vec![0; 42];
        (expected[8], expected[22]) = (1, 1);
        assert_eq!(watcher.states, expected);
    }
    // What a map says that is read now.
    eventually(SOON, || async { shop.map("live").await["version"] == 6 }).await;
    assert_eq!(states(&shop.map("live").await), first.states);
}

pub(crate) async fn who_knows_no_map_reads_it_first(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("blank", json!({})).await;
    let ann = shop.buyer("blank").await;
    let mut stream = ann.follows("").await;
    let event = next(&mut stream).await;
    assert_eq!(event.event, "resync");
    let at: Value = event.json();
    assert_eq!(fields(&at), BTreeSet::from(["epoch", "version"]));
    assert_eq!(event.id, Some(format!("{}-{}", at["epoch"], at["version"])));
    let map = shop.map("blank").await;
    assert_eq!(
        (&at["epoch"], &at["version"]),
        (&map["epoch"], &map["version"])
    );
    // From there on it goes by updates.
    ann.holds(&["A-1-1"]).await;
    let update: Value = next(&mut stream).await.json();
    assert_eq!(update["from"], at["version"]);
    assert_eq!(update["held"], json!([0]));
}

pub(crate) async fn a_reconnect_misses_nothing(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("again", json!({})).await;
    let ann = shop.buyer("again").await;
    let mut watcher = Watcher::start(&ann).await;
    let begin = since(&watcher.map);
    let hold = ann.holds(&["A-1-1", "A-1-2"]).await;
    let last = watcher.step().await.id.unwrap();

    drop(watcher.stream);
    ann.release(&hold).await.is(204);
    ann.holds(&["A-1-2", "A-2-1"]).await;
    // The browser says what it saw last, and that counts more than the address.
    for query in ["", &begin, "?since=nonsense"] {
        let again = ann.updates(query).last_event_id(&last);
        watcher.stream = again.connect().await.unwrap();
        watcher.map["version"] = json!(1);
        watcher.until(3).await;
        assert_eq!(watcher.states[0..2], [0, 1]);
        assert_eq!(watcher.states[8], 1);
    }
    // Who has seen all is told nothing until something happens.
    let epoch = &watcher.map["epoch"];
    let mut quiet = ann.follows(&format!("?since={epoch}-3")).await;
    ann.holds(&["floor/9"]).await;
    let update: Value = next(&mut quiet).await.json();
    assert_eq!(update["from"], 3);
}

pub(crate) async fn a_gap_asks_to_read_the_map(program: &str) {
    let shop = Shop::start(program).await;
    let layout =
        json!({"name": "Field", "grades": ["all"], "areas": [{"id": "field", "capacity": 5_000}]});
    let prices = json!([{"grade": "all", "amount": 1}]);
    shop.event("gap", json!({"layout": layout, "prices": prices}))
        .await;
    let ann = shop.buyer("gap").await;
    let map = shop.map("gap").await;
    let (epoch, version) = (
        map["epoch"].as_u64().unwrap(),
        map["version"].as_u64().unwrap(),
    );
    let mut open = ann.follows(&since(&map)).await;

    // All that changed is longer than the map itself.
    for first in (0..5_000).step_by(1_000) {
        let units: Vec<String> = (first + 1..=first + 1_000)
            .map(|unit| format!("field/{unit}"))
            .collect();
        shop.block("gap", "block", &json!(units)).await.is(200);
    }
    let now = version + 5;
    let is_now = |event: &SseEvent| event.is_message() && event.json::<Value>()["version"] == now;
    open.until(is_now, SOON).await;
    for (epoch, version) in [
        (epoch, version),
        // Of another epoch, and of a future that this map does not have.
        (epoch - 1, version),
        (epoch + 1, 0),
        (1, 1),
        (epoch, now + 1),
        (u64::MAX, u64::MAX),
    ] {
        let mut stream = ann.follows(&format!("?since={epoch}-{version}")).await;
        let event = next(&mut stream).await;
        assert_eq!(event.event, "resync", "{epoch}-{version}: {event:?}");
        assert_eq!(event.json::<Value>()["version"], now);
    }
    // A map that is built anew has a new epoch, which open streams are told.
    let rebuild = shop.admin(Method::POST, "/admin/events/gap/seats/rebuild");
    let rebuilt = answer(rebuild).await.is(200).json();
    let anew = &rebuilt["seats"]["epoch"];
    assert!(anew.as_u64() > Some(epoch));
    let is_told =
        |event: &SseEvent| event.event == "resync" && event.json::<Value>()["epoch"] == *anew;
    open.until(is_told, SOON).await;
}

pub(crate) async fn a_since_that_cannot_be_read_is_named(program: &str) {
    let shop = Shop::start(program).await;
    let ann = shop.buyer("demo").await;
    for since in [
        "",
        "x",
        "1",
        "1-",
        "-1",
        "1-2-3",
        "1-%2B2",
        "1%202",
        "1-99999999999999999999",
    ] {
        let get = ann.call(Method::GET, &format!("/seats/updates?since={since}"));
        let range = answer(get).await.refuses("since");
        assert!(range.contains("<epoch>-<version>"), "{since}: {range}");
    }
    // The last id is a browser's own, and none of ours says that the map must be read.
    for id in ["x", "7", "1-2-end"] {
        let mut stream = ann.updates("").last_event_id(id).connect().await.unwrap();
        assert_eq!(next(&mut stream).await.event, "resync", "{id}");
    }
}

pub(crate) async fn a_stop_ends_streams(program: &str) {
    let mut shop = Shop::start(program).await;
    let mut stream = shop.buyer("demo").await.follows("").await;
    assert_eq!(next(&mut stream).await.event, "resync");
    shop.app.terminate();
    assert_eq!(stream.until_end(SOON).await, []);
    assert!(shop.app.wait_exit(SOON).await.success());
}
