//! Why a layout is refused: everything that is wrong with it at once.
//!
//! [`Problems`] collects refusals while a document is read and compiled; [`Path`] says where in
//! the document something stands, and is rendered only when it is refused.

use std::fmt;

use ticketon_queue::FieldError;

/// The most refused fields that are reported one by one.
pub const MAX_REPORTED: usize = 100;

/// A layout that was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The document is too long; it was not read.
    #[error("the layout has {bytes} bytes; at most {limit} are read")]
    TooLarge {
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The document is not JSON.
    #[error("the layout is not JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// Fields are missing, unknown, of another type, out of range, or contradict each other.
    #[error("refused layout: {}", list(.fields, *.more))]
    Invalid {
        /// The refused fields, in the order in which they were found; 1 to 100.
        fields: Vec<FieldError>,
        /// How many more were found.
        more: usize,
    },
}

impl LayoutError {
    /// Every refused field, in the form in which HTTP answers carry them; never empty.
    #[must_use]
    pub fn into_fields(self) -> Vec<FieldError> {
        match self {
            Self::TooLarge { bytes, limit } => vec![FieldError::new(
                ROOT,
                format!("{bytes} bytes"),
                format!("at most {limit} bytes"),
            )],
            Self::Syntax(error) => vec![FieldError::new(ROOT, error, "a JSON document")],
            Self::Invalid { fields, .. } => fields,
        }
    }
}

fn list(fields: &[FieldError], more: usize) -> String {
    let texts: Vec<String> = fields.iter().map(ToString::to_string).collect();
    let rest = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!("{}{rest}", texts.join("; "))
}

/// How the document as a whole is named, as in the configs of rooms.
const ROOT: &str = "(body)";

/// Where in a document something stands, such as `sections[0].rows[2].id`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(super) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(super) fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str(ROOT),
            Self::Field(Path::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    fields: Vec<FieldError>,
    more: usize,
}

impl Problems {
    /// Keeps a refusal. A field is refused once: what follows from a first mistake is not reported.
    pub(super) fn refuse(
        &mut self,
        field: impl fmt::Display,
        value: impl fmt::Display,
        accepted: impl Into<String>,
    ) {
        if self.fields.len() >= MAX_REPORTED {
            self.more += 1;
            return;
        }
        let error = FieldError::new(field.to_string(), value, accepted);
        if !self.fields.iter().any(|other| other.field == error.field) {
            self.fields.push(error);
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.fields.len() + self.more
    }

    pub(super) fn into_result(self) -> Result<(), LayoutError> {
        if self.fields.is_empty() {
            return Ok(());
        }
        Err(LayoutError::Invalid {
            fields: self.fields,
            more: self.more,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_document() {
        let root = Path::Root;
        let (sections, first);
        sections = root.field("sections");
        first = sections.item(3);
        assert_eq!(first.field("id").to_string(), "sections[3].id");
        assert_eq!(root.to_string(), "(body)");
    }

    #[test]
    fn a_field_is_refused_once() {
        let mut problems = Problems::default();
        problems.refuse("name", 7, "a text");
        problems.refuse("name", "", "a name");
        assert_eq!(problems.count(), 1);
    }

    #[test]
    fn a_hundred_refusals_are_listed_and_the_rest_counted() {
        let mut problems = Problems::default();
        for index in 0..250 {
            problems.refuse(format!("rows[{index}]"), index, "less");
            problems.refuse("name", "", "a name");
        }
        let error = problems.into_result().unwrap_err();
        assert!(error.to_string().ends_with("more"));
        assert_eq!(error.into_fields().len(), MAX_REPORTED);
    }
}
