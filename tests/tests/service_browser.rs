//! The reference app as people meet it: in a browser, on the real server, from the event card to
//! the seat map. Whatever a page writes to the console as an error fails the test, refused content
//! (the pages' security policy) included.
//!
//! With `TICKETON_SCREENSHOTS` set to a folder, pictures of the pages stay there.

#![allow(clippy::unwrap_used)]

#[path = "service_browser/network.rs"]
mod network;
#[path = "service_browser/operator.rs"]
mod operator;
#[path = "service_browser/person.rs"]
mod person;

use std::time::{Duration, Instant};

use fantoccini::Locator;
use fantoccini::key::Key;
use network::Network;
use operator::Operator;
use person::Person;
use serde_json::json;
use ticketon_tests::{AppBuilder, AppProcess, RedisServer, eventually, workspace_bin};

/// For what happens at once, on a busy machine.
const SOON: Duration = Duration::from_secs(15);
/// From joining to the door: the promise of the demo, with the time of a slow machine.
const FIRST_MINUTE: Duration = Duration::from_secs(75);
/// A telephone and a laptop.
const SIZES: [(u32, u32); 2] = [(390, 844), (1280, 800)];
const ADMIN_TOKEN: &str = "a-key-for-the-operator-of-a-test";

async fn app() -> AppBuilder {
    AppProcess::builder(workspace_bin("reference-app").await)
}

