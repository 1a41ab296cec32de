//! The HTTP contract of purchases: orders, payments, refunds, tickets.
//!
//! [`PurchaseHttp`] serves buyers, [`PurchaseAdminHttp`] operators and the gate, `TossWebhookHttp` (feature `toss`) the
//! provider. What an order looks like is the service's to say; what is read, who may ask, and what a retry is answered
//! is said here.

mod admin;
mod buyer;
mod once;
mod problem;
mod request;
mod route;
#[cfg(feature = "toss")]
mod toss;
mod wire;

pub use admin::PurchaseAdminHttp;
pub use buyer::PurchaseHttp;
#[cfg(feature = "toss")]
pub use route::TOSS_ROUTES;
pub use route::{PURCHASE_ADMIN_ROUTES, PURCHASE_ROUTES};
#[cfg(feature = "toss")]
pub use toss::TossWebhookHttp;
