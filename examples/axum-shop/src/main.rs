//! A whole shop in one file: a waiting room, a live seat map, payment, tickets.
//!
//! ```text
//! cargo run -p axum-shop
//! open http://127.0.0.1:3000/
//! ```
//!
//! Two people are in at a time: a third browser sees the line. Payments go to the sandbox, which charges nobody.
//!
//! | setting | says |
//! | --- | --- |
//! | `--listen <address>` | where to listen; `127.0.0.1:3000` by default |
//! | `TICKETON_DATABASE_URL` | where orders and tickets are kept, like `sqlite:shop.db`; in memory by default |
//! | `TICKETON_ADMISSION_SECRET`, `TICKETON_TICKET_KEYS` | sign guests and tickets (`id:` and 32 bytes in base64); random by default, which lasts until the next start |

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{Html, Redirect};
use axum::routing::get;
use serde::Deserialize;
use ticketon_axum::{
    Admitted, EventFrom, Guard, GuestIdentity, Guests, Principal, Problem, not_found, routes,
    routes_of,
};
use ticketon_domain::adapter::memory::{Delivery, MemoryBus, MemorySeatStore};
use ticketon_domain::adapter::sandbox::{Sandbox, SandboxHttp};
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::event::{Event, EventStatus};
use ticketon_domain::http::{PurchaseHttp, ShopHttp};
use ticketon_domain::outbox::Relay;
use ticketon_domain::page::SeatPage;
use ticketon_domain::purchase::{Confirm, OrderId, OrderState, PaymentKey, Purchases, TicketKeys};
use ticketon_domain::seat::{HoldId, Seats};
use ticketon_domain::venue::sample;
use ticketon_queue::page::WaitingPage;
use ticketon_queue::{AdmissionKeys, EventId, MemoryStore, RoomConfig, WaitingQueue, guard};

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("axum-shop: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let setting = |name| std::env::var(name).ok();
    let secret = setting("TICKETON_ADMISSION_SECRET").map(|text| AdmissionKeys::new("env", text));
    let keys = setting("TICKETON_TICKET_KEYS").map(|text| text.parse::<TicketKeys>());
    let url = setting("TICKETON_DATABASE_URL").unwrap_or_else(|| "sqlite::memory:".to_owned());

    // What runs.
    let store = SqlStore::connect(&url).await?;
    store.migrate().await?;
    let queue = WaitingQueue::builder(MemoryStore::new())
        .admission_keys(secret.transpose()?.unwrap_or_else(AdmissionKeys::random))
        .start()
        .await?;
    let seats = Seats::builder(MemorySeatStore::new())
        .catalog(store.clone())
        .ledger(store.clone())
        .queue(&queue)
        .start()
        .await?;
    let bus = MemoryBus::new();
    tokio::spawn(tell(bus.clone()));
    let relay = Relay::builder(Arc::new(store.clone()), Arc::new(bus)).start();
    let sandbox = Sandbox::with_book(store.clone());
    let purchases = Purchases::builder(store, &seats, sandbox.clone())
        .queue(&queue) // a payment ends its buyer's admission: the next person's turn
        .ticket_keys(keys.transpose()?.unwrap_or_else(TicketKeys::random))
        .wakes(relay.wake())
        .start()
        .await?;
    put_on_sale(&queue, &seats).await?;

    // What is served.
    let guests = GuestIdentity::new(Guests::new(queue.admission_keys().clone()));
    let door = Guard::new(&queue, EventFrom::path("event_id"));
    let seat_door = guard::Guard::new(&queue).waiting_page("/wait/{event_id}");
    let seat_page = SeatPage::new(seat_door).next_url("/checkout/{event_id}/{hold_id}");
    let app = Router::new()
        .route("/checkout/{event_id}/{hold_id}", get(checkout))
        .route_layer(door.waiting_page("/wait/{event_id}"))
        .route("/paid", get(paid))
        .merge(routes(&queue))
        .merge(routes_of(ShopHttp::new(&seats, &queue)))
        .merge(routes_of(PurchaseHttp::new(&purchases, &queue)))
        .merge(routes_of(SandboxHttp::new(&sandbox)))
        .merge(routes_of(WaitingPage::new().return_to("/seats/{event_id}")))
        .merge(routes_of(seat_page))
        .layer(guests)
        .route("/", get(async || Redirect::to("/seats/demo")))
        .route("/health/ready", get(async || "ready"))
        .fallback(not_found)
        .with_state(purchases.clone());

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let listen = match arguments.as_slice() {
        [] => "127.0.0.1:3000",
        [flag, address] if flag == "--listen" => address,
        _ => return Err("the only flag is --listen <address>".into()),
    };
    let listener = tokio::net::TcpListener::bind(listen).await;
    let listener = listener.map_err(|error| format!("--listen {listen}: {error}"))?;
    println!("open http://{}/", listener.local_addr()?);
    // Streams end first, then nothing long-lived is left to wait for; the relay last, which tells what is still there.
    let stop = async move {
        let _ = tokio::signal::ctrl_c().await;
        tokio::join!(queue.shutdown(), seats.shutdown(), purchases.shutdown());
        relay.shutdown().await;
    };
    Ok(axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await?)
}

