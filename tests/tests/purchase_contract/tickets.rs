//! Tickets in their holders' hands, and at the gate.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use ticketon_domain::purchase::{OrderId, TicketCode, TicketId, TicketKeys, qr_svg};

use super::shop::{NOBODYS, Shop, TICKET_KEYS, answer, fields, ticket};

fn keys() -> TicketKeys {
    TICKET_KEYS.parse().unwrap()
}

pub(crate) async fn tickets_carry_their_codes(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    ann.order(1).await;
    let paid = ann.paid(2).await;
    let answered = ann.get("/tickets").await.is(200);
    assert_eq!(answered.header("cache-control"), Some("no-store"));
    assert_eq!(answered.json()["next"], Value::Null);
    let tickets = ann.tickets().await;
    assert_eq!(tickets.len(), 2);
    for (at, shown) in tickets.iter().enumerate() {
        let expected = [
            "code", "currency", "eventId", "grade", "orderId", "price", "seat", "status",
            "ticketId",
        ];
        assert_eq!(fields(shown), expected.into());
        assert_eq!(&shown["ticketId"], ticket(&paid, at));
        assert_eq!(
            (&shown["status"], &shown["price"]),
            (&json!("valid"), &json!(30_000))
        );
        // A gate that has nothing but the public key reads the same.
        let code = keys()
            .public()
            .verify(shown["code"].as_str().unwrap())
            .unwrap();
        assert_eq!(json!(code.ticket), shown["ticketId"]);
        assert_eq!(json!(code.order), paid["orderId"]);
        assert_eq!(
            (code.event.as_str(), json!(code.seat)),
            ("night", shown["seat"].clone())
        );
    }
    // What is given back is gone; who came in still sees their ticket.
    shop.verify(&tickets[0]["code"], true).await.is(200);
    ann.refund(
        &paid,
        &json!({"reason": "x", "tickets": [ticket(&paid, 1)]}),
    )
    .await
    .is(200);
    let left = ann.tickets().await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["status"], "used");
    assert!(left[0]["usedAt"].is_string());
    assert_eq!(left[0]["code"], tickets[0]["code"]);
}

pub(crate) async fn a_code_is_drawn(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let paid = ann.paid(2).await;
    let shown = &ann.tickets().await[0];
    let path = |at| format!("/tickets/{}/qr.svg", ticket(&paid, at).as_str().unwrap());
    let drawn = ann.get(&path(0)).await.is(200);
    assert_eq!(drawn.header("content-type"), Some("image/svg+xml"));
    assert_eq!(drawn.header("cache-control"), Some("no-store"));
    assert_eq!(Some(drawn.body), qr_svg(shown["code"].as_str().unwrap()));
    ann.refund(
        &paid,
        &json!({"reason": "x", "tickets": [ticket(&paid, 1)]}),
    )
    .await
    .is(200);
    ann.get(&path(1)).await.problem(409, "ticketState");
    ann.get(&path(0)).await.is(200);
}

pub(crate) async fn the_gate_opens_once(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let paid = ann.paid(2).await;
    let tickets = ann.tickets().await;
    let code = &tickets[0]["code"];
    let looked = shop.verify(code, false).await.is(200).json();
    assert_eq!(
        looked,
        json!({
            "status": "valid", "ticketId": ticket(&paid, 0), "orderId": paid["orderId"], "eventId": "night",
            "seat": paid["tickets"][0]["seat"], "grade": "all",
        })
    );
    // Looking opens nothing, without the field neither.
    let body = json!({"code": code});
    assert_eq!(
        shop.operate("/tickets/verify", &body).await.is(200).json(),
        looked
    );
    let at_once = join_all((0..20).map(|_| shop.verify(code, true))).await;
    let (opened, refused): (Vec<_>, Vec<_>) =
        at_once.into_iter().partition(|one| one.status == 200);
    assert_eq!(opened.len(), 1);
    let opened = opened[0].json();
    assert_eq!(opened["status"], "checkedIn");
    assert!(opened["usedAt"].is_string(), "{opened}");
    for one in refused {
        let detail = one.problem(409, "ticketState")["detail"].to_string();
        assert!(
            detail.contains(opened["usedAt"].as_str().unwrap()),
            "{detail}"
        );
    }
    shop.verify(code, false).await.problem(409, "ticketState");
    assert_eq!(
        shop.kinds(&paid)
            .await
            .iter()
            .filter(|kind| *kind == "ticket.used")
            .count(),
        1
    );
    // The other ticket of the order is as good as before.
    shop.verify(&tickets[1]["code"], true).await.is(200);
}

