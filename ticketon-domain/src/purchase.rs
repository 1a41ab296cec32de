//! Purchases: orders that are paid exactly once, or given back, whatever crashes.
//!
//! [`Purchases`] is the handle; [`OrderRecord`] is the pure state machine; [`PurchaseStore`] and [`PaymentProvider`] are the ports that
//! backends implement. Nothing here knows of SQL, of HTTP or of one provider.

pub mod columns;
pub mod command;
pub mod correlation;
pub mod event;
pub mod id;
pub mod message;
pub mod order;
pub mod provider;
pub mod record;
mod service;
pub mod state;
pub mod store;
pub mod ticket_code;
pub mod work;

pub use columns::{OrderColumns, TicketColumns};
pub use command::{Command, Refused};
pub use event::{Line, OrderEvent};
pub use id::{OrderId, PaymentKey, RefundId, TicketId};
pub use message::SeatMessage;
pub use order::{Claim, Failure, Order, Refund, Ticket};
pub use provider::{
    CancelPayment, Cancellation, CheckoutInfo, ConfirmPayment, Payment, PaymentProvider,
    PaymentStatus, ProviderError,
};
pub use record::{Change, OrderRecord};
pub use service::{
    AdminOrder, AdminOrders, AttentionView, Confirm, EntryView, OrderView, OrderViews, PaymentView,
    PurchaseError, Purchases, PurchasesBuilder, RefundView, SeatView, TicketView, VerifiedTicket,
};
pub use state::{OrderState, RefundCause, RefundState, TRANSITIONS, TicketState};
pub use store::{
    Begun, Changed, Created, MAX_DUE, MAX_FORGOTTEN, MAX_MESSAGES, MAX_ORDERS, OrderPage,
    PendingMessage, PurchaseStore, RequestEnd, RequestKey,
};
pub use ticket_code::{TicketCode, TicketCodeError, TicketKeys, TicketPublicKeys, qr_svg};
pub use work::{Attention, Lease, Work};
