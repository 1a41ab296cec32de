//! The route tables of purchases.

use ticketon_queue::http::{Access, Op, Route};

/// The most bytes of a body with ids, a key and a short text.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// Make an order of a hold.
pub(super) const INITIATE: Op = Op::new("initiatePurchase");
/// Charge an authorized payment.
pub(super) const CONFIRM: Op = Op::new("confirmPurchase");
/// The own orders.
pub(super) const HISTORY: Op = Op::new("purchaseHistory");
/// One order.
pub(super) const GET_ORDER: Op = Op::new("getOrder");
/// Give an order up before paying.
pub(super) const CANCEL: Op = Op::new("cancelOrder");
/// Give money back.
pub(super) const REFUND: Op = Op::new("refundOrder");
/// The own tickets.
pub(super) const TICKETS: Op = Op::new("ownTickets");
/// A ticket's QR code.
pub(super) const TICKET_QR: Op = Op::new("ticketQr");
/// Look at a ticket at the gate.
pub(super) const VERIFY: Op = Op::new("verifyTicket");
/// Orders that an operator should look at.
pub(super) const LIST_ORDERS: Op = Op::new("listOrders");
/// One order, as an operator sees it.
pub(super) const ADMIN_ORDER: Op = Op::new("getAdminOrder");
/// What happened to an order.
pub(super) const AUDIT: Op = Op::new("getOrderAudit");
/// Look at an order now.
pub(super) const RETRY: Op = Op::new("retryOrder");
/// Give money back for the buyer.
pub(super) const ADMIN_REFUND: Op = Op::new("refundOrderFor");
/// The provider says that something happened.
#[cfg(feature = "toss")]
pub(super) const TOSS_WEBHOOK: Op = Op::new("tossWebhook");

/// The routes for people who buy.
pub const PURCHASE_ROUTES: &[Route] = &[
    Route {
        op: INITIATE,
        method: "POST",
        path: "/purchase/initiate",
        access: Access::Admitted,
        body_limit: MAX_BODY_BYTES,
        request: Some("Initiate"),
        response: Some("Order"),
        summary: "Make an order of a hold; the same hold again: the same order",
    },
    Route {
        op: CONFIRM,
        method: "POST",
        path: "/purchase/confirm",
        access: Access::Identified,
        body_limit: MAX_BODY_BYTES,
        request: Some("Confirm"),
        response: Some("Order"),
        summary: "Charge an authorized payment; needs Idempotency-Key; 202: not decided yet, look again",
    },
    Route {
        op: HISTORY,
        method: "GET",
        path: "/purchase/history",
        access: Access::Identified,
        body_limit: 0,
        request: None,
        response: Some("Orders"),
        summary: "The own orders, the newest first: ?before= and ?limit= (1 to 100) page through them",
    },
    Route {
        op: GET_ORDER,
        method: "GET",
        path: "/purchase/{orderId}",
        access: Access::Identified,
        body_limit: 0,
        request: None,
        response: Some("Order"),
        summary: "One of the own orders",
    },
    Route {
        op: CANCEL,
        method: "POST",
        path: "/purchase/{orderId}/cancel",
        access: Access::Identified,
        body_limit: 1024,
        request: None,
        response: Some("Order"),
        summary: "Give an order up that is not paid, and its seats",
    },
    Route {
        op: REFUND,
        method: "POST",
        path: "/purchase/{orderId}/refund",
        access: Access::Identified,
        body_limit: MAX_BODY_BYTES,
        request: Some("Refund"),
        response: Some("Order"),
        summary: "Give tickets back, all or some; needs Idempotency-Key; 202: the money is on its way",
    },
    Route {
        op: TICKETS,
        method: "GET",
        path: "/tickets",
        access: Access::Identified,
        body_limit: 0,
        request: None,
        response: Some("Tickets"),
        summary: "The own tickets with their codes: ?before= and ?limit= (1 to 100 orders) page through them",
    },
    Route {
        op: TICKET_QR,
        method: "GET",
        path: "/tickets/{ticketId}/qr.svg",
        access: Access::Identified,
        body_limit: 0,
        request: None,
        response: None,
        summary: "The QR code of an own ticket, as SVG",
    },
];

/// The routes for operators, and for the gate.
pub const PURCHASE_ADMIN_ROUTES: &[Route] = &[
    Route {
        op: VERIFY,
        method: "POST",
        path: "/tickets/verify",
        access: Access::Admin,
        body_limit: MAX_BODY_BYTES,
        request: Some("VerifyTicket"),
        response: Some("VerifiedTicket"),
        summary: "Whether a ticket's code is good; with checkIn, its holder comes in, once",
    },
    Route {
        op: LIST_ORDERS,
        method: "GET",
        path: "/admin/orders",
        access: Access::Admin,
        body_limit: 0,
        request: None,
        response: Some("AdminOrders"),
        summary: "Orders to look at: ?attention=true; ?before= and ?limit= (1 to 100) page through them",
    },
    Route {
        op: ADMIN_ORDER,
        method: "GET",
        path: "/admin/orders/{orderId}",
        access: Access::Admin,
        body_limit: 0,
        request: None,
        response: Some("AdminOrder"),
        summary: "One order, with what is left to do and its audit",
    },
    Route {
        op: AUDIT,
        method: "GET",
        path: "/admin/orders/{orderId}/audit",
        access: Access::Admin,
        body_limit: 0,
        request: None,
        response: Some("Audit"),
        summary: "What happened to an order, entry by entry",
    },
    Route {
        op: RETRY,
        method: "POST",
        path: "/admin/orders/{orderId}/retry",
        access: Access::Admin,
        body_limit: 1024,
        request: Some("Retry"),
        response: Some("AdminOrder"),
        summary: "Look at an order now; settled: an operator has settled what its mark tells",
    },
    Route {
        op: ADMIN_REFUND,
        method: "POST",
        path: "/admin/orders/{orderId}/refund",
        access: Access::Admin,
        body_limit: MAX_BODY_BYTES,
        request: Some("Refund"),
        response: Some("AdminOrder"),
        summary: "Give tickets back for the buyer, all or some; 202: the money is on its way",
    },
];

/// The route that Toss Payments calls.
#[cfg(feature = "toss")]
pub const TOSS_ROUTES: &[Route] = &[Route {
    op: TOSS_WEBHOOK,
    method: "POST",
    path: "/payments/toss/webhook",
    access: Access::Public,
    body_limit: crate::adapter::toss::webhook::MAX_WEBHOOK_BYTES,
    request: None,
    response: None,
    summary: "Toss says that a payment changed: a hint to ask, and nothing to believe",
}];
