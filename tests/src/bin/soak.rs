//! `cargo xtask soak`: lives of rooms, model and stores side by side, for as many steps as wanted.
//!
//! `soak <steps> <seed>`; prints the seed, how far it is, and the first life that breaks.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use ticketon_tests::agreement::{Bench, Search, search};

/// Time between two lines of progress.
const REPORT: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<u64> = std::env::args()
        .skip(1)
        .map_while(|one| one.parse().ok())
        .collect();
    let [steps, seed] = arguments[..] else {
        eprintln!("usage: soak <steps> <seed>");
        return ExitCode::from(2);
    };
    println!("seed {seed}, {steps} steps");
    let bench = Bench::with_redis().await;
    let started = Instant::now();
    let mut told = started;
    let outcome = search(&bench, Search { seed, steps }, |met| {
        if told.elapsed() >= REPORT {
            told = Instant::now();
            let a_second = met.steps as f64 / started.elapsed().as_secs_f64();
            println!("{} of {steps} steps, {a_second:.0} a second", met.steps);
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
