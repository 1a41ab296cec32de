//! Every route, of the seats and of the waiting room, keeps the access rule that it declares, and a call that is denied
//! does nothing (A2).

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use ticketon_domain::http as seats;
use ticketon_queue::http::{self as queue, Access, Op, Route};

use super::shop::{ADMIN, ADMISSION, Buyer, KEY, Shop, answer, event_json, new_key};

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// Without any credentials. The program makes a guest of them.
    Visitor,
    /// With credentials that the program does not know.
    Stranger,
    /// Identified, but not admitted.
    Guest,
    /// Identified, and admitted to another event.
    Elsewhere,
    /// Identified, with the admission of somebody else.
    Thief,
    /// Identified and admitted.
    Owner,
    /// With the admin token.
    Operator,
}

const ALL: [Caller; 7] = [
    Caller::Visitor,
    Caller::Stranger,
    Caller::Guest,
    Caller::Elsewhere,
    Caller::Thief,
    Caller::Owner,
    Caller::Operator,
];

/// How a caller is denied; `None` if they are let in.
fn denied(access: Access, caller: Caller) -> Option<(u16, &'static str)> {
    use Caller::{Elsewhere, Guest, Operator, Owner, Stranger, Thief, Visitor};
    match (access, caller) {
        (Access::Public, _)
        | (Access::Identified, Visitor | Guest | Elsewhere | Thief | Owner)
        | (Access::Admitted, Owner)
        | (Access::Admin, Operator) => None,
        (Access::Identified | Access::Admitted, Stranger | Operator) | (Access::Admin, Visitor) => {
            Some((401, "unauthenticated"))
        }
        (Access::Admitted, Visitor | Guest | Elsewhere | Thief) => Some((403, "admissionRequired")),
        (Access::Admin, Stranger | Guest | Elsewhere | Thief | Owner) => Some((403, "forbidden")),
        (access, _) => panic!("{access:?} has no rule here"),
    }
}

/// What is walked: an event with a hold, and people around it.
struct World<'a> {
    shop: &'a Shop,
    owner: Buyer<'a>,
    elsewhere: Buyer<'a>,
    hold: String,
}

impl<'a> World<'a> {
    async fn new(shop: &'a Shop) -> Self {
        shop.event("walk", json!({})).await;
        let owner = shop.buyer("walk").await;
        let hold = owner.holds(&["A-1-1"]).await;
        Self {
            shop,
            hold: hold["id"].as_str().unwrap().to_owned(),
            elsewhere: shop.buyer("demo").await,
            owner,
        }
    }

    /// A call that would do what the route is for.
    fn call(&self, route: &Route, caller: Caller) -> RequestBuilder {
        let path = route.path.replace("{eventId}", "walk");
        let path = path.replace("{holdId}", &self.hold);
        let path = path.replace("{verb}", "pause");
        assert!(
            !path.contains('{'),
            "{path} has a parameter that is not filled in"
        );
        let method = Method::from_bytes(route.method.as_bytes()).unwrap();
        let call = self.shop.call(method, &path).header(KEY, new_key());
        let call = match caller {
            Caller::Visitor => call,
            Caller::Stranger => call.bearer_auth("of-somebody-else-entirely"),
            Caller::Guest => call.bearer_auth(&self.elsewhere.guest.token),
            Caller::Elsewhere => call
                .bearer_auth(&self.elsewhere.guest.token)
                .header(ADMISSION, &self.elsewhere.admission),
            Caller::Thief => call
                .bearer_auth(&self.elsewhere.guest.token)
                .header(ADMISSION, &self.owner.admission),
            Caller::Owner => call
                .bearer_auth(&self.owner.guest.token)
                .header(ADMISSION, &self.owner.admission),
            Caller::Operator => call.bearer_auth(ADMIN),
        };
        match route.request {
            None => call,
            Some("HoldSeats") => call.json(&json!({"seats": ["A-2-1"]})),
            Some("SeatLabels") => call.json(&json!({"seats": ["B-1-1"]})),
            Some("PutEvent") => call.json(&event_json(json!({"venue": "Elsewhere"}))),
            Some("Config") => call.json(&json!({"capacity": 7})),
            Some(other) => panic!("{other}: no such body is known here"),
        }
    }

    /// All that a call could have changed.
    async fn state(&self) -> Value {
        let get = self.shop.admin(Method::GET, "/admin/rooms/walk");
        json!({
            "event": self.shop.numbers("walk").await,
            "holds": self.owner.own().await,
            "others": self.elsewhere.own().await,
            "room": answer(get).await.is(200).json(),
        })
    }
}

/// Whether this answer to somebody who may call says that there is nothing: a room without a draw, a hold of somebody
/// else, a place that the caller does not have.
fn may_be_missing(route: &Route, caller: Caller) -> bool {
    route.op == Op::DRAW
        || (route.path.contains("{holdId}") && caller != Caller::Owner)
        || (route.op == Op::STATUS && caller != Caller::Owner)
}

pub(crate) async fn every_route_keeps_its_rule(program: &str) {
    let shop = Shop::start(program).await;
    let world = World::new(&shop).await;
    let tables = [
        seats::ROUTES,
        seats::ADMIN_ROUTES,
        queue::ROUTES,
        queue::ADMIN_ROUTES,
    ];
    let mut routes: Vec<&Route> = tables.into_iter().flatten().collect();
    // Whoever leaves is not let in any more.
    routes.sort_by_key(|route| route.op == Op::LEAVE);
    assert!(routes.len() >= 24, "{}", routes.len());
    let before = world.state().await;
    for route in &routes {
        for caller in ALL {
            let Some((status, code)) = denied(route.access, caller) else {
                continue;
            };
            let what = format!("{} {} by {caller:?}", route.method, route.path);
            let refused = answer(world.call(route, caller)).await;
            assert_eq!(refused.status, status, "{what}: {}", refused.body);
            refused.problem(status, code);
            assert_eq!(world.state().await, before, "{what} did something");
        }
    }
    // The others are let in: those whose calls were denied were denied for what they are.
    for route in &routes {
        for caller in ALL {
            if denied(route.access, caller).is_some() {
                continue;
            }
            // An open stream has no end to wait for: its status is enough.
            let let_in = world.call(route, caller).send().await.unwrap();
            let status = let_in.status().as_u16();
            let what = format!("{} {} by {caller:?}: {status}", route.method, route.path);
            let missing = status == 404 && may_be_missing(route, caller);
            assert!(missing || (200..300).contains(&status), "{what}");
        }
    }
    let after = world.state().await;
    assert_eq!(after["event"]["venue"], "Elsewhere");
    assert_eq!(after["room"]["state"], "paused");
}
