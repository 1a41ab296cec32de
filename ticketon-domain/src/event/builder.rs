//! Building an event: defaults, ranges, and what must fit each other.

use ticketon_queue::clock::{parse_rfc3339, rfc3339};
use ticketon_queue::{ConfigError, EventId, FieldError, UnixMs};

use super::{Category, Currency, Event, EventStatus, MAX_AMOUNT, Price, SaleWindow, Title};
use crate::seat::{Limits, MAX_HOLD_SEATS, Orphans};

/// Most grades with a price; as many as a layout may have.
const MAX_PRICES: usize = 32;

const TITLE_CHARS: usize = 255;
const NAME_CHARS: usize = 100;
const GRADE_CHARS: usize = 32;
const CATEGORY_BYTES: usize = 64;
const AGE_LIMIT: (u64, u64) = (1, 99);
const PER_ORDER: (u64, u64) = (1, MAX_HOLD_SEATS as u64);
const PER_USER: (u64, u64) = (1, 1_000);
const SECONDS: (u64, u64) = (1, 86_400);
const MARGIN_SECONDS: (u64, u64) = (0, 3_600);

/// Builds an [`Event`]. Whatever is refused is reported by [`build`](Self::build), all at once.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct EventBuilder {
    pub(super) id: EventId,
    pub(super) title: Option<Title>,
    pub(super) venue: Option<String>,
    pub(super) category: Option<Category>,
    pub(super) starts_at_ms: Option<UnixMs>,
    pub(super) status: EventStatus,
    pub(super) opens_at_ms: Option<UnixMs>,
    pub(super) closes_at_ms: Option<UnixMs>,
    pub(super) seat_selection: bool,
    pub(super) age_limit: Option<u64>,
    pub(super) currency: Option<String>,
    pub(super) prices: Vec<Price>,
    pub(super) per_order: Option<u64>,
    pub(super) per_user: Option<u64>,
    pub(super) hold_seconds: Option<u64>,
    pub(super) max_hold_seconds: Option<u64>,
    pub(super) payment_deadline_seconds: Option<u64>,
    pub(super) payment_margin_seconds: Option<u64>,
    pub(super) orphans: Orphans,
    pub(super) layout_version: String,
    pub(super) sales_version: u64,
    pub(super) version: u64,
}

impl EventBuilder {
    pub(super) fn new(id: EventId) -> Self {
        Self {
            id,
            title: None,
            venue: None,
            category: None,
            starts_at_ms: None,
            status: EventStatus::Draft,
            opens_at_ms: None,
            closes_at_ms: None,
            seat_selection: true,
            age_limit: None,
            currency: None,
            prices: Vec::new(),
            per_order: None,
            per_user: None,
            hold_seconds: None,
            max_hold_seconds: None,
            payment_deadline_seconds: None,
            payment_margin_seconds: None,
            orphans: Orphans::default(),
            layout_version: String::new(),
            sales_version: 0,
            version: 0,
        }
    }

    /// What it is called, in English and Korean: 1 to 255 characters each. Required.
    pub fn title(mut self, en: impl Into<String>, ko: impl Into<String>) -> Self {
        self.title = Some(Title {
            en: en.into(),
            ko: ko.into(),
        });
        self
    }

    /// The name of its venue: 1 to 100 characters. Required.
    pub fn venue(mut self, name: impl Into<String>) -> Self {
        self.venue = Some(name.into());
        self
    }

    /// What kind of event it is: an id (1 to 64 lower-case letters, digits, `-` and `_`) and a name for people.
    pub fn category(mut self, id: impl Into<String>, name: impl Into<String>) -> Self {
        self.category = Some(Category {
            id: id.into(),
            name: name.into(),
        });
        self
    }

    /// When it begins, in milliseconds since the Unix epoch. Required.
    pub fn starts_at_ms(mut self, at: UnixMs) -> Self {
        self.starts_at_ms = Some(at);
        self
    }

    /// What it is at present; a draft by default.
    pub fn status(mut self, status: EventStatus) -> Self {
        self.status = status;
        self
    }

    /// When seats may be held: from 1970 until the event begins by default.
    pub fn sale(mut self, opens_at_ms: UnixMs, closes_at_ms: UnixMs) -> Self {
        self.opens_at_ms = Some(opens_at_ms);
        self.closes_at_ms = Some(closes_at_ms);
        self
    }

    /// Whether people pick seats; true by default. If not, they get the best available.
    pub fn seat_selection(mut self, on: bool) -> Self {
        self.seat_selection = on;
        self
    }

