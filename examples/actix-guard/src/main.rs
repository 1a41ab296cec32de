//! Starts the shop and ends it in order: streams first, then the server, both within bounds.
//!
//! ```text
//! cargo run -p actix-guard
//! open http://127.0.0.1:3000/shop/demo
//! ```

use std::error::Error;
use std::process::ExitCode;

use actix_guard::app;
use actix_web::{App, HttpServer};
use guard_settings::Settings;
use ticketon_queue::{EventId, RoomConfig};

/// How long open requests may take once the server is told to end.
const DRAIN_LIMIT_SECONDS: u64 = 10;

#[actix_web::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("actix-guard: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let settings = Settings::read()?;
    let queue = settings.start_queue().await?;
    let two_at_a_time = RoomConfig::builder().capacity(2).build()?;
    queue
        .ensure_room(&EventId::new("demo")?, two_at_a_time)
        .await?;

    let app = app(&queue, &settings);
    let server = HttpServer::new(move || App::new().configure(app.clone()))
        // A person who has gone is noticed at once, not at the next event.
        .h1_allow_half_closed(false)
        .shutdown_timeout(DRAIN_LIMIT_SECONDS)
        .shutdown_signal(async move {
            interrupted().await;
            // Asks connected people to come back elsewhere, and ends their streams. Nothing
            // long-lived is left: open requests end, or are cut off.
            queue.shutdown().await;
        })
        .bind(&settings.listen)?;
    for address in server.addrs() {
        println!("open http://{address}/shop/demo");
    }
    Ok(server.run().await?)
}

/// Returns on ctrl-c or SIGTERM, or when the system lets nobody listen for them.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            return;
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    drop(tokio::signal::ctrl_c().await);
}
