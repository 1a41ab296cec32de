//! Buying as people meet it: browsers on the real server, from the seat map to the ticket and back. Whatever a page
//! writes to the console as an error, other than a refusal that it explains, fails the test.
//!
//! With `TICKETON_SCREENSHOTS` set to a folder, pictures of the pages stay there.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

#[path = "service_seats/buyer.rs"]
#[allow(dead_code, reason = "shared with the suite of the seat map")]
mod buyer;
#[path = "service_seats/house.rs"]
#[allow(dead_code, reason = "shared with the suite of the seat map")]
mod house;
#[path = "service_browser/network.rs"]
mod network;
#[path = "service_purchase/operator.rs"]
mod operator;
#[path = "service_browser/person.rs"]
#[allow(dead_code, reason = "shared with the suite of the waiting room")]
mod person;
#[path = "service_purchase/production.rs"]
mod production;
#[path = "service_purchase/replica.rs"]
mod replica;
#[path = "service_purchase/returning.rs"]
mod returning;
#[path = "service_purchase/shopper.rs"]
mod shopper;
#[path = "service_purchase/toss.rs"]
mod toss;

use std::time::Duration;

use buyer::Device;
use fantoccini::key::Key;
use house::{EVENT, House, app};
use network::{Link, Network};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shopper::{Shopper, attic};
use ticketon_domain::purchase::qr_svg;
use ticketon_tests::eventually;

/// For what happens at once, on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// For what the waiting room's own suite waits for.
const FIRST_MINUTE: Duration = Duration::from_secs(75);
/// A telephone and a laptop.
const SIZES: [(u32, u32); 2] = [(390, 844), (1280, 800)];
const ADMIN_TOKEN: &str = "a-key-for-the-operator-of-a-test";

/// Has a gate look at a code.
async fn gate(buyer: &Shopper, code: &str, check_in: bool) -> (StatusCode, Value) {
    let asked = json!({"code": code, "checkIn": check_in});
    buyer.operator(Method::POST, "/tickets/verify", asked).await
}