    /// How old people must be: 1 to 99.
    pub fn age_limit(mut self, years: u8) -> Self {
        self.age_limit = Some(years.into());
        self
    }

    /// The currency of all prices, by its code of ISO 4217. Required.
    pub fn currency(mut self, code: impl Into<String>) -> Self {
        self.currency = Some(code.into());
        self
    }

    /// What a seat of a grade costs, in minor units. At least one price is required, at most 32 are accepted.
    pub fn price(mut self, grade: impl Into<String>, amount: u64) -> Self {
        let grade = grade.into();
        self.prices.push(Price { grade, amount });
        self
    }

    /// How many seats a person may have in one order (1 to 100, 4 by default) and in all (up to 1,000, 4 by default).
    pub fn limits(mut self, per_order: u32, per_user: u32) -> Self {
        self.per_order = Some(per_order.into());
        self.per_user = Some(per_user.into());
        self
    }

    /// Seconds a hold lasts: 1 to 86,400; 300 by default.
    pub fn hold_seconds(mut self, seconds: u32) -> Self {
        self.hold_seconds = Some(seconds.into());
        self
    }

    /// Seconds a hold lasts at the most when it is extended, from when it was taken: up to 86,400; 600 by default.
    pub fn max_hold_seconds(mut self, seconds: u32) -> Self {
        self.max_hold_seconds = Some(seconds.into());
        self
    }

    /// Seconds a person has to pay, and by how much longer the hold lasts. Together they must not be longer than the
    /// hold. 240 and 30 by default, less when holds are shorter.
    pub fn payment_seconds(mut self, deadline: u32, margin: u32) -> Self {
        self.payment_deadline_seconds = Some(deadline.into());
        self.payment_margin_seconds = Some(margin.into());
        self
    }

    /// What is done about seats that would be left alone: by default the best available avoid them within a block. Under
    /// [`Orphans::Strict`] seats that people pick are refused, too, when they leave one alone without need.
    pub fn orphans(mut self, orphans: Orphans) -> Self {
        self.orphans = orphans;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`ConfigError`] with every field that is missing, out of its range, or does not fit another.
    pub fn build(self) -> Result<Event, ConfigError> {
        let mut check = Check::default();
        let title = self.title.unwrap_or(Title {
            en: String::new(),
            ko: String::new(),
        });
        check.text("title.en", &title.en, TITLE_CHARS);
        check.text("title.ko", &title.ko, TITLE_CHARS);
        let venue = self.venue.unwrap_or_default();
        check.text("venue", &venue, NAME_CHARS);
        if let Some(category) = &self.category {
            check.category(category);
        }
        let starts_at_ms = check.time("startsAt", self.starts_at_ms);
        let sale = SaleWindow {
            opens_at_ms: check.time("sale.opensAt", Some(self.opens_at_ms.unwrap_or(0))),
            closes_at_ms: check.time(
                "sale.closesAt",
                Some(self.closes_at_ms.unwrap_or(starts_at_ms)),
            ),
        };
        if check.is_fine(&["startsAt", "sale.opensAt", "sale.closesAt"]) {
            check.window(sale, starts_at_ms);
        }
        let age_limit = self
            .age_limit
            .map(|years| check.within("ageLimit", years, AGE_LIMIT));
        let currency = check.currency(self.currency.as_deref());
        check.prices(&self.prices);
        let per_order = check.within("limits.perOrder", self.per_order.unwrap_or(4), PER_ORDER);
        let per_user = self.per_user.unwrap_or_else(|| u64::from(per_order).max(4));
        let per_user = check.within("limits.perUser", per_user, PER_USER);
        if per_user < per_order && check.is_fine(&["limits.perOrder", "limits.perUser"]) {
            let range = format!("at least limits.perOrder ({per_order})");
            check.refuse("limits.perUser", per_user, range);
        }
        let hold = self.hold_seconds.unwrap_or(300);
        let longest = self.max_hold_seconds.unwrap_or_else(|| hold.max(600));
        let margin = self.payment_margin_seconds.unwrap_or((hold / 10).min(30));
        let deadline = self
            .payment_deadline_seconds
            .unwrap_or_else(|| hold.saturating_sub(margin).clamp(1, 240));
        let hold_seconds = check.within("holdSeconds", hold, SECONDS);
        let max_hold_seconds = check.within("maxHoldSeconds", longest, SECONDS);
        let payment_deadline_seconds = check.within("paymentDeadlineSeconds", deadline, SECONDS);
        let payment_margin_seconds = check.within("paymentMarginSeconds", margin, MARGIN_SECONDS);
        let times = [
            "holdSeconds",
            "maxHoldSeconds",
            "paymentDeadlineSeconds",
            "paymentMarginSeconds",
        ];
        if check.is_fine(&times) {
            let needed = deadline + margin;
            if hold < needed {
                let range = format!(
                    "at least paymentDeadlineSeconds + paymentMarginSeconds ({needed}), or people pay for seats that are gone"
                );
                check.refuse("holdSeconds", hold, range);
            }
            if longest < hold {
                check.refuse(
                    "maxHoldSeconds",
                    longest,
                    format!("at least holdSeconds ({hold})"),
                );
            }
        }
        check.done(Event {
            id: self.id,
            title,
            venue,
            category: self.category,
            starts_at_ms,
            status: self.status,
            sale,
            seat_selection: self.seat_selection,
            age_limit: age_limit.map(|years| u8::try_from(years).unwrap_or(u8::MAX)),
            currency,
            prices: self.prices,
            limits: Limits {
                per_order,
                per_user,
            },
            hold_seconds,
            max_hold_seconds,
            payment_deadline_seconds,
            payment_margin_seconds,
            orphans: self.orphans,
            layout_version: self.layout_version,
            sales_version: self.sales_version,
            version: self.version,
        })
    }
}

