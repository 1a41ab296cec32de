//! Every route of purchases keeps the access rule that it declares, and a call that is denied does nothing (A2).

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use ticketon_domain::http::{PURCHASE_ADMIN_ROUTES, PURCHASE_ROUTES, TOSS_ROUTES};
use ticketon_queue::http::{Access, Route};

use super::shop::{
    ADMIN, ADMISSION, Buyer, KEY, SOON, Shop, answer, confirm_body, eventually, id, new_key, ticket,
};

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
    /// Identified and admitted, and whose orders these are.
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

/// What is walked: orders in every state that a call needs, and people around them.
struct World<'a> {
    shop: &'a Shop,
    owner: Buyer<'a>,
    elsewhere: Buyer<'a>,
    hold: Value,
    to_confirm: Value,
    payment: Value,
    to_cancel: Value,
    to_refund: Value,
    to_enter: Value,
    to_give_back: Value,
    failed: Value,
    code: Value,
}

impl<'a> World<'a> {
    async fn new(shop: &'a Shop) -> Self {
        shop.event("walk", &json!({})).await;
        let owner = shop.buyer("walk").await;
        let failed = owner.order(1).await;
        let declined = owner.payment(&failed, "decline").await;
        owner
            .confirm(&failed, &declined)
            .await
            .problem(402, "paymentDeclined");
        let to_enter = owner.paid(1).await;
        let code = owner.tickets().await[0]["code"].clone();
        let to_confirm = owner.order(1).await;
        Self {
            shop,
            hold: owner.hold(&json!(1)).await,
            payment: owner.payment(&to_confirm, "approve").await,
            to_confirm,
            to_cancel: owner.order(1).await,
            to_refund: owner.paid(1).await,
            to_enter,
            to_give_back: owner.paid(1).await,
            failed,
            code,
            elsewhere: shop.buyer("demo").await,
            owner,
        }
    }

    /// The order that a call of this route would do something to.
    fn order(&self, route: &Route) -> &Value {
        match route.op.as_str() {
            "cancelOrder" => &self.to_cancel,
            "refundOrder" => &self.to_refund,
            "refundOrderFor" => &self.to_give_back,
            "retryOrder" => &self.failed,
            _ => &self.to_enter,
        }
    }

    /// A call that would do what the route is for.
    fn call(&self, route: &Route, caller: Caller) -> RequestBuilder {
        let path = route.path.replace("{orderId}", id(self.order(route)));
        let path = path.replace("{ticketId}", ticket(&self.to_enter, 0).as_str().unwrap());
        assert!(
            !path.contains('{'),
            "{path} has a parameter that is not filled in"
        );
        let list = if route.op.as_str() == "listOrders" {
            "?attention=true"
        } else {
            ""
        };
        let method = Method::from_bytes(route.method.as_bytes()).unwrap();
        let call = self
            .shop
            .call(method, &format!("{path}{list}"))
            .header(KEY, new_key());
        let call = match caller {
            Caller::Visitor => call,
            Caller::Stranger => call.bearer_auth("of-somebody-else-entirely"),
            Caller::Guest => call.bearer_auth(&self.elsewhere.token),
            Caller::Elsewhere => call
                .bearer_auth(&self.elsewhere.token)
                .header(ADMISSION, &self.elsewhere.admission),
            Caller::Thief => call
                .bearer_auth(&self.elsewhere.token)
                .header(ADMISSION, &self.owner.admission),
            Caller::Owner => call
                .bearer_auth(&self.owner.token)
                .header(ADMISSION, &self.owner.admission),
            Caller::Operator => call.bearer_auth(ADMIN),
        };
        match route.request {
            None if route.op.as_str() == "tossWebhook" => call.json(&json!({
                "eventType": "PAYMENT_STATUS_CHANGED",
                "data": {"paymentKey": self.to_enter["payment"]["paymentKey"], "status": "DONE"},
            })),
            None => call,
            Some("Initiate") => call.json(&json!({"eventId": "walk", "holdId": self.hold["id"]})),
            Some("Confirm") => call.json(&confirm_body(&self.to_confirm, &self.payment)),
            Some("Retry") => call.json(&json!({})),
            Some("Refund") => call.json(&json!({"reason": "a walk"})),
            Some("VerifyTicket") => call.json(&json!({"code": self.code, "checkIn": true})),
            Some(other) => panic!("{other}: no such body is known here"),
        }
    }

    /// All that a call could have changed. When the service itself looks at an order next is its own business.
    async fn state(&self) -> Value {
        let mut orders = Vec::new();
        for order in self.owner.history().await {
            let mut order = self.shop.order(&order).await;
            order.as_object_mut().unwrap().remove("nextAttemptAt");
            orders.push(order);
        }
        let room = self.shop.operator("/admin/rooms/walk").await;
        json!({
            "orders": orders,
            "others": self.elsewhere.history().await,
            "seats": self.shop.counts("walk").await,
            "completed": room["completedTotal"],
        })
    }
}

pub(crate) async fn every_route_keeps_its_rule(program: &str) {
    let shop = Shop::start(program).await;
    let world = World::new(&shop).await;
    let routes: Vec<&Route> = [PURCHASE_ROUTES, PURCHASE_ADMIN_ROUTES, TOSS_ROUTES]
        .into_iter()
        .flatten()
        .collect();
    assert!(routes.len() >= 15, "{}", routes.len());
    // What the first payments led to has happened.
    eventually(SOON, || async {
        let is_told = world.state().await["seats"]["sold"] == 3;
        let room = shop.operator("/admin/rooms/walk").await;
        (is_told && room["active"] == 0).then_some(())
    })
    .await;
    // Whoever has paid has completed their admission, and comes in again.
    let mut world = world;
    world.owner.admission = world.owner.comes_in().await;
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
    // The others are let in: those whose calls were denied were denied for what they are. Whoever has no such order
    // hears that, and changes nothing.
    for route in &routes {
        for caller in ALL.into_iter().filter(|caller| *caller != Caller::Owner) {
            if denied(route.access, caller).is_some() || route.access == Access::Admin {
                continue;
            }
            let told = answer(world.call(route, caller)).await;
            let what = format!(
                "{} {} by {caller:?}: {}",
                route.method, route.path, told.body
            );
            assert!([200, 404].contains(&told.status), "{what}");
            assert_eq!(world.state().await, before, "{what}");
        }
    }
    for route in &routes {
        let caller = match route.access {
            Access::Admin => Caller::Operator,
            _ => Caller::Owner,
        };
        let told = answer(world.call(route, caller)).await;
        let what = format!(
            "{} {} by {caller:?}: {}",
            route.method, route.path, told.body
        );
        assert!((200..300).contains(&told.status), "{what}");
    }
    let after = world.state().await;
    let status = |order: &Value| {
        let orders = after["orders"].as_array().unwrap().iter();
        let order = orders
            .clone()
            .find(|other| other["orderId"] == order["orderId"]);
        order.unwrap()["status"].as_str().unwrap().to_owned()
    };
    let walked = [
        &world.to_confirm,
        &world.to_cancel,
        &world.to_refund,
        &world.to_give_back,
    ];
    assert_eq!(
        walked.map(status),
        ["paid", "canceled", "refunded", "refunded"]
    );
}
