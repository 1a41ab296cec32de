//! The waiting room of Ticketon for [axum](https://docs.rs/axum): routes, a guard, extractors.
//!
//! The decisions are [`ticketon_queue`]'s; this crate registers its routes natively and converts.
//! Authentication, CORS, compression, TLS and tracing stay the host's layers.
//!
//! ```
//! use axum::http::request::Parts;
//! use axum::routing::post;
//! use axum::{Extension, Router};
//! use ticketon_axum::{Admitted, EventFrom, Guard, Identify, Problem};
//! use ticketon_queue::{EventId, MemoryStore, RoomConfig, UserId, WaitingQueue};
//!
//! /// Whom the host's own layer has authenticated.
//! #[derive(Clone)]
//! struct MyUser { id: UserId }
//!
//! async fn buy(admitted: Admitted) -> Result<String, Problem> {
//!     Ok(format!("{} may buy tickets for {}", admitted.user, admitted.event))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let queue = WaitingQueue::builder(MemoryStore::new()).start().await?;
//! let event = EventId::new("spring-tour")?;
//! queue.ensure_room(&event, RoomConfig::builder().capacity(500).build()?).await?;
//!
//! let door = Guard::new(&queue, EventFrom::path("event_id")).waiting_page("/wait/{event_id}");
//! # let my_auth = Extension(MyUser { id: UserId::new("ann")? });
//! let app: Router = Router::new()
//!     .route("/shop/{event_id}", post(buy))
//!     .route_layer(door)
//!     .nest("/queue", ticketon_axum::routes(&queue))
//!     .layer(Identify::with(|p: &Parts| p.extensions.get::<MyUser>().map(|u| u.id.clone())))
//!     .layer(my_auth)
//!     .fallback(ticketon_axum::not_found);
//! # drop(app);
//! # queue.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! The seats of `ticketon-domain` are held by handlers, and its routes served, in the same way:
//!
//! ```
//! use axum::extract::State;
//! use axum::routing::post;
//! use axum::{Json, Router};
//! use ticketon_axum::{Admitted, EventFrom, Guard, Problem};
//! use ticketon_domain::adapter::memory::MemorySeatStore;
//! use ticketon_domain::http::ShopHttp;
//! use ticketon_domain::seat::{HoldId, Seats};
//! # use ticketon_queue::{MemoryStore, WaitingQueue};
//!
//! #[derive(Clone)]
//! struct Shop { seats: Seats }
//!
//! async fn buy(State(shop): State<Shop>, a: Admitted, Json(seats): Json<Vec<String>>) -> Result<Json<HoldId>, Problem> {
//!     let hold = shop.seats.hold(&a, &seats).await?.taken()?;
//!     Ok(Json(hold.id))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let queue = WaitingQueue::builder(MemoryStore::new()).start().await?;
//! let seats = Seats::builder(MemorySeatStore::new()).queue(&queue).start().await?;
//! let app: Router = Router::new()
//!     .route("/shop/{event_id}", post(buy))
//!     .route_layer(Guard::new(&queue, EventFrom::path("event_id")))
//!     .merge(ticketon_axum::routes_of(ShopHttp::new(&seats, &queue)))
//!     .with_state(Shop { seats });
//! # drop(app);
//! # queue.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Layers run from the last added to the first: identity before the guard. A guard as `route_layer`
//! stands before the routes added so far, and before no other.
//!
//! To end a server, call [`WaitingQueue::shutdown`](ticketon_queue::WaitingQueue::shutdown) first:
//! it asks each connected person to reconnect and ends their stream. Then axum's graceful shutdown
//! has nothing long-lived left to wait for.

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
pub use convert::response as into_response;
pub use event::EventFrom;
pub use guard::{Guard, GuardService};
pub use guest::{GuestIdentity, GuestService};
pub use identify::{Identify, IdentifyService};
pub use principal::Principal;
pub use problem::{Problem, not_found};
pub use routes::{admin_routes, routes, routes_of};
pub use ticketon_queue::http::{AdminToken, Guests};
