//! `cargo xtask test`: every test of the workspace, with what it needs.
//!
//! cargo-nextest runs the tests if it is installed, `cargo test` otherwise: the same tests, one
//! process a test or one process a binary. Doctests always run by `cargo test`.

use crate::shell::{Failure, Line, find_program};
use crate::tools;

/// What the user asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Install missing programs.
    install: bool,
    /// Arguments of the test runner.
    runner: Vec<String>,
}

impl Options {
    /// Reads the arguments after `test`.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, Failure> {
        let end = arguments.iter().position(|argument| *argument == "--");
        let (own, runner) = match end {
            Some(end) => (&arguments[..end], &arguments[end + 1..]),
            None => (arguments, [].as_slice()),
        };
        let mut options = Self {
            install: false,
            runner: runner.iter().map(ToString::to_string).collect(),
        };
        for argument in own {
            match *argument {
                "--install" => options.install = true,
                other => {
                    return Err(Failure::usage(format!(
                        "test does not know {other} (arguments of the test runner come after --)"
                    )));
                }
            }
        }
        Ok(options)
    }
}

/// Checks for the programs that the tests need, then runs the tests.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if options.install {
        tools::install()?;
    }
    tools::require()?;
    for line in lines(&options.runner, find_program(&["cargo-nextest"]).is_some()) {
        line.run()?;
    }
    Ok(())
}

/// The commands that run the tests: of the whole workspace, unless the arguments for the runner
/// name packages. Any such argument selects some tests, so doctests are left out then.
fn lines(runner: &[String], has_nextest: bool) -> Vec<Line> {
    let whole = ["--workspace", "--all-features"];
    let tests = if has_nextest {
        Line::new(["cargo", "nextest", "run"])
    } else {
        // No doctests here: they come last, as with nextest.
        Line::new(["cargo", "test", "--all-targets", "--no-fail-fast"])
    };
    if runner.is_empty() {
        let doctests = Line::new(["cargo", "test", "--doc"]);
        return vec![tests.with(whole), doctests.with(whole)];
    }
    println!("some tests are selected: doctests are left out");
    let names_packages = runner
        .iter()
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
    let scope = if names_packages { &whole[1..] } else { &whole };
    vec![
        tests
            .with(scope.iter().copied())
            .with(runner.iter().cloned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_after_the_dashes_go_to_the_runner() {
        let options = Options::parse(&["--install", "--", "--no-fail-fast", "name"]).unwrap();
        assert_eq!(
            options,
            Options {
                install: true,
                runner: vec!["--no-fail-fast".to_owned(), "name".to_owned()]
            }
        );
    }

    #[test]
    fn an_unknown_argument_is_refused() {
        assert!(Options::parse(&["--instal"]).unwrap_err().is_usage);
    }

    #[test]
    fn the_whole_workspace_is_tested_with_its_doctests() {
        let lines: Vec<String> = lines(&[], true).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "cargo nextest run --workspace --all-features",
                "cargo test --doc --workspace --all-features"
            ]
        );
    }

    #[test]
    fn without_nextest_cargo_runs_the_same_tests() {
        let lines = lines(&[], false);
        assert!(
            lines[0]
                .to_string()
                .starts_with("cargo test --all-targets ")
        );
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn named_packages_stand_for_the_whole_workspace() {
        for name in ["-p", "-pxtask", "--package=xtask"] {
            let lines = lines(&[name.to_owned()], true);
            assert_eq!(
                lines[0].to_string(),
                format!("cargo nextest run --all-features {name}")
            );
        }
    }

    #[test]
    fn a_selection_leaves_the_doctests_out() {
        let lines = lines(&["harness".to_owned()], true);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].to_string().ends_with(" harness"));
    }
}