/// Collects what is refused.
#[derive(Debug, Default)]
struct Check {
    errors: Vec<FieldError>,
}

impl Check {
    fn refuse(&mut self, field: &str, value: impl std::fmt::Display, range: impl Into<String>) {
        self.errors.push(FieldError::new(field, value, range));
    }

    /// Whether none of these was refused: only then they are compared.
    fn is_fine(&self, fields: &[&str]) -> bool {
        !self
            .errors
            .iter()
            .any(|error| fields.contains(&error.field.as_str()))
    }

    fn done(self, event: Event) -> Result<Event, ConfigError> {
        if self.errors.is_empty() {
            return Ok(event);
        }
        Err(ConfigError {
            fields: self.errors,
        })
    }

    fn text(&mut self, field: &str, text: &str, most: usize) {
        if !is_text(text, most) {
            let range = format!("1 to {most} characters without control characters");
            let value = if text.is_empty() { "(missing)" } else { text };
            self.refuse(field, value, range);
        }
    }

    fn category(&mut self, category: &Category) {
        let sign = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        let id = &category.id;
        if id.is_empty() || id.len() > CATEGORY_BYTES || !id.bytes().all(sign) {
            self.refuse("category", id, "1 to 64 of a-z, 0-9, '-' and '_'");
        }
        if !is_text(&category.name, NAME_CHARS) {
            let range = format!("1 to {NAME_CHARS} characters without control characters");
            self.refuse("categoryName", &category.name, range);
        }
    }

    fn time(&mut self, field: &str, at: Option<UnixMs>) -> UnixMs {
        const RANGE: &str = "a time from 1970 to 9999";
        match at {
            Some(at) if at >= 0 && parse_rfc3339(&rfc3339(at)) == Some(at) => at,
            Some(at) => {
                self.refuse(field, at, RANGE);
                0
            }
            None => {
                self.refuse(field, "(missing)", RANGE);
                0
            }
        }
    }

    fn window(&mut self, sale: SaleWindow, starts_at_ms: UnixMs) {
        if sale.closes_at_ms > starts_at_ms {
            let range = format!("at the latest startsAt ({})", rfc3339(starts_at_ms));
            self.refuse("sale.closesAt", rfc3339(sale.closes_at_ms), range);
        }
        if sale.opens_at_ms >= sale.closes_at_ms {
            let range = format!("before sale.closesAt ({})", rfc3339(sale.closes_at_ms));
            self.refuse("sale.opensAt", rfc3339(sale.opens_at_ms), range);
        }
    }

    fn currency(&mut self, code: Option<&str>) -> Currency {
        code.unwrap_or("(missing)").parse().unwrap_or_else(|error| {
            self.errors.push(error);
            Currency::KRW
        })
    }

