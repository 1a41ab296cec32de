//! The complete Ticketon service. Without options everything is embedded and the event `demo` has a line.

mod app;
mod args;
mod audit;
mod auth;
mod database;
mod demo;
mod events;
mod limits;
mod operator;
mod outbox;
mod pages;
mod payments;
mod proxies;
mod shop;
mod sold_before;
mod telemetry;
mod toss_window;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use args::{Args, Command, Role};
use clap::Parser as _;
use proxies::Proxies;
use sold_before::SoldBefore;
use ticketon_domain::adapter::memory::{MemoryLedger, MemorySeatStore};
use ticketon_domain::adapter::redis::RedisSeatStore;
use ticketon_domain::audit::Sealer;
use ticketon_domain::outbox::Relay;
use ticketon_domain::purchase::Purchases;
use ticketon_domain::seat::{SeatStore, Seats};
use ticketon_queue::{EventId, MemoryStore, QueueStore, RedisStore, WaitingQueue};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long open requests may take after the signal, at the most.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reference-app: {}", whole(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    args.check()?;
    telemetry::start_logs(&args)?;
    if let Some(Command::Migrate) = args.command {
        args.database.migrate().await?;
        println!("The tables are up to date.");
        return Ok(());
    }
    if let Some(Command::Audit(command)) = &args.command {
        return audit::run(command, &args.audit, &args.database).await;
    }
    if let Some(Command::Outbox(command)) = &args.command {
        return outbox::run(command, &args.database).await;
    }
    if let Some(Command::TicketKeys) = &args.command {
        println!("{}", args.database.public_keys()?);
        return Ok(());
    }
    args.database.check_keys()?;
    let bus = args.kafka.bus()?;
    let metrics = telemetry::start_metrics()?;
    let (admin_token, made_up) = args.admin_token()?;
    let keys = args.admission_keys()?;
    if keys.is_none() && args.redis_url.is_some() {
        tracing::warn!(target: "ticketon::app",
            "TICKETON_ADMISSION_KEYS is not set: admissions and guests of this process are good at this process alone");
    }
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        format!(
            "cannot listen on {}: {error} (choose another with --listen)",
            args.listen
        )
    })?;
    let address = listener.local_addr()?;
    let keys = keys.unwrap_or_else(ticketon_queue::AdmissionKeys::random);
    let stores = stores(&args).await?;
    let database = args.database.open().await?;
    let queue = WaitingQueue::builder_shared(stores.queue)
        .admission_keys(keys)
        .dispatch(args.role != Role::Broker)
        .secure_cookies(args.secure_cookies)
        .start()
        .await?;
    let event = EventId::new(demo::DEMO)?;
    let before = if args.no_demo {
        MemoryLedger::new()
    } else {
        shop::sold_before(&event)
    };
    let seats = Seats::builder_shared(stores.seats)
        .catalog(database.clone())
        .ledger(SoldBefore::new(&database, before))
        .queue(&queue)
        .start()
        .await?;
    if !args.no_demo {
        shop::open(&seats, event.clone()).await?;
    }
    let payments = args.payments.provider(&database, &seats)?;
    let (purchases, relay) = args
        .payments
        .start(
            &database,
            &seats,
            &queue,
            args.database.keys()?,
            &payments,
            bus,
        )
        .await?;
    let relay = Arc::new(relay);
    let sealer = args.audit.start(&database, &args.database)?;
    let (stop, stopped) = watch::channel(false);
    let crowd = demo::Crowd::new(&queue, &seats, stopped.clone());
    let with_demo = !args.no_demo && args.role != Role::Dispatcher;
    let mut demo_takes = None;
    if with_demo {
        demo_takes = Some(demo::open(&queue, &event).await?);
        tokio::spawn(crowd.clone().keep_line(event, Arc::clone(queue.clock())));
    }
    let app = app::app(&app::Parts {
        queue: queue.clone(),
        seats: seats.clone(),
        purchases: purchases.clone(),
        relay: Arc::clone(&relay),
        sandbox: payments.sandbox,
        toss_window: payments.window,
        request_lease: args.payments.request_lease(),
        role: args.role,
        admin_token,
        secure_cookies: args.secure_cookies,
        crowd: with_demo.then_some(crowd),
        guest_limit: args.guest_limit,
        join_limit: args.join_limit,
        proxies: Arc::new(Proxies::new(args.trusted_proxies.clone())),
        metrics: metrics.clone(),
        stopping: stopped.clone(),
    });
    tokio::spawn(upkeep(metrics, stopped.clone()));
    greet(&args, address, made_up.as_deref(), demo_takes);
    let handles = Handles {
        queue,
        seats,
        purchases,
        relay,
        sealer,
    };
    serve(listener, app, handles, stop).await
}

