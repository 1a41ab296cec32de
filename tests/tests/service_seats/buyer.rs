//! A person who is in, before the seat map: where they press, what the map shows them.

use std::ops::Deref;

use fantoccini::Locator;
use serde_json::{Value, json};
use ticketon_tests::eventually;

use super::SOON;
use super::house::EVENT;
use super::person::Person;

/// Looks at a seat: where it is in the window, how wide, and its colour.
const LOOK: &str = "
    const canvas = document.getElementById('map');
    const { seatMap: map, seatFeed: feed } = canvas;
    const index = typeof seat === 'number' ? seat : feed.plan.index(seat);
    const at = map.pointOf(index);
    const ratio = canvas.width / canvas.clientWidth;
    const pixel = canvas.getContext('2d').getImageData(Math.round(at.x * ratio), Math.round(at.y * ratio), 1, 1).data.join();
    const box = canvas.getBoundingClientRect();";

/// A person who is in.
pub(crate) struct Buyer {
    person: Person,
}

impl Deref for Buyer {
    type Target = Person;

    fn deref(&self) -> &Person {
        &self.person
    }
}

/// A window: a laptop's, or a telephone's with touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Device {
    Laptop,
    Phone,
}

impl Buyer {
    /// Comes through the waiting room to the map.
    pub(crate) async fn arrive(base_url: &str, language: &str, device: Device) -> Self {
        let buyer = Self::new(base_url, language, device).await;
        buyer.come_in().await;
        buyer
    }

    pub(crate) async fn new(base_url: &str, language: &str, device: Device) -> Self {
        let person = Person::new(base_url.to_owned(), language).await;
        let buyer = Self { person };
        buyer.hold_device(device).await;
        buyer
    }

    pub(crate) async fn hold_device(&self, device: Device) {
        match device {
            Device::Laptop => self.browser.viewport(1280, 800).await,
            Device::Phone => {
                self.browser.viewport(390, 844).await;
                let touch = json!({"enabled": true, "maxTouchPoints": 2});
                self.browser
                    .devtools("Emulation.setTouchEmulationEnabled", touch)
                    .await;
            }
        }
    }

    pub(crate) async fn come_in(&self) {
        self.goto(&format!("/wait/{EVENT}")).await;
        self.click("[data-choice=enter]").await;
        self.map_lives().await;
        assert_eq!(self.path().await, format!("/seats/{EVENT}"));
    }

    /// Waits until the map is drawn and changes arrive.
    pub(crate) async fn map_lives(&self) {
        let lives = "return document.getElementById('seats')?.dataset.link === 'live'
            && document.getElementById('map').seatMap.isStill
            && document.getElementById('prices').childElementCount > 0";
        eventually(SOON, async || self.script(lives).await == true).await;
    }

    /// Waits until nothing moves on the map.
    pub(crate) async fn still(&self) {
        let still = "return document.getElementById('map').seatMap.isStill";
        eventually(SOON, async || self.script(still).await == true).await;
    }

    async fn look(&self, seat: &str, wanted: &str) -> Value {
        self.script(&format!("const seat = {seat:?}; {LOOK} return {wanted}"))
            .await
    }

    /// Where a seat is in the window, in CSS pixels.
    pub(crate) async fn point_of(&self, seat: &str) -> (f64, f64) {
        self.still().await;
        let point = self.look(seat, "[box.left + at.x, box.top + at.y]").await;
        (point[0].as_f64().unwrap(), point[1].as_f64().unwrap())
    }

    /// How wide a seat is on the screen.
    pub(crate) async fn seat_px(&self) -> f64 {
        self.still().await;
        let px = "return document.getElementById('map').seatMap.pointOf(0).seatPx";
        self.script(px).await.as_f64().unwrap()
    }

    /// The colour in a seat's middle.
    pub(crate) async fn colour(&self, seat: &str) -> String {
        self.still().await;
        self.look(seat, "pixel").await.as_str().unwrap().to_owned()
    }

    /// The colour of a seat beside its number, two fifths of the way to its edge.
    pub(crate) async fn colour_beside(&self, seat: &str) -> String {
        self.still().await;
        self.script(&format!(
            "const seat = {seat:?}; {LOOK}
             return canvas.getContext('2d').getImageData(at.x * ratio, (at.y - at.seatPx * 0.34) * ratio, 1, 1).data.join()"
        ))
        .await
        .as_str()
        .unwrap()
        .to_owned()
    }

