//! Layouts to try things with: demos, tests, benchmarks.
//!
//! [`theatre`] has exactly as many seats as asked for, in curved rows around a stage: blocks cut by
//! aisles, tiers one behind the other, four grades, places for wheelchairs. [`concert`] puts a
//! standing area before it, [`club`] has nothing else. The same numbers give the same layout.
//!
//! ```
//! use ticketon_domain::venue::sample;
//! let hall = sample::theatre(2_000);
//! assert_eq!(hall.seat_count(), 2_000);
//! assert_eq!(hall.grades(), ["vip", "r", "s", "a"]);
//! ```

use std::f64::consts::PI;

use super::MAX_SEATS;
use super::layout::Layout;
use super::plan::{
    ArcPlan, AreaPlan, Milli, Numbers, Plan, Point, RowPlan, SectionPlan, SegmentPlan, Shape,
    StagePlan,
};

/// The most units of the standing area of a sample.
const MAX_STANDING: u32 = 100_000;
/// From one row to the next; a seat is 1 wide.
const ROW_DEPTH: f64 = 1.2;
/// Between tiers.
const TIER_GAP: f64 = 3.0;
/// Between blocks, and between the two halves of a wide block.
const AISLE: f64 = 1.4;

const GRADES: [&str; 4] = ["vip", "r", "s", "a"];
/// Up to which share of the seats, counted from the front, each grade goes.
const GRADE_SHARES: [f64; 4] = [0.1, 0.35, 0.7, 1.0];
const TIERS: [&str; 4] = ["Stalls", "Circle", "Balcony", "Gallery"];

/// A theatre with this many seats, 1 to 200,000: beyond 20,000 it becomes an arena around the
/// stage. Numbers out of the range are taken as the nearest within.
#[must_use]
pub fn theatre(seats: u32) -> Layout {
    let seats = seats.clamp(1, MAX_SEATS);
    layout(&house(seats, 0, "Grand Theatre"))
}

/// A theatre with a standing area before the stage: 1 to 100,000 seats and 1 to 100,000 units,
/// `standing/1` and so on. Numbers out of the range are taken as the nearest within.
#[must_use]
pub fn concert(seats: u32, standing: u32) -> Layout {
    let seats = seats.clamp(1, MAX_SEATS - MAX_STANDING);
    let standing = standing.clamp(1, MAX_STANDING);
    layout(&house(seats, standing, "Concert Hall"))
}

/// A club without seats: 1 to 100,000 units of one area and one grade, `floor/1` and so on.
/// Numbers out of the range are taken as the nearest within.
#[must_use]
pub fn club(capacity: u32) -> Layout {
    let plan = Plan {
        name: "Club".to_owned(),
        grades: vec!["standing".to_owned()],
        stage: Some(stage(8.0, 6.0)),
        areas: vec![AreaPlan {
            id: "floor".to_owned(),
            name: Some("Floor".to_owned()),
            capacity: capacity.clamp(1, MAX_STANDING),
            outline: vec![
                point(-12.0, 8.0),
                point(12.0, 8.0),
                point(12.0, 26.0),
                point(-12.0, 26.0),
            ],
            ..AreaPlan::default()
        }],
        ..Plan::default()
    };
    layout(&plan)
}

/// Samples go the way of every layout, so that they prove the reading and the checks.
fn layout(plan: &Plan) -> Layout {
    let json = serde_json::to_vec(plan).expect("a plan is texts, numbers and lists");
    Layout::from_json(json).expect("a sample is a valid layout")
}

/// The form of a house: how far its rows go around the stage, and how they are cut.
struct House {
    half_angle: f64,
    front: f64,
    tier_rows: usize,
    block_width: f64,
}

impl House {
    fn of(seats: u32, standing: u32) -> Self {
        let (half_angle, front, tier_rows, block_width) = match seats {
            ..=5_000 => (45.0_f64, 13.0, 14, 17.0),
            5_001..=20_000 => (75.0, 16.0, 16, 20.0),
            _ => (150.0, 30.0, 24, 30.0),
        };
        Self {
            half_angle: half_angle.to_radians(),
            // Two people stand on the space of a seat; the stage takes the first 10.
            front: (100.0 + f64::from(standing) / 2.0 / half_angle.to_radians())
                .sqrt()
                .max(front),
            tier_rows,
            block_width,
        }
    }

    /// How far a row is from the centre of all arcs.
    fn radius(&self, row: usize) -> f64 {
        self.front + row as f64 * ROW_DEPTH + (row / self.tier_rows) as f64 * TIER_GAP
    }

