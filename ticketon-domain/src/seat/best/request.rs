//! What a buyer who names no seats asks for.

use crate::venue::GradeIndex;

/// Seats side by side, wherever they are best.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BestRequest {
    /// How many seats side by side.
    pub count: u32,
    /// Only of these grades; `None` for any.
    pub grades: Option<Grades>,
    /// Only in the section with this id.
    pub section: Option<String>,
    /// Only seats that cost no more than this each, in the minor unit of the currency.
    pub max_price: Option<u64>,
    /// For a group with somebody who needs an accessible seat. See [`Ranker::rank`](super::Ranker::rank)
    /// for what this means to them, and to the others.
    pub accessible: bool,
}

impl BestRequest {
    /// So many seats side by side, of any grade and price.
    #[must_use]
    pub const fn new(count: u32) -> Self {
        Self {
            count,
            grades: None,
            section: None,
            max_price: None,
            accessible: false,
        }
    }
}

/// A set of grades of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Grades(u32);

// A grade has one bit.
const _: () = assert!(crate::venue::MAX_GRADES <= 32);

impl Grades {
    /// Whether a grade is in the set.
    #[must_use]
    pub const fn has(self, grade: GradeIndex) -> bool {
        grade.get() < 32 && self.0 >> grade.get() & 1 == 1
    }

    /// Puts a grade into the set.
    pub fn insert(&mut self, grade: GradeIndex) {
        self.0 |= 1_u32.checked_shl(u32::from(grade.get())).unwrap_or(0);
    }
}

impl FromIterator<GradeIndex> for Grades {
    fn from_iter<I: IntoIterator<Item = GradeIndex>>(grades: I) -> Self {
        let mut set = Self::default();
        grades.into_iter().for_each(|grade| set.insert(grade));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in() {
        let set: Grades = [0, 31, 200].map(GradeIndex::new).into_iter().collect();
        let has = |grade| set.has(GradeIndex::new(grade));
        assert_eq!([0, 1, 31, 200].map(has), [true, false, true, false]);
    }
}
