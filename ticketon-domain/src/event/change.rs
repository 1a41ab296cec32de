//! How an event may change: legal states, what is frozen, which versions rise.

use std::fmt;

use ticketon_queue::{ConfigError, FieldError};

use super::{Event, EventStatus};
use crate::venue::Layout;

/// Whether somebody has seats of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Nobody holds or owns one.
    No,
    /// Some are held, being paid for, or sold: layout and currency are frozen.
    Some,
}

/// Why an event was not saved; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventRefused {
    /// Values do not fit the layout, or each other.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
    /// The status cannot become this one.
    #[error("a {from} event cannot become {to}")]
    Status {
        /// What it is.
        from: EventStatus,
        /// What it should have become.
        to: EventStatus,
    },
    /// Seats are held or sold, so these cannot change any more.
    #[error("seats are held or sold: {} cannot change any more", Names(.fields))]
    Frozen {
        /// Which fields.
        fields: Vec<&'static str>,
    },
    /// The event has changed since the version that this one was made from.
    #[error("the event has changed meanwhile: it has version {version} now")]
    Stale {
        /// Its version.
        version: u64,
    },
    /// The catalog holds as many events as it may.
    #[error("there are as many events as there may be ({limit})")]
    TooMany {
        /// How many it may hold.
        limit: usize,
    },
}

struct Names<'a>(&'a [&'static str]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl Event {
    /// This event as it is saved with a layout, in the place of `before`: with its versions.
    ///
    /// The sales version rises when prices, currency, layout or sale window differ. A `version` that
    /// this event brings along must be that of `before`.
    ///
    /// # Errors
    /// [`EventRefused`] when it does not fit the layout, or must not follow on `before`.
    pub fn after(
        &self,
        before: Option<&Self>,
        layout: &Layout,
        taken: Taken,
    ) -> Result<Self, EventRefused> {
        self.check_prices(layout)?;
        let mut event = self.clone();
        event.layout_version = layout.version().to_owned();
        let Some(before) = before else {
            if self.version > 0 {
                return Err(EventRefused::Stale { version: 0 });
            }
            event.version = 1;
            event.sales_version = 1;
            return Ok(event);
        };
        if self.version > 0 && self.version != before.version {
            let version = before.version;
            return Err(EventRefused::Stale { version });
        }
        if !before.status.may_become(event.status) {
            return Err(EventRefused::Status {
                from: before.status,
                to: event.status,
            });
        }
        if taken == Taken::Some {
            let layout = event.layout_version != before.layout_version;
            let currency = event.currency != before.currency;
            let fields: Vec<&'static str> = [(layout, "layout"), (currency, "currency")]
                .into_iter()
                .filter_map(|(differs, name)| differs.then_some(name))
                .collect();
            if !fields.is_empty() {
                return Err(EventRefused::Frozen { fields });
            }
        }
        event.version = before.version;
        event.sales_version = before.sales_version;
        if event != *before {
            event.version += 1;
            event.sales_version += u64::from(event.sells_otherwise(before));
        }
        Ok(event)
    }

    /// Whether something differs that a payment depends on.
    fn sells_otherwise(&self, before: &Self) -> bool {
        self.prices != before.prices
            || self.currency != before.currency
            || self.layout_version != before.layout_version
            || self.sale != before.sale
    }

    /// Each grade of the layout has a price, and no other.
    fn check_prices(&self, layout: &Layout) -> Result<(), ConfigError> {
        let grades = layout.grades();
        let mut fields = Vec::new();
        for grade in grades.iter().filter(|grade| self.price(grade).is_none()) {
            let value = format!("(no price for {grade:?})");
            fields.push(FieldError::new(
                "prices",
                value,
                "a price for each grade of the layout",
            ));
        }
        for (index, price) in self.prices.iter().enumerate() {
            if !grades.contains(&price.grade) {
                let field = format!("prices[{index}].grade");
                let range = format!("a grade of the layout: {}", grades.join(", "));
                fields.push(FieldError::new(field, &price.grade, range));
            }
        }
        if fields.is_empty() {
            Ok(())
        } else {
            Err(ConfigError { fields })
        }
    }
}

