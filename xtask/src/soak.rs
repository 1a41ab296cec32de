//! `cargo xtask soak`: random lives of rooms, of seat maps or of whole shops, for longer than a test run would wait.
//!
//! The driver is the one of the tests (`ticketon_tests::lives`); a life that breaks is printed,
//! made as short as it could be, with the seed that finds it again.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::shell::{Failure, Line};

/// Steps when nothing else is said.
const STEPS: u64 = 1_000_000;

/// What may live instead of rooms.
const OTHERS: [&str; 2] = ["--seats", "--purchases"];

/// What the user asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    steps: u64,
    /// Another one each time, if not given.
    seed: Option<u64>,
    /// What lives instead of rooms: one of [`OTHERS`].
    of: Option<&'static str>,
}

impl Options {
    /// Reads the arguments after `soak`.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, Failure> {
        let mut options = Self {
            steps: STEPS,
            seed: None,
            of: OTHERS.into_iter().find(|of| arguments.contains(of)),
        };
        let others = arguments
            .iter()
            .copied()
            .filter(|one| Some(*one) != options.of);
        for pair in others.collect::<Vec<_>>().chunks(2) {
            let [name, value] = pair else {
                return Err(Failure::usage(format!(
                    "soak needs a number after {}",
                    pair[0]
                )));
            };
            let number = value.parse().map_err(|_| {
                Failure::usage(format!("{name} is a whole number from 0, not {value}"))
            })?;
            match *name {
                "--steps" => options.steps = number,
                "--seed" => options.seed = Some(number),
                other => return Err(Failure::usage(format!("soak does not know {other}"))),
            }
        }
        Ok(options)
    }
}

/// Lives until the steps are taken or a life breaks.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let seed = options
        .seed
        .unwrap_or_else(|| RandomState::new().build_hasher().finish());
    line(options.steps, seed, options.of).run()
}

fn line(steps: u64, seed: u64, of: Option<&str>) -> Line {
    let soak = [
        "cargo",
        "run",
        "--package",
        "ticketon-tests",
        "--bin",
        "soak",
        "--",
    ];
    let mut arguments = vec![steps.to_string(), seed.to_string()];
    arguments.extend(of.map(str::to_owned));
    Line::new(soak).with(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_seed_may_be_given_in_any_order() {
        let given = Options::parse(&["--seed", "7", "--steps", "20"]).unwrap();
        assert_eq!(
            given,
            Options {
                steps: 20,
                seed: Some(7),
                of: None
            }
        );
        let seats = Options::parse(&["--steps", "20", "--seats", "--seed", "7"]).unwrap();
        assert_eq!(
            seats,
            Options {
                of: Some("--seats"),
                ..given
            }
        );
        let million = Options::parse(&[]).unwrap();
        assert_eq!((million.steps, million.seed), (1_000_000, None));
    }

    #[test]
    fn anything_else_is_refused() {
        for wrong in [&["--steps"][..], &["--steps", "many"], &["--step", "1"]] {
            assert!(Options::parse(wrong).unwrap_err().is_usage, "{wrong:?}");
        }
    }

    #[test]
    fn the_printed_line_repeats_the_run() {
        let rooms = line(20, 7, None).to_string();
        assert!(rooms.ends_with("--bin soak -- 20 7"));
        let seats = line(20, 7, Some("--seats")).to_string();
        assert!(seats.ends_with("--bin soak -- 20 7 --seats"));
    }
}
