//! `cargo xtask simulate`: sells a whole house to people of every habit, with faults in the middle, and judges every promise.

use crate::shell::{Failure, Line};

/// Words of the simulator that have a value behind them.
const VALUES: [&str; 5] = ["--seats", "--buyers", "--seed", "--database", "--out"];

/// What was asked for, as it is given on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options(Vec<String>);

impl Options {
    /// Reads the arguments after `simulate`. Their values are the simulator's to judge.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, Failure> {
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            if *word == "--redis" {
                continue;
            }
            if !VALUES.contains(word) {
                return Err(Failure::usage(format!("simulate does not know {word}")));
            }
            if words.next().is_none() {
                return Err(Failure::usage(format!(
                    "simulate needs a value after {word}"
                )));
            }
        }
        Ok(Self(
            arguments.iter().map(|word| (*word).to_owned()).collect(),
        ))
    }
}

/// Builds the simulator with optimization and runs it; a promise that was broken, or not shown, is a failure.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    line(options).run()
}

fn line(options: &Options) -> Line {
    let simulate = [
        "cargo",
        "run",
        "--release",
        "--package",
        "ticketon-benches",
        "--bin",
        "simulate",
        "--",
    ];
    Line::new(simulate).with(options.0.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_given_on() {
        let options =
            Options::parse(&["--seats", "300", "--redis", "--database", "mariadb"]).unwrap();
        assert!(
            line(&options)
                .to_string()
                .ends_with("simulate -- --seats 300 --redis --database mariadb")
        );
        assert_eq!(Options::parse(&[]), Ok(Options(Vec::new())));
    }

    #[test]
    fn anything_else_is_refused() {
        for wrong in [&["--seat", "3"][..], &["--seats"], &["300"]] {
            assert!(Options::parse(wrong).unwrap_err().is_usage, "{wrong:?}");
        }
    }
}
