//! The shop that the contracts of seats and purchases are proved on, with actix-web: a waiting room, a seat map and
//! holds, orders and tickets, and a handler of the host's own.

#[path = "shop/settings.rs"]
mod settings;

use std::error::Error;

use actix_web::web::{self, Data, Json, ServiceConfig};
use actix_web::{App, HttpServer};
use ticketon_actix::{
    Admitted, EventFrom, Guard, GuestIdentity, Guests, Problem, admin_routes, not_found, routes,
    routes_of,
};
use ticketon_domain::adapter::sandbox::SandboxHttp;
use ticketon_domain::http::{PurchaseAdminHttp, ShopAdminHttp, ShopHttp, TossWebhookHttp};
use ticketon_domain::seat::Seats;

use self::settings::{Shop, start, told_to_end};

fn app(shop: &Shop) -> impl Fn(&mut ServiceConfig) + Clone + Send + use<> {
    let Shop { queue, seats, .. } = shop;
    let door = Guard::new(queue, EventFrom::path("event_id"));
    let guests = GuestIdentity::new(Guests::new(queue.admission_keys().clone()));
    let waiting = routes(queue);
    let people = routes_of(ShopHttp::new(seats, queue));
    let rooms = admin_routes(queue, shop.admin.clone());
    let operators = routes_of(ShopAdminHttp::new(seats, shop.admin.clone()));
    let seats = Data::new(seats.clone());
    let paid = shop.paid.as_ref().map(|paid| {
        let operators = PurchaseAdminHttp::new(&paid.purchases, shop.admin.clone());
        let sandbox = SandboxHttp::new(&paid.sandbox);
        let webhook = TossWebhookHttp::new(&paid.purchases);
        (
            (routes_of(operators), routes_of(webhook)),
            (routes_of(paid.http.clone()), routes_of(sandbox)),
        )
    });
    move |config| {
        config
            .app_data(seats.clone())
            .default_service(web::to(not_found))
            .route("/health/ready", web::get().to(async || "ready"))
            .configure(&rooms)
            .configure(&operators);
        if let Some(((operators, webhook), _)) = &paid {
            config.configure(operators).configure(webhook);
        }
        let buy = web::resource("/shop/{event_id}")
            .route(web::post().to(buy))
            .wrap(door.clone());
        // A scope without a prefix takes all paths, so it is the last.
        let mut visitors = web::scope("").service(buy);
        if let Some((_, (people, sandbox))) = &paid {
            visitors = visitors.configure(people).configure(sandbox);
        }
        config.service(
            visitors
                .configure(&waiting)
                .configure(&people)
                .wrap(guests.clone()),
        );
    }
}

/// A handler as a host writes it: holds the seats that the body lists.
async fn buy(
    seats: Data<Seats>,
    a: Admitted,
    labels: Json<Vec<String>>,
) -> Result<String, Problem> {
    let hold = seats.hold(&a, &*labels).await?.taken()?;
    Ok(hold.total.to_string())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let shop = start().await?;
    let app = app(&shop);
    let server = HttpServer::new(move || App::new().configure(app.clone()))
        // A person who has gone is noticed at once, not at the next event.
        .h1_allow_half_closed(false)
        .workers(2)
        .bind(&shop.listen)?;
    let ends = async move {
        told_to_end().await;
        shop.shutdown().await;
    };
    Ok(server.shutdown_signal(ends).run().await?)
}
