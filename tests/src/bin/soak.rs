//! `cargo xtask soak`: lives of rooms, of seat maps or of whole shops, for as many steps as wanted.
//!
//! `soak <steps> <seed> [--seats | --purchases]`; prints the seed, how far it is, and the first life that breaks.

use std::fmt::Debug;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ticketon_tests::agreement::{self, Bench};
use ticketon_tests::lives::{Search, World, search};
use ticketon_tests::purchase_agreement::{self, ShopBench};
use ticketon_tests::seat_agreement::{self, SeatBench};

/// Time between two lines of progress.
const REPORT: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|one| one.parse().ok());
    let of = match &arguments[2.min(arguments.len())..] {
        [] => "",
        [of] if ["--seats", "--purchases"].contains(&of.as_str()) => of.as_str(),
        _ => return usage(),
    };
    let (Some(steps), Some(seed)) = (number(0), number(1)) else {
        return usage();
    };
    println!("seed {seed}, {steps} steps");
    let search = Search { seed, steps };
    if of == "--purchases" {
        let taken = |met: &purchase_agreement::Met| met.steps;
        soak(&ShopBench::of_the_model(), search, taken).await
    } else if of == "--seats" {
        let taken = |met: &seat_agreement::Met| met.steps;
        soak(&SeatBench::with_redis().await, search, taken).await
    } else {
        let taken = |met: &agreement::Met| met.steps;
        soak(&Bench::with_redis().await, search, taken).await
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: soak <steps> <seed> [--seats | --purchases]");
    ExitCode::from(2)
}

/// Lives, and tells how many steps were taken.
async fn soak<W: World<Met: Debug>>(
    world: &W,
    wanted: Search,
    taken: impl Fn(&W::Met) -> u64,
) -> ExitCode {
    let started = Instant::now();
    let mut told = started;
    let outcome = search(world, wanted, |met| {
        if told.elapsed() >= REPORT {
            told = Instant::now();
            let (taken, steps) = (taken(met), wanted.steps);
            let a_second = taken as f64 / started.elapsed().as_secs_f64();
            println!("{taken} of {steps} steps, {a_second:.0} a second");
        }
        true
    })
    .await;
    match outcome {
        Ok(met) => {
            println!(
                "{met:?} in {:.0} s: all answers agree, all promises kept",
                started.elapsed().as_secs_f64()
            );
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
