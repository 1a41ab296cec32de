//! `cargo xtask bench`: what things cost, each beside a baseline of the same run.

use std::fs;
use std::path::Path;

use crate::shell::{Failure, Line, workspace_root};

/// Between these two lines of the document stands the table.
const BEGIN: &str = "<!-- table -->";
const END: &str = "<!-- end of table -->";
const DOCUMENT: &str = "docs/benchmarks.md";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Only rows whose names have this word.
    filter: Option<String>,
    /// Puts the table into the document.
    write: bool,
}

impl Options {
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, Failure> {
        let (writes, others): (Vec<&str>, Vec<&str>) = arguments
            .iter()
            .partition(|argument| **argument == "--write");
        let options = Self {
            filter: others.first().map(|word| (*word).to_owned()),
            write: !writes.is_empty(),
        };
        if others.len() > 1 || others.iter().any(|word| word.starts_with('-')) {
            return Err(Failure::usage(format!(
                "bench takes one word and --write, not: {}",
                others.join(" ")
            )));
        }
        if options.write && options.filter.is_some() {
            return Err(Failure::usage(
                "--write needs the whole table, without a word".to_owned(),
            ));
        }
        Ok(options)
    }
}

/// Builds the benchmarks with optimization, runs them, and prints their table.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let line = Line::new([
        "cargo",
        "run",
        "--release",
        "--package",
        "ticketon-benches",
        "--",
    ]);
    let line = line.with(options.filter.clone());
    eprintln!("$ {line}");
    let table = line.read()?;
    print!("{table}");
    if options.write {
        write(&workspace_root().join(DOCUMENT), &table)?;
    }
    Ok(())
}

fn write(document: &Path, table: &str) -> Result<(), Failure> {
    let text = fs::read_to_string(document)
        .map_err(|error| Failure::new(format!("{}: {error}", document.display())))?;
    let text = replaced(&text, table).ok_or_else(|| {
        Failure::new(format!(
            "{} lacks the lines {BEGIN} and {END}",
            document.display()
        ))
    })?;
    fs::write(document, text)
        .map_err(|error| Failure::new(format!("{}: {error}", document.display())))
}

fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n{END}{after}", table.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_filters_and_the_whole_is_written() {
        let parse = |words: &[&str]| Options::parse(words).ok();
        assert_eq!(
            parse(&["hold"]).and_then(|options| options.filter),
            Some("hold".to_owned())
        );
        assert!(parse(&["--write"]).is_some_and(|options| options.write));
        assert_eq!(parse(&["hold", "--write"]), None);
        assert_eq!(parse(&["a", "b"]), None);
        assert_eq!(parse(&["--wrong"]), None);
    }

    #[test]
    fn the_table_goes_between_its_lines() {
        let text = "a\n<!-- table -->\nold\n<!-- end of table -->\nb\n";
        let expected = "a\n<!-- table -->\nnew\n<!-- end of table -->\nb\n";
        assert_eq!(replaced(text, "new\n").as_deref(), Some(expected));
        assert_eq!(replaced("nothing", "new"), None);
    }
}