/// What ends in order when the process does.
struct Handles {
    queue: WaitingQueue,
    seats: Seats,
    purchases: Purchases,
    relay: Arc<Relay>,
    sealer: Option<Sealer>,
}

impl Handles {
    /// Purchases before their relay and their sealer, so that what they did last is still told, if the bus takes it within
    /// seconds, and sealed.
    async fn shutdown(&self) {
        tokio::join!(
            self.queue.shutdown(),
            self.seats.shutdown(),
            self.purchases.shutdown()
        );
        self.relay.shutdown().await;
        if let Some(sealer) = &self.sealer {
            sealer.shutdown().await;
        }
    }
}

/// Where rooms and seat maps live.
struct Stores {
    queue: Arc<dyn QueueStore>,
    seats: Arc<dyn SeatStore>,
}

/// The stores that the command line names. Both share their connections.
async fn stores(args: &Args) -> Result<Stores, String> {
    let Some(url) = &args.redis_url else {
        return Ok(Stores {
            queue: Arc::new(MemoryStore::new()),
            seats: Arc::new(MemorySeatStore::new()),
        });
    };
    let redis = RedisStore::connect(url.expose())
        .await
        .map_err(|error| format!("TICKETON_REDIS_URL or --redis-url: {}", whole(&error)))?;
    Ok(Stores {
        seats: Arc::new(RedisSeatStore::on(&redis)),
        queue: Arc::new(redis),
    })
}

/// An error with everything that led to it; what the error before has said already is left out.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

/// Tells the person at the terminal where to go.
fn greet(args: &Args, address: SocketAddr, key: Option<&str>, demo_takes: Option<Duration>) {
    println!("Ticketon is running.");
    if args.role != Role::Dispatcher {
        println!("  Visitors   http://{address}/");
        match key {
            Some(key) => println!("  Operator   http://{address}/operator#key={key}"),
            None => println!("  Operator   http://{address}/operator (with your admin token)"),
        }
    }
    if let Some(takes) = demo_takes {
        println!(
            "  {} simulated fans are ahead of you; about {} seconds.",
            demo::CROWD,
            takes.as_secs()
        );
    }
    if args.redis_url.is_none() {
        println!(
            "  Rooms and seats live in memory: a restart empties the line and frees what is held."
        );
    }
    if let Some(file) = args.database.file() {
        println!("  Orders and tickets are kept in {}.", file.display());
    }
}

/// Serves until the signal; then asks people to reconnect, lets open requests end, and stops.
async fn serve(
    listener: TcpListener,
    app: axum::Router,
    handles: Handles,
    stop: watch::Sender<bool>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut draining = stop.subscribe();
    let signalled = async move {
        signal().await;
        tracing::info!(target: "ticketon::app", "stopping: people are asked to reconnect");
        stop.send_replace(true);
        handles.shutdown().await;
    };
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, app).with_graceful_shutdown(signalled);
    let limit = async {
        let _ = draining.wait_for(|draining| *draining).await;
        tokio::time::sleep(DRAIN_LIMIT).await;
    };
    tokio::select! {
        served = served => served?,
        () = limit => tracing::warn!(target: "ticketon::app", "some requests did not end in time"),
    }
    Ok(())
}

/// Returns at ctrl-c or SIGTERM.
async fn signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    () = interrupt => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(_) => interrupt.await,
        }
    }
    #[cfg(not(unix))]
    interrupt.await;
}

/// Lets the metrics forget what is old.
async fn upkeep(
    metrics: metrics_exporter_prometheus::PrometheusHandle,
    mut stopped: watch::Receiver<bool>,
) {
    let mut every = tokio::time::interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            _ = every.tick() => metrics.run_upkeep(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refusal(url: &str) -> String {
        let args = Args::try_parse_from(["reference-app", "--redis-url", url]).unwrap();
        let error = stores(&args).await.err().unwrap();
        assert!(!error.contains("hunter2"), "{error}");
        error
    }

    #[tokio::test]
    async fn a_redis_that_cannot_be_used_is_named_with_the_cause() {
        let error = refusal("redis://:hunter2@127.0.0.1:1/").await;
        assert!(error.contains("127.0.0.1:1: "), "{error}");
        assert!(error.to_lowercase().contains("refused"), "{error}");
        let error = refusal("http://:hunter2@127.0.0.1:1/").await;
        assert!(
            error.contains("redis+cluster") && !error.contains("unavailable"),
            "{error}"
        );
    }
}
