//! What an operator decides about a room, validated when it is built.
//!
//! A [`RoomConfig`] that exists is valid: every number is within its range and the numbers fit
//! each other. `json` reads one with an error for each field that is wrong.

mod json;

use crate::clock::{UnixMs, parse_rfc3339, rfc3339};
use crate::error::{ConfigError, FieldError};
use crate::id::LaneName;

/// The most lanes a room may have.
pub const MAX_LANES: usize = 16;

/// How often a busy room is ticked, in milliseconds. A burst must cover the rate of one tick.
pub const TICK_MS: u64 = 100;

const CAPACITY: (u64, u64) = (1, 1_000_000);
const ADMIT_PER_SECOND: (u64, u64) = (1, 100_000);
const ADMIT_BURST: (u64, u64) = (1, 1_000_000);
const CLAIM_TTL_SECONDS: (u64, u64) = (1, 3_600);
const ENTRY_TTL_SECONDS: (u64, u64) = (1, 86_400);
const AWAY_GRACE_SECONDS: (u64, u64) = (1, 86_400);
const MAX_WAITING: (u64, u64) = (1, 10_000_000);
const LANE_WEIGHT: (u64, u64) = (1, 1_000);

/// A priority class of a room. Lanes share admissions by weight; the host says who is in which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Its name, unique in the room.
    pub name: LaneName,
    /// Its share: 1 to 1,000.
    pub weight: u32,
}

/// How the people who come before the opening are placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Opening {
    /// In the order in which they join.
    #[default]
    Fifo,
    /// By chance, see [`draw`](crate::draw); who joins later queues behind. Needs an opening time.
    Draw,
}

impl Opening {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Draw => "draw",
        }
    }
}

/// A validated room configuration.
///
/// ```
/// use ticketon_queue::RoomConfig;
/// let config = RoomConfig::builder().capacity(500).admit_per_second(50).build()?;
/// assert_eq!(config.capacity(), 500);
/// let refused = RoomConfig::builder().capacity(0).build().unwrap_err();
/// assert_eq!(refused.fields[0].field, "capacity");
/// # Ok::<(), ticketon_queue::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomConfig {
    capacity: u32,
    admit_per_second: u32,
    admit_burst: u32,
    claim_ttl_seconds: u32,
    entry_ttl_seconds: u32,
    away_grace_seconds: u32,
    max_waiting: u32,
    opens_at_ms: Option<UnixMs>,
    opening: Opening,
    lanes: Vec<Lane>,
}

impl RoomConfig {
    /// A builder; only the capacity has no default.
    #[must_use]
    pub fn builder() -> RoomConfigBuilder {
        RoomConfigBuilder::default()
    }

    /// How many people may be admitted at a time.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// How many people are admitted per second at the most.
    #[must_use]
    pub fn admit_per_second(&self) -> u32 {
        self.admit_per_second
    }

    /// How many admissions may be made at once after a quiet time.
    #[must_use]
    pub fn admit_burst(&self) -> u32 {
        self.admit_burst
    }

    /// How long an admitted person has to come in, in milliseconds.
    #[must_use]
    pub fn claim_ttl_ms(&self) -> i64 {
        i64::from(self.claim_ttl_seconds) * 1_000
    }

    /// How long an admission lasts, counted from when it was made, in milliseconds.
    #[must_use]
    pub fn entry_ttl_ms(&self) -> i64 {
        i64::from(self.entry_ttl_seconds) * 1_000
    }

    /// How long the place of a person without a connection is kept, in milliseconds.
    #[must_use]
    pub fn away_grace_ms(&self) -> i64 {
        i64::from(self.away_grace_seconds) * 1_000
    }

    /// How many people may wait, over all lanes.
    #[must_use]
    pub fn max_waiting(&self) -> u32 {
        self.max_waiting
    }

    /// When the room opens by itself; a room without this is open from the start.
    #[must_use]
    pub fn opens_at_ms(&self) -> Option<UnixMs> {
        self.opens_at_ms
    }

