//! Reading JSON without stopping at the first mistake.
//!
//! serde's derived readers end at the first wrong type. Here every value is read by an [`Item`],
//! which keeps a refusal with its [`Path`] and goes on with a stand-in, so that the author of a
//! layout sees all mistakes at once. Nothing is built for what is refused, so a hostile document
//! costs no more memory than a valid one.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::{Path, Problems};

/// The most items over all lists of a document.
const MAX_ITEMS: usize = 1_000_000;

/// What is carried along while a document is read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) problems: Problems,
    items: usize,
}

/// Something that a document has at some place.
pub(super) trait Item: Sized {
    /// Reads it, or refuses it and answers a stand-in. An error is one of syntax.
    fn read<'de, D: Deserializer<'de>>(
        json: D,
        at: Path<'_>,
        reader: &mut Reader,
    ) -> Result<Self, D::Error>;
}

/// Reads a whole document.
pub(super) fn document<T: Item>(json: &[u8], reader: &mut Reader) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let item = T::read(&mut deserializer, Path::Root, reader)?;
    deserializer.end()?;
    Ok(item)
}

struct Seed<'a, T> {
    at: Path<'a>,
    reader: &'a mut Reader,
    item: PhantomData<T>,
}

impl<'a, T> Seed<'a, T> {
    fn new(at: Path<'a>, reader: &'a mut Reader) -> Self {
        let item = PhantomData;
        Self { at, reader, item }
    }
}

impl<'de, T: Item> DeserializeSeed<'de> for Seed<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<T, D::Error> {
        T::read(json, self.at, self.reader)
    }
}

/// A field of an object: its name, and what is accepted where it may not be left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    name: &'static str,
    required: Option<&'static str>,
}

/// A field that may be left out.
pub(super) const fn optional(name: &'static str) -> Field {
    let required = None;
    Field { name, required }
}

/// A field that must be there.
pub(super) const fn required(name: &'static str, accepted: &'static str) -> Field {
    let required = Some(accepted);
    Field { name, required }
}

/// A JSON object with known fields; others are refused.
pub(super) trait Object: Default {
    /// What becomes of it. The default stands in for one that was refused.
    type Out: Default;
    /// At most 32.
    const FIELDS: &'static [Field];

    /// Reads the value of one of `FIELDS`.
    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        value: Value<'_, A>,
    ) -> Result<(), A::Error>;

    /// Checks the fields against each other.
    fn finish(self, at: Path<'_>, problems: &mut Problems) -> Self::Out;
}

/// The value of a field, about to be read.
pub(super) struct Value<'a, A> {
    map: &'a mut A,
    at: Path<'a>,
    reader: &'a mut Reader,
}

impl<'de, A: MapAccess<'de>> Value<'_, A> {
    pub(super) fn read<T: Item>(self) -> Result<T, A::Error> {
        self.map.next_value_seed(Seed::new(self.at, self.reader))
    }
}

/// An [`Object`] as an [`Item`].
pub(super) struct One<T: Object>(pub(super) T::Out);

impl<T: Object> Item for One<T> {
    fn read<'de, D: Deserializer<'de>>(
        json: D,
        at: Path<'_>,
        reader: &mut Reader,
    ) -> Result<Self, D::Error> {
        json.deserialize_any(Seed::<Self>::new(at, reader))
    }
}

/// Visits of kinds of JSON that `$accepted` does not include.
macro_rules! refuse {
    ($($visit:ident: $value:ty),*) => { $(
        fn $visit<E: Error>(self, value: $value) -> Result<Self::Value, E> {
            Ok(self.refuse(value))
        }
    )* };
    (nothing) => {
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(self.refuse("null"))
        }

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("JSON")
        }
    };
}

impl<T: Object> Seed<'_, One<T>> {
    fn refuse(self, value: impl fmt::Display) -> One<T> {
        let names: Vec<&str> = T::FIELDS.iter().map(|field| field.name).collect();
        let accepted = format!("an object with {}", names.join(", "));
        self.reader.problems.refuse(self.at, value, accepted);
        One(T::Out::default())
    }
}

