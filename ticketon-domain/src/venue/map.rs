//! The layout for a browser: what is needed to draw it, in index order.
//!
//! Coordinates are arrays of numbers with one decimal, grades are runs, numbered seats are given by
//! their numbering, so that 20,000 seats are about 300 KB before compression.

use serde::{Serialize, Serializer};

use super::layout::Layout;
use super::plan::{Milli, Point};
use super::seats::{
    ACCESSIBLE, AreaEntry, COMPANION, Names, RowEntry, SectionEntry, SegmentEntry, bounds,
};

/// A coordinate to one decimal.
struct Tenth(Milli);

impl Serialize for Tenth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tenths = (f64::from(self.0.0) / 100.0).round();
        if tenths % 10.0 == 0.0 {
            serializer.serialize_i64((tenths / 10.0) as i64)
        } else {
            serializer.serialize_f64(tenths / 10.0)
        }
    }
}

type Xy = (Tenth, Tenth);

fn xy((x, y): Point) -> Xy {
    (Tenth(x), Tenth(y))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Map<'a> {
    version: &'a str,
    name: &'a str,
    seats: u32,
    bounds: (Xy, Xy),
    grades: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<Stage<'a>>,
    sections: Vec<Section<'a>>,
    areas: Vec<Area<'a>>,
}

#[derive(Serialize)]
struct Stage<'a> {
    name: Option<&'a str>,
    outline: Vec<Xy>,
}

#[derive(Serialize)]
struct Section<'a> {
    id: &'a str,
    name: &'a str,
    start: u32,
    rows: Vec<Row<'a>>,
    x: Vec<Tenth>,
    y: Vec<Tenth>,
    grades: Vec<(u8, u32)>,
    accessible: Vec<u32>,
    companion: Vec<u32>,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    segments: Vec<Segment<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Segment<'a> {
    Numbered(u32, u32, i32),
    Listed(Vec<&'a str>),
}

#[derive(Serialize)]
struct Area<'a> {
    id: &'a str,
    name: &'a str,
    start: u32,
    count: u32,
    grade: u8,
    outline: Vec<Xy>,
}

/// The map of a layout, as JSON.
pub(super) fn to_json(layout: &Layout) -> String {
    let (low, high) = bounds(layout.points()).unwrap_or_default();
    let map = Map {
        version: layout.version(),
        name: &layout.name,
        seats: layout.seat_count(),
        bounds: (xy(low), xy(high)),
        grades: &layout.grades,
        stage: layout.stage.as_ref().map(|stage| Stage {
            name: stage.name.as_deref(),
            outline: stage.outline.iter().copied().map(xy).collect(),
        }),
        sections: layout
            .seats
            .sections
            .iter()
            .map(|one| section(layout, one))
            .collect(),
        areas: layout.seats.areas.iter().map(area).collect(),
    };
    serde_json::to_string(&map).expect("a map is texts, numbers and lists")
}

fn section<'a>(layout: &'a Layout, section: &'a SectionEntry) -> Section<'a> {
    let seats = &layout.seats;
    let range = section.seats.start as usize..section.seats.end as usize;
    let points = &seats.points[range.clone()];
    let marked = |mark: u8| {
        let marks = section.seats.clone().zip(&seats.marks[range.clone()]);
        let marked = marks.filter(|(_, marks)| **marks & mark != 0);
        marked.map(|(seat, _)| seat).collect()
    };
    Section {
        id: &section.id,
        name: section.name.as_deref().unwrap_or(&section.id),
        start: section.seats.start,
        rows: seats.rows[section.rows.start as usize..section.rows.end as usize]
            .iter()
            .map(|one| row(layout, one))
            .collect(),
        x: points.iter().map(|(x, _)| Tenth(*x)).collect(),
        y: points.iter().map(|(_, y)| Tenth(*y)).collect(),
        grades: runs(&seats.grades[range.clone()]),
        accessible: marked(ACCESSIBLE),
        companion: marked(COMPANION),
    }
}

fn row<'a>(layout: &'a Layout, row: &'a RowEntry) -> Row<'a> {
    let seats = &layout.seats;
    let segment = |one: &SegmentEntry| match one.names {
        Names::Numbered(numbers) => Segment::Numbered(numbers.from, numbers.count, numbers.step),
        Names::Listed(first) => {
            let count = one.seats.end - one.seats.start;
            let names = (first..first + count).map(|place| seats.listed(place as usize));
            Segment::Listed(names.collect())
        }
    };
    let segments = row.segments.start as usize..row.segments.end as usize;
    Row {
        id: &row.id,
        segments: seats.segments[segments].iter().map(segment).collect(),
    }
}

/// Grades one after the other as (grade, how many).
fn runs(grades: &[u8]) -> Vec<(u8, u32)> {
    let mut runs: Vec<(u8, u32)> = Vec::new();
    for &grade in grades {
        match runs.last_mut() {
            Some((last, count)) if *last == grade => *count += 1,
            _ => runs.push((grade, 1)),
        }
    }
    runs
}

fn area(area: &AreaEntry) -> Area<'_> {
    Area {
        id: &area.id,
        name: area.name.as_deref().unwrap_or(&area.id),
        start: area.units.start,
        count: area.units.end - area.units.start,
        grade: area.grade,
        outline: area.outline.iter().copied().map(xy).collect(),
    }
}