    /// How many blocks a tier has: an odd number, so that one is in the middle.
    fn blocks(&self, tier: usize) -> usize {
        let middle = self.radius(tier * self.tier_rows + self.tier_rows / 2);
        let blocks = 2.0 * self.half_angle * middle / self.block_width;
        ((blocks / 2.0).floor() as usize * 2 + 1).max(3)
    }
}

/// Fills rows from the front and from the middle until all seats are placed.
fn house(seats: u32, standing: u32, name: &str) -> Plan {
    let house = House::of(seats, standing);
    // A standing area begins right beside the stage; in an arena the stage has more room.
    let stage_width = if standing > 0 {
        13.0
    } else {
        house.front * 0.9
    };
    let mut plan = Plan {
        name: name.to_owned(),
        grades: GRADES.map(str::to_owned).to_vec(),
        stage: Some(stage(stage_width, 8.0)),
        ..Plan::default()
    };
    if standing > 0 {
        plan.areas.push(AreaPlan {
            id: "standing".to_owned(),
            name: Some("Standing".to_owned()),
            grade: Some(GRADES[1].to_owned()),
            capacity: standing,
            outline: ring(10.0, house.front - 1.5, house.half_angle),
        });
    }
    let mut left = seats;
    for row in 0.. {
        if left == 0 {
            break;
        }
        let tier = row / house.tier_rows;
        let blocks = house.blocks(tier);
        if row % house.tier_rows == 0 {
            add_tier(&mut plan, tier, blocks, row);
        }
        let first = plan.sections.len() - blocks;
        let grade = grade_at(1.0 - f64::from(left) / f64::from(seats));
        for block in from_the_middle(blocks) {
            let segments = segments(&house, row, (block, blocks), &mut left);
            if segments.is_empty() {
                continue;
            }
            let section = &mut plan.sections[first + block];
            section.rows.push(RowPlan {
                id: (section.rows.len() + 1).to_string(),
                grade: Some(grade.to_owned()),
                segments,
                ..RowPlan::default()
            });
        }
    }
    plan.sections.retain(|section| !section.rows.is_empty());
    for (index, section) in plan.sections.iter_mut().enumerate() {
        let id = letters(index);
        section.name = section.name.as_ref().map(|tier| format!("{tier} {id}"));
        section.id = id;
        wheelchairs(section);
    }
    plan
}

fn add_tier(plan: &mut Plan, tier: usize, blocks: usize, row: usize) {
    let name = TIERS
        .get(tier)
        .map_or_else(|| format!("Level {}", tier + 1), |name| (*name).to_owned());
    for _ in 0..blocks {
        plan.sections.push(SectionPlan {
            name: Some(name.clone()),
            rank: u32::try_from(row + 1).ok(),
            ..SectionPlan::default()
        });
    }
}

/// The grade of a row with this share of the seats before it.
fn grade_at(share: f64) -> &'static str {
    let grade = GRADE_SHARES.iter().position(|end| share < *end);
    GRADES[grade.unwrap_or(GRADES.len() - 1)]
}

/// 0 to `count`, the middle first, then outwards.
fn from_the_middle(count: usize) -> impl Iterator<Item = usize> {
    let middle = count / 2;
    let outwards = (1..=middle).flat_map(move |off| [middle - off, middle + off]);
    std::iter::once(middle).chain(outwards)
}

/// The seats of one block in one row; a wide block has an aisle in the middle.
fn segments(
    house: &House,
    row: usize,
    (block, blocks): (usize, usize),
    left: &mut u32,
) -> Vec<SegmentPlan> {
    let radius = house.radius(row);
    let parts = if house.block_width >= 24.0 { 2 } else { 1 };
    let angle = 2.0 * house.half_angle / blocks as f64;
    let block_start = angle * block as f64 - house.half_angle;
    let width = radius * angle / f64::from(parts);
    let mut segments = Vec::new();
    let mut from = 1;
    for part in 0..parts {
        let count = ((width - AISLE).max(1.0) as u32).min(*left);
        if count == 0 {
            break;
        }
        let step = 1.0 / radius;
        let middle = block_start + (f64::from(part) + 0.5) * angle / f64::from(parts);
        let start = middle - step * f64::from(count - 1) / 2.0;
        segments.push(SegmentPlan {
            shape: Shape::Arc {
                numbers: Numbers {
                    from,
                    count,
                    step: 1,
                },
                arc: ArcPlan {
                    center: Point::default(),
                    radius: Milli::nearest(radius),
                    start: degrees(start),
                    step: degrees(step),
                },
            },
            grade: None,
        });
        from += count;
        *left -= count;
    }
    segments
}

