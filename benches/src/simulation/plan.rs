//! What is sold to how many, where it is kept, and what is broken on purpose.

use ticketon_queue::{FieldError, RoomConfig};

/// Where orders are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file of SQLite.
    Sqlite,
    /// A private MariaDB.
    MariaDb,
}

/// Something that is broken on purpose in the system itself, so that the judge has something to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sabotage {
    /// Nothing.
    #[default]
    None,
    /// The bus acknowledges some events and delivers them to nobody.
    LoseEvents,
    /// The provider charges some orders twice.
    ChargeTwice,
    /// A process that dies takes the places of half the people in line with it.
    LosePlaces,
}

/// A sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Seats and standing places together.
    pub seats: u32,
    /// How many people come.
    pub buyers: u32,
    /// Whence their habits come. The same seed brings the same people; who is faster is the machine's to say.
    pub seed: u64,
    /// Where orders are kept.
    pub database: Kind,
    /// Rooms and maps are in two private Redis servers instead of the memory.
    pub redis: bool,
    /// What is broken on purpose.
    pub sabotage: Sabotage,
}

/// The lanes of the line, with their weights.
pub(super) const LANES: [(&str, u32); 2] = [("general", 3), ("fanclub", 1)];

/// The times of a sale: seconds where life has minutes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// From the first person to the last, about.
    pub(super) arrivals_ms: u64,
    pub(super) hold_seconds: u32,
    pub(super) pay_seconds: u32,
    pub(super) margin_seconds: u32,
    /// What a moment of thinking is multiplied by, in percent.
    pub(super) thinking: u64,
    pub(super) outage_ms: u64,
    pub(super) restart_ms: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seats: 20_000,
            buyers: 50_000,
            seed: 1,
            database: Kind::Sqlite,
            redis: false,
            sabotage: Sabotage::None,
        }
    }
}

impl Plan {
    /// Reads `--seats 20000 --buyers 50000 --seed 1 --database sqlite|mariadb --redis`.
    ///
    /// # Errors
    /// [`FieldError`] for the first word that makes no sense.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, FieldError> {
        let mut plan = Self::default();
        let mut words = words.iter().map(AsRef::as_ref);
        while let Some(name) = words.next() {
            if name == "--redis" {
                plan.redis = true;
                continue;
            }
            let value = words.next().unwrap_or_default();
            let within = |least: u64, most: u64| {
                let number = value.parse::<u64>().ok();
                let refused = || FieldError::new(name, value, format!("{least} to {most}"));
                number
                    .filter(|number| (least..=most).contains(number))
                    .ok_or_else(refused)
            };
            let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            match name {
                "--seats" => plan.seats = small(within(50, 100_000)?),
                "--buyers" => plan.buyers = small(within(1, 500_000)?),
                "--seed" => plan.seed = within(0, u64::MAX)?,
                "--database" => {
                    plan.database = match value {
                        "sqlite" => Kind::Sqlite,
                        "mariadb" => Kind::MariaDb,
                        _ => return Err(FieldError::new(name, value, "sqlite or mariadb")),
                    };
                }
                _ => {
                    let known = "--seats, --buyers, --seed, --database or --redis";
                    return Err(FieldError::new("argument", name, known));
                }
            }
        }
        Ok(plan)
    }

    /// How many seats can be expected to be sold at the least, were nothing to go wrong.
    pub(super) fn for_sale(&self) -> u64 {
        u64::from(self.seats.min(self.buyers))
    }

    /// A tenth of the places are for standing.
    pub(super) const fn standing(&self) -> u32 {
        self.seats / 10
    }

    pub(super) const fn is_small(&self) -> bool {
        self.buyers <= 2_000
    }

    pub(super) fn pace(&self) -> Pace {
        let small = self.is_small();
        Pace {
            arrivals_ms: if small { 1_200 } else { 12_000 },
            hold_seconds: if small { 3 } else { 6 },
            pay_seconds: if small { 2 } else { 4 },
            margin_seconds: 1,
            thinking: if small { 50 } else { 100 },
            outage_ms: if small { 500 } else { 3_000 },
            restart_ms: if small { 300 } else { 1_500 },
        }
    }

    /// How many may shop at a time, and how fast they are let in.
    pub(super) fn room(&self) -> RoomConfig {
        let capacity = if self.is_small() {
            self.buyers / 16
        } else {
            self.buyers / 80
        }
        .clamp(20, 1_000);
        let built = RoomConfig::builder()
            .capacity(capacity)
            .admit_per_second((self.buyers / 50).max(100))
            .admit_burst(capacity.max(100))
            .claim_ttl_seconds(2)
            .entry_ttl_seconds(15)
            .away_grace_seconds(3)
            .lanes(
                LANES
                    .into_iter()
                    .filter_map(|(name, weight)| {
                        let name = ticketon_queue::LaneName::new(name).ok()?;
                        Some(ticketon_queue::Lane { name, weight })
                    })
                    .collect(),
            );
        built
            .build()
            .unwrap_or_else(|error| panic!("the numbers are within their ranges: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_make_a_plan() {
        let words = [
            "--seats",
            "300",
            "--redis",
            "--database",
            "mariadb",
            "--seed",
            "7",
        ];
        let plan = Plan::parse(&words).unwrap();
        let expected = Plan {
            seats: 300,
            redis: true,
            database: Kind::MariaDb,
            seed: 7,
            ..Plan::default()
        };
        assert_eq!(plan, expected);
        for wrong in [
            &["--seats", "3"][..],
            &["--seats"],
            &["--seat", "300"],
            &["--database", "x"],
        ] {
            assert!(Plan::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