    /// How the people who come before the opening are placed.
    #[must_use]
    pub fn opening(&self) -> Opening {
        self.opening
    }

    /// Whether the people who come before the opening are drawn.
    #[must_use]
    pub fn is_draw(&self) -> bool {
        self.opening == Opening::Draw
    }

    /// The lanes, at least one. People without an assigned lane wait in the first.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The index of a lane.
    #[must_use]
    pub fn lane_index(&self, name: &LaneName) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.name == *name)
    }
}

/// Builds a [`RoomConfig`]. Values out of their range are reported by [`build`](Self::build), all at once.
#[derive(Debug, Clone, Default)]
pub struct RoomConfigBuilder {
    capacity: Option<u64>,
    admit_per_second: Option<u64>,
    admit_burst: Option<u64>,
    claim_ttl_seconds: Option<u64>,
    entry_ttl_seconds: Option<u64>,
    away_grace_seconds: Option<u64>,
    max_waiting: Option<u64>,
    opens_at_ms: Option<UnixMs>,
    opening: Opening,
    lanes: Option<Vec<Lane>>,
}

impl RoomConfigBuilder {
    /// How many people may be admitted at a time: 1 to 1,000,000. Required.
    #[must_use]
    pub fn capacity(mut self, people: u32) -> Self {
        self.capacity = Some(people.into());
        self
    }

    /// Admissions per second: 1 to 100,000; 100 by default.
    #[must_use]
    pub fn admit_per_second(mut self, people: u32) -> Self {
        self.admit_per_second = Some(people.into());
        self
    }

    /// Admissions at once after a quiet time: 1 to 1,000,000, at least a tenth of the rate; the rate by default.
    #[must_use]
    pub fn admit_burst(mut self, people: u32) -> Self {
        self.admit_burst = Some(people.into());
        self
    }

    /// Seconds to come in after admission: 1 to 3,600; 90 by default.
    #[must_use]
    pub fn claim_ttl_seconds(mut self, seconds: u32) -> Self {
        self.claim_ttl_seconds = Some(seconds.into());
        self
    }

    /// Seconds an admission lasts: 1 to 86,400, at least the claim's; 600 by default.
    #[must_use]
    pub fn entry_ttl_seconds(mut self, seconds: u32) -> Self {
        self.entry_ttl_seconds = Some(seconds.into());
        self
    }

    /// Seconds a place is kept without a connection: 1 to 86,400; 120 by default.
    #[must_use]
    pub fn away_grace_seconds(mut self, seconds: u32) -> Self {
        self.away_grace_seconds = Some(seconds.into());
        self
    }

    /// How many people may wait: 1 to 10,000,000; 1,000,000 by default.
    #[must_use]
    pub fn max_waiting(mut self, people: u32) -> Self {
        self.max_waiting = Some(people.into());
        self
    }

    /// When the room opens by itself (milliseconds since the Unix epoch).
    #[must_use]
    pub fn opens_at_ms(mut self, at: UnixMs) -> Self {
        self.opens_at_ms = Some(at);
        self
    }

    /// How the people who come before the opening are placed: in their order by default. A draw needs an opening time.
    #[must_use]
    pub fn opening(mut self, opening: Opening) -> Self {
        self.opening = opening;
        self
    }

