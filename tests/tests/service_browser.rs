//! The reference app as people meet it: in a browser, on the real server, from the event card to
//! the door. Whatever a page writes to the console as an error fails the test, refused content
//! (the pages' security policy) included.
//!
//! With `TICKETON_SCREENSHOTS` set to a folder, pictures of the pages stay there.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use fantoccini::Locator;
use fantoccini::key::Key;
use fantoccini::wd::WindowHandle;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use ticketon_tests::{AppBuilder, AppProcess, Browser, RedisServer, eventually, workspace_bin};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// For what happens at once, on a busy machine.
const SOON: Duration = Duration::from_secs(15);
/// From joining to the door: the promise of the demo, with the time of a slow machine.
const FIRST_MINUTE: Duration = Duration::from_secs(75);
/// A telephone and a laptop.
const SIZES: [(u32, u32); 2] = [(390, 844), (1280, 800)];
const ADMIN_TOKEN: &str = "a-key-for-the-operator-of-a-test";

/// Runs in every page before its own scripts: keeps what screen readers hear and each number.
const WITNESS: &str = "
    globalThis.heard = [];
    globalThis.numbers = [];
    addEventListener('DOMContentLoaded', () => {
        for (const region of document.querySelectorAll('[role=status], [role=alert]')) {
            new MutationObserver(() => {
                const words = region.textContent.trim();
                if (words) heard.push(words);
            }).observe(region, { childList: true, characterData: true, subtree: true });
        }
        const headline = document.getElementById('headline');
        if (headline) new MutationObserver(() => {
            const digits = headline.querySelector('.tk-digits')?.textContent.replace(/\\D/g, '');
            if (digits) numbers.push(Number(digits));
        }).observe(headline, { childList: true, characterData: true, subtree: true });
    });";

/// Whether everything that moves has arrived; the bar and what turns go on.
const STILL: &str = "return document.getAnimations().every((motion) =>
    motion.transitionProperty === 'transform' || motion.playState === 'finished'
    || motion.effect.getComputedTiming().endTime === Infinity)";

/// A person with a browser.
struct Person {
    browser: Browser,
    base_url: String,
    pictures: Pictures,
}

/// Where pictures go: a folder that someone asked for, or one that ends with the test.
struct Pictures {
    folder: PathBuf,
    _ends: Option<TempDir>,
}

impl Pictures {
    fn new() -> Self {
        if let Some(folder) = std::env::var_os("TICKETON_SCREENSHOTS") {
            let folder = PathBuf::from(folder);
            std::fs::create_dir_all(&folder).unwrap();
            return Self {
                folder,
                _ends: None,
            };
        }
        let ends = tempfile::tempdir().unwrap();
        Self {
            folder: ends.path().to_owned(),
            _ends: Some(ends),
        }
    }
}

impl Person {
    async fn new(base_url: String, language: &str) -> Self {
        let browser = Browser::builder().language(language).start().await;
        let person = Self {
            browser,
            base_url,
            pictures: Pictures::new(),
        };
        person.watch_this_tab().await;
        person
    }

    /// Devtools speak of one tab: each new one needs this.
    async fn watch_this_tab(&self) {
        let (width, height) = SIZES[0];
        self.browser.viewport(width, height).await;
        self.browser.devtools("Page.enable", json!({})).await;
        self.browser
            .devtools(
                "Page.addScriptToEvaluateOnNewDocument",
                json!({ "source": WITNESS }),
            )
            .await;
    }

    async fn goto(&self, path: &str) {
        let url = format!("{}{path}", self.base_url);
        self.browser.client().goto(&url).await.unwrap();
    }

    async fn click(&self, css: &str) {
        let wait = self.browser.client().wait().at_most(SOON);
        let element = wait.for_element(Locator::Css(css)).await;
        let element = element.unwrap_or_else(|error| panic!("{css}: {error}"));
        eventually(SOON, async || element.click().await).await;
    }

