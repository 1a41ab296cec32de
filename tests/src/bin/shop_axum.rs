//! The shop that the contracts of seats and purchases are proved on, with axum: a waiting room, a seat map and holds,
//! orders and tickets, and a handler of the host's own.

#[path = "shop/settings.rs"]
mod settings;

use std::error::Error;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use ticketon_axum::{
    Admitted, EventFrom, Guard, GuestIdentity, Guests, Problem, admin_routes, not_found, routes,
    routes_of,
};
use ticketon_domain::adapter::sandbox::SandboxHttp;
use ticketon_domain::http::{PurchaseAdminHttp, ShopAdminHttp, ShopHttp, TossWebhookHttp};
use ticketon_domain::seat::Seats;
use tokio::net::TcpListener;

use self::settings::{Shop, start, told_to_end};

fn app(shop: &Shop) -> Router {
    let Shop { queue, seats, .. } = shop;
    let (people, operators) = match &shop.paid {
        Some(paid) => (
            routes_of(paid.http.clone()).merge(routes_of(SandboxHttp::new(&paid.sandbox))),
            routes_of(PurchaseAdminHttp::new(&paid.purchases, shop.admin.clone()))
                .merge(routes_of(TossWebhookHttp::new(&paid.purchases))),
        ),
        None => (Router::new(), Router::new()),
    };
    Router::new()
        .route("/shop/{event_id}", post(buy))
        .route_layer(Guard::new(queue, EventFrom::path("event_id")))
        .merge(routes(queue))
        .merge(routes_of(ShopHttp::new(seats, queue)))
        .merge(people)
        .layer(GuestIdentity::new(Guests::new(
            queue.admission_keys().clone(),
        )))
        .merge(admin_routes(queue, shop.admin.clone()))
        .merge(routes_of(ShopAdminHttp::new(seats, shop.admin.clone())))
        .merge(operators)
        .route("/health/ready", get(async || "ready"))
        .fallback(not_found)
        .with_state(seats.clone())
}

/// A handler as a host writes it: holds the seats that the body lists.
async fn buy(
    State(seats): State<Seats>,
    a: Admitted,
    Json(labels): Json<Vec<String>>,
) -> Result<String, Problem> {
    let hold = seats.hold(&a, &labels).await?.taken()?;
    Ok(hold.total.to_string())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let shop = start().await?;
    let listener = TcpListener::bind(&shop.listen).await?;
    let server = axum::serve(listener, app(&shop));
    let ends = async move {
        told_to_end().await;
        shop.shutdown().await;
    };
    Ok(server.with_graceful_shutdown(ends).await?)
}