#[tokio::test]
async fn browser_purchase_from_the_map_to_the_ticket_and_back() {
    let app = app(None).await;
    let house = House::open(&app, attic(), json!({})).await;
    let buyer = Shopper::arrive(&house.base_url, "en-US", Device::Laptop).await;
    buyer.check_out().await;
    assert!(
        buyer
            .path()
            .await
            .starts_with(&format!("/checkout/{EVENT}/"))
    );
    buyer.expect("#title", "The Long Night").await;
    buyer
        .expect("#lines", "Floor, row 3, seat 1 R ₩143,000")
        .await;
    buyer.expect("#total", "₩286,000").await;
    buyer.expect("#fine", "no real money").await;
    buyer.picture("purchase-checkout").await;
    buyer.hold_device(Device::Laptop).await;

    // A reload finds the same order, and its clock goes on.
    let (order, before) = (buyer.order_id().await, buyer.clock("#left").await);
    buyer.browser.client().refresh().await.unwrap();
    buyer.expect("#pay", "Pay ₩286,000").await;
    assert_eq!(buyer.order_id().await, order);
    assert!(buyer.clock("#left").await <= before);

    buyer.click("#pay").await;
    buyer.expect("#amount", "₩286,000").await;
    buyer.expect(".sp-band", "No real money moves here").await;
    buyer.picture("purchase-sandbox").await;
    buyer.hold_device(Device::Laptop).await;
    buyer.click("[data-outcome=approve]").await;
    buyer.expect("#headline", "Paid. Enjoy the show!").await;
    assert_eq!(buyer.focus().await, "headline");
    buyer.picture("purchase-paid").await;
    buyer.hold_device(Device::Laptop).await;
    // Reloading the page that paid pays nothing again.
    buyer.browser.client().refresh().await.unwrap();
    buyer.expect("#headline", "Paid. Enjoy the show!").await;
    assert_eq!(buyer.movements(&order).await, (1, 0));
    eventually(SOON, async || house.counts().await["sold"] == 2).await;

    // The tickets, whose pictures are those of codes that a gate knows.
    buyer.click("#choices a").await;
    eventually(SOON, async || buyer.codes_are_drawn().await).await;
    assert_eq!(buyer.count(".ticket").await, 2);
    buyer.expect(".tickets", "Section Floor Row 3 Seat 2").await;
    buyer.picture("purchase-tickets").await;
    buyer.hold_device(Device::Laptop).await;
    let tickets = buyer.asks_json("/tickets").await["tickets"].take();
    let mut codes = Vec::new();
    for ticket in tickets.as_array().unwrap() {
        let code = ticket["code"].as_str().unwrap();
        let id = ticket["ticketId"].as_str().unwrap();
        let picture = buyer.asks(&format!("/tickets/{id}/qr.svg")).await;
        assert_eq!(picture, qr_svg(code).unwrap());
        let (status, seen) = gate(&buyer, code, false).await;
        assert_eq!((status, &seen["status"]), (StatusCode::OK, &json!("valid")));
        codes.push((code.to_owned(), ticket["seat"].as_str().unwrap().to_owned()));
    }
    codes.sort_by(|a, b| a.1.cmp(&b.1));

    // One goes in; the other is given back, and only that one can be.
    let (status, seen) = gate(&buyer, &codes[0].0, true).await;
    assert_eq!(
        (status, &seen["seat"]),
        (StatusCode::OK, &json!("A-3-1")),
        "{seen}"
    );
    buyer.goto("/my/orders").await;
    buyer.expect(".order", "Paid").await;
    buyer.click(".order-actions button").await;
    buyer.expect("#refund", "Floor, row 3, seat 2").await;
    assert_eq!(buyer.count(".refund-ticket").await, 1);
    buyer.expect(".refund-sum", "₩143,000").await;
    buyer.picture("purchase-refund").await;
    buyer.hold_device(Device::Laptop).await;
    // Without a ticket there is nothing to give back.
    buyer.click(".refund-ticket input").await;
    buyer.expect(".refund-go:disabled", "Choose a ticket").await;
    buyer.click(".refund-ticket input").await;
    buyer.click(".refund-go").await;
    buyer.expect("#note", "₩143,000 was given back.").await;
    buyer.expect(".order .chip", "Partly refunded").await;
    buyer.picture("purchase-orders").await;
    buyer.hold_device(Device::Laptop).await;
    assert_eq!(buyer.movements(&order).await, (1, 1));
    let (status, seen) = gate(&buyer, &codes[1].0, true).await;
    assert_eq!(
        (status, &seen["code"]),
        (StatusCode::CONFLICT, &json!("ticketState"))
    );
    eventually(SOON, async || house.counts().await["sold"] == 1).await;

    buyer.goto("/my/tickets").await;
    buyer.expect(".ticket[data-status=used]", "Used on").await;
    assert_eq!(buyer.count(".ticket").await, 1);
    buyer.expect_quiet_console().await;
}

#[tokio::test]
async fn browser_purchase_declined_and_then_paid() {
    let app = app(None).await;
    let house = House::open(&app, attic(), json!({})).await;
    let buyer = Shopper::arrive(&house.base_url, "en-US", Device::Laptop).await;
    buyer.check_out().await;
    let first = buyer.order_id().await;
    buyer.pay("decline").await;
    buyer.expect("#headline", "The payment was declined").await;
    buyer.expect("#detail", "Nothing was charged").await;
    buyer.expect("#said", "The bank of the card said no.").await;
    buyer.picture("purchase-declined").await;
    buyer.hold_device(Device::Laptop).await;
    // A reload says the same again.
    buyer.browser.client().refresh().await.unwrap();
    buyer.expect("#headline", "The payment was declined").await;

    // The same seats, a new order.
    buyer.click("#choices .tk-main").await;
    buyer.expect("#pay", "Pay ₩286,000").await;
    buyer.expect("#note", "The last payment was declined").await;
    buyer.expect("#lines", "Floor, row 3, seat 2").await;
    let second = eventually(SOON, async || {
        let order = buyer.order_id().await;
        if order == first {
            Err(order)
        } else {
            Ok(order)
        }
    })
    .await;
    buyer.pay("approve").await;
    buyer.expect("#headline", "Paid. Enjoy the show!").await;
    assert_eq!(buyer.movements(&first).await, (0, 0));
    assert_eq!(buyer.movements(&second).await, (1, 0));
    buyer.goto("/my/orders").await;
    buyer.expect(".order[data-status=failed]", "Not paid").await;
    buyer.expect(".order[data-status=paid]", "Paid").await;
    buyer.expect_refusals(" 402 ").await;
}

