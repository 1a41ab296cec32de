//! What holds for any layout, and what holds for any document: random ones are tried.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::layout::Layout;
use super::testing::{prove, read, small};
use super::{LayoutError, MAX_REPORTED};

fn coordinate() -> impl Strategy<Value = f64> {
    prop_oneof![(-300..300).prop_map(f64::from), -1_000.0..1_000.0]
}

fn grade() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(proptest::sample::select(&["vip", "r"][..]).prop_map(str::to_owned))
}

/// A segment whose seats are numbered from `block * 100` on, so that blocks never meet.
fn segment(block: usize) -> impl Strategy<Value = Value> {
    let numbers = (1..12_u32, prop_oneof![Just(1), Just(2), Just(-1)], grade());
    let shapes = (0..3, coordinate(), coordinate(), 0.01..90.0_f64);
    (numbers, shapes).prop_map(move |((count, step, grade), (shape, x, y, far))| {
        let from = block * 100 + 50;
        let mut segment = match shape {
            0 => json!({"from": from, "count": count, "step": step, "x": x, "y": y, "dx": far}),
            1 => json!({"from": from, "count": count, "step": step,
                "arc": {"center": [x, y], "radius": far * 10.0, "start": -far, "step": far / 20.0 + 0.01}}),
            _ => json!({"seats": (0..count).map(|seat| {
                json!({"id": format!("{block}s{seat}"), "x": x, "y": y, "accessible": seat == 1})
            }).collect::<Vec<_>>()}),
        };
        if let Some(grade) = grade {
            segment["grade"] = grade.into();
        }
        segment
    })
}

fn row(index: usize) -> impl Strategy<Value = Value> {
    let segments = (1..4_usize).prop_flat_map(|count| (0..count).map(segment).collect::<Vec<_>>());
    (segments, grade(), proptest::option::of(0..50_u32)).prop_map(move |(segments, grade, rank)| {
        let mut row = json!({"id": format!("{index}열"), "segments": segments});
        if let Some(grade) = grade {
            row["grade"] = grade.into();
        }
        if let Some(rank) = rank {
            row["rank"] = rank.into();
        }
        row
    })
}

fn section(index: usize) -> impl Strategy<Value = Value> {
    let rows = (1..5_usize).prop_flat_map(|count| (0..count).map(row).collect::<Vec<_>>());
    rows.prop_map(move |rows| json!({"id": format!("S{index}"), "grade": "r", "rows": rows}))
}

fn layout() -> impl Strategy<Value = Value> {
    let sections = (0..4_usize).prop_flat_map(|count| (0..count).map(section).collect::<Vec<_>>());
    let areas = proptest::collection::vec(1..300_u32, 0..3);
    (sections, areas, any::<bool>())
        .prop_filter("no seats", |(sections, areas, _)| !sections.is_empty() || !areas.is_empty())
        .prop_map(|(sections, areas, stage)| {
            let mut layout = json!({"name": "Any \"house\" \\ 집", "grades": ["vip", "r"]});
            if stage {
                layout["stage"] = json!({"outline": [[0, 0], [1.5, 0], [0, 2.25]]});
            }
            if !sections.is_empty() {
                layout["sections"] = sections.into();
            }
            let area = |(index, capacity)| {
                json!({"id": format!("area{index}"), "grade": "vip", "capacity": capacity})
            };
            if !areas.is_empty() {
                layout["areas"] = areas.into_iter().enumerate().map(area).collect();
            }
            layout
        })
}

/// How many values a document has, itself among them.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 0,
    }
}

/// Changes the value at this place, counted as in [`size`].
fn change(value: &mut Value, place: &mut usize, with: &mut dyn FnMut(&mut Value)) {
    if *place == 0 {
        *place = usize::MAX;
        return with(value);
    }
    *place -= 1;
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| change(item, place, with)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|item| change(item, place, with)),
        _ => {}
    }
}

