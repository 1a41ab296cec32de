//! The HTTP contract of events and seats, on the types of [`ticketon_queue::http`].
//!
//! An adapter serves [`ShopHttp`] and [`ShopAdminHttp`] like any other
//! [`Endpoint`](ticketon_queue::http::Endpoint); it decides nothing.

mod admin;
mod code;
mod maps;
mod request;
mod route;
mod shop;
mod snapshot;
mod wire;

pub use admin::ShopAdminHttp;
pub use code::{
    HOLD_ENDED, IDEMPOTENCY_MISMATCH, LEAVES_ORPHAN, MAP_NOT_READY, NO_SEATS, SALE_CLOSED,
    SEATS_TAKEN, UNKNOWN_HOLD, USER_LIMIT,
};
pub use route::{ADMIN_ROUTES, ROUTES};
pub use shop::ShopHttp;
pub use snapshot::{SNAPSHOT_TYPE, encode_snapshot};
