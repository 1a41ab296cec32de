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
    /// Puts the table into the document, or those of its rows that were measured.
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
        write(
            &workspace_root().join(DOCUMENT),
            &table,
            options.filter.is_some(),
        )?;
    }
    Ok(())
}

fn write(document: &Path, table: &str, keep_others: bool) -> Result<(), Failure> {
    let text = fs::read_to_string(document)
        .map_err(|error| Failure::new(format!("{}: {error}", document.display())))?;
    let text = replaced(&text, table, keep_others).ok_or_else(|| {
        Failure::new(format!(
            "{} lacks the lines {BEGIN} and {END}",
            document.display()
        ))
    })?;
    fs::write(document, text)
        .map_err(|error| Failure::new(format!("{}: {error}", document.display())))
}

fn replaced(text: &str, table: &str, keep_others: bool) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (old, after) = rest.split_once(END)?;
    let table = if keep_others {
        merged(old.trim(), table.trim())
    } else {
        table.trim().to_owned()
    };
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

/// The old table with the rows of the new one in their places, and those that are new at its end.
fn merged(old: &str, new: &str) -> String {
    // Title and rule come first.
    let rows = |table: &'_ str| table.lines().skip(2).map(str::to_owned).collect::<Vec<_>>();
    let name = |row: &str| row.split('|').nth(1).unwrap_or_default().trim().to_owned();
    let mut lines: Vec<String> = new.lines().take(2).map(str::to_owned).collect();
    let mut measured = rows(new);
    for row in rows(old) {
        let again = measured.iter().position(|new| name(new) == name(&row));
        lines.push(again.map_or(row, |place| measured.remove(place)));
    }
    lines.extend(measured);
    lines.join("\n")
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
        let both = parse(&["hold", "--write"]).unwrap();
        assert!(both.write && both.filter.as_deref() == Some("hold"));
        assert_eq!(parse(&["a", "b"]), None);
        assert_eq!(parse(&["--wrong"]), None);
    }

    #[test]
    fn the_table_goes_between_its_lines() {
        let text = "a\n<!-- table -->\nold\n<!-- end of table -->\nb\n";
        let expected = "a\n<!-- table -->\nnew\n<!-- end of table -->\nb\n";
        assert_eq!(replaced(text, "new\n", false).as_deref(), Some(expected));
        assert_eq!(replaced("nothing", "new", false), None);
    }

    #[test]
    fn rows_that_were_not_measured_stay() {
        let table = |rows: &[&str]| {
            let rows: Vec<String> = rows.iter().map(|row| format!("| {row} |")).collect();
            format!("| what | ratio |\n| --- | --- |\n{}", rows.join("\n"))
        };
        let old = table(&["a | 1", "b: of 2 | 2", "c | 3"]);
        let new = table(&["b: of 2 | 9", "d | 4"]);
        let expected = table(&["a | 1", "b: of 2 | 9", "c | 3", "d | 4"]);
        assert_eq!(merged(&old, &new), expected);
        let text = format!("x\n{BEGIN}\n{old}\n{END}\ny");
        assert_eq!(
            replaced(&text, &new, true),
            Some(format!("x\n{BEGIN}\n{expected}\n{END}\ny"))
        );
        assert_eq!(merged("", &new), new);
    }
}
