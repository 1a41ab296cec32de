//! People who want what is not theirs: seats that somebody holds, the shop without an admission, orders of others, the
//! operators' calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderValue, Method};
use serde_json::json;
use ticketon_domain::http::{PURCHASE_ADMIN_ROUTES, PURCHASE_ROUTES};
use ticketon_domain::purchase::{OrderId, OrderView};
use ticketon_domain::seat::{HoldKey, Outcome, SeatHold};
use ticketon_queue::http::{ADMISSION_HEADER, Endpoint, Inbound, Params, Principal};
use ticketon_queue::{AdmissionKeys, Clock as _, EventId, Fenced, Lease, SystemClock, UserId};

use super::answer::IDEMPOTENCY_KEY;
use super::diary::add;
use super::process::App;
use super::story::Visitor;
use super::world::World;

/// Numbers idempotency keys.
static KEYS: AtomicU64 = AtomicU64::new(0);

/// Somebody else, who is admitted as well as the visitor is.
fn stranger(visitor: &Visitor) -> Visitor {
    let user = UserId::new(format!("{}-not", visitor.user));
    Visitor {
        user: user.unwrap_or_else(|error| panic!("{error}")),
        ..visitor.clone()
    }
}

/// Somebody who knows the hold's id, and not more, wants to have its seats, or to have them free; and its owner comes with a
/// fence that is not the hold's any more.
pub(super) async fn want_a_hold(
    world: &Arc<World>,
    visitor: &Visitor,
    hold: &SeatHold,
    home: usize,
) {
    let thief = stranger(visitor);
    let stale = HoldKey {
        id: hold.id,
        user: visitor.user.clone(),
        fence: Some(hold.fence.wrapping_sub(1)),
    };
    let tried = world.ask(home, |app| {
        let (thief, id, event) = (thief.clone(), hold.id, visitor.event.clone());
        let stale = stale.clone();
        async move {
            let released = app.seats.release(&thief, id).await;
            let extended = app.seats.extend(&thief, id).await;
            let ordered = app.purchases.initiate(&thief, id).await;
            let pinned = app.seats.pin(&event, &stale).await;
            let was_done = |outcome| matches!(outcome, Ok(Outcome::Done(_)));
            [
                was_done(released),
                was_done(extended),
                ordered.is_ok(),
                was_done(pinned),
            ]
        }
    });
    let counters = &world.diary.counters;
    for served in tried.await.into_iter().flatten() {
        add(if served {
            &counters.strangers_served
        } else {
            &counters.strangers_refused
        });
    }
}

/// What somebody shows at the door, and as whom.
struct Shown {
    token: Option<String>,
    as_whom: UserId,
}

/// An order is to be made of a hold, with every token but the right one, and then with that.
pub(super) async fn come_to_the_door(
    world: &Arc<World>,
    visitor: &Visitor,
    hold: &SeatHold,
    home: usize,
) {
    let claimed = world.ask(home, |app| {
        let Visitor { event, user, fence } = visitor.clone();
        async move { app.queue.claim(&event, &user, fence).await }
    });
    let Some(Ok(Fenced::Done(lease))) = claimed.await else {
        return;
    };
    let body = json!({"eventId": visitor.event, "holdId": hold.id}).to_string();
    let ask = async |shown: &Shown| {
        let (token, caller) = (shown.token.as_deref(), Some(shown.as_whom.clone()));
        let token = token.and_then(|token| HeaderValue::from_str(token).ok());
        let headers = HeaderMap::from_iter(token.map(|token| (ADMISSION_HEADER, token)));
        let asked = world.ask(home, |app| {
            let (headers, caller, body) = (headers.clone(), caller.clone(), body.clone());
            async move {
                let path = "/purchase/initiate";
                call(&app.http, "POST", path, None, headers, caller, body).await
            }
        });
        asked.await.unwrap_or(0)
    };
    let counters = &world.diary.counters;
    for shown in wrong_tokens(&world.house.admission_keys, visitor, &lease) {
        count(
            ask(&shown).await,
            &counters.wrong_tokens_refused,
            &counters.wrong_tokens_taken,
        );
    }
    let right = sign(
        &world.house.admission_keys,
        &visitor.event,
        &visitor.user,
        &lease,
    );
    let opened = Shown {
        token: Some(right),
        as_whom: visitor.user.clone(),
    };
    if matches!(ask(&opened).await, 200 | 201) {
        add(&counters.right_tokens_taken);
    }
}

fn sign(keys: &AdmissionKeys, event: &EventId, user: &UserId, lease: &Lease) -> String {
    keys.sign_lease(event, user, lease, SystemClock.now_ms())
}

