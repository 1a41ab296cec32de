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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::label::SeatIndex;
    use super::super::sample;
    use super::super::testing::{read, small};

    #[test]
    fn a_browser_gets_the_layout_in_index_order() {
        let layout = read(&small());
        let map: Value = serde_json::from_str(&layout.to_map_json()).unwrap();
        assert_eq!(
            map,
            json!({
                "version": layout.version(),
                "name": "Small Hall",
                "seats": 16,
                "bounds": [[-20, -20], [20, 20]],
                "grades": ["vip", "r", "s"],
                "stage": {"name": "Stage", "outline": [[-8, -6], [8, -6], [8, -2], [-8, -2]]},
                "sections": [
                    {"id": "A", "name": "Stalls", "start": 0,
                     "rows": [{"id": "1", "segments": [[1, 3, 1], [7, 2, -2]]}, {"id": "2", "segments": [[1, 3, 1]]}],
                     "x": [-4, -3, -2, 2.5, 3, -20, 0, 20], "y": [0, 0, 0, 0, 0.3, -20, 0, -20],
                     "grades": [[0, 5], [1, 1], [0, 1], [1, 1]], "accessible": [0, 4], "companion": [1]},
                    {"id": "가", "name": "가", "start": 8, "rows": [{"id": "L", "segments": [["1", "2a"]]}],
                     "x": [-14, -14], "y": [3, 4.5], "grades": [[2, 1], [0, 1]], "accessible": [8], "companion": [9]}
                ],
                "areas": [
                    {"id": "standing", "name": "Standing", "start": 10, "count": 4, "grade": 2,
                     "outline": [[-14, 8], [14, 8], [14, 20]]},
                    {"id": "bar", "name": "bar", "start": 14, "count": 2, "grade": 1, "outline": []}
                ]
            })
        );
    }

    #[test]
    fn the_map_of_a_big_hall_is_small_and_tells_every_label() {
        let layout = sample::theatre(20_000);
        let text = layout.to_map_json();
        assert!(text.len() < 400_000, "{} bytes", text.len());
        let map: Value = serde_json::from_str(&text).unwrap();
        let mut index = 0;
        for section in map["sections"].as_array().unwrap() {
            assert_eq!(section["start"], index);
            let first = index;
            for row in section["rows"].as_array().unwrap() {
                for segment in row["segments"].as_array().unwrap() {
                    let numbers: Vec<i64> = segment
                        .as_array()
                        .unwrap()
                        .iter()
                        .filter_map(Value::as_i64)
                        .collect();
                    for position in 0..numbers[1] {
                        let label = format!(
                            "{}-{}-{}",
                            section["id"].as_str().unwrap(),
                            row["id"].as_str().unwrap(),
                            numbers[0] + numbers[2] * position
                        );
                        assert_eq!(layout.label(SeatIndex::new(index)).unwrap().as_str(), label);
                        index += 1;
                    }
                }
            }
            assert_eq!(
                section["x"].as_array().unwrap().len(),
                (index - first) as usize
            );
            let graded: u64 = section["grades"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|run| run[1].as_u64())
                .sum();
            assert_eq!(graded, u64::from(index - first));
        }
        assert_eq!(index, 20_000);
    }
}
