//! What the tests of this aggregate share.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::label::SeatIndex;
use super::layout::Layout;

/// A small layout with every feature.
pub(super) fn small() -> Value {
    json!({
        "name": "Small Hall",
        "grades": ["vip", "r", "s"],
        "stage": {"name": "Stage", "outline": [[-8, -6], [8, -6], [8, -2], [-8, -2]]},
        "sections": [
            {"id": "A", "name": "Stalls", "grade": "r", "rows": [
                {"id": "1", "grade": "vip", "segments": [
                    {"from": 1, "count": 3, "x": -4, "y": 0},
                    {"from": 7, "count": 2, "step": -2, "x": 2.5, "y": 0, "dx": 0.5, "dy": 0.25}
                ], "accessible": ["1", "5"], "companion": ["2"]},
                {"id": "2", "segments": [
                    {"from": 1, "count": 3, "arc": {"center": [0, -20], "radius": 20, "start": -90, "step": 90}}
                ], "seatGrades": [{"grade": "vip", "seats": ["2"]}]}
            ]},
            {"id": "가", "grade": "s", "rank": 20, "rows": [
                {"id": "L", "segments": [{"seats": [
                    {"id": "1", "x": -14, "y": 3, "accessible": true},
                    {"id": "2a", "x": -14, "y": 4.5, "grade": "vip", "companion": true}
                ]}]}
            ]}
        ],
        "areas": [
            {"id": "standing", "name": "Standing", "grade": "s", "capacity": 4,
             "outline": [[-14, 8], [14, 8], [14, 20]]},
            {"id": "bar", "grade": "r", "capacity": 2}
        ]
    })
}

pub(super) fn read(value: &Value) -> Layout {
    Layout::from_json(value.to_string()).unwrap()
}

/// The fields that are refused, in the order in which they are reported.
pub(super) fn refused(value: &Value) -> Vec<String> {
    let error = Layout::from_json(value.to_string()).unwrap_err();
    let fields = error.into_fields().into_iter();
    fields.map(|field| field.field).collect()
}

/// [`small`] with another value at a place (a JSON pointer).
pub(super) fn with(pointer: &str, value: Value) -> Value {
    let mut layout = small();
    match layout.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let parent = layout.pointer_mut(parent).unwrap();
            parent
                .as_object_mut()
                .unwrap()
                .insert(name.to_owned(), value);
        }
    }
    layout
}

/// Proves what must hold for every layout that exists.
pub(super) fn prove(layout: &Layout) {
    let count = layout.seat_count();
    assert!((1..=super::MAX_SEATS).contains(&count));
    let mut labels = HashSet::new();
    for index in (0..count).map(SeatIndex::new) {
        let seat = layout.seat(index).unwrap();
        assert_eq!(layout.label(index).as_ref(), Some(&seat.label));
        assert_eq!(layout.index_of(&seat.label), Some(index), "{}", seat.label);
        assert_eq!(super::SeatLabel::new(&seat.label).as_ref(), Ok(&seat.label));
        assert!(layout.grades().get(usize::from(seat.grade.get())).is_some());
        assert!(layout.off_centre(index).is_finite());
        assert!(
            labels.insert(seat.label.to_string()),
            "{} twice",
            seat.label
        );
    }
    let beyond = SeatIndex::new(count);
    assert!(layout.seat(beyond).is_none() && layout.label(beyond).is_none());
    assert!(layout.grade_of(beyond).is_none() && layout.segment_of(beyond).is_none());

    // Segments, rows, sections and areas each cover the indexes without a gap.
    let mut next = 0;
    for segment in layout.segments() {
        assert_eq!(segment.start.get(), next);
        assert!(segment.len > 0);
        next += segment.len;
        let last = layout.segment_of(SeatIndex::new(next - 1));
        assert_eq!(last, Some(segment));
    }
    let seated = next;
    let rows: Vec<_> = layout.rows().collect();
    let tiles = |parts: Vec<(SeatIndex, u32)>, mut next: u32| {
        for (start, len) in parts {
            assert_eq!(start.get(), next);
            next += len;
        }
        next
    };
    assert_eq!(
        tiles(rows.iter().map(|row| (row.start, row.len)).collect(), 0),
        seated
    );
    let sections = layout
        .sections()
        .map(|section| (section.start, section.len));
    assert_eq!(tiles(sections.collect(), 0), seated);
    let areas = layout.areas().map(|area| (area.start, area.len));
    assert_eq!(tiles(areas.collect(), seated), count);
    for section in layout.sections() {
        let rows = &rows[section.rows.start as usize..section.rows.end as usize];
        assert_eq!(rows.iter().map(|row| row.len).sum::<u32>(), section.len);
        assert!(rows.iter().all(|row| row.section == section.id));
    }

    // Ranks are an order of all rows.
    let mut ranks: Vec<u32> = rows.iter().map(|row| row.rank).collect();
    ranks.sort_unstable();
    assert!(
        ranks
            .iter()
            .copied()
            .eq(0..u32::try_from(rows.len()).unwrap())
    );

    let again = Layout::from_json(layout.to_json()).unwrap();
    assert_eq!(&again, layout);
    assert_eq!(again.to_json(), layout.to_json());
    assert_eq!(again.version(), layout.version());
    assert_eq!(layout.version().len(), 16);
}
