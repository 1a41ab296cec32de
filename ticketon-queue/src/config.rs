//! What an operator decides about a room, validated when it is built.
//!
//! A [`RoomConfig`] that exists is valid: every number is within its range and the numbers fit
//! each other. It is read from JSON with an error for each field that is wrong.

use serde_json::{Map, Value, json};

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

    /// The JSON shape of the HTTP contract.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let lanes: Vec<Value> = self
            .lanes
            .iter()
            .map(|lane| json!({"name": lane.name, "weight": lane.weight}))
            .collect();
        let mut value = json!({
            "capacity": self.capacity,
            "admitPerSecond": self.admit_per_second,
            "admitBurst": self.admit_burst,
            "claimTtlSeconds": self.claim_ttl_seconds,
            "entryTtlSeconds": self.entry_ttl_seconds,
            "awayGraceSeconds": self.away_grace_seconds,
            "maxWaiting": self.max_waiting,
            "opening": self.opening.as_str(),
            "lanes": lanes,
        });
        if let (Some(at), Some(fields)) = (self.opens_at_ms, value.as_object_mut()) {
            fields.insert("opensAt".into(), rfc3339(at).into());
        }
        value
    }

    /// Reads the JSON shape of the HTTP contract.
    ///
    /// # Errors
    /// [`ConfigError`] with every field that is unknown, missing, of another type, or out of its range.
    pub fn from_json(value: &Value) -> Result<Self, ConfigError> {
        let Some(fields) = value.as_object() else {
            return Err(ConfigError {
                fields: vec![FieldError::new("(body)", kind(value), "a JSON object")],
            });
        };
        let mut reader = Reader {
            fields,
            errors: Vec::new(),
        };
        let mut builder = RoomConfigBuilder {
            capacity: reader.number("capacity", CAPACITY),
            admit_per_second: reader.number("admitPerSecond", ADMIT_PER_SECOND),
            admit_burst: reader.number("admitBurst", ADMIT_BURST),
            claim_ttl_seconds: reader.number("claimTtlSeconds", CLAIM_TTL_SECONDS),
            entry_ttl_seconds: reader.number("entryTtlSeconds", ENTRY_TTL_SECONDS),
            away_grace_seconds: reader.number("awayGraceSeconds", AWAY_GRACE_SECONDS),
            max_waiting: reader.number("maxWaiting", MAX_WAITING),
            opens_at_ms: reader.opens_at(),
            opening: reader.opening(),
            lanes: reader.lanes(),
        };
        reader.unknown();
        let mut errors = reader.errors;
        // A field that is wrong already must not be reported again as missing.
        if builder.capacity.is_none() && errors.iter().any(|e| e.field == "capacity") {
            builder.capacity = Some(CAPACITY.0);
        }
        match builder.build() {
            Ok(config) if errors.is_empty() => Ok(config),
            Ok(_) => Err(ConfigError { fields: errors }),
            Err(more) => {
                for error in more.fields {
                    if !errors.iter().any(|e| e.field == error.field) {
                        errors.push(error);
                    }
                }
                Err(ConfigError { fields: errors })
            }
        }
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

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

const KNOWN: [&str; 10] = [
    "capacity",
    "admitPerSecond",
    "admitBurst",
    "claimTtlSeconds",
    "entryTtlSeconds",
    "awayGraceSeconds",
    "maxWaiting",
    "opensAt",
    "opening",
    "lanes",
];

/// Reads fields one by one and keeps every refusal.
struct Reader<'a> {
    fields: &'a Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Reader<'_> {
    fn number(&mut self, field: &str, range: (u64, u64)) -> Option<u64> {
        let value = self.fields.get(field)?;
        let number = value.as_u64();
        if number.is_none() {
            self.errors.push(FieldError::new(
                field,
                value,
                format!("a whole number, {}", range_text(range)),
            ));
        }
        number
    }

    fn opens_at(&mut self) -> Option<UnixMs> {
        let value = self.fields.get("opensAt")?;
        if value.is_null() {
            return None;
        }
        let at = value.as_str().and_then(parse_rfc3339).filter(|at| *at >= 0);
        if at.is_none() {
            self.errors.push(FieldError::new(
                "opensAt",
                value,
                "an RFC 3339 time from 1970 on, like 2026-01-01T00:00:00Z",
            ));
        }
        at
    }

    fn opening(&mut self) -> Opening {
        let Some(value) = self.fields.get("opening") else {
            return Opening::default();
        };
        let known = [Opening::Fifo, Opening::Draw];
        if let Some(opening) = known.into_iter().find(|known| value == known.as_str()) {
            return opening;
        }
        self.errors
            .push(FieldError::new("opening", value, "\"fifo\" or \"draw\""));
        Opening::default()
    }

    fn lanes(&mut self) -> Option<Vec<Lane>> {
        let value = self.fields.get("lanes")?;
        let Some(items) = value.as_array() else {
            self.errors.push(FieldError::new(
                "lanes",
                kind(value),
                "an array of {\"name\", \"weight\"}",
            ));
            return None;
        };
        if items.is_empty() || items.len() > MAX_LANES {
            self.errors.push(FieldError::new(
                "lanes",
                format!("{} lanes", items.len()),
                format!("1 to {MAX_LANES} lanes"),
            ));
            return None;
        }
        let lanes: Vec<Lane> = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| self.lane(index, item))
            .collect();
        (lanes.len() == items.len()).then_some(lanes)
    }

    fn lane(&mut self, index: usize, item: &Value) -> Option<Lane> {
        let Some(fields) = item.as_object() else {
            self.errors.push(FieldError::new(
                format!("lanes[{index}]"),
                kind(item),
                "an object {\"name\", \"weight\"}",
            ));
            return None;
        };
        for name in fields
            .keys()
            .filter(|name| *name != "name" && *name != "weight")
        {
            self.errors.push(FieldError::new(
                format!("lanes[{index}].{name}"),
                "(unknown field)",
                "name, weight",
            ));
        }
        let name = match fields
            .get("name")
            .and_then(Value::as_str)
            .map(LaneName::new)
        {
            Some(Ok(name)) => Some(name),
            _ => {
                self.errors.push(FieldError::new(
                    format!("lanes[{index}].name"),
                    fields.get("name").unwrap_or(&Value::Null),
                    "1 to 32 of a-z, 0-9, '-' and '_'",
                ));
                None
            }
        };
        let weight = match fields.get("weight") {
            None => Some(1),
            Some(value) => {
                let weight = value.as_u64().and_then(|weight| u32::try_from(weight).ok());
                if weight.is_none() {
                    self.errors.push(FieldError::new(
                        format!("lanes[{index}].weight"),
                        value,
                        range_text(LANE_WEIGHT),
                    ));
                }
                weight
            }
        };
        Some(Lane {
            name: name?,
            weight: weight?,
        })
    }

    fn unknown(&mut self) {
        for name in self.fields.keys() {
            if !KNOWN.contains(&name.as_str()) {
                self.errors.push(FieldError::new(
                    name.chars().take(64).collect::<String>(),
                    "(unknown field)",
                    KNOWN.join(", "),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::needless_pass_by_value)] // shorter calls
    fn refused(value: Value) -> Vec<String> {
        let error = RoomConfig::from_json(&value).unwrap_err();
        error.fields.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn json_survives_a_round_trip() {
        let config = RoomConfig::builder()
            .capacity(50)
            .admit_per_second(6)
            .opens_at_ms(1_767_225_600_000)
            .build()
            .unwrap();
        assert_eq!(RoomConfig::from_json(&config.to_json()).unwrap(), config);
        assert_eq!(config.to_json()["opensAt"], "2026-01-01T00:00:00Z");
    }

    #[test]
    fn every_wrong_field_is_named_once() {
        assert_eq!(refused(json!({})), ["capacity"]);
        assert_eq!(refused(json!([])), ["(body)"]);
        assert_eq!(refused(json!({"capacity": 0})), ["capacity"]);
        assert_eq!(refused(json!({"capacity": "5"})), ["capacity"]);
        assert_eq!(refused(json!({"capacity": 1.5})), ["capacity"]);
        assert_eq!(refused(json!({"capacity": -1})), ["capacity"]);
        for (field, bad) in [
            ("admitPerSecond", 100_001_u64),
            ("admitBurst", 1_000_001),
            ("claimTtlSeconds", 3_601),
            ("entryTtlSeconds", 86_401),
            ("awayGraceSeconds", 0),
            ("maxWaiting", u64::MAX),
        ] {
            let mut value = json!({"capacity": 1});
            value[field] = bad.into();
            assert!(refused(value).contains(&field.to_owned()), "{field}");
        }
        assert_eq!(
            refused(json!({"capacity": 1, "speed": 3, "opensAt": "soon", "opening": "lottery"})),
            ["opensAt", "opening", "speed"]
        );
    }

    #[test]
    fn numbers_must_fit_each_other() {
        assert_eq!(
            refused(json!({"capacity": 1, "admitPerSecond": 100, "admitBurst": 9})),
            ["admitBurst"]
        );
        assert_eq!(
            refused(json!({"capacity": 1, "claimTtlSeconds": 60, "entryTtlSeconds": 30})),
            ["entryTtlSeconds"]
        );
        let config = RoomConfig::from_json(&json!({"capacity": 1, "entryTtlSeconds": 30})).unwrap();
        assert_eq!(config.claim_ttl_ms(), 30_000);
    }

    #[test]
    fn a_draw_needs_its_time() {
        assert_eq!(
            refused(json!({"capacity": 1, "opening": "draw"})),
            ["opensAt"]
        );
        assert_eq!(
            refused(json!({"capacity": 1, "opening": "draw", "opensAt": "soon"})),
            ["opensAt"]
        );
        let draw = json!({"capacity": 1, "opening": "draw", "opensAt": "2026-01-01T00:00:00Z"});
        let config = RoomConfig::from_json(&draw).unwrap();
        assert!(config.is_draw());
        assert_eq!(RoomConfig::from_json(&config.to_json()).unwrap(), config);
        assert!(!RoomConfig::builder().capacity(1).build().unwrap().is_draw());
    }

    #[test]
    fn opening_times_can_be_written_down() {
        for bad in [i64::MAX, i64::MIN, -1] {
            let error = RoomConfig::builder()
                .capacity(1)
                .opens_at_ms(bad)
                .build()
                .unwrap_err();
            assert_eq!(error.fields[0].field, "opensAt", "{bad}");
        }
    }

    #[test]
    fn lanes_are_checked_one_by_one() {
        assert_eq!(refused(json!({"capacity": 1, "lanes": []})), ["lanes"]);
        assert_eq!(refused(json!({"capacity": 1, "lanes": 3})), ["lanes"]);
        assert_eq!(
            refused(json!({"capacity": 1, "lanes": [
                {"name": "vip", "weight": 0}, {"name": "vip"}, ]})),
            ["lanes[0].weight", "lanes[1].name"]
        );
        assert_eq!(
            refused(json!({"capacity": 1, "lanes": [{"name": "A b", "weight": 1, "x": 1}]})),
            ["lanes[0].x", "lanes[0].name"]
        );
    }

    #[test]
    fn absurd_numbers_are_refused() {
        for field in ["admitPerSecond", "admitBurst", "capacity"] {
            let mut config = serde_json::json!({"capacity": 1});
            config[field] = u64::MAX.into();
            assert!(refused(config).contains(&field.to_owned()), "{field}");
        }
    }
}