/// In the last row of a section, the two seats at its ends, each with a companion's beside it.
fn wheelchairs(section: &mut SectionPlan) {
    let Some(row) = section.rows.last_mut() else {
        return;
    };
    let seats: usize = row
        .segments
        .iter()
        .map(|segment| segment.shape.count())
        .sum();
    if seats >= 4 {
        row.accessible = vec!["1".to_owned(), seats.to_string()];
        row.companion = vec!["2".to_owned(), (seats - 1).to_string()];
    }
}

/// A, B, ... Z, AA, AB, ...
fn letters(index: usize) -> String {
    let last = char::from(b'A' + u8::try_from(index % 26).unwrap_or_default());
    match index / 26 {
        0 => last.to_string(),
        more => letters(more - 1) + &last.to_string(),
    }
}

fn stage(width: f64, depth: f64) -> StagePlan {
    let half = width / 2.0;
    StagePlan {
        name: Some("Stage".to_owned()),
        outline: vec![
            point(-half * 0.7, 0.0),
            point(half * 0.7, 0.0),
            point(half, depth),
            point(-half, depth),
        ],
    }
}

/// The outline of a part of a ring around the centre.
fn ring(inner: f64, outer: f64, half_angle: f64) -> Vec<Point> {
    const STEPS: i32 = 24;
    let angle = |step: i32| half_angle * (f64::from(step) / f64::from(STEPS) * 2.0 - 1.0);
    let at = |radius: f64, step| {
        point(
            radius * f64::sin(angle(step)),
            radius * f64::cos(angle(step)),
        )
    };
    let out = (0..=STEPS).map(|step| at(outer, step));
    out.chain((0..=STEPS).rev().map(|step| at(inner, step)))
        .collect()
}

fn point(x: f64, y: f64) -> Point {
    (Milli::nearest(x), Milli::nearest(y))
}

fn degrees(radians: f64) -> Milli {
    Milli::nearest(radians * 180.0 / PI)
}

#[cfg(test)]
mod tests {
    use super::super::testing::prove;
    use super::*;

    #[test]
    fn samples_have_the_seats_that_are_asked_for() {
        for seats in [1, 2, 3, 4, 5, 17, 300, 2_000, 5_000, 5_001] {
            let hall = theatre(seats);
            assert_eq!(hall.seat_count(), seats);
            prove(&hall);
        }
        for seats in [20_000, 20_001] {
            assert_eq!(theatre(seats).seat_count(), seats);
        }
        assert_eq!(theatre(0).seat_count(), 1);
        assert_eq!(theatre(u32::MAX).seat_count(), MAX_SEATS);
        for (seats, standing) in [(1, 1), (3_000, 800), (10, 100_000)] {
            let hall = concert(seats, standing);
            assert_eq!(hall.seat_count(), seats + standing);
            assert!(hall.index_of(format!("standing/{standing}")).is_some());
        }
        prove(&club(300));
        assert_eq!(club(u32::MAX).seat_count(), MAX_STANDING);
    }

    #[test]
    fn a_theatre_looks_like_one() {
        let hall = theatre(2_000);
        assert!(hall.sections().len() > 8);
        assert!(hall.rows().all(|row| row.len <= 40));
        let points: Vec<(f64, f64)> = (0..2_000)
            .filter_map(|index| hall.seat(super::super::SeatIndex::new(index)))
            .map(|seat| (seat.x, seat.y))
            .collect();
        // Nobody sits on somebody's lap.
        for (index, a) in points.iter().enumerate() {
            for b in &points[..index] {
                let distance = (a.0 - b.0).hypot(a.1 - b.1);
                assert!(distance > 0.9, "{a:?} and {b:?} are {distance} apart");
            }
        }
        // The best row is the front row of the middle block, and costs the most.
        let best = hall.rows().find(|row| row.rank == 0).unwrap();
        assert_eq!((best.section, best.id), ("B", "1"));
        assert_eq!(hall.grade_of(best.start), hall.grade_index("vip"));
        assert_eq!(theatre(2_000), hall);
        // Who is alone, sits in the middle; behind the last row of a tier is a gap.
        let y = |label: &str| hall.seat(hall.index_of(label).unwrap()).unwrap().y;
        assert_eq!(
            theatre(1).seat(super::super::SeatIndex::new(0)).unwrap().x,
            0.0
        );
        assert!(y("E-1-9") - y("B-14-9") > 3.0);
    }
}