/// A gate that names its event uses up no other event's ticket, and hears the answer that it lost.
pub(crate) async fn a_gate_names_its_event_and_its_scan(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    ann.paid(1).await;
    let code = &ann.tickets().await[0]["code"];
    let body = |event: &str| json!({"code": code, "checkIn": true, "eventId": event});
    let scan = async |key: &str, body: Value| {
        let post = shop.admin(Method::POST, "/tickets/verify");
        answer(post.header("idempotency-key", key).json(&body)).await
    };
    let elsewhere = scan("1", body("another")).await;
    let detail = elsewhere.problem(409, "otherEvent")["detail"].to_string();
    assert!(detail.contains("night"), "{detail}");
    let opened = scan("2", body("night")).await.is(200);
    assert_eq!(opened.json()["status"], "checkedIn");
    assert_eq!(scan("2", body("night")).await.is(200).body, opened.body);
    scan("3", body("night")).await.problem(409, "ticketState");
    let other = scan("2", body("another")).await;
    other.problem(422, "idempotencyMismatch");
    let bad = shop.operate("/tickets/verify", &body("{}")).await;
    bad.refuses("eventId");
}

pub(crate) async fn what_is_no_good_ticket_is_refused(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let paid = ann.paid(2).await;
    let tickets = ann.tickets().await;
    let code = tickets[0]["code"].as_str().unwrap();
    let mut forged = code.to_owned();
    forged.replace_range(20..21, if &code[20..21] == "A" { "B" } else { "A" });
    let foreign = TicketKeys::new("suite", [3; 32]).unwrap();
    let unknown = TicketKeys::random();
    let good = keys().verify(code).unwrap();
    for (bad, why) in [
        (String::new(), "does not begin"),
        ("TKT2.AAAA".to_owned(), "does not begin"),
        ("https://example.test/".to_owned(), "does not begin"),
        (code[..code.len() - 1].to_owned(), "damaged"),
        (forged, ""),
        (foreign.sign(&good), "forged"),
        (unknown.sign(&good), "not known"),
    ] {
        let range = shop.verify(&json!(bad), true).await.refuses("code");
        assert!(range.contains(why), "{bad}: {range}");
    }
    // Well signed, and nobody's: of an order that there is not, or a ticket that the order has not.
    let mut nobodys = good.clone();
    nobodys.order = OrderId::from_bytes([0; 16]);
    let mut other = good.clone();
    other.ticket = NOBODYS.parse::<TicketId>().unwrap();
    for ticket in [nobodys, other] {
        let code = keys().sign(&TicketCode { ..ticket });
        for check_in in [false, true] {
            let refused = shop.verify(&json!(code), check_in).await;
            refused.problem(404, "unknownTicket");
        }
    }
    // Given back, one and then all.
    ann.refund(
        &paid,
        &json!({"reason": "x", "tickets": [ticket(&paid, 0)]}),
    )
    .await
    .is(200);
    for check_in in [false, true] {
        shop.verify(&json!(code), check_in)
            .await
            .problem(409, "ticketState");
    }
    ann.refund(&paid, &json!({"reason": "x"})).await;
    ann.until(&paid, "refunded").await;
    for shown in &tickets {
        for check_in in [false, true] {
            let refused = shop.verify(&shown["code"], check_in).await;
            refused.problem(409, "ticketState");
        }
    }
    assert!(!shop.kinds(&paid).await.contains(&"ticket.used".to_owned()));
}
