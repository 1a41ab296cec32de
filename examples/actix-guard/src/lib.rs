//! One route behind a waiting room, on actix-web: the whole application.
//!
//! `/shop/{event_id}` is for admitted people alone; others are sent to `/wait/{event_id}`, where
//! they get a place in line. Visitors are guests with a signed cookie; a real shop would put
//! `Identify` behind its own authentication instead.

use actix_web::web::{self, Data, Html, Json, ServiceConfig};
use guard_settings::Settings;
use serde::Serialize;
use ticketon_actix::{
    Admitted, EventFrom, Guard, GuestIdentity, Guests, Problem, admin_routes, not_found, routes,
    routes_of,
};
use ticketon_queue::guard::Admission;
use ticketon_queue::http::Code;
use ticketon_queue::page::WaitingPage;
use ticketon_queue::{EventId, Fenced, UserId, WaitingQueue};

/// The application, for `App::configure`; with an admin token also the operators' routes.
pub fn app(
    queue: &WaitingQueue,
    settings: &Settings,
) -> impl Fn(&mut ServiceConfig) + Clone + Send + use<> {
    let door = Guard::new(queue, EventFrom::path("event_id"))
        .waiting_page("/wait/{event_id}")
        .check(settings.check)
        .store_down(settings.store_down);
    let guests = GuestIdentity::new(Guests::new(queue.admission_keys().clone()));
    let page = WaitingPage::new()
        .api_base("/queue")
        .return_to("/shop/{event_id}");
    let page = routes_of(page);
    let people = routes(queue);
    let operators = settings.admin.clone();
    let operators = operators.map(|token| admin_routes(queue, token));
    let queue = Data::new(queue.clone());
    move |config| {
        config
            .app_data(queue.clone())
            .default_service(web::to(not_found))
            .route("/", web::get().to(home))
            .route("/health/ready", web::get().to(ready));
        if let Some(operators) = &operators {
            config.configure(operators);
        }
        // A scope without a prefix takes all paths, so it is the last.
        let shop_door = web::resource("/shop/{event_id}")
            .route(web::get().to(shop))
            .route(web::post().to(buy))
            .wrap(door.clone());
        config.service(
            web::scope("")
                .service(shop_door)
                .service(web::scope("/queue").configure(&people))
                .configure(&page)
                .wrap(guests.clone()),
        );
    }
}

async fn home() -> Html {
    Html::new(r#"<a href="/shop/demo">Buy tickets</a>"#)
}

/// The shop's page: a form that buys.
async fn shop(_admitted: Admitted) -> Html {
    Html::new(r#"<h1>You are in</h1><form method="post"><button>Buy</button></form>"#)
}

/// What was bought.
#[derive(Debug, Serialize)]
struct Order {
    event: EventId,
    user: UserId,
}

/// Buys, which completes the admission: the next person's turn.
async fn buy(queue: Data<WaitingQueue>, admitted: Admitted) -> Result<Json<Order>, Problem> {
    let Admission {
        event, user, fence, ..
    } = admitted.into_inner();
    match queue.complete(&event, &user, fence).await? {
        Fenced::Done(()) => Ok(Json(Order { event, user })),
        _ => Err(Problem::new(Code::ADMISSION_REQUIRED).detail("the admission has ended")),
    }
}

/// Whether people can be served.
async fn ready(queue: Data<WaitingQueue>) -> Result<&'static str, Problem> {
    match queue.ping().await {
        Ok(()) => Ok("ready"),
        Err(_) => Err(Problem::new(Code::STORE_UNAVAILABLE)),
    }
}