    /// Has the map look closely at seats, without picking them.
    pub(crate) async fn look_closely(&self, seats: &[String]) {
        let look = format!(
            "const {{ seatMap, seatFeed: {{ plan }} }} = document.getElementById('map');
             seatMap.show({seats:?}.map((seat) => plan.index(seat)))"
        );
        self.script(&look).await;
        self.still().await;
    }

    /// Labels of free seats of a grade, without those for wheelchairs; or, without a grade, of all there is.
    pub(crate) async fn free_seats(&self, grade: &str, count: usize) -> Vec<String> {
        let labels = self
            .script(&format!(
                "const {{ plan, states }} = document.getElementById('map').seatFeed;
                 const grade = plan.grades.indexOf({grade:?});
                 return [...states.keys()].filter((seat) => states[seat] === 0
                    && (grade < 0 || (seat < plan.seatCount && plan.grade[seat] === grade && !plan.accessible.has(seat)))).slice(0, {count})
                    .map((seat) => plan.label(seat))"
            ))
            .await;
        serde_json::from_value(labels).unwrap()
    }

    /// Writes down when the colour of this seat changes, as the canvas shows it.
    pub(crate) async fn watch(&self, seat: &str) {
        self.script(&format!(
            "const seat = {seat:?};
             globalThis.colours = [];
             const see = () => {{
                {LOOK}
                if (colours.at(-1)?.pixel !== pixel) colours.push({{ at: performance.timeOrigin + performance.now(), pixel }});
                requestAnimationFrame(see);
             }};
             see()"
        ))
        .await;
    }

    /// When the watched seat took on this colour for the last time, as a Unix time in milliseconds.
    pub(crate) async fn saw(&self, is: impl Fn(&str) -> bool) -> f64 {
        eventually(SOON, async || {
            let colours = self.script("return colours").await;
            let last = colours.as_array().unwrap().last().unwrap().clone();
            if is(last["pixel"].as_str().unwrap()) {
                Ok(last["at"].as_f64().unwrap())
            } else {
                Err(colours)
            }
        })
        .await
    }

    /// When the last call to `/holds...` was answered, as a Unix time in milliseconds.
    pub(crate) async fn answered_at(&self) -> f64 {
        let at = "return performance.timeOrigin + performance.getEntriesByType('resource')
            .filter(({ name }) => name.includes('/holds')).at(-1).responseEnd";
        self.script(at).await.as_f64().unwrap()
    }

    async fn mouse(&self, kind: &str, (x, y): (f64, f64), more: Value) {
        let mut event = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
        for (name, value) in more.as_object().into_iter().flatten() {
            event[name] = value.clone();
        }
        self.browser
            .devtools("Input.dispatchMouseEvent", event)
            .await;
    }

    pub(crate) async fn click_at(&self, at: (f64, f64)) {
        self.mouse("mouseMoved", at, json!({"button": "none"}))
            .await;
        self.mouse("mousePressed", at, Value::Null).await;
        self.mouse("mouseReleased", at, Value::Null).await;
    }

    pub(crate) async fn click_seat(&self, seat: &str) {
        self.click_at(self.point_of(seat).await).await;
    }

    pub(crate) async fn wheel(&self, at: (f64, f64), delta: f64) {
        let wheel = json!({"button": "none", "deltaX": 0, "deltaY": delta});
        self.mouse("mouseWheel", at, wheel).await;
    }

    pub(crate) async fn drag(&self, from: (f64, f64), to: (f64, f64), steps: u32) {
        self.mouse("mousePressed", from, Value::Null).await;
        for step in 1..=steps {
            let part = f64::from(step) / f64::from(steps);
            let at = (
                from.0 + (to.0 - from.0) * part,
                from.1 + (to.1 - from.1) * part,
            );
            self.mouse("mouseMoved", at, json!({"buttons": 1})).await;
        }
        self.mouse("mouseReleased", to, Value::Null).await;
    }

    pub(crate) async fn tap_at(&self, (x, y): (f64, f64)) {
        for (kind, points) in [
            ("touchStart", json!([{"x": x, "y": y}])),
            ("touchEnd", json!([])),
        ] {
            let touch = json!({"type": kind, "touchPoints": points});
            self.browser
                .devtools("Input.dispatchTouchEvent", touch)
                .await;
        }
    }

