//! `cargo xtask simulate`: sells a house, writes what was seen, and ends with 1 when a promise was broken, or not shown.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ticketon_benches::simulation::{Plan, Sale, judge, report};

const PAGE: &str = "index.html";

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let mut folder = PathBuf::from("target/simulation");
    if let Some(place) = words.iter().position(|word| word == "--out")
        && place + 1 < words.len()
    {
        folder = PathBuf::from(words.remove(place + 1));
        words.remove(place);
    }
    let plan = match Plan::parse(&words) {
        Ok(plan) => plan,
        Err(refused) => {
            eprintln!("error: {refused}");
            return ExitCode::from(2);
        }
    };
    let sale = Sale::run(plan).await;
    let verdicts = judge::judge(&sale.evidence);
    let (text, page) = (
        report::text(&sale, &verdicts),
        report::page(&sale, &verdicts),
    );
    println!("{text}");
    let held = verdicts.iter().all(judge::Verdict::held);
    sale.close().await;
    match write(&folder, &text, &page) {
        Ok(()) => println!("\n{}", folder.join(PAGE).display()),
        Err(error) => {
            eprintln!("error: {}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    }
    if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn write(folder: &Path, text: &str, page: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("summary.txt"), text)?;
    std::fs::write(folder.join(PAGE), page)
}