#[cfg(test)]
mod tests {
    use ticketon_queue::EventId;

    use super::*;
    use crate::event::EventBuilder;

    fn layout(grades: &[&str], seats: u32) -> Layout {
        let json = serde_json::json!({
            "name": "Hall", "grades": grades,
            "sections": [{"id": "A", "grade": grades[0], "rows": [
                {"id": "1", "segments": [{"from": 1, "count": seats, "x": 0, "y": 0}]}]}],
        });
        Layout::from_json(json.to_string()).unwrap()
    }

    fn builder() -> EventBuilder {
        Event::builder(EventId::new("tour").unwrap())
            .title("Tour", "투어")
            .venue("Hall")
            .starts_at_ms(1_000_000)
            .currency("KRW")
            .price("vip", 100)
    }

    fn saved() -> (Event, Layout) {
        let layout = layout(&["vip"], 10);
        let event = builder().build().unwrap();
        (event.after(None, &layout, Taken::No).unwrap(), layout)
    }

    #[test]
    fn versions_rise_with_what_they_stand_for() {
        let (first, hall) = saved();
        assert_eq!((first.version(), first.sales_version()), (1, 1));
        assert_eq!(first.layout_version(), hall.version());
        let versions = |builder: EventBuilder, layout: &Layout| {
            let event = builder.build().unwrap();
            let event = event.after(Some(&first), layout, Taken::No).unwrap();
            (event.version(), event.sales_version())
        };
        assert_eq!(versions(builder(), &hall), (1, 1));
        assert_eq!(versions(builder().title("Tour 2", "투어 2"), &hall), (2, 1));
        assert_eq!(versions(builder().status(EventStatus::Open), &hall), (2, 1));
        assert_eq!(versions(builder().limits(1, 1), &hall), (2, 1));
        assert_eq!(versions(builder().currency("JPY"), &hall), (2, 2));
        assert_eq!(versions(builder().sale(1, 2), &hall), (2, 2));
        assert_eq!(versions(builder(), &layout(&["vip"], 11)), (2, 2));
    }

    #[test]
    fn layout_and_currency_freeze_with_the_first_seat_taken() {
        let (first, hall) = saved();
        let after = |event: EventBuilder, layout: &Layout| {
            let event = event.build().unwrap();
            event.after(Some(&first), layout, Taken::Some)
        };
        let bigger = layout(&["vip"], 11);
        assert_eq!(
            after(builder().currency("JPY"), &bigger),
            Err(EventRefused::Frozen {
                fields: vec!["layout", "currency"]
            })
        );
        let mut dearer = builder();
        dearer.prices[0].amount = 200;
        assert_eq!(after(dearer, &hall).unwrap().sales_version(), 2);
    }

    #[test]
    fn a_change_of_what_somebody_has_not_seen_is_refused() {
        let (first, hall) = saved();
        let second = first.with_status_and(EventStatus::Open, &hall);
        let stale = first.clone().with_status(EventStatus::Cancelled);
        assert_eq!(
            stale.after(Some(&second), &hall, Taken::No),
            Err(EventRefused::Stale { version: 2 })
        );
        let back = second.clone().with_status(EventStatus::Draft);
        assert_eq!(
            back.after(Some(&second), &hall, Taken::No),
            Err(EventRefused::Status {
                from: EventStatus::Open,
                to: EventStatus::Draft
            })
        );
    }

    #[test]
    fn each_grade_has_a_price_and_each_price_a_grade() {
        let event = builder().price("royal", 5).build().unwrap();
        let refused = event.after(None, &layout(&["vip", "standard"], 10), Taken::No);
        let Err(EventRefused::Invalid(error)) = refused else {
            panic!("{refused:?}");
        };
        let fields: Vec<&str> = error.fields.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(fields, ["prices", "prices[1].grade"]);
    }

    impl Event {
        fn with_status_and(&self, status: EventStatus, layout: &Layout) -> Self {
            let event = self.clone().with_status(status);
            event.after(Some(self), layout, Taken::No).unwrap()
        }
    }
}
