//! A config as JSON: the shape of the HTTP contract, and what Redis keeps.

use serde_json::{Map, Value, json};

use super::{
    ADMIT_BURST, ADMIT_PER_SECOND, AWAY_GRACE_SECONDS, CAPACITY, CLAIM_TTL_SECONDS,
    ENTRY_TTL_SECONDS, LANE_WEIGHT, Lane, MAX_LANES, MAX_WAITING, Opening, RoomConfig,
    RoomConfigBuilder, range_text,
};
use crate::clock::{UnixMs, parse_rfc3339, rfc3339};
use crate::error::{ConfigError, FieldError};
use crate::id::LaneName;

impl RoomConfig {
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