#[tokio::test]
async fn browser_purchase_whose_answer_comes_late_or_never() {
    let app = app(None).await;
    let house = House::open(&app, attic(), json!({})).await;
    let buyer = Shopper::arrive(&house.base_url, "en-US", Device::Laptop).await;
    buyer.check_out().await;
    let late = buyer.order_id().await;
    buyer.pay("delay").await;
    buyer.expect("#headline", "your payment").await;
    // Reloaded in the middle, and looked at from another page.
    buyer.browser.client().refresh().await.unwrap();
    buyer
        .expect("#headline", "We are still checking your payment")
        .await;
    buyer.expect("#detail", "You won't be charged twice.").await;
    buyer.picture("purchase-checking").await;
    buyer.hold_device(Device::Laptop).await;
    buyer.expect("#headline", "Paid. Enjoy the show!").await;
    assert_eq!(buyer.movements(&late).await, (1, 0));

    buyer.goto(&format!("/wait/{EVENT}")).await;
    buyer.click("[data-choice=enter]").await;
    buyer.map_lives().await;
    buyer.click_seat("A-4-1").await;
    buyer.click("#take").await;
    buyer.click("#next").await;
    buyer.expect("#pay", "Pay ₩143,000").await;
    let lost = buyer.order_id().await;
    buyer.pay("loseAnswer").await;
    buyer.expect("#headline", "Paid. Enjoy the show!").await;
    assert_eq!(buyer.movements(&lost).await, (1, 0));
    assert_eq!(
        buyer.asks_json("/tickets").await["tickets"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    buyer.expect_quiet_console().await;
}

#[tokio::test]
async fn browser_purchase_with_second_thoughts() {
    let app = app(None).await;
    let house = House::open(&app, attic(), json!({})).await;
    let buyer = Shopper::arrive(&house.base_url, "en-US", Device::Laptop).await;
    buyer.check_out().await;
    let order = buyer.order_id().await;

    // Back by the sandbox's link, and by the browser's own button; a double click pays once.
    buyer.click("#pay").await;
    buyer.expect("#back", "Back without paying").await;
    buyer.click("#back").await;
    buyer.expect("#note", "You have not paid yet.").await;
    assert_eq!(buyer.order_id().await, order);
    buyer.click("#pay").await;
    buyer.expect("#back", "Back without paying").await;
    buyer.browser.client().back().await.unwrap();
    buyer.expect("#note", "You have not paid yet.").await;
    buyer.expect("#pay:enabled", "Pay ₩286,000").await;
    buyer
        .script("for (const _ of [1, 2]) document.getElementById('pay').click()")
        .await;
    buyer.expect("#approve:enabled", "Pay ₩286,000").await;
    buyer
        .script("for (const _ of [1, 2]) document.getElementById('approve').click()")
        .await;
    buyer.expect("#headline", "Paid. Enjoy the show!").await;
    assert_eq!(buyer.movements(&order).await, (1, 0));
    // The way to pay that was used leads to what came of it.
    buyer
        .goto(&format!(
            "/checkout/{EVENT}/{}?order={order}",
            "0".repeat(32)
        ))
        .await;
    buyer.expect("#headline", "Paid. Enjoy the show!").await;

    // Another one is given up: its seats are free again.
    buyer.goto(&format!("/wait/{EVENT}")).await;
    buyer.click("[data-choice=enter]").await;
    buyer.map_lives().await;
    buyer.click_seat("A-4-1").await;
    buyer.click("#take").await;
    buyer.click("#next").await;
    buyer.expect("#pay", "Pay ₩143,000").await;
    buyer.click("#give-up").await;
    buyer.click("#give-up-dialog [value=keep]").await;
    buyer.gone("#give-up-dialog").await;
    assert_eq!(house.counts().await["held"], 1);
    buyer.click("#give-up").await;
    buyer.click("#give-up-dialog [value=give-up]").await;
    buyer.map_lives().await;
    eventually(SOON, async || house.counts().await["held"] == 0).await;
    buyer.goto("/my/orders").await;
    buyer
        .expect(".order[data-status=canceled]", "Cancelled")
        .await;
    buyer.expect_quiet_console().await;
}

#[tokio::test]
async fn browser_purchase_that_comes_too_late() {
    let app = app(None).await;
    let short = json!({"holdSeconds": 4, "maxHoldSeconds": 8, "paymentDeadlineSeconds": 4, "paymentMarginSeconds": 0});
    let house = House::open(&app, attic(), short).await;
    let buyer = Shopper::arrive(&house.base_url, "en-US", Device::Laptop).await;
    buyer.check_out().await;
    assert_eq!(
        buyer
            .script("return document.getElementById('ready').dataset.hurry")
            .await,
        "true"
    );
    buyer.expect("#ended", "The time to pay has run out").await;
    assert_eq!(buyer.focus().await, "ended-title");
    buyer.picture("purchase-late").await;
    eventually(SOON, async || house.counts().await["held"] == 0).await;

    // Who pays at the last moment and is too late by then is charged nothing.
    let order = buyer.order_id().await;
    buyer
        .goto(&format!(
            "/sandbox/pay?orderId={order}&amount=286000&currency=KRW&returnUrl=/pay/return"
        ))
        .await;
    buyer.click("[data-outcome=approve]:enabled").await;
    buyer
        .expect("#headline", "The time to pay has run out")
        .await;
    assert_eq!(buyer.movements(&order).await, (0, 0));
    buyer.click("#choices .tk-main").await;
    buyer.map_lives().await;
    buyer.expect_refusals(" 410 ").await;
}

#[tokio::test]
async fn browser_purchase_without_a_network() {
    let app = app(None).await;
    let house = House::open(&app, attic(), json!({})).await;
    let network = Network::before(&app).await;
    let buyer = Shopper::arrive(&network.base_url, "en-US", Device::Laptop).await;
    buyer.check_out().await;
    let order = buyer.order_id().await;
    buyer.click("#pay").await;
    buyer.expect("#approve:enabled", "Pay ₩286,000").await;
    network.turn(false, &buyer.browser).await;
    buyer.click("#approve").await;
    buyer.expect("#trouble", "Nothing was charged").await;
    network.turn(true, &buyer.browser).await;
    buyer.click("#approve").await;
    buyer.expect("#headline", "Paid. Enjoy the show!").await;
    assert_eq!(buyer.movements(&order).await, (1, 0));

    // Once they were seen, the tickets are there without a network, and their codes.
    buyer.click("#choices a").await;
    eventually(SOON, async || buyer.codes_are_drawn().await).await;
    let kept = "globalThis.kept ??= null;
        caches.open('ticketon-tickets').then((cache) => cache.keys()).then((keys) => { globalThis.kept = keys.map(({ url }) => url).join(' '); });
        return navigator.serviceWorker.controller !== null && (globalThis.kept?.match(/qr\\.svg/g) ?? []).length === 2 && globalThis.kept.includes('/my/tickets')";
    eventually(SOON, async || buyer.script(kept).await == true).await;
    network.turn(false, &buyer.browser).await;
    buyer.goto("/my/tickets").await;
    buyer.expect("#note", "You are offline.").await;
    buyer.expect(".tickets", "Section Floor Row 3 Seat 1").await;
    eventually(SOON, async || buyer.codes_are_drawn().await).await;
    buyer.picture("purchase-offline").await;
    network.turn(true, &buyer.browser).await;
    buyer.gone("#note").await;
    assert_eq!(house.counts().await["sold"], 2);

    // A proxy that answers for a service that does not is no answer.
    network.become_link(Link::Failing);
    buyer.goto("/my/tickets").await;
    buyer
        .expect("#note", "The service cannot be reached right now.")
        .await;
    buyer.expect(".tickets", "Section Floor Row 3 Seat 1").await;
    eventually(SOON, async || buyer.codes_are_drawn().await).await;
    network.become_link(Link::Up);
    buyer.goto("/my/tickets").await;
    buyer.expect(".tickets", "Section Floor Row 3 Seat 1").await;
    buyer.gone("#note").await;

    // Neither is that this browser is nobody any more.
    buyer.browser.client().delete_all_cookies().await.unwrap();
    for _ in 0..2 {
        buyer.goto("/my/tickets").await;
        buyer
            .expect("#note", "This browser is not signed in any more.")
            .await;
        buyer.expect(".tickets", "Section Floor Row 3 Seat 1").await;
        eventually(SOON, async || buyer.codes_are_drawn().await).await;
    }
    buyer.picture("purchase-signed-out").await;
}

/// Two seats cost ₩286,000, whichever they are.
fn one_price() -> Value {
    let prices = ["vip", "r"].map(|grade| json!({"grade": grade, "amount": 143_000}));
    json!({ "prices": prices })
}

#[tokio::test]
async fn browser_purchase_on_a_phone_in_korean() {
    let app = app(None).await;
    let house = House::open(&app, attic(), one_price()).await;
    let buyer = Shopper::arrive(&house.base_url, "ko-KR", Device::Phone).await;
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    buyer
        .browser
        .devtools("Emulation.setEmulatedMedia", dark)
        .await;
    buyer.click("#take-best").await;
    buyer.click("#next").await;
    buyer.expect("#pay", "₩286,000 결제하기").await;
    buyer.expect("#title", "긴 밤").await;
    buyer.expect("#safe", "새로고침해도 괜찮아요").await;
    assert_eq!(buyer.too_small().await, json!([]));
    buyer.picture("purchase-ko-checkout").await;
    buyer.hold_device(Device::Phone).await;
    buyer.click("#pay").await;
    buyer.expect(".sp-band", "실제 돈은 오가지 않고").await;
    buyer.click("[data-outcome=approve]:enabled").await;
    buyer.expect("#headline", "즐거운 관람 되세요!").await;
    assert_eq!(buyer.too_small().await, json!([]));
    buyer.picture("purchase-ko-paid").await;
    buyer.hold_device(Device::Phone).await;
    buyer.click("#choices a").await;
    eventually(SOON, async || buyer.codes_are_drawn().await).await;
    assert_eq!(buyer.too_small().await, json!([]));
    buyer.picture("purchase-ko-tickets").await;
    buyer.hold_device(Device::Phone).await;

    // One ticket over the whole screen, white even in the dark; then the next.
    buyer.click(".ticket-stub").await;
    buyer.expect("#show-count", "2장 중 1번째").await;
    let white = "const show = document.getElementById('show'); const { width, height } = show.getBoundingClientRect();
        return [width === innerWidth, height === innerHeight, getComputedStyle(show).backgroundColor]";
    assert_eq!(
        buyer.script(white).await,
        json!([true, true, "rgb(255, 255, 255)"])
    );
    assert_eq!(buyer.too_small().await, json!([]));
    buyer.click("#show-next").await;
    buyer.expect("#show-count", "2장 중 2번째").await;
    buyer.picture("purchase-ko-large").await;
    buyer.hold_device(Device::Phone).await;
    buyer.click("#show-close").await;
    buyer.gone("#show").await;

    // All of it back, for a reason of their own.
    buyer.goto("/my/orders").await;
    buyer.click(".order-actions button").await;
    buyer.expect(".refund-go", "₩286,000 환불하기").await;
    buyer.click(".refund-reason:last-of-type input").await;
    buyer.expect(".refund-go:disabled", "환불하기").await;
    let reason = buyer.browser.client();
    let reason = reason.find(fantoccini::Locator::Css(".refund-other"));
    reason
        .await
        .unwrap()
        .send_keys("표를 두 번 샀어요")
        .await
        .unwrap();
    assert_eq!(buyer.too_small().await, json!([]));
    buyer.picture("purchase-ko-refund").await;
    buyer.hold_device(Device::Phone).await;
    buyer.click(".refund-go").await;
    buyer.expect("#note", "₩286,000을 돌려 드렸어요.").await;
    buyer.expect(".order .chip", "환불 완료").await;
    buyer.click(".order summary").await;
    buyer.expect(".order-details", "표를 두 번 샀어요").await;
    assert_eq!(buyer.too_small().await, json!([]));
    buyer.goto("/my/tickets").await;
    buyer.expect("#empty", "아직 티켓이 없어요.").await;
    buyer.expect_quiet_console().await;
}

/// No provider is visited for what costs nothing.
#[tokio::test]
async fn browser_purchase_of_what_costs_nothing() {
    let app = app(None).await;
    let prices = ["vip", "r"].map(|grade| json!({"grade": grade, "amount": 0}));
    let house = House::open(&app, attic(), json!({ "prices": prices })).await;
    let buyer = Shopper::arrive(&house.base_url, "en-US", Device::Laptop).await;
    buyer.click("#take-best").await;
    buyer.click("#next").await;
    buyer.expect("#pay:enabled", "Take the tickets").await;
    buyer.picture("purchase-free-checkout").await;
    buyer.click("#pay").await;
    buyer.expect("#headline", "Paid. Enjoy the show!").await;
    buyer.click("#choices a").await;
    eventually(SOON, async || buyer.codes_are_drawn().await).await;
}

#[tokio::test]
async fn browser_purchase_by_keyboard() {
    let app = app(None).await;
    let house = House::open(&app, attic(), one_price()).await;
    let buyer = Shopper::arrive(&house.base_url, "en-US", Device::Laptop).await;
    let [enter, space] = [Key::Enter, Key::Space].map(char::from);
    let tab_on_to = async |css: &str| {
        let there = format!("return document.activeElement.matches({css:?} + ':focus-visible')");
        eventually(SOON, async || {
            buyer.press(Key::Tab).await;
            buyer.script(&there).await == true
        })
        .await;
    };
    tab_on_to("#take-best").await;
    buyer.keys(&[enter]).await;
    buyer.expect("#hold", "Held for you").await;
    tab_on_to("#next").await;
    buyer.keys(&[enter]).await;
    buyer.expect("#pay:enabled", "Pay ₩286,000").await;
    tab_on_to("#pay").await;
    buyer.keys(&[enter]).await;
    buyer.expect("#approve:enabled", "Pay ₩286,000").await;
    tab_on_to("#approve").await;
    buyer.keys(&[space]).await;
    buyer.expect("#headline", "Paid. Enjoy the show!").await;
    assert_eq!(buyer.focus().await, "headline");
    let headings = "return [...document.querySelectorAll('h1, h2, h3, h4')].filter((own) => own.checkVisibility())
        .map((own) => Number(own.localName[1])).every((level, at, all) => level <= (all[at - 1] ?? 0) + 1)";
    assert_eq!(buyer.script(headings).await, true);
    tab_on_to("#choices a").await;
    buyer.keys(&[enter]).await;
    eventually(SOON, async || buyer.codes_are_drawn().await).await;
    assert_eq!(buyer.script(headings).await, true);

    // A ticket, large; back to where one was.
    tab_on_to("button.ticket-stub").await;
    buyer.keys(&[enter]).await;
    buyer.expect("#show-count", "1 of 2").await;
    assert_eq!(buyer.focus().await, "show-seat");
    buyer.press(Key::Right).await;
    buyer.expect("#show-count", "2 of 2").await;
    buyer.press(Key::Escape).await;
    buyer.gone("#show").await;
    let at_ticket = "return document.activeElement.matches('button.ticket-stub')";
    assert_eq!(buyer.script(at_ticket).await, true);

    buyer.goto("/my/orders").await;
    buyer.expect(".order", "Refund").await;
    assert_eq!(buyer.script(headings).await, true);
    tab_on_to(".order-actions button").await;
    buyer.keys(&[enter]).await;
    buyer.expect("#refund", "You get back ₩286,000").await;
    tab_on_to(".refund-ticket input").await;
    buyer.keys(&[space]).await;
    buyer.expect(".refund-sum", "₩143,000").await;
    tab_on_to(".refund-go").await;
    buyer.keys(&[enter]).await;
    buyer.expect("#note", "₩143,000 was given back.").await;
    let heard = buyer.heard().await;
    assert!(
        heard
            .iter()
            .any(|words| words.contains("₩143,000 was given back.")),
        "{heard:?}"
    );
    buyer.expect_quiet_console().await;
}
