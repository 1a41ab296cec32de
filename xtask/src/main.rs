//! The project's own commands, run as `cargo xtask <command>`.
//!
//! Each command is one module. What they start is printed first, so that anyone can do the same
//! by hand. Benchmarks and continuous integration build on these commands.

mod bench;
mod broker;
mod features;
mod shell;
mod simulate;
mod soak;
mod test;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <command>

Commands:
  test [--install] [-- <arguments of cargo nextest run>]
            Run every test of the workspace. A program that the tests need and that is missing
            is a failure; --install installs it first (Debian and its relatives), and builds the Kafka
            broker of the tests, once, into a folder beside cargo's own.
  bench [<word>] [--write]
            Measure, each thing beside a baseline of the same run, and print the table: the ratio comes
            first. A word runs the rows whose names have it; --write puts the table into docs/benchmarks.md,
            where rows that were not measured stay as they were.
  simulate [--seats <number>] [--buyers <number>] [--seed <number>] [--database sqlite|mariadb] [--redis] [--out <folder>]
            Sell a house of 20,000 to 50,000 people, with faults in the middle, judge every promise, and
            write what was seen to target/simulation. Fails when a promise was broken, or not shown.
  features [--list]
            Check every package with no feature, and with each of its features alone.
            --list only prints the commands.
  soak [--seats | --purchases] [--steps <number>] [--seed <number>]
            Live random lives of rooms, or of seat maps, in the model and in every store side by side, or of whole
            shops in which any call may break off, a million steps (about twenty minutes) unless told otherwise. Prints the seed; the same seed lives the same lives.
  help      Print this text.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.split_first() {
        Some((&"test", rest)) => test::Options::parse(rest).and_then(|options| test::run(&options)),
        Some((&"features", [])) => features::check(),
        Some((&"features", ["--list"])) => features::list(),
        Some((&"bench", rest)) => {
            bench::Options::parse(rest).and_then(|options| bench::run(&options))
        }
        Some((&"simulate", rest)) => {
            simulate::Options::parse(rest).and_then(|options| simulate::run(&options))
        }
        Some((&"soak", rest)) => soak::Options::parse(rest).and_then(|options| soak::run(&options)),
        Some((&("help" | "--help" | "-h"), _)) => {
            print!("{USAGE}");
            Ok(())
        }
        Some(_) => {
            let given = arguments.join(" ");
            Err(shell::Failure::usage(format!("unknown command: {given}")))
        }
        None => Err(shell::Failure::usage("no command given".to_owned())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.message.trim_end());
            if failure.is_usage {
                eprint!("\n{USAGE}");
                return ExitCode::from(2);
            }
            ExitCode::FAILURE
        }
    }
}
