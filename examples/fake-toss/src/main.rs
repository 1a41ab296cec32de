//! Starts the fake, says where it listens, and ends with the process.
//!
//! ```text
//! fake-toss --listen 127.0.0.1:0 --secret-key test_sk_x
//! ```

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use fake_toss::{FakeToss, Settings};

/// A stand-in for Toss Payments, for tests.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen; an address of this machine alone.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A secret key that is known; may be given several times.
    #[arg(long, default_value = "test_sk_fake")]
    secret_key: Vec<String>,
    /// Where webhooks go.
    #[arg(long)]
    webhook_url: Option<String>,
    /// How long a minute between repetitions of webhooks is, in ms.
    #[arg(long, default_value_t = 60_000)]
    webhook_minute_ms: u64,
    /// Hold webhooks back until none came for so many ms, and then send the newest first, each twice.
    #[arg(long, value_name = "MS")]
    webhook_disorder_ms: Option<u64>,
    /// Forget refusals (4xx), so that a used idempotency key runs again after one.
    #[arg(long)]
    forget_refusals: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let settings = Settings {
        listen: args.listen,
        secret_keys: args.secret_key,
        webhook_url: args.webhook_url,
        webhook_minute: Duration::from_millis(args.webhook_minute_ms),
        replay_refusals: !args.forget_refusals,
        webhook_disorder: args.webhook_disorder_ms.map(Duration::from_millis),
    };
    let fake = match FakeToss::start(settings).await {
        Ok(fake) => fake,
        Err(error) => {
            eprintln!("fake-toss: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("listening on {}", fake.url());
    match tokio::signal::ctrl_c().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fake-toss: {error}");
            ExitCode::FAILURE
        }
    }
}
