//! The layout as others see it: what it answers about its seats.

use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::compile::compile;
use super::error::LayoutError;
use super::label::{GradeIndex, SeatIndex, SeatLabel};
use super::plan::{Plan, Point, StagePlan};
use super::read::{One, Reader, document};
use super::seats::{ACCESSIBLE, COMPANION, Seats, SegmentEntry, distance_squared};
use super::view::{Area, Row, Seat, Section, Segment};
use super::{MAX_JSON_BYTES, map};

/// A validated venue layout: sections with rows of seats, and areas without seats.
///
/// It is read once and never changes; share it behind an `Arc`. 100,000 seats take about 2 MB.
///
/// ```
/// use ticketon_domain::venue::{Layout, SeatIndex};
/// let layout = Layout::from_json(r#"{
///     "name": "Small Hall",
///     "grades": ["vip", "standard"],
///     "sections": [{"id": "A", "grade": "standard", "rows": [
///         {"id": "1", "grade": "vip", "segments": [{"from": 1, "count": 6, "x": 0, "y": 0}]},
///         {"id": "2", "segments": [{"from": 1, "count": 8, "x": -1, "y": 1}], "accessible": ["1"]}
///     ]}],
///     "areas": [{"id": "standing", "grade": "standard", "capacity": 50}]
/// }"#)?;
/// assert_eq!(layout.seat_count(), 64);
/// assert_eq!(layout.index_of("A-2-1"), Some(SeatIndex::new(6)));
/// assert_eq!(layout.index_of("standing/50"), Some(SeatIndex::new(63)));
/// let seat = layout.seat(SeatIndex::new(6)).ok_or("unknown seat")?;
/// assert!(seat.accessible);
/// assert_eq!((seat.x, seat.y), (-1.0, 1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Layout {
    pub(super) name: String,
    pub(super) grades: Vec<String>,
    pub(super) stage: Option<StagePlan>,
    pub(super) seats: Seats,
    json: Box<str>,
    version: String,
}