impl<'de, T: Object> Visitor<'de> for Seed<'_, One<T>> {
    type Value = One<T>;

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<One<T>, A::Error> {
        let Self { at, reader, .. } = self;
        let mut object = T::default();
        let mut seen = 0_u32;
        while let Some(key) = map.next_key_seed(Key(T::FIELDS))? {
            let (bit, name) = match key {
                Ok(known) => known,
                Err(unknown) => {
                    let names: Vec<&str> = T::FIELDS.iter().map(|field| field.name).collect();
                    let problems = &mut reader.problems;
                    problems.refuse(at.field(&unknown), "(unknown field)", names.join(", "));
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let here = at.field(name);
            if seen & bit != 0 {
                reader
                    .problems
                    .refuse(here, "(given twice)", "the field once");
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            seen |= bit;
            let value = Value {
                map: &mut map,
                at: here,
                reader: &mut *reader,
            };
            object.field(name, value)?;
        }
        for (index, field) in T::FIELDS.iter().enumerate() {
            if let Some(accepted) = field.required
                && seen & (1 << index) == 0
            {
                reader
                    .problems
                    .refuse(at.field(field.name), "(missing)", accepted);
            }
        }
        Ok(One(object.finish(at, &mut reader.problems)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<One<T>, A::Error> {
        IgnoredAny.visit_seq(seq)?;
        Ok(self.refuse("a list"))
    }

    refuse!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
    refuse!(nothing);
}

/// Finds a key among the fields: its bit and name, or what it is instead.
struct Key(&'static [Field]);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Result<(u32, &'static str), String>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Result<(u32, &'static str), String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        let known = self.0.iter().position(|field| field.name == key);
        Ok(match known {
            Some(index) => Ok((1 << index, self.0[index].name)),
            None => Err(key.chars().take(64).collect()),
        })
    }
}

/// A list of `MIN` to `MAX` items.
pub(super) struct List<T, const MIN: usize, const MAX: usize>(pub(super) Vec<T>);

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
        loop {
            if items.len() == MAX || self.reader.items == MAX_ITEMS {
                let mut count = items.len();
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                if count == items.len() {
                    break;
                }
                if items.len() < MAX {
                    let accepted = format!("at most {MAX_ITEMS} items in all lists together");
                    self.reader
                        .problems
                        .refuse(self.at, format!("a list of {count}"), accepted);
                    return Ok(List(items));
                }
                return Ok(self.refuse(format!("a list of {count}")));
            }
            let here = self.at.item(items.len());
            let Some(item) = seq.next_element_seed(Seed::new(here, &mut *self.reader))? else {
                break;
            };
            self.reader.items += 1;
            items.push(item);
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

/// A text, number or truth value.
pub(super) trait Scalar: Sized {
    /// What is accepted, in words.
    fn accepted() -> Cow<'static, str>;
    /// Takes the place of a refused one.
    fn stand_in() -> Self;

    fn from_text(_: &str) -> Option<Self> {
        None
    }
    fn from_number(_: f64) -> Option<Self> {
        None
    }
    fn from_flag(_: bool) -> Option<Self> {
        None
    }
}

impl<T: Scalar> Item for T {
    fn read<'de, D: Deserializer<'de>>(
        json: D,
        at: Path<'_>,
        reader: &mut Reader,
    ) -> Result<Self, D::Error> {
        json.deserialize_any(Plain(Seed::new(at, reader)))
    }
}

/// Visits a [`Scalar`].
struct Plain<'a, T>(Seed<'a, T>);

impl<T: Scalar> Plain<'_, T> {
    fn refuse(self, value: impl fmt::Display) -> T {
        self.or(None, value)
    }

    fn or(self, accepted: Option<T>, value: impl fmt::Display) -> T {
        accepted.unwrap_or_else(|| {
            self.0
                .reader
                .problems
                .refuse(self.0.at, value, T::accepted());
            T::stand_in()
        })
    }
}

impl<'de, T: Scalar> Visitor<'de> for Plain<'_, T> {
    type Value = T;

    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        Ok(self.or(T::from_flag(value), value))
    }

    #[allow(clippy::cast_precision_loss)] // no range reaches where it loses
    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        Ok(self.or(T::from_number(value as f64), value))
    }

    #[allow(clippy::cast_precision_loss)] // no range reaches where it loses
    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        Ok(self.or(T::from_number(value as f64), value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        Ok(self.or(T::from_number(value), value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T, E> {
        Ok(self.or(T::from_text(value), value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<T, A::Error> {
        IgnoredAny.visit_seq(seq)?;
        Ok(self.refuse("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        IgnoredAny.visit_map(map)?;
        Ok(self.refuse("an object"))
    }

    refuse!(nothing);
}