/// The path of the operator's address as the terminal shows it, with the key.
fn operator_path(app: &AppProcess) -> String {
    let output = app.output();
    let at = output.find("/operator#key=").expect(&output);
    output[at..].split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn browser_first_minute() {
    let app = app().await.start().await;
    let visitor = Person::new(app.base_url(), "en-US").await;

    visitor.goto("/").await;
    visitor.expect(".card", "Northern Lights, live").await;
    visitor.picture("1-home").await;
    visitor.click(".card a").await;
    visitor.expect("#join", "Join the line").await;
    visitor.picture("2-event").await;
    let asked = "return performance.getEntriesByType('resource').map((entry) => entry.name)
        .filter((name) => name.includes('/tickets/') || name.includes('/auth/'))";
    assert_eq!(visitor.script(asked).await, json!([]));
    let cookies = visitor.browser.client().get_all_cookies().await.unwrap();
    assert!(
        cookies.is_empty(),
        "whoever is not known cannot have joined"
    );

    visitor.click("#join").await;
    let joined_at = Instant::now();
    let first = visitor.number().await;
    assert!((200..=243).contains(&first), "{first}");
    let headline = visitor.expect("#headline", "about ").await;
    assert!(headline.starts_with("You're number "), "{headline}");
    let title = visitor.title().await;
    assert!(
        title.starts_with("(2") && title.ends_with(") Northern Lights, live"),
        "{title}"
    );
    visitor
        .expect(
            "#note",
            "Reload freely. If you leave, we keep your place for 2 minutes.",
        )
        .await;
    let second = visitor.number_below(first).await;
    visitor.picture("3-in-line").await;

    let before = visitor.number_below(second).await;
    visitor.browser.client().refresh().await.unwrap();
    let after = visitor.number().await;
    assert!(after <= before, "{after} after a reload, {before} before");

    visitor
        .expect_within(FIRST_MINUTE, "#headline", "It's your turn.")
        .await;
    visitor.expect("#headline", "Enter within 1:").await;
    visitor.expect_no_worse_number().await;
    visitor.picture("4-turn").await;
    visitor.click("[data-choice=enter]").await;
    visitor.expect(".st-in", "You're in.").await;
    let took = joined_at.elapsed();
    assert!(took < FIRST_MINUTE, "{took:?}");
    assert_eq!(visitor.path().await, "/seats/demo");
    let left = visitor.expect("#time-left", ":").await;
    assert!(left.starts_with("9:") || left.starts_with("10:0"), "{left}");
    visitor.expect("#prices", "₩165,000").await;
    visitor.picture("5-seats").await;

    visitor.goto(&operator_path(&app)).await;
    // What it measured: six a second, or nearly so on a busy machine.
    eventually(SOON, async || {
        let pace = visitor.sees("#pace").await;
        let measured: Option<f64> = pace.parse().ok();
        match measured.is_some_and(|pace| (5.0..=7.0).contains(&pace)) {
            true => Ok(()),
            false => Err(pace),
        }
    })
    .await;
    visitor.expect("#chart", "").await;
    visitor.picture("6-operator").await;
    visitor.expect_quiet_console().await;
}

#[tokio::test]
async fn browser_korean_and_dark() {
    let app = app()
        .await
        .env("TICKETON_ADMIN_TOKEN", ADMIN_TOKEN)
        .start()
        .await;
    let operator = Operator::of(&app);
    let network = Network::before(&app).await;
    let visitor = Person::new(network.base_url.clone(), "ko-KR").await;
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    visitor
        .browser
        .devtools("Emulation.setEmulatedMedia", dark)
        .await;

    visitor.goto("/").await;
    visitor.picture("ko-1-home").await;
    visitor.click(".card a").await;
    visitor.expect("#join", "대기열 참여하기").await;
    visitor.picture("ko-2-event").await;
    visitor.click("#join").await;
    let headline = visitor.expect("#headline", "~").await;
    let place = headline.strip_prefix("대기 순번 ").expect(&headline);
    let (number, wait) = place.split_once("번 ").expect(&headline);
    assert!(
        (200..=243).contains(&number.parse::<u64>().unwrap()),
        "{headline}"
    );
    let range = wait
        .strip_prefix("예상 대기 시간 ")
        .and_then(|rest| rest.strip_suffix("초"));
    assert!(range.is_some_and(|range| range.contains('~')), "{headline}");
    let ground = "return getComputedStyle(document.documentElement).backgroundColor";
    assert_eq!(visitor.script(ground).await, "rgb(13, 14, 16)");
    visitor
        .expect(
            "#note",
            "새로고침해도 순번은 그대로예요. 나가셔도 2분 동안 순번을 지켜 드려요.",
        )
        .await;
    visitor.picture("ko-3-in-line").await;

    operator.turn("/pause").await;
    visitor
        .expect("#note", "주최 측이 잠시 멈췄어요. 순번은 유지됩니다.")
        .await;
    visitor.picture("ko-4-paused").await;
    network.turn(false, &visitor.browser).await;
    visitor
        .expect("#note", "순번은 유지됩니다. 다시 연결하고 있어요...")
        .await;
    visitor.picture("ko-5-offline").await;
    network.turn(true, &visitor.browser).await;
    operator.turn("/resume").await;

    operator.admit_per_second(100).await;
    let turn = visitor.expect("#headline", "입장하실 차례예요. 1분 ").await;
    assert!(turn.ends_with("초 안에 입장해 주세요"), "{turn}");
    visitor.picture("ko-6-turn").await;
    visitor.click("[data-choice=enter]").await;
    visitor.expect(".st-in", "입장했어요.").await;
    visitor.expect("#prices", "석 남음").await;
    visitor.picture("ko-7-seats").await;
    visitor.goto(&format!("/operator#key={ADMIN_TOKEN}")).await;
    visitor.expect("#pace", "1").await;
    visitor.picture("ko-8-operator").await;
    let console = visitor.browser.console().await;
    assert!(
        !console.iter().any(|line| line.contains("Content Security")),
        "{console:?}"
    );
}

#[tokio::test]
async fn browser_operator() {
    let app = app()
        .await
        .env("TICKETON_ADMIN_TOKEN", ADMIN_TOKEN)
        .start()
        .await;
    let person = Person::new(app.base_url(), "en-US").await;
    person.goto("/wait/demo").await;
    person.number().await;
    let operator_path = format!("/operator#key={ADMIN_TOKEN}");
    let line = person.open_tab(&operator_path).await;

    person.expect("#waiting", "2").await;
    person.expect("#memory-note", "a restart empties it").await;
    let address = person.browser.client().current_url().await.unwrap();
    assert_eq!(
        address.fragment(),
        None,
        "the key does not stay in the address"
    );
    person.click("[data-verb=pause]").await;
    person.expect("#state-chip", "Paused").await;

    let desk = person.turn_to(line).await;
    person
        .expect("#note", "Paused by the organiser. Your place is safe.")
        .await;
    let spoken = "Paused by the organiser. Your place is safe.".to_owned();
    eventually(SOON, async || person.heard().await.contains(&spoken)).await;
    person.picture("paused").await;
    let line = person.turn_to(desk).await;
    person.click("[data-verb=resume]").await;
    person.expect("#state-chip", "Open").await;

    let rate = person
        .browser
        .client()
        .find(Locator::Css("#rate"))
        .await
        .unwrap();
    rate.clear().await.unwrap();
    rate.send_keys("7").await.unwrap();
    person
        .expect("#preview", "7/s: the last person waits 3")
        .await;
    person.expect("#preview", " s, not 4").await;
    person.click("#apply").await;
    person.expect("#outcome", "Applied.").await;
    person.expect("#pace-note", "limit 7/s").await;
    assert_eq!(Operator::of(&app).numbers().await["admitPerSecond"], 7);

    let desk = person.turn_to(line).await;
    let before = person.number().await;
    let line = person.turn_to(desk).await;
    person.click("#add").await;
    person
        .expect("#outcome", "1,000 visitors joined at the back.")
        .await;
    person.expect("#waiting", "1,").await;
    person.expect("#pace", "7").await;
    person.picture("operator-crowd").await;
    person.turn_to(line).await;
    person.expect("#in-all", "1,").await;
    let after = person.number().await;
    assert!(
        after <= before,
        "{after} after the crowd came, {before} before"
    );
    person.expect_no_worse_number().await;
    person.expect_quiet_console().await;
}

#[tokio::test]
async fn browser_offline_and_second_tab() {
    let app = app()
        .await
        .env("TICKETON_ADMIN_TOKEN", ADMIN_TOKEN)
        .start()
        .await;
    let network = Network::before(&app).await;
    let guest = Person::new(network.base_url.clone(), "en-US").await;
    guest.goto("/wait/demo").await;
    let before = guest.number().await;

    network.turn(false, &guest.browser).await;
    guest
        .expect("#note", "Your place is safe. Reconnecting...")
        .await;
    guest.picture("offline").await;
    network.turn(true, &guest.browser).await;
    let after = guest.number_below(before).await;
    guest.expect("#note", "Reload freely.").await;
    let heard = eventually(SOON, async || {
        let heard = guest.heard().await;
        heard
            .iter()
            .any(|line| line == "Connected again.")
            .then_some(heard)
    })
    .await;
    let at = |words: &str| heard.iter().position(|line| line == words);
    let lost = at("Your place is safe. Reconnecting...").expect("it is heard");
    assert!(
        at("Connected again.").expect("it is heard") > lost,
        "{heard:?}"
    );
    assert!(after < before, "{after} after, {before} before");

    let first_tab = guest.open_tab("/wait/demo").await;
    let here = guest.number().await;
    let second_tab = guest.turn_to(first_tab).await;
    guest.expect("#headline", "Continued in another tab.").await;
    guest.picture("replaced").await;
    let connections = "return performance.getEntriesByType('resource')
        .filter((entry) => entry.name.endsWith('/tickets/waiting')).length";
    let made = guest.script(connections).await;
    let first_tab = guest.turn_to(second_tab).await;
    guest.number_below(here.saturating_sub(20)).await;
    let second_tab = guest.turn_to(first_tab).await;
    assert_eq!(
        guest.script(connections).await,
        made,
        "the first tab stays away"
    );

    guest.turn_to(second_tab).await;
    guest.click("#leave").await;
    guest.expect("#leave-dialog", "Leave the line?").await;
    guest.picture("leave").await;
    guest.click("#leave-confirm").await;
    guest.expect("#headline", "You left the line.").await;
    assert_eq!(Operator::of(&app).numbers().await["leftTotal"], 1);
    guest.click("[data-choice=home]").await;
    guest.expect(".card", "Northern Lights, live").await;
    assert_eq!(guest.path().await, "/");
}

#[tokio::test]
async fn browser_first_minute_on_redis() {
    let redis = RedisServer::start().await;
    let app = app()
        .await
        .env("TICKETON_ADMIN_TOKEN", ADMIN_TOKEN)
        .args(["--redis-url", &redis.url()])
        .start()
        .await;
    let visitor = Person::new(app.base_url(), "en-US").await;

    // By the keyboard alone.
    visitor.goto("/").await;
    visitor.expect(".card", "Northern Lights, live").await;
    visitor.tab_to(".card a").await;
    visitor.press(Key::Enter).await;
    visitor.expect("#join", "Join the line").await;
    visitor.tab_to("#join").await;
    visitor.press(Key::Enter).await;
    let joined_at = Instant::now();
    let first = visitor.number().await;
    assert!((200..=243).contains(&first), "{first}");
    Operator::of(&app).admit_per_second(24).await;
    visitor
        .expect_within(FIRST_MINUTE, "#headline", "It's your turn.")
        .await;

    // What was heard meanwhile: milestones, and the turn.
    let heard = eventually(SOON, async || {
        let heard = visitor.heard().await;
        let turn = |line: &String| line.starts_with("It's your turn. Enter within 1:");
        if heard.iter().any(turn) {
            Ok(heard)
        } else {
            Err(heard)
        }
    })
    .await;
    assert!(heard[0].starts_with("You're number 2"), "{heard:?}");
    assert!(heard.len() < 15, "{heard:?}");

    visitor.press(Key::Enter).await;
    visitor.expect(".st-in", "You're in.").await;
    assert_eq!(visitor.path().await, "/seats/demo");
    let took = joined_at.elapsed();
    assert!(took < FIRST_MINUTE, "{took:?}");

    visitor.goto(&format!("/operator#key={ADMIN_TOKEN}")).await;
    visitor.expect("#waiting", "2").await;
    assert_eq!(
        visitor.sees("#memory-note").await,
        "",
        "Redis keeps the line"
    );
    visitor.expect_quiet_console().await;
}

/// Too many guests have one address: the page is told to come again, and does so by itself.
#[tokio::test]
async fn browser_of_a_busy_address() {
    let app = app().await.args(["--guest-limit", "1:1"]).start().await;
    let person = Person::new(app.base_url(), "en-US").await;
    let neighbours = tokio::spawn({
        let (http, url) = (reqwest::Client::new(), app.url("/auth/guest"));
        async move {
            loop {
                http.post(&url).send().await.unwrap();
            }
        }
    });
    person.goto("/wait/demo").await;
    let refused = "return performance.getEntriesByType('resource').some((entry) =>
        entry.name.endsWith('/auth/guest') && entry.responseStatus === 429)";
    eventually(SOON, async || person.script(refused).await == true).await;
    neighbours.abort();
    person.number().await;
}