impl Layout {
    /// Reads and checks a layout. The module's docs and `docs/layouts.md` describe the JSON.
    ///
    /// # Errors
    /// [`LayoutError`] if it is no JSON, longer than 16 MiB, or refused: then with everything that is
    /// wrong, up to 100 fields.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self, LayoutError> {
        let json = json.as_ref();
        if json.len() > MAX_JSON_BYTES {
            return Err(LayoutError::TooLarge {
                bytes: json.len(),
                limit: MAX_JSON_BYTES,
            });
        }
        let mut reader = Reader::default();
        let One::<Plan>(plan) = document(json, &mut reader)?;
        let mut problems = reader.problems;
        let seats = compile(&plan, &mut problems);
        problems.into_result()?;
        let json = serde_json::to_string(&plan)?.into_boxed_str();
        Ok(Self {
            version: version(&json),
            name: plan.name,
            grades: plan.grades,
            stage: plan.stage,
            seats,
            json,
        })
    }

    /// The layout in its canonical form: without white space and defaults, lengths to three
    /// decimals. Reading it again gives an equal layout with the same version.
    #[must_use]
    pub fn to_json(&self) -> &str {
        &self.json
    }

    /// What a browser needs to draw the layout, as compact JSON; `docs/layouts.md` has its shape.
    #[must_use]
    pub fn to_map_json(&self) -> String {
        map::to_json(self)
    }

    /// Tells layouts apart: the first 16 hexadecimal digits of the SHA-256 of the canonical JSON.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What the venue is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the grades; a [`GradeIndex`] is a place in this list.
    #[must_use]
    pub fn grades(&self) -> &[String] {
        &self.grades
    }

    /// The grade with this name.
    #[must_use]
    pub fn grade_index(&self, name: &str) -> Option<GradeIndex> {
        let index = self.grades.iter().position(|grade| grade == name)?;
        u8::try_from(index).ok().map(GradeIndex::new)
    }

    /// How many seats and units there are: indexes are below this.
    #[must_use]
    pub fn seat_count(&self) -> u32 {
        self.seats.len()
    }

    /// The seat or unit with this label, in constant time.
    #[must_use]
    pub fn index_of(&self, label: impl AsRef<str>) -> Option<SeatIndex> {
        self.seats.find(label.as_ref()).map(SeatIndex::new)
    }

    /// The label of a seat or unit.
    #[must_use]
    pub fn label(&self, seat: SeatIndex) -> Option<SeatLabel> {
        let mut label = String::new();
        let known = self.seats.write_label(seat.get(), &mut label);
        known.then(|| SeatLabel::known(&label))
    }

    /// The grade of a seat or unit.
    #[must_use]
    pub fn grade_of(&self, seat: SeatIndex) -> Option<GradeIndex> {
        let grade = self.seats.grades.get(seat.get() as usize)?;
        Some(GradeIndex::new(*grade))
    }

    /// Everything about a seat or unit.
    #[must_use]
    pub fn seat(&self, seat: SeatIndex) -> Option<Seat<'_>> {
        let label = self.label(seat)?;
        let grade = self.grade_of(seat)?;
        let index = seat.get() as usize;
        let Some(segment) = self.segment_of(seat) else {
            let area = &self.seats.areas[self.seats.area_of(seat.get())?];
            return Some(Seat {
                index: seat,
                label,
                section: &area.id,
                row: None,
                grade,
                accessible: false,
                companion: false,
                x: area.centre.0.get(),
                y: area.centre.1.get(),
            });
        };
        let marks = self.seats.marks[index];
        let (x, y) = self.seats.points[index];
        Some(Seat {
            index: seat,
            label,
            section: segment.section,
            row: Some(segment.row),
            grade,
            accessible: marks & ACCESSIBLE != 0,
            companion: marks & COMPANION != 0,
            x: x.get(),
            y: y.get(),
        })
    }

    /// The sections, in the order of their seats.
    pub fn sections(&self) -> impl ExactSizeIterator<Item = Section<'_>> {
        self.seats.sections.iter().map(|section| Section {
            id: &section.id,
            name: section.name.as_deref().unwrap_or(&section.id),
            rows: section.rows.clone(),
            start: SeatIndex::new(section.seats.start),
            len: length(&section.seats),
        })
    }

    /// The rows of all sections, in the order of their seats.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.seats.rows.iter().map(|row| Row {
            id: &row.id,
            section: &self.seats.sections[row.section as usize].id,
            rank: row.rank,
            start: SeatIndex::new(row.seats.start),
            len: length(&row.seats),
        })
    }

    /// The runs of adjacent seats, in the order of their seats: an aisle is between any two.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = Segment<'_>> {
        self.seats
            .segments
            .iter()
            .map(|segment| self.segment(segment))
    }

    /// The run of adjacent seats that a seat is in; units of areas are in none.
    #[must_use]
    pub fn segment_of(&self, seat: SeatIndex) -> Option<Segment<'_>> {
        let segment = self.seats.segment_of(seat.get())?;
        Some(self.segment(&self.seats.segments[segment]))
    }

    fn segment(&self, segment: &SegmentEntry) -> Segment<'_> {
        let row = &self.seats.rows[segment.row as usize];
        Segment {
            section: &self.seats.sections[row.section as usize].id,
            row: &row.id,
            row_index: segment.row,
            row_rank: row.rank,
            start: SeatIndex::new(segment.seats.start),
            len: length(&segment.seats),
        }
    }

    /// How good a row is, by its place in [`rows`](Self::rows): 0 is the best, no two are the same.
    #[must_use]
    pub fn row_rank(&self, row_index: u32) -> Option<u32> {
        self.seats.rows.get(row_index as usize).map(|row| row.rank)
    }

    /// How far a seat is from the centre of its row: the smaller, the better. 0 for units of areas.
    #[must_use]
    pub fn off_centre(&self, seat: SeatIndex) -> f64 {
        let squared = self.seats.segment_of(seat.get()).map(|segment| {
            let row = &self.seats.rows[self.seats.segments[segment].row as usize];
            distance_squared(row.centre, self.seats.points[seat.get() as usize])
        });
        let squared = squared.unwrap_or_default() as f64;
        squared.sqrt() / 1_000.0
    }

    /// The areas without seats; their units come after all seats.
    pub fn areas(&self) -> impl ExactSizeIterator<Item = Area<'_>> {
        self.seats.areas.iter().map(|area| Area {
            id: &area.id,
            name: area.name.as_deref().unwrap_or(&area.id),
            grade: GradeIndex::new(area.grade),
            start: SeatIndex::new(area.units.start),
            len: length(&area.units),
        })
    }

    /// All points that the layout has something at.
    pub(super) fn points(&self) -> impl Iterator<Item = Point> {
        let stage = self.stage.iter().flat_map(|stage| &stage.outline);
        let areas = self.seats.areas.iter().flat_map(|area| area.outline.iter());
        self.seats.points.iter().chain(stage).chain(areas).copied()
    }
}