    /// The lanes: 1 to 16 with unique names, weights 1 to 1,000; one lane `general` by default.
    #[must_use]
    pub fn lanes(mut self, lanes: Vec<Lane>) -> Self {
        self.lanes = Some(lanes);
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`ConfigError`] with every field that is missing or out of its range.
    pub fn build(self) -> Result<RoomConfig, ConfigError> {
        let mut errors = Vec::new();
        let mut within = |field: &str, value: u64, range: (u64, u64)| {
            if value < range.0 || value > range.1 {
                errors.push(FieldError::new(field, value, range_text(range)));
            }
            u32::try_from(value).unwrap_or(u32::MAX)
        };
        let rate = self.admit_per_second.unwrap_or(100);
        let burst = self.admit_burst.unwrap_or(rate);
        let claim = self.claim_ttl_seconds;
        let entry = self
            .entry_ttl_seconds
            .unwrap_or(claim.unwrap_or(0).max(600));
        let claim = claim.unwrap_or(entry.min(90));
        let lanes = self.lanes.unwrap_or_else(|| {
            vec![Lane {
                name: LaneName::default(),
                weight: 1,
            }]
        });
        let config = RoomConfig {
            capacity: within("capacity", self.capacity.unwrap_or(1), CAPACITY),
            admit_per_second: within("admitPerSecond", rate, ADMIT_PER_SECOND),
            admit_burst: within("admitBurst", burst, ADMIT_BURST),
            claim_ttl_seconds: within("claimTtlSeconds", claim, CLAIM_TTL_SECONDS),
            entry_ttl_seconds: within("entryTtlSeconds", entry, ENTRY_TTL_SECONDS),
            away_grace_seconds: within(
                "awayGraceSeconds",
                self.away_grace_seconds.unwrap_or(120),
                AWAY_GRACE_SECONDS,
            ),
            max_waiting: within(
                "maxWaiting",
                self.max_waiting.unwrap_or(1_000_000),
                MAX_WAITING,
            ),
            opens_at_ms: self.opens_at_ms,
            opening: self.opening,
            lanes,
        };
        if self.capacity.is_none() {
            errors.push(FieldError::new(
                "capacity",
                "(missing)",
                range_text(CAPACITY),
            ));
        }
        let tick_burst = rate.saturating_mul(TICK_MS).div_ceil(1_000);
        if burst < tick_burst && (ADMIT_BURST.0..=ADMIT_BURST.1).contains(&burst) {
            errors.push(FieldError::new(
                "admitBurst",
                burst,
                format!("at least {tick_burst}, a tenth of admitPerSecond"),
            ));
        }
        if entry < claim && (ENTRY_TTL_SECONDS.0..=ENTRY_TTL_SECONDS.1).contains(&entry) {
            errors.push(FieldError::new(
                "entryTtlSeconds",
                entry,
                format!("at least claimTtlSeconds ({claim})"),
            ));
        }
        if let Some(at) = config.opens_at_ms
            && (at < 0 || parse_rfc3339(&rfc3339(at)) != Some(at))
        {
            let range = "milliseconds from 1970 to 9999";
            errors.push(FieldError::new("opensAt", at, range));
        }
        if config.is_draw() && config.opens_at_ms.is_none() {
            errors.push(FieldError::new(
                "opensAt",
                "(missing)",
                "a time, because opening is \"draw\"",
            ));
        }
        check_lanes(&config.lanes, &mut errors);
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError { fields: errors })
        }
    }
}

fn check_lanes(lanes: &[Lane], errors: &mut Vec<FieldError>) {
    if lanes.is_empty() || lanes.len() > MAX_LANES {
        errors.push(FieldError::new(
            "lanes",
            format!("{} lanes", lanes.len()),
            format!("1 to {MAX_LANES} lanes"),
        ));
    }
    for (index, lane) in lanes.iter().enumerate().take(MAX_LANES) {
        let weight = u64::from(lane.weight);
        if weight < LANE_WEIGHT.0 || weight > LANE_WEIGHT.1 {
            errors.push(FieldError::new(
                format!("lanes[{index}].weight"),
                weight,
                range_text(LANE_WEIGHT),
            ));
        }
        if lanes[..index].iter().any(|other| other.name == lane.name) {
            errors.push(FieldError::new(
                format!("lanes[{index}].name"),
                &lane.name,
                "names that are unique in the room",
            ));
        }
    }
}

fn range_text(range: (u64, u64)) -> String {
    format!("{} to {}", range.0, range.1)
}
