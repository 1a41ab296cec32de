//! Lists with a least and a greatest length.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Item, Path, Reader, Seed};

/// What the items of all lists of a document may take in memory. The largest valid layout, with
/// every seat listed, takes half.
const MAX_LISTS_BYTES: usize = 48 * 1024 * 1024;

/// A list of `MIN` to `MAX` items.
pub(in crate::venue) struct List<T, const MIN: usize, const MAX: usize>(
    pub(in crate::venue) Vec<T>,
);

impl<T: Item, const MIN: usize, const MAX: usize> Item for List<T, MIN, MAX> {
    fn read<'de, D: Deserializer<'de>>(
        json: D,
        at: Path<'_>,
        reader: &mut Reader,
    ) -> Result<Self, D::Error> {
        json.deserialize_any(Seed::<Self>::new(at, reader))
    }
}

impl<T, const MIN: usize, const MAX: usize> Seed<'_, List<T, MIN, MAX>> {
    fn refuse(self, value: impl fmt::Display) -> List<T, MIN, MAX> {
        let accepted = if MIN == MAX {
            format!("a list of {MIN}")
        } else {
            format!("a list of {MIN} to {MAX}")
        };
        self.reader.problems.refuse(self.at, value, accepted);
        List(Vec::new())
    }
}

impl<'de, T: Item, const MIN: usize, const MAX: usize> Visitor<'de>
    for Seed<'_, List<T, MIN, MAX>>
{
    type Value = List<T, MIN, MAX>;

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        let mut more = true;
        while more && items.len() < MAX && self.reader.lists_bytes < MAX_LISTS_BYTES {
            let here = self.at.item(items.len());
            match seq.next_element_seed(Seed::new(here, &mut *self.reader))? {
                Some(item) => {
                    self.reader.lists_bytes += size_of::<T>();
                    items.push(item);
                }
                None => more = false,
            }
        }
        let mut count = items.len();
        while more {
            more = seq.next_element::<IgnoredAny>()?.is_some();
            count += usize::from(more);
        }
        if count > MAX {
            return Ok(self.refuse(format!("a list of {count}")));
        }
        if count > items.len() {
            let problems = &mut self.reader.problems;
            problems.refuse(
                self.at,
                format!("a list of {count}"),
                "fewer items in all lists together",
            );
            return Ok(List(items));
        }
        if items.len() < MIN {
            return Ok(self.refuse(format!("a list of {}", items.len())));
        }
        Ok(List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_map(map)?;
        Ok(self.refuse("an object"))
    }

    refuse!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
    refuse!(nothing);
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::venue::read::{Scalar, document};

    struct Number(f64);

    impl Scalar for Number {
        fn accepted() -> Cow<'static, str> {
            "a number".into()
        }
        fn stand_in() -> Self {
            Self(0.0)
        }
        fn from_number(number: f64) -> Option<Self> {
            Some(Self(number))
        }
    }

    fn read(json: &str, reader: &mut Reader) -> Vec<f64> {
        let List(numbers): List<Number, 1, 3> = document(json.as_bytes(), reader).unwrap();
        numbers.into_iter().map(|Number(number)| number).collect()
    }

    #[test]
    fn a_list_has_its_length() {
        for (json, numbers, refused) in [
            ("[1]", vec![1.0], 0),
            ("[1, 2, 3]", vec![1.0, 2.0, 3.0], 0),
            ("[]", vec![], 1),
            ("[1, 2, 3, 4]", vec![], 1),
            ("[1, \"2\"]", vec![1.0, 0.0], 1),
            ("{\"a\": [1]}", vec![], 1),
            ("7", vec![], 1),
        ] {
            let mut reader = Reader::default();
            assert_eq!(read(json, &mut reader), numbers, "{json}");
            assert_eq!(reader.problems.count(), refused, "{json}");
        }
    }

    #[test]
    fn all_lists_together_are_bounded() {
        let lists_bytes = MAX_LISTS_BYTES - 2 * size_of::<Number>();
        let mut reader = Reader {
            lists_bytes,
            ..Reader::default()
        };
        assert_eq!(read("[1, 2]", &mut reader), [1.0, 2.0]);
        assert_eq!(reader.problems.count(), 0);
        assert_eq!(read("[1]", &mut reader), [0.0; 0]);
        assert_eq!(reader.problems.count(), 1);
    }
}