fn wrong_tokens(keys: &AdmissionKeys, visitor: &Visitor, lease: &Lease) -> Vec<Shown> {
    let thief = stranger(visitor).user;
    let (event, user) = (&visitor.event, &visitor.user);
    let own = sign(keys, event, user, lease);
    let other_event = EventId::new("another").unwrap_or_else(|error| panic!("{error}"));
    let (mut over, mut older) = (lease.clone(), lease.clone());
    over.claim_by_ms = lease.admitted_at_ms;
    over.expires_at_ms = lease.admitted_at_ms;
    older.fence = lease.fence.wrapping_sub(1);
    let next_year = SystemClock.now_ms() + 365 * 86_400_000;
    let shown = |token: Option<String>| Shown {
        token,
        as_whom: user.clone(),
    };
    vec![
        shown(None),
        shown(Some(tampered(&own))),
        shown(Some(sign(keys, event, &thief, lease))),
        shown(Some(sign(keys, &other_event, user, lease))),
        shown(Some(sign(keys, event, user, &over))),
        shown(Some(sign(keys, event, user, &older))),
        shown(Some(keys.sign_lease(event, user, lease, next_year))),
        shown(Some(sign(&AdmissionKeys::random(), event, user, lease))),
        Shown {
            token: Some(own),
            as_whom: thief,
        },
    ]
}

/// With another letter in its payload.
fn tampered(token: &str) -> String {
    let at = token.find('.').map_or(0, |dot| dot + 5);
    let other = if token[at..].starts_with('A') {
        "B"
    } else {
        "A"
    };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

/// Somebody wants to look at an order that is not theirs, to have it paid, to have its money; so does somebody whom nobody
/// knows, and one who calls as an operator does. The order is to be as it was.
pub(super) async fn want_an_order(
    world: &Arc<World>,
    visitor: &Visitor,
    order: &OrderView,
    home: usize,
) {
    let see = async || {
        let seen = world.ask(home, |app| {
            let (user, order) = (visitor.user.clone(), order.order_id);
            async move { app.purchases.get(&user, &order).await.ok() }
        });
        seen.await.flatten()
    };
    let Some(before) = see().await else {
        return;
    };
    let answers = world.ask(home, |app| {
        let (thief, order) = (stranger(visitor).user, order.order_id);
        async move { refusals(&app, &thief, order).await }
    });
    let counters = &world.diary.counters;
    for status in answers.await.into_iter().flatten() {
        count(status, &counters.doors_closed, &counters.doors_opened);
    }
    if let Some(after) = see().await {
        let changed = after != before;
        add(if changed {
            &counters.doors_opened
        } else {
            &counters.doors_closed
        });
    }
}

/// What all these calls are answered.
async fn refusals(app: &App, thief: &UserId, order: OrderId) -> Vec<u16> {
    let mut answers = Vec::new();
    let refund = json!({"reason": "mine"}).to_string();
    let confirm = json!({"orderId": order, "paymentKey": "sandbox_mine", "amount": 1}).to_string();
    for caller in [Some(thief), None] {
        for (method, path, body) in [
            ("GET", "/purchase/{orderId}", ""),
            ("POST", "/purchase/{orderId}/cancel", ""),
            ("POST", "/purchase/{orderId}/refund", refund.as_str()),
            ("POST", "/purchase/confirm", confirm.as_str()),
        ] {
            let mut headers = HeaderMap::new();
            // A key of its own each: whoever asks again after a crash is not told to wait.
            let key = format!("mine-{}", KEYS.fetch_add(1, Ordering::Relaxed));
            headers.extend(HeaderValue::from_str(&key).map(|key| (IDEMPOTENCY_KEY, key)));
            let (caller, body) = (caller.cloned(), body.to_owned());
            let asked = call(&app.http, method, path, Some(order), headers, caller, body);
            answers.push(asked.await);
        }
    }
    for token in [None, Some("Bearer a-token-that-is-not-the-one")] {
        for route in PURCHASE_ADMIN_ROUTES {
            let mut headers = HeaderMap::new();
            let token = token.map(HeaderValue::from_static);
            headers.extend(token.map(|token| (http::header::AUTHORIZATION, token)));
            let body = refund.clone();
            let asked = call(
                &app.admin,
                route.method,
                route.path,
                Some(order),
                headers,
                Some(thief.clone()),
                body,
            );
            answers.push(asked.await);
        }
    }
    answers
}

/// A call by the HTTP contract, without a socket; its status.
async fn call(
    endpoint: &impl Endpoint,
    method: &str,
    path: &str,
    order: Option<OrderId>,
    headers: HeaderMap,
    caller: Option<UserId>,
    body: String,
) -> u16 {
    let routes = PURCHASE_ROUTES.iter().chain(PURCHASE_ADMIN_ROUTES);
    let mut routes = routes.filter(|route| route.method == method && route.path == path);
    let route = routes.next().unwrap_or_else(|| panic!("{method} {path}"));
    let params = order.map(|order| ("orderId".to_owned(), order.to_string()));
    let request = Inbound {
        method: Method::from_bytes(method.as_bytes()).unwrap_or_default(),
        params: Params::from_iter(params),
        query: Some("attention=true".to_owned()),
        headers,
        caller: caller.map(Principal::new),
        body: body.into(),
    };
    endpoint.call(route.op, request).await.status().as_u16()
}

/// Refused is who is not let in, or does not find what is not theirs; a store that is away says nothing.
fn count(status: u16, refused: &AtomicU64, taken: &AtomicU64) {
    match status {
        401 | 403 | 404 => add(refused),
        0 | 429 | 500.. => {}
        _ => add(taken),
    }
}