impl PartialEq for Layout {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl Eq for Layout {}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layout")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("seats", &self.seat_count())
            .finish_non_exhaustive()
    }
}

fn length(range: &Range<u32>) -> u32 {
    range.end - range.start
}

fn version(json: &str) -> String {
    let hash = Sha256::digest(json);
    hash.iter().take(8).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{read, small, with};
    use super::*;

    fn labels(layout: &Layout) -> Vec<String> {
        let seats = (0..layout.seat_count()).map(SeatIndex::new);
        seats
            .map(|seat| layout.label(seat).unwrap().to_string())
            .collect()
    }

    #[test]
    fn seats_are_numbered_in_the_order_of_the_document() {
        let layout = read(&small());
        assert_eq!(
            labels(&layout),
            [
                "A-1-1",
                "A-1-2",
                "A-1-3",
                "A-1-7",
                "A-1-5",
                "A-2-1",
                "A-2-2",
                "A-2-3",
                "가-L-1",
                "가-L-2a",
                "standing/1",
                "standing/2",
                "standing/3",
                "standing/4",
                "bar/1",
                "bar/2",
            ]
        );
        for unknown in [
            "",
            "A",
            "A-1",
            "A-1-4",
            "A-1-01",
            "A-1-1-1",
            "A-1-",
            "a-1-1",
            "가-L-2",
            "standing",
            "standing/0",
            "standing/5",
            "standing/01",
            "bar/3",
            "/1",
            "A-1-1/1",
            "nowhere/1",
            "standing/99999999999",
        ] {
            assert_eq!(layout.index_of(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_seat_knows_its_place_grade_and_marks() {
        let layout = read(&small());
        let told = |label: &str| {
            let seat = layout.seat(layout.index_of(label).unwrap()).unwrap();
            let grade = layout.grades()[usize::from(seat.grade.get())].clone();
            (
                seat.section.to_owned(),
                seat.row.map(str::to_owned),
                grade,
                (seat.accessible, seat.companion),
                (seat.x, seat.y),
            )
        };
        let row = |id: &str| Some(id.to_owned());
        assert_eq!(
            told("A-1-1"),
            (
                "A".into(),
                row("1"),
                "vip".into(),
                (true, false),
                (-4.0, 0.0)
            )
        );
        assert_eq!(
            told("A-1-2"),
            (
                "A".into(),
                row("1"),
                "vip".into(),
                (false, true),
                (-3.0, 0.0)
            )
        );
        assert_eq!(
            told("A-1-5"),
            (
                "A".into(),
                row("1"),
                "vip".into(),
                (true, false),
                (3.0, 0.25)
            )
        );
        // An arc begins at the left and passes its lowest point.
        assert_eq!(
            told("A-2-1"),
            (
                "A".into(),
                row("2"),
                "r".into(),
                (false, false),
                (-20.0, -20.0)
            )
        );
        assert_eq!(
            told("A-2-2"),
            (
                "A".into(),
                row("2"),
                "vip".into(),
                (false, false),
                (0.0, 0.0)
            )
        );
        assert_eq!(
            told("A-2-3"),
            (
                "A".into(),
                row("2"),
                "r".into(),
                (false, false),
                (20.0, -20.0)
            )
        );
        assert_eq!(
            told("가-L-1"),
            (
                "가".into(),
                row("L"),
                "s".into(),
                (true, false),
                (-14.0, 3.0)
            )
        );
        assert_eq!(
            told("가-L-2a"),
            (
                "가".into(),
                row("L"),
                "vip".into(),
                (false, true),
                (-14.0, 4.5)
            )
        );
        assert_eq!(
            told("standing/4"),
            (
                "standing".into(),
                None,
                "s".into(),
                (false, false),
                (0.0, 14.0)
            )
        );
        assert_eq!(
            told("bar/1"),
            ("bar".into(), None, "r".into(), (false, false), (0.0, 0.0))
        );
    }

    #[test]
    fn parts_name_their_seats() {
        let layout = read(&small());
        let segments: Vec<_> = layout
            .segments()
            .map(|s| (s.section, s.row, s.start.get(), s.len))
            .collect();
        assert_eq!(
            segments,
            [
                ("A", "1", 0, 3),
                ("A", "1", 3, 2),
                ("A", "2", 5, 3),
                ("가", "L", 8, 2)
            ]
        );
        let sections: Vec<_> = layout.sections().map(|s| (s.name, s.rows, s.len)).collect();
        assert_eq!(sections, [("Stalls", 0..2, 8), ("가", 2..3, 2)]);
        let areas: Vec<_> = layout
            .areas()
            .map(|a| (a.id, a.name, a.start.get(), a.len))
            .collect();
        assert_eq!(
            areas,
            [("standing", "Standing", 10, 4), ("bar", "bar", 14, 2)]
        );
        assert_eq!(layout.grade_index("s"), Some(GradeIndex::new(2)));
        assert_eq!(layout.grade_index("gold"), None);
    }

    #[test]
    fn the_centre_of_a_row_is_best() {
        let row = json!([{"id": "1", "segments": [{"count": 2, "x": 0, "y": 0}, {"from": 3, "count": 1, "x": 4, "y": 0}]}]);
        let layout = read(&with("/sections/0/rows", row));
        let off = |label: &str| layout.off_centre(layout.index_of(label).unwrap());
        assert_eq!((off("A-1-1"), off("A-1-2"), off("A-1-3")), (2.0, 1.0, 2.0));
        assert_eq!(off("bar/1"), 0.0);
    }

    #[test]
    fn the_canonical_form_is_short_and_stable() {
        let layout = Layout::from_json(
            r#" { "areas": [{"capacity": 3, "id": "floor"}], "grades": ["all"], "name": "Club",
                "sections": [{"rows": [{"segments": [{"y": 1.00049, "x": -0.0, "count": 2, "dx": 1, "step": 1}],
                "id": "1"}], "id": "A"}] } "#,
        )
        .unwrap();
        let canonical = r#"{"name":"Club","grades":["all"],"sections":[{"id":"A","rows":[{"id":"1","segments":[{"from":1,"count":2,"x":0,"y":1}]}]}],"areas":[{"id":"floor","capacity":3}]}"#;
        assert_eq!(layout.to_json(), canonical);
        // The first 8 bytes of the SHA-256, as `sha256sum` tells.
        assert_eq!(layout.version(), "afad2c3cd5062a84");
        assert_ne!(
            read(&small()).version(),
            read(&with("/name", json!("Other"))).version()
        );
    }
}
