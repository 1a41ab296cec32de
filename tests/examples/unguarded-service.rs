//! The waiting room as a service over Redis that may lack some of its guards, so that a test can show what each
//! prevents when processes and servers die. Whoever asks names themselves: the bearer token is the user's id.
//!
//! `unguarded-service --redis-url URL --role all|broker|dispatcher [--answers-within SECONDS] [--without GUARD]...
//! --listen ADDRESS`; a guard is one of the scripts' or one of the process's.

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::routing::get;
use ticketon_axum::Identify;
use ticketon_queue::redis::guards;
use ticketon_queue::{RedisStore, UserId, WaitingQueue, unguarded};
use tokio::net::TcpListener;

#[derive(Default)]
struct Args {
    redis_url: String,
    role: String,
    listen: String,
    answers_within: Option<Duration>,
    without: Vec<String>,
}

impl Args {
    fn read() -> Result<Self, String> {
        let mut read = Self::default();
        let mut words = std::env::args().skip(1);
        while let Some(name) = words.next() {
            let value = words.next().ok_or(format!("{name} has no value"))?;
            match name.as_str() {
                "--redis-url" => read.redis_url = value,
                "--role" => read.role = value,
                "--listen" => read.listen = value,
                "--answers-within" => {
                    let seconds = value.parse().map_err(|error| format!("{value}: {error}"))?;
                    read.answers_within = Some(Duration::from_secs(seconds));
                }
                "--without" => read.without.push(value),
                _ => return Err(format!("{name} is unknown")),
            }
        }
        Ok(read)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::read()?;
    let (of_scripts, of_process): (Vec<String>, Vec<String>) = args
        .without
        .into_iter()
        .partition(|name| guards().contains(name));
    unguarded::remove(of_process);
    let mut store = RedisStore::builder(args.redis_url);
    for guard in &of_scripts {
        store = store.without_guard(guard);
    }
    if let Some(timeout) = args.answers_within {
        store = store.response_timeout(timeout);
    }
    let queue = WaitingQueue::builder(store.connect().await?)
        .dispatch(args.role != "broker")
        .start()
        .await?;
    let app = Router::new()
        .merge(ticketon_axum::routes(&queue))
        .route("/health/ready", get(async || "ready"))
        .layer(Identify::with(named));
    axum::serve(TcpListener::bind(args.listen).await?, app).await?;
    Ok(())
}

/// Whom a request says that it comes from.
fn named(request: &Parts) -> Option<UserId> {
    let login = request.headers.get(AUTHORIZATION)?.to_str().ok()?;
    UserId::new(login.strip_prefix("Bearer ")?).ok()
}