    async fn script(&self, script: &str) -> Value {
        let answer = self.browser.client().execute(script, Vec::new()).await;
        answer.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    async fn path(&self) -> String {
        let url = self.browser.client().current_url().await.unwrap();
        url.path().to_owned()
    }

    /// What a reader sees of an element; empty if there is nothing of it.
    async fn sees(&self, css: &str) -> String {
        let words = self
            .script(&format!(
                "const seen = document.querySelector({css:?});
                 return seen?.checkVisibility({{ opacityProperty: true }}) ? seen.innerText : ''"
            ))
            .await;
        let words: Vec<&str> = words
            .as_str()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        words.join(" ")
    }

    async fn expect(&self, css: &str, words: &str) -> String {
        self.expect_within(SOON, css, words).await
    }

    /// Waits until an element says this among other words, and yields all of them.
    async fn expect_within(&self, bound: Duration, css: &str, words: &str) -> String {
        eventually(bound, async || {
            let seen = self.sees(css).await;
            if seen.contains(words) {
                Ok(seen)
            } else {
                Err(format!("{css} says {seen:?}, not {words:?}"))
            }
        })
        .await
    }

    /// The own number, once there is one.
    async fn number(&self) -> u64 {
        eventually(SOON, async || {
            let digits = self.sees(".tk-digits").await.replace(',', "");
            digits.parse::<u64>().map_err(|_| digits)
        })
        .await
    }

    async fn number_below(&self, limit: u64) -> u64 {
        eventually(FIRST_MINUTE, async || {
            let number = self.number().await;
            if number < limit {
                Ok(number)
            } else {
                Err(number)
            }
        })
        .await
    }

    async fn title(&self) -> String {
        self.browser.client().title().await.unwrap()
    }

    async fn press(&self, key: Key) {
        let focused = self.browser.client().active_element().await.unwrap();
        focused
            .send_keys(&char::from(key).to_string())
            .await
            .unwrap();
    }

    /// Goes on by the tabulator until this element has the focus, and shows it.
    async fn tab_to(&self, css: &str) {
        let there = format!("return document.activeElement.matches({css:?} + ':focus-visible')");
        for _ in 0..8 {
            self.press(Key::Tab).await;
            if self.script(&there).await == true {
                return;
            }
        }
        panic!("{css} is not within eight steps");
    }

    /// What screen readers heard in this page.
    async fn heard(&self) -> Vec<String> {
        serde_json::from_value(self.script("return heard").await).unwrap()
    }

    /// In both sizes, each without a line to scroll sideways.
    async fn picture(&self, name: &str) {
        for (width, height) in SIZES {
            self.browser.viewport(width, height).await;
            eventually(SOON, async || self.script(STILL).await == true).await;
            let too_wide = "return document.documentElement.scrollWidth - innerWidth";
            assert_eq!(self.script(too_wide).await, 0, "{name} at {width}");
            let file = format!("{name}-{width}x{height}.png");
            self.browser
                .screenshot(self.pictures.folder.join(file))
                .await;
        }
        let (width, height) = SIZES[0];
        self.browser.viewport(width, height).await;
    }

    /// In a tab of its own; yields the tab that was in front.
    async fn open_tab(&self, path: &str) -> WindowHandle {
        let client = self.browser.client();
        let before = client.window().await.unwrap();
        let tab = client.new_window(true).await.unwrap();
        client.switch_to_window(tab.handle).await.unwrap();
        self.watch_this_tab().await;
        self.goto(path).await;
        before
    }

    /// Brings a tab to the front; yields the one that was.
    async fn turn_to(&self, tab: WindowHandle) -> WindowHandle {
        let client = self.browser.client();
        let before = client.window().await.unwrap();
        client.switch_to_window(tab).await.unwrap();
        self.browser.devtools("Page.bringToFront", json!({})).await;
        before
    }

    /// Fails if a page wrote an error to the console since the last call. The browser reports the
    /// answer by which the line learns that it talks to a new guest: the one that is no error.
    async fn expect_quiet_console(&self) {
        let mut console = self.browser.console().await;
        console.retain(|line| {
            let introduction = line.contains("/tickets/waiting") && line.contains(" 401 ");
            line.starts_with("SEVERE") && !introduction
        });
        assert_eq!(console, [""; 0]);
    }
}

async fn app() -> AppBuilder {
    AppProcess::builder(workspace_bin("reference-app").await)
}

/// The network between a person and the app. Without it, open connections break and no new one
/// succeeds.
struct Network {
    base_url: String,
    up: watch::Sender<bool>,
}

impl Network {
    async fn before(app: &AppProcess) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let (up, is_up) = watch::channel(true);
        let server = app.port();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut is_up = is_up.clone();
                tokio::spawn(async move {
                    if !*is_up.borrow() {
                        return Ok(());
                    }
                    let mut far = TcpStream::connect(("127.0.0.1", server)).await?;
                    tokio::select! {
                        done = tokio::io::copy_bidirectional(&mut near, &mut far) => drop(done?),
                        _ = is_up.wait_for(|up| !up) => {}
                    }
                    Ok::<_, std::io::Error>(())
                });
            }
        });
        Self { base_url, up }
    }

    async fn turn(&self, up: bool, browser: &Browser) {
        self.up.send_replace(up);
        browser.offline(!up).await;
    }
}

