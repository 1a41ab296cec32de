//! Reading JSON without stopping at the first mistake.
//!
//! serde's derived readers end at the first wrong type. Here every value is read by an [`Item`],
//! which keeps a refusal with its [`Path`] and goes on with a stand-in, so that the author of a
//! layout sees all mistakes at once. Nothing is built for what is refused, so a hostile document
//! costs no more memory than a valid one.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::{Path, Problems};

/// The visits of a visitor to kinds of JSON that it refuses.
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

mod list;
mod scalar;

pub(super) use list::List;
pub(super) use scalar::Scalar;

/// What is carried along while a document is read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) problems: Problems,
    lists_bytes: usize,
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
    fn finish(self, at: Path<'_>, read: Finished<'_>) -> Self::Out;
}

/// What came out of reading the fields of an object.
pub(super) struct Finished<'a> {
    pub(super) problems: &'a mut Problems,
    /// Whether none of them was refused, nor anything in them.
    pub(super) clean: bool,
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
        let before = reader.problems.count();
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
        let problems = &mut reader.problems;
        let clean = problems.count() == before;
        Ok(One(object.finish(at, Finished { problems, clean })))
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
