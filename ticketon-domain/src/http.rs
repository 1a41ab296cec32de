//! The HTTP contract of events and seats, on the types of [`ticketon_queue::http`].
//!
//! An adapter serves [`ShopHttp`] and [`ShopAdminHttp`] like any other
//! [`Endpoint`](ticketon_queue::http::Endpoint); it decides nothing.

mod admin;
mod code;
mod maps;
mod purchase;
mod request;
mod route;
mod shop;
mod snapshot;
mod wire;

pub use admin::ShopAdminHttp;
pub use code::{
    AMOUNT_MISMATCH, FAULT, HOLD_ENDED, IDEMPOTENCY_MISMATCH, LEAVES_ORPHAN, MAP_NOT_READY,
    NO_SEATS, NOT_PAYABLE, NOTHING_TO_REFUND, ORDER_EXPIRED, ORDER_STATE, OTHER_EVENT,
    PAYMENT_DECLINED, PAYMENT_TAKEN, PROVIDER_UNAVAILABLE, SALE_CLOSED, SALES_CHANGED, SEATS_TAKEN,
    STILL_RUNNING, TICKET_STATE, UNKNOWN_HOLD, UNKNOWN_ORDER, UNKNOWN_TICKET, USER_LIMIT,
};
pub use purchase::{PURCHASE_ADMIN_ROUTES, PURCHASE_ROUTES, PurchaseAdminHttp, PurchaseHttp};
#[cfg(feature = "toss")]
pub use purchase::{TOSS_ROUTES, TossWebhookHttp};
pub use route::{ADMIN_ROUTES, ROUTES};
pub use shop::ShopHttp;
pub use snapshot::{SNAPSHOT_TYPE, encode_snapshot};