    /// Two fingers apart from a point.
    pub(crate) async fn pinch(&self, (x, y): (f64, f64), from: f64, to: f64) {
        let fingers = |apart: f64| json!([{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]);
        let steps = [from, (from + to) / 2.0, to];
        for (kind, points) in [
            ("touchStart", fingers(steps[0])),
            ("touchMove", fingers(steps[1])),
            ("touchMove", fingers(steps[2])),
            ("touchEnd", json!([])),
        ] {
            let touch = json!({"type": kind, "touchPoints": points});
            self.browser
                .devtools("Input.dispatchTouchEvent", touch)
                .await;
        }
    }

    /// Writes where the focus is: the id of its element, or its name.
    pub(crate) async fn focus(&self) -> String {
        let focus = "return document.activeElement.id || document.activeElement.localName";
        self.script(focus).await.as_str().unwrap().to_owned()
    }

    /// Sends a key to whatever has the focus.
    pub(crate) async fn keys(&self, keys: &[char]) {
        let focused = self.browser.client().active_element().await.unwrap();
        let keys: String = keys.iter().collect();
        focused.send_keys(&keys).await.unwrap();
    }

    /// The seconds of a clock like `4:58`.
    pub(crate) async fn clock(&self, css: &str) -> u64 {
        eventually(SOON, async || {
            let seen = self.sees(css).await;
            let (minutes, seconds) = seen.split_once(':').ok_or(seen.clone())?;
            let parse = |part: &str| part.parse::<u64>().map_err(|_| seen.clone());
            Ok::<_, String>(parse(minutes)? * 60 + parse(seconds)?)
        })
        .await
    }

    pub(crate) async fn gone(&self, css: &str) {
        eventually(SOON, async || self.sees(css).await.is_empty()).await;
    }

    pub(crate) async fn count(&self, css: &str) -> usize {
        let found = self.browser.client().find_all(Locator::Css(css)).await;
        found.unwrap().len()
    }

    /// Whether the page says that the time is over.
    pub(crate) async fn is_over(&self) -> bool {
        let over = "return document.getElementById('seats')?.dataset.state === 'over'";
        self.script(over).await == true
    }

    /// What screen readers were told politely last.
    pub(crate) async fn said(&self) -> String {
        let said = "return document.getElementById('polite').textContent";
        self.script(said).await.as_str().unwrap().to_owned()
    }

    /// What the page knows of a seat: 0 free, 1 held, 2 sold, 3 blocked.
    pub(crate) async fn state_of(&self, seat: &str) -> u64 {
        let state = format!(
            "const {{ plan, states }} = document.getElementById('map').seatFeed; return states[plan.index({seat:?})]"
        );
        self.script(&state).await.as_u64().unwrap()
    }

    /// Gives the admission up behind the page's back, as another device would.
    pub(crate) async fn leave_elsewhere(&self) {
        let left = format!(
            "fetch('/events/{EVENT}/tickets/waiting', {{ method: 'DELETE' }}).then(({{ ok }}) => {{ globalThis.left = ok; }})"
        );
        self.script(&left).await;
        eventually(SOON, async || {
            self.script("return globalThis.left === true").await == true
        })
        .await;
    }

    /// Measures each frame of the map from now on, its pixels included.
    pub(crate) async fn time_frames(&self) {
        let source = "
            globalThis.frames = [];
            const next = requestAnimationFrame;
            globalThis.requestAnimationFrame = (draw) => next((now) => {
                const began = performance.now();
                draw(now);
                document.getElementById('map')?.getContext('2d').getImageData(0, 0, 1, 1);
                const drawn = performance.now();
                let sum = 0;
                for (let turn = 0; turn < 2e6; turn += 1) sum += Math.sqrt(turn);
                globalThis.sum = sum;
                frames.push([drawn - began, performance.now() - drawn]);
            });";
        let script = json!({ "source": source });
        self.browser
            .devtools("Page.addScriptToEvaluateOnNewDocument", script)
            .await;
    }

    /// How long the frames took that were drawn meanwhile, in milliseconds; and beside each a loop of two million roots.
    pub(crate) async fn frames_while(&self, act: impl AsyncFnOnce()) -> Vec<(f64, f64)> {
        self.script("frames.length = 0").await;
        act().await;
        self.still().await;
        serde_json::from_value(self.script("return frames").await).unwrap()
    }

    /// The console has nothing but refusals of this status, which the browser reports by itself.
    pub(crate) async fn expect_refusals(&self, status: &str) {
        let mut console = self.browser.console().await;
        console.retain(|line| {
            let introduction = line.contains("/tickets/waiting") && line.contains(" 401 ");
            line.starts_with("SEVERE") && !introduction && !line.contains(status)
        });
        assert_eq!(console, [""; 0]);
    }

    /// Goes away from the tab and comes back: the page looks whether it still may buy.
    pub(crate) async fn come_back(&self) {
        let back = "document.dispatchEvent(new Event('visibilitychange'))";
        self.script(back).await;
    }
}
