//! Starts the shop and ends it in order: streams first, then the server, both within bounds.
//!
//! ```text
//! cargo run -p axum-guard
//! open http://127.0.0.1:3000/shop/demo
//! ```

use std::error::Error;
use std::future::IntoFuture as _;
use std::process::ExitCode;
use std::time::Duration;

use axum_guard::app;
use guard_settings::Settings;
use ticketon_queue::{EventId, RoomConfig};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How long open requests may take once the server is told to end.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("axum-guard: {error}");
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

    let listener = TcpListener::bind(&settings.listen).await?;
    println!("open http://{}/shop/demo", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app(&queue, &settings))
        .with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());

    interrupted().await?;
    // Asks connected people to come back elsewhere, and ends their streams.
    queue.shutdown().await;
    // Nothing long-lived is left: open requests end, or are cut off.
    drop(stop);
    match tokio::time::timeout(DRAIN_LIMIT, server).await {
        Ok(ended) => ended??,
        Err(_) => eprintln!("axum-guard: cut off what took over {DRAIN_LIMIT:?}"),
    }
    Ok(())
}

/// Returns on ctrl-c or SIGTERM.
async fn interrupted() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