/// What might stand where something else belongs.
fn odd() -> impl Strategy<Value = Value> {
    let numbers = [
        json!(0),
        json!(-1),
        json!(1),
        json!(1.5),
        json!(-0.0),
        json!(2_001),
        json!(100_001),
        json!(1e300),
        json!(-1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(5e-324),
    ];
    let texts = [
        "",
        "A",
        "1",
        "vip",
        "nope",
        "a-b",
        "{",
        "\u{0}",
        "가",
        "12345678901234567",
    ];
    prop_oneof![
        proptest::sample::select(numbers.to_vec()),
        proptest::sample::select(texts.map(Value::from).to_vec()),
        proptest::sample::select(vec![
            Value::Null,
            json!(true),
            json!([]),
            json!({}),
            json!([[]]),
            json!({"id": "A"}),
            json!([1, 2]),
            json!([{"id": "1"}]),
        ]),
    ]
}

/// Whatever it is: read it, prove it or see why it is refused.
fn outcome(json: &[u8]) -> Result<Layout, LayoutError> {
    let outcome = Layout::from_json(json);
    match &outcome {
        Ok(layout) => prove(layout),
        Err(LayoutError::Invalid { fields, more }) => {
            assert!(!fields.is_empty() && fields.len() <= MAX_REPORTED);
            assert!(*more == 0 || fields.len() == MAX_REPORTED);
        }
        Err(_) => {}
    }
    outcome
}

proptest! {
    #[test]
    fn any_layout_can_be_relied_on(json in layout()) {
        let layout = outcome(json.to_string().as_bytes()).unwrap();
        let seats: Vec<&Value> = json["sections"].as_array().into_iter().flatten()
            .flat_map(|section| section["rows"].as_array().unwrap())
            .flat_map(|row| row["segments"].as_array().unwrap())
            .collect();
        prop_assert_eq!(layout.segments().len(), seats.len());
        for (segment, json) in layout.segments().zip(seats) {
            let listed = json["seats"].as_array().map_or(0, Vec::len) as u64;
            prop_assert_eq!(u64::from(segment.len), json["count"].as_u64().unwrap_or(listed));
        }
        let units: u64 = json["areas"].as_array().into_iter().flatten().filter_map(|area| area["capacity"].as_u64()).sum();
        prop_assert_eq!(layout.areas().map(|area| u64::from(area.len)).sum::<u64>(), units);
    }

    #[test]
    fn broken_layouts_are_refused_in_words(
        json in layout(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), odd(), 0..3), 1..4),
    ) {
        let mut json = json;
        for (place, odd, how) in changes {
            let mut place = place.index(size(&json));
            change(&mut json, &mut place, &mut |value| match (how, &mut *value) {
                (0, Value::Object(fields)) => {
                    let first = fields.keys().next().cloned();
                    fields.remove(&first.unwrap_or_default());
                }
                (1, Value::Array(items)) => items.extend(items.clone()),
                _ => *value = odd.clone(),
            });
        }
        let text = json.to_string();
        if let Err(error) = outcome(text.as_bytes()) {
            prop_assert!(!matches!(error, LayoutError::Syntax(_)), "{error}: {text}");
        }
    }

    #[test]
    fn cut_and_scrambled_bytes_never_panic(
        cut in any::<prop::sample::Index>(),
        bytes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut json = small().to_string().into_bytes();
        for (place, byte) in bytes {
            let place = place.index(json.len());
            json[place] = byte;
        }
        let _ = outcome(&json);
        json.truncate(cut.index(json.len()));
        prop_assert!(outcome(&json).is_err());
    }
}

#[test]
fn the_small_hall_can_be_relied_on() {
    prove(&read(&small()));
}

#[test]
fn the_documentation_is_true() {
    let example = include_str!("example.json");
    prove(&Layout::from_json(example).unwrap());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/layouts.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks: Vec<&str> = text
        .split("```json\n")
        .skip(1)
        .filter_map(|block| Some(block.split_once("```")?.0))
        .collect();
    let [first, least, map] = blocks[..] else {
        panic!("{} blocks of JSON", blocks.len());
    };
    assert_eq!(first, example);
    let told: Value = serde_json::from_str(map).unwrap();
    let real: Value =
        serde_json::from_str(&Layout::from_json(least).unwrap().to_map_json()).unwrap();
    assert_eq!(told, real);
}

#[test]
fn a_document_may_not_be_too_long() {
    let padded = |bytes: usize| {
        let json = small().to_string();
        let padding = " ".repeat(bytes - json.len());
        Layout::from_json(json + &padding)
    };
    assert!(padded(super::MAX_JSON_BYTES).is_ok());
    let error = padded(super::MAX_JSON_BYTES + 1).unwrap_err();
    assert!(matches!(
        error,
        LayoutError::TooLarge {
            bytes: 16_777_217,
            limit: 16_777_216
        }
    ));
    assert_eq!(error.into_fields()[0].field, "(body)");
}

#[test]
fn what_is_not_json_says_where() {
    for (text, told) in [
        ("", "line 1"),
        ("{\"name\": }", "line 1 column 10"),
        ("{\"name\": 1e999}", "number out of range"),
        ("{} {}", "trailing"),
        ("{\"name\": NaN}", "line 1"),
    ] {
        let error = Layout::from_json(text).unwrap_err();
        assert!(matches!(error, LayoutError::Syntax(_)), "{text}: {error}");
        assert!(error.to_string().contains(told), "{text}: {error}");
    }
    assert!(Layout::from_json([b'"', 0xff, b'"']).is_err());
}