/// The operator, without a browser.
struct Operator {
    rooms_url: String,
}

impl Operator {
    fn of(app: &AppProcess) -> Self {
        Self {
            rooms_url: app.url("/admin/rooms/demo"),
        }
    }

    async fn call(&self, method: Method, verb: &str, body: Option<Value>) -> Value {
        let url = format!("{}{verb}", self.rooms_url);
        let mut request = reqwest::Client::new()
            .request(method, url)
            .bearer_auth(ADMIN_TOKEN);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.unwrap().error_for_status().unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    }

    async fn numbers(&self) -> Value {
        self.call(Method::GET, "", None).await
    }

    async fn turn(&self, verb: &str) {
        self.call(Method::POST, verb, None).await;
    }

    async fn admit_per_second(&self, rate: u32) {
        let mut config = self.numbers().await["config"].take();
        for (field, value) in [
            ("admitPerSecond", rate),
            ("admitBurst", rate),
            ("capacity", 1_000),
        ] {
            config[field] = value.into();
        }
        self.call(Method::PUT, "", Some(config)).await;
    }
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
    assert!((225..=243).contains(&first), "{first}");
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
    let numbers: Vec<u64> = serde_json::from_value(visitor.script("return numbers").await).unwrap();
    assert!(numbers.is_sorted_by(|a, b| a >= b), "{numbers:?}");
    visitor.picture("4-turn").await;
    visitor.click("[data-choice=enter]").await;
    visitor.expect("#headline", "You're in.").await;
    let took = joined_at.elapsed();
    assert!(took < FIRST_MINUTE, "{took:?}");
    assert_eq!(visitor.path().await, "/door/demo");
    let left = visitor.expect("#time-left", ":").await;
    assert!(left.starts_with("9:") || left == "10:00", "{left}");
    visitor.picture("5-door").await;

    visitor.goto(&operator_path(&app)).await;
    visitor.expect("#pace", "6").await;
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
        (225..=243).contains(&number.parse::<u64>().unwrap()),
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
    visitor.expect("#headline", "입장했어요.").await;
    visitor.picture("ko-7-door").await;
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

    person.expect("#waiting", "24").await;
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
    assert!(
        person
            .heard()
            .await
            .contains(&"Paused by the organiser. Your place is safe.".to_owned())
    );
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
    person.expect("#waiting", "1,2").await;
    person.expect("#pace", "7").await;
    person.picture("operator-crowd").await;
    person.turn_to(line).await;
    person.expect("#in-all", "1,2").await;
    let after = person.number().await;
    assert!(
        after <= before,
        "{after} after the crowd came, {before} before"
    );
    let numbers: Vec<u64> = serde_json::from_value(person.script("return numbers").await).unwrap();
    assert!(numbers.is_sorted_by(|a, b| a >= b), "{numbers:?}");
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
    let heard = guest.heard().await;
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
    assert!((225..=243).contains(&first), "{first}");
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
    visitor.expect("#headline", "You're in.").await;
    assert_eq!(visitor.path().await, "/door/demo");
    let took = joined_at.elapsed();
    assert!(took < FIRST_MINUTE, "{took:?}");

    visitor.goto(&operator_path(&app)).await;
    visitor.expect("#waiting", "24").await;
    assert_eq!(
        visitor.sees("#memory-note").await,
        "",
        "Redis keeps the line"
    );
    visitor.expect_quiet_console().await;
}
