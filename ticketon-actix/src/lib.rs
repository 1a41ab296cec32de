//! The waiting room of Ticketon for [actix-web](https://docs.rs/actix-web): routes, a guard, extractors.
//!
//! The decisions are [`ticketon_queue`]'s; this crate registers its routes natively and converts.
//! Authentication, CORS, compression, TLS and tracing stay the host's middleware.
//!
//! ```
//! use actix_web::dev::ServiceRequest;
//! use actix_web::{App, HttpMessage as _, web};
//! use ticketon_actix::{Admitted, EventFrom, Guard, Identify, Problem};
//! use ticketon_queue::{EventId, MemoryStore, RoomConfig, UserId, WaitingQueue};
//!
//! /// Whom the host's own middleware has authenticated.
//! fn my_user_id(request: &ServiceRequest) -> Option<UserId> {
//!     request.extensions().get::<UserId>().cloned()
//! }
//!
//! async fn buy(admitted: Admitted) -> Result<String, Problem> {
//!     Ok(format!("{} may buy tickets for {}", admitted.user, admitted.event))
//! }
//!
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let queue = WaitingQueue::builder(MemoryStore::new()).start().await?;
//! let event = EventId::new("spring-tour")?;
//! queue.ensure_room(&event, RoomConfig::builder().capacity(500).build()?).await?;
//!
//! // Outside of `HttpServer::new(move || ...)`: clones share what they remember.
//! let door = Guard::new(&queue, EventFrom::path("event_id")).waiting_page("/wait/{event_id}");
//! let app = App::new()
//!     .service(web::resource("/shop/{event_id}").route(web::post().to(buy)).wrap(door.clone()))
//!     .service(web::scope("/queue").configure(ticketon_actix::routes(&queue)))
//!     .wrap(Identify::with(|r: &ServiceRequest| my_user_id(r)))
//!     .default_service(web::to(ticketon_actix::not_found));
//! # drop(app);
//! # queue.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! The seats of `ticketon-domain` are held by handlers, and its routes served, in the same way:
//!
//! ```
//! use actix_web::App;
//! use actix_web::web::{self, Data, Json};
//! use ticketon_actix::{Admitted, EventFrom, Guard, Problem};
//! use ticketon_domain::adapter::memory::MemorySeatStore;
//! use ticketon_domain::http::ShopHttp;
//! use ticketon_domain::seat::{HoldId, Seats};
//! # use ticketon_queue::{MemoryStore, WaitingQueue};
//!
//! struct Shop { seats: Seats }
//!
//! async fn buy(shop: Data<Shop>, a: Admitted, Json(seats): Json<Vec<String>>) -> Result<Json<HoldId>, Problem> {
//!     let hold = shop.seats.hold(&a, &seats).await?.taken()?;
//!     Ok(Json(hold.id))
//! }
//!
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let queue = WaitingQueue::builder(MemoryStore::new()).start().await?;
//! let seats = Seats::builder(MemorySeatStore::new()).queue(&queue).start().await?;
//! let door = Guard::new(&queue, EventFrom::path("event_id"));
//! let app = App::new()
//!     .service(web::resource("/shop/{event_id}").route(web::post().to(buy)).wrap(door))
//!     .configure(ticketon_actix::routes_of(ShopHttp::new(&seats, &queue)))
//!     .app_data(Data::new(Shop { seats }));
//! # drop(app);
//! # queue.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Middleware runs from the last wrapped to the first: the host's authentication, then `Identify`,
//! then guards, which stand where the path parameter is known: at a resource or its scope.
//!
//! Two settings of the server belong to long-lived streams. `h1_allow_half_closed(false)` lets it
//! notice at once that a person has gone. And to end it, call
//! [`WaitingQueue::shutdown`](ticketon_queue::WaitingQueue::shutdown) first, from your own signal
//! handler (`disable_signals`): it asks each connected person to reconnect and ends their stream.
//! Then the server's graceful stop has nothing long-lived left to wait for.

mod admitted;
mod convert;
mod event;
mod guard;
mod guest;
mod identify;
mod principal;
mod problem;
mod routes;

pub use admitted::Admitted;
pub use event::EventFrom;
pub use guard::{Guard, GuardService};
pub use guest::{GuestIdentity, GuestService};
pub use identify::{Identify, IdentifyService};
pub use principal::Principal;
pub use problem::{Problem, not_found};
pub use routes::{admin_routes, routes, routes_of};
pub use ticketon_queue::http::{AdminToken, Guests};
