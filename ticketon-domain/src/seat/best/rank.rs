//! Ranking: where in a venue a request may be seated, the best first.

use std::sync::Arc;

use super::cache::Cache;
use super::house::{House, Meant, Side};
use super::ranking::Ranking;
use super::request::{BestRequest, Grades};
use crate::seat::{MAX_RUNS, Run};
use crate::venue::{GradeIndex, Layout};

/// The most rankings that one ranker remembers.
const MAX_CACHED: usize = 64;

/// Ranks the seats of a layout. Make one for each layout and share it: it remembers its latest rankings.
///
/// ```
/// use std::sync::Arc;
/// use ticketon_domain::seat::{Orphans, best::{BestRequest, Ranker}};
/// use ticketon_domain::venue::Layout;
///
/// let layout = Layout::from_json(r#"{
///     "name": "Small Hall", "grades": ["any"],
///     "sections": [{"id": "A", "rows": [
///         {"id": "1", "segments": [{"from": 1, "count": 6, "x": 0, "y": 0}]},
///         {"id": "2", "segments": [{"from": 1, "count": 8, "x": -1, "y": 1}]}
///     ]}]
/// }"#)?;
/// let ranker = Ranker::new(Arc::new(layout));
/// let two = ranker.rank(&BestRequest::new(2), |_grade| Some(150_000));
/// let empty = [0; 4];
/// let seats = two.choose(&empty, Orphans::Lenient, 1, &mut || 0).ok_or("sold out")?;
/// let labels: Vec<_> = seats.iter().filter_map(|seat| ranker.layout().label(*seat)).collect();
/// assert_eq!(labels.iter().map(|label| label.as_str()).collect::<Vec<_>>(), ["A-1-3", "A-1-4"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Ranker {
    layout: Arc<Layout>,
    house: House,
    cache: Cache<Key, Ranking>,
}

/// What a ranking depends on. Prices are in it as the grades that they allow, so that it has few values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    count: u32,
    grades: Grades,
    section: Option<String>,
    accessible: bool,
}

impl Ranker {
    /// Of a layout.
    #[must_use]
    pub fn new(layout: Arc<Layout>) -> Self {
        Self {
            house: House::of(&layout),
            cache: Cache::new(MAX_CACHED),
            layout,
        }
    }

    /// The layout.
    #[must_use]
    pub const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(super) const fn house(&self) -> &House {
        &self.house
    }

    /// Where the request may be seated, given what a seat of a grade costs (`None`: it is not on sale).
    ///
    /// The best row comes first; of a row, the side of an aisle whose nearest seat is nearer to the row's
    /// centre; of that, what is nearest to the centre. An aisle is never crossed. The tiers:
    ///
    /// 1. Seats of one grade.
    /// 2. Seats of more than one, side by side.
    /// 3. Also accessible and companion seats: they go to others only when nothing else fits. Venues
    ///    release them when the house, the section or the price is sold out to others, as the rules of the
    ///    ADA on ticket sales (28 CFR 36.302(f)) have it; the request says which section and price.
    ///
    /// For an `accessible` request, all of whose places have an accessible seat:
    ///
    /// 1. One accessible seat, and companion seats beside it for all the others.
    /// 2. One accessible seat, and any seats beside it.
    /// 3. More accessible seats than one, where there is no other way to sit together.
    ///
    /// Who needs two accessible seats picks them by hand, or asks twice.
    ///
    /// Where a tier has more than [`MAX_RUNS`] runs, it becomes several, the best first.
    pub fn rank(
        &self,
        request: &BestRequest,
        price: impl Fn(GradeIndex) -> Option<u64>,
    ) -> Arc<Ranking> {
        let on_sale = |grade: &GradeIndex| {
            request.grades.is_none_or(|grades| grades.has(*grade))
                && price(*grade)
                    .is_some_and(|price| request.max_price.is_none_or(|most| price <= most))
        };
        let grades = 0..u8::try_from(self.layout.grades().len()).unwrap_or(u8::MAX);
        let key = Key {
            count: request.count,
            grades: grades.map(GradeIndex::new).filter(on_sale).collect(),
            section: request.section.clone(),
            accessible: request.accessible,
        };
        self.cache.get_or_insert_with(key, |key| self.compute(key))
    }

    fn compute(&self, key: &Key) -> Ranking {
        let tiers = if key.count == 0 {
            Vec::new()
        } else if key.accessible {
            self.accessible_tiers(key)
        } else {
            self.tiers(key)
        };
        let chunks = tiers.iter().flat_map(|tier| tier.chunks(MAX_RUNS));
        Ranking::new(key.count, chunks.map(Arc::from).collect())
    }

    fn tiers(&self, key: &Key) -> Vec<Vec<Run>> {
        let house = &self.house;
        let eligible = |seat| house.grade(seat).filter(|grade| key.grades.has(*grade));
        let ordinary = |seat| eligible(seat).filter(|_| !house.meant(seat).reserved());
        let one_grade = |side: &Side| side.stretches(ordinary).collect::<Vec<_>>();
        let some_grades = |side: &Side| {
            let all = side.stretches(|seat| ordinary(seat).map(|_| ()));
            all.filter(|&(start, len)| {
                (start..start + len).any(|seat| ordinary(seat) != ordinary(start))
            })
            .collect::<Vec<_>>()
        };
        let with_reserved = |side: &Side| {
            let all = side.stretches(|seat| eligible(seat).map(|_| ()));
            all.filter(|&(start, len)| {
                (start..start + len).any(|seat| house.meant(seat).reserved())
            })
            .collect::<Vec<_>>()
        };
        vec![
            self.tier(key, one_grade),
            self.tier(key, some_grades),
            self.tier(key, with_reserved),
        ]
    }

    fn accessible_tiers(&self, key: &Key) -> Vec<Vec<Run>> {
        let house = &self.house;
        let eligible = |seat| house.grade(seat).filter(|grade| key.grades.has(*grade));
        // By the first seat of a group: the best tier in which it may sit there.
        let tier_of = |side: &Side, first: u32| {
            let group = first
                ..first
                    .checked_add(key.count)
                    .filter(|&end| end <= side.end())?;
            group
                .clone()
                .try_for_each(|seat| eligible(seat).map(|_| ()))?;
            let meant = |whom| {
                group
                    .clone()
                    .filter(|&seat| house.meant(seat) == whom)
                    .count()
            };
            match meant(Meant::Accessible) {
                0 => None,
                1 if meant(Meant::Companion) + 1 == group.len() => Some(0),
                1 => Some(1),
                _ => Some(2),
            }
        };
        (0..3)
            .map(|tier| {
                self.tier(key, |side| {
                    side.stretches(|first| tier_of(side, first).filter(|of| *of == tier))
                        .map(|(start, firsts)| (start, firsts + key.count - 1))
                        .collect()
                })
            })
            .collect()
    }

    /// The stretches of all sides in which the group fits, the best first.
    fn tier(&self, key: &Key, stretches: impl Fn(&Side) -> Vec<(u32, u32)>) -> Vec<Run> {
        let sides = self.house.sides_in(key.section.as_deref());
        let runs = sides.flat_map(|side| {
            let fitting = stretches(side)
                .into_iter()
                .filter(|&(_, len)| len >= key.count);
            fitting.map(move |(start, len)| (side, side.run(start, len)))
        });
        self.house.best_first(runs)
    }
}

#[cfg(test)]
mod tests;