    fn prices(&mut self, prices: &[Price]) {
        if prices.is_empty() || prices.len() > MAX_PRICES {
            let value = format!("{} prices", prices.len());
            self.refuse("prices", value, format!("1 to {MAX_PRICES} prices"));
        }
        for (index, price) in prices.iter().enumerate().take(MAX_PRICES) {
            let field = |name: &str| format!("prices[{index}].{name}");
            if !is_text(&price.grade, GRADE_CHARS) {
                let range = format!("1 to {GRADE_CHARS} characters, a grade of the layout");
                self.refuse(&field("grade"), &price.grade, range);
            } else if prices[..index].iter().any(|p| p.grade == price.grade) {
                self.refuse(&field("grade"), &price.grade, "each grade once");
            }
            if price.amount > MAX_AMOUNT {
                let range = format!("0 to {MAX_AMOUNT} minor units");
                self.refuse(&field("amount"), price.amount, range);
            }
        }
    }

    fn within(&mut self, field: &str, value: u64, range: (u64, u64)) -> u32 {
        if value < range.0 || value > range.1 {
            self.refuse(field, value, format!("{} to {}", range.0, range.1));
        }
        u32::try_from(value).unwrap_or(u32::MAX)
    }
}

fn is_text(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.chars().take(most + 1).count())
        && !text.chars().any(char::is_control)
        && !text.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> EventBuilder {
        Event::builder(EventId::new("tour").unwrap())
            .title("Tour", "투어")
            .venue("Hall")
            .starts_at_ms(1_000_000)
            .currency("KRW")
            .price("vip", 100)
    }

    fn refused(builder: EventBuilder) -> Vec<String> {
        let fields = builder.build().unwrap_err().fields;
        fields.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn defaults_are_as_documented() {
        let event = event().build().unwrap();
        assert_eq!(event.status(), EventStatus::Draft);
        assert_eq!(
            (event.sale().opens_at_ms, event.sale().closes_at_ms),
            (0, 1_000_000)
        );
        assert!(event.seat_selection());
        assert_eq!(event.limits(), Limits::default());
        assert_eq!((event.hold_ms(), event.max_hold_ms()), (300_000, 600_000));
        assert_eq!(event.payment_deadline_ms(), 240_000);
        assert_eq!(event.payment_margin_ms(), 30_000);
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let bare = Event::builder(EventId::new("tour").unwrap());
        assert_eq!(
            refused(bare),
            [
                "title.en", "title.ko", "venue", "startsAt", "currency", "prices"
            ]
        );
        let wrong = event()
            .title(" ", "x".repeat(256))
            .category("Concert", "")
            .age_limit(0)
            .price("vip", MAX_AMOUNT + 1)
            .limits(101, 0)
            .currency("won");
        assert_eq!(
            refused(wrong),
            [
                "title.en",
                "title.ko",
                "category",
                "categoryName",
                "ageLimit",
                "currency",
                "prices[1].grade",
                "prices[1].amount",
                "limits.perOrder",
                "limits.perUser"
            ]
        );
    }

    #[test]
    fn the_sale_ends_before_the_event_starts() {
        assert!(event().sale(5, 1_000_000).build().is_ok());
        assert_eq!(refused(event().sale(5, 1_000_001)), ["sale.closesAt"]);
        assert_eq!(refused(event().sale(6, 6)), ["sale.opensAt"]);
        assert_eq!(
            refused(event().sale(-1, i64::MAX)),
            ["sale.opensAt", "sale.closesAt"]
        );
    }

    #[test]
    fn a_hold_outlasts_the_payment() {
        assert!(
            event()
                .hold_seconds(270)
                .payment_seconds(240, 30)
                .build()
                .is_ok()
        );
        let error = event()
            .hold_seconds(269)
            .payment_seconds(240, 30)
            .build()
            .unwrap_err();
        assert_eq!(error.fields[0].field, "holdSeconds");
        assert_eq!(error.fields[0].value, "269");
        assert!(
            error.fields[0]
                .range
                .contains("at least paymentDeadlineSeconds + paymentMarginSeconds (270)")
        );
        assert_eq!(refused(event().max_hold_seconds(299)), ["maxHoldSeconds"]);
        for hold in [1, 5, 100, 300, 3_600, 86_400] {
            assert!(event().hold_seconds(hold).build().is_ok(), "{hold}");
        }
        assert_eq!(
            refused(event().hold_seconds(86_401)),
            ["holdSeconds", "maxHoldSeconds"]
        );
    }

    #[test]
    fn limits_fit_each_other() {
        assert_eq!(refused(event().limits(5, 4)), ["limits.perUser"]);
        assert_eq!(event().limits(5, 5).build().unwrap().limits().per_user, 5);
    }
}