/// An event needs seats at their prices, and a room to wait for them.
async fn put_on_sale(queue: &WaitingQueue, seats: &Seats) -> Result<(), Box<dyn Error>> {
    let event = Event::builder(EventId::new("demo")?)
        .title("Spring Tour", "봄 투어")
        .venue("Grand Theatre")
        .starts_at_ms(4_070_908_800_000) // 2099
        .status(EventStatus::Open)
        .currency("KRW")
        .price("vip", 165_000)
        .price("r", 143_000)
        .price("s", 121_000)
        .price("a", 99_000)
        .build()?;
    let two_at_a_time = RoomConfig::builder().capacity(2).build()?;
    queue.ensure_room(event.id(), two_at_a_time).await?;
    let hall = sample::theatre(400);
    seats.put_event(event, hall).await?.saved()?;
    Ok(())
}

/// Makes an order of what is held, and sends its buyer to pay.
async fn checkout(
    State(purchases): State<Purchases>,
    admitted: Admitted,
    Path((_, hold)): Path<(EventId, HoldId)>,
) -> Result<Redirect, Problem> {
    let order = purchases.initiate(&admitted, hold).await?;
    let (id, amount, currency) = (order.order_id, order.amount, order.currency.code());
    Ok(Redirect::to(&format!(
        "/sandbox/pay?orderId={id}&amount={amount}&currency={currency}&returnUrl=/paid"
    )))
}

/// What the page of the sandbox says; without a key its buyer did not pay.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    order_id: OrderId,
    payment_key: Option<PaymentKey>,
    amount: Option<u64>,
}

/// Where buyers come back to: charges, once however often it is loaded, and shows the tickets.
async fn paid(
    State(purchases): State<Purchases>,
    buyer: Principal,
    Query(told): Query<Told>,
) -> Result<Html<String>, Problem> {
    let order = told.order_id;
    let order = match (told.payment_key, told.amount) {
        (Some(key), Some(amount)) => {
            let confirm = Confirm { order, key, amount };
            purchases.confirm(&buyer.user, &confirm).await?
        }
        _ => purchases.get(&buyer.user, &order).await?,
    };
    let mut page = format!("<!doctype html><h1>{}</h1>", order.status);
    match order.status {
        OrderState::Paid => page.extend(order.tickets.iter().map(|ticket| {
            let (seat, id) = (&ticket.seat, ticket.ticket_id);
            format!(r#"<p>{seat}<br><img src="/tickets/{id}/qr.svg" width="200" alt="">"#)
        })),
        // The sandbox has not said what became of it: Ticketon goes on asking.
        OrderState::Confirming => page.push_str(r#"<meta http-equiv="refresh" content="1">"#),
        _ => page.push_str(r#"<a href="/">Back to the seats</a>"#),
    }
    Ok(Html(page))
}

/// Hears of every order: where mails would be sent.
async fn tell(bus: MemoryBus) {
    let Some(mut events) = bus.subscribe("mails", 1_000) else {
        return;
    };
    while let Delivery::Event(event) = events.next().await {
        println!("{} {}", event.kind(), event.key());
    }
}
