//! A person with a browser: what they press, see and hear.

use std::path::PathBuf;
use std::time::Duration;

use fantoccini::Locator;
use fantoccini::key::Key;
use fantoccini::wd::WindowHandle;
use serde_json::{Value, json};
use tempfile::TempDir;
use ticketon_tests::{Browser, eventually};

use super::{FIRST_MINUTE, SIZES, SOON};

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

/// Brings everything that moves to where it goes; the bar and what turns go on. A headless browser
/// on a busy machine may draw nothing after a change of tabs, and what moves stays where it was.
const ARRIVE: &str = "document.getAnimations()
    .filter((motion) => motion.transitionProperty !== 'transform'
        && motion.effect.getComputedTiming().endTime !== Infinity)
    .forEach((motion) => motion.finish())";

/// A person with a browser.
pub(crate) struct Person {
    pub(crate) browser: Browser,
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
    pub(crate) async fn new(base_url: String, language: &str) -> Self {
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

    pub(crate) async fn goto(&self, path: &str) {
        let url = format!("{}{path}", self.base_url);
        self.browser.client().goto(&url).await.unwrap();
    }

    pub(crate) async fn click(&self, css: &str) {
        let wait = self.browser.client().wait().at_most(SOON);
        let element = wait.for_element(Locator::Css(css)).await;
        let element = element.unwrap_or_else(|error| panic!("{css}: {error}"));
        eventually(SOON, async || element.click().await).await;
    }

    pub(crate) async fn script(&self, script: &str) -> Value {
        let answer = self.browser.client().execute(script, Vec::new()).await;
        answer.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    pub(crate) async fn path(&self) -> String {
        let url = self.browser.client().current_url().await.unwrap();
        url.path().to_owned()
    }

    /// What a reader sees of an element; empty if there is nothing of it.
    pub(crate) async fn sees(&self, css: &str) -> String {
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

    pub(crate) async fn expect(&self, css: &str, words: &str) -> String {
        self.expect_within(SOON, css, words).await
    }

    /// Waits until an element says this among other words, and yields all of them.
    pub(crate) async fn expect_within(&self, bound: Duration, css: &str, words: &str) -> String {
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
    pub(crate) async fn number(&self) -> u64 {
        eventually(SOON, async || {
            let digits = self.sees(".tk-digits").await.replace(',', "");
            digits.parse::<u64>().map_err(|_| digits)
        })
        .await
    }

    pub(crate) async fn number_below(&self, limit: u64) -> u64 {
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

    pub(crate) async fn title(&self) -> String {
        self.browser.client().title().await.unwrap()
    }

    pub(crate) async fn press(&self, key: Key) {
        let focused = self.browser.client().active_element().await.unwrap();
        focused
            .send_keys(&char::from(key).to_string())
            .await
            .unwrap();
    }

    /// Goes on by the tabulator until this element has the focus, and shows it.
    pub(crate) async fn tab_to(&self, css: &str) {
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
    pub(crate) async fn heard(&self) -> Vec<String> {
        serde_json::from_value(self.script("return heard").await).unwrap()
    }

    /// Fails if the own number ever went up in this page.
    pub(crate) async fn expect_no_worse_number(&self) {
        let numbers = self.script("return numbers").await;
        let numbers: Vec<u64> = serde_json::from_value(numbers).unwrap();
        assert!(numbers.is_sorted_by(|a, b| a >= b), "{numbers:?}");
    }

    /// In both sizes, each without a line to scroll sideways.
    pub(crate) async fn picture(&self, name: &str) {
        for (width, height) in SIZES {
            self.browser.viewport(width, height).await;
            self.script(ARRIVE).await;
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
    pub(crate) async fn open_tab(&self, path: &str) -> WindowHandle {
        let client = self.browser.client();
        let before = client.window().await.unwrap();
        let tab = client.new_window(true).await.unwrap();
        client.switch_to_window(tab.handle).await.unwrap();
        self.watch_this_tab().await;
        self.goto(path).await;
        before
    }

    /// Brings a tab to the front; yields the one that was.
    pub(crate) async fn turn_to(&self, tab: WindowHandle) -> WindowHandle {
        let client = self.browser.client();
        let before = client.window().await.unwrap();
        client.switch_to_window(tab).await.unwrap();
        self.browser.devtools("Page.bringToFront", json!({})).await;
        before
    }

    /// Fails if a page wrote an error to the console since the last call. The browser reports the
    /// answer by which the line learns that it talks to a new guest: the one that is no error.
    pub(crate) async fn expect_quiet_console(&self) {
        let mut console = self.browser.console().await;
        console.retain(|line| {
            let introduction = line.contains("/tickets/waiting") && line.contains(" 401 ");
            line.starts_with("SEVERE") && !introduction
        });
        assert_eq!(console, [""; 0]);
    }
}
