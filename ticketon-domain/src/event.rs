//! Events: what is sold, when, for how much, and under which limits.
//!
//! An [`Event`] that exists is valid: every value is within its range and the values fit each
//! other. [`Event::after`] has the rules of how one may change once people hold or own seats of
//! it. Where events and layouts are kept is the [`Catalog`]'s business; which seats are free is
//! the seat map's.

mod builder;
mod catalog;
mod change;
mod json;
mod money;
mod status;

use ticketon_queue::{EventId, UnixMs};

pub use builder::EventBuilder;
pub use catalog::{Catalog, EventPage, EventQuery, MAX_PAGE, Put, RoomMark};
pub use change::{EventRefused, Taken};
pub use money::{Currency, MAX_AMOUNT, Money};
pub use status::{EventStatus, NotOnSale, SaleWindow};

use crate::seat::{Limits, Orphans};

/// What an event is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title {
    /// In English.
    pub en: String,
    /// In Korean.
    pub ko: String,
}

/// What kind of event it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// What programs select by.
    pub id: String,
    /// What people read.
    pub name: String,
}

/// What a seat of a grade costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The grade, as the layout names it.
    pub grade: String,
    /// In minor units of the event's currency.
    pub amount: u64,
}

/// An event that is sold.
///
/// ```
/// use ticketon_domain::event::{Event, EventStatus};
/// use ticketon_queue::EventId;
/// let event = Event::builder(EventId::new("spring-tour")?)
///     .title("Spring Tour", "봄 투어")
///     .venue("Olympic Hall")
///     .starts_at_ms(1_893_456_000_000)
///     .status(EventStatus::Open)
///     .currency("KRW")
///     .price("vip", 165_000)
///     .price("standard", 99_000)
///     .build()?;
/// assert_eq!(event.price("vip").unwrap().to_string(), "KRW 165,000");
///
/// let refused = Event::builder(EventId::new("spring-tour")?).hold_seconds(0).build().unwrap_err();
/// assert!(refused.fields.iter().any(|field| field.field == "holdSeconds"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    id: EventId,
    title: Title,
    venue: String,
    category: Option<Category>,
    starts_at_ms: UnixMs,
    status: EventStatus,
    sale: SaleWindow,
    seat_selection: bool,
    age_limit: Option<u8>,
    currency: Currency,
    prices: Vec<Price>,
    limits: Limits,
    hold_seconds: u32,
    max_hold_seconds: u32,
    payment_deadline_seconds: u32,
    payment_margin_seconds: u32,
    orphans: Orphans,
    layout_version: String,
    sales_version: u64,
    version: u64,
}

impl Event {
    /// A builder. Title, venue, start, currency and prices have no default.
    pub fn builder(id: EventId) -> EventBuilder {
        EventBuilder::new(id)
    }

    /// Its id; its waiting room has the same.
    #[must_use]
    pub fn id(&self) -> &EventId {
        &self.id
    }

    /// What it is called.
    #[must_use]
    pub fn title(&self) -> &Title {
        &self.title
    }

    /// The name of its venue.
    #[must_use]
    pub fn venue(&self) -> &str {
        &self.venue
    }

    /// What kind of event it is.
    #[must_use]
    pub fn category(&self) -> Option<&Category> {
        self.category.as_ref()
    }

    /// When it begins, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn starts_at_ms(&self) -> UnixMs {
        self.starts_at_ms
    }

    /// What it is at present.
    #[must_use]
    pub fn status(&self) -> EventStatus {
        self.status
    }

    /// When seats may be held.
    #[must_use]
    pub fn sale(&self) -> SaleWindow {
        self.sale
    }

    /// Whether people pick seats. If not, they get the best available; units of areas, which are all alike,
    /// they may ask for either way.
    #[must_use]
    pub fn seat_selection(&self) -> bool {
        self.seat_selection
    }

    /// How old people must be.
    #[must_use]
    pub fn age_limit(&self) -> Option<u8> {
        self.age_limit
    }

    /// The currency of all prices.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// What seats cost, in the order in which they were given; at least one.
    #[must_use]
    pub fn prices(&self) -> &[Price] {
        &self.prices
    }

    /// What a seat of this grade costs.
    #[must_use]
    pub fn price(&self, grade: &str) -> Option<Money> {
        let price = self.prices.iter().find(|price| price.grade == grade)?;
        Some(Money::new(price.amount, self.currency))
    }

    /// How many seats one person may have.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How long a hold lasts, in milliseconds.
    #[must_use]
    pub fn hold_ms(&self) -> i64 {
        i64::from(self.hold_seconds) * 1_000
    }

    /// How long a hold lasts at the most when it is extended, counted from when it was taken, in milliseconds.
    #[must_use]
    pub fn max_hold_ms(&self) -> i64 {
        i64::from(self.max_hold_seconds) * 1_000
    }

    /// How long a person has to pay once the order is made, in milliseconds.
    #[must_use]
    pub fn payment_deadline_ms(&self) -> i64 {
        i64::from(self.payment_deadline_seconds) * 1_000
    }

    /// How much longer than that a hold lasts, in milliseconds: for a payment that is confirmed at the last moment.
    #[must_use]
    pub fn payment_margin_ms(&self) -> i64 {
        i64::from(self.payment_margin_seconds) * 1_000
    }

    /// What is done about seats that would be left alone.
    #[must_use]
    pub fn orphans(&self) -> Orphans {
        self.orphans
    }

    /// The version of the layout that is sold; empty before the event was saved.
    #[must_use]
    pub fn layout_version(&self) -> &str {
        &self.layout_version
    }

    /// Rises when something changes that a payment depends on: prices, currency, layout, sale window. 0 before the
    /// event was saved.
    #[must_use]
    pub fn sales_version(&self) -> u64 {
        self.sales_version
    }

    /// Rises with every change. 0 before the event was saved.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether seats may be held now.
    ///
    /// # Errors
    /// Why not.
    pub fn check_on_sale(&self, now_ms: UnixMs) -> Result<(), NotOnSale> {
        self.sale.check(self.status, now_ms)
    }

    /// The same in another state.
    #[must_use]
    pub fn with_status(mut self, status: EventStatus) -> Self {
        self.status = status;
        self
    }
}
