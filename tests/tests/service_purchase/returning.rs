//! The page that payments come back to, looked at again later: it says how the order stands now.

use fake_toss::fault::{Call, Fault, Kind};
use fake_toss::{FakeToss, Settings};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use ticketon_tests::eventually;

use super::buyer::Device;
use super::house::{House, app};
use super::shopper::{Shopper, attic};
use super::{SOON, toss};

/// Gives a ticket back by the operator's hand, and waits until the money moved for so many of them.
async fn give_back(buyer: &Shopper, order: &str, ticket: &Value, so_many: usize) {
    let path = format!("/admin/orders/{order}/refund");
    let asked = json!({"reason": "rain", "tickets": [ticket]});
    let (status, told) = buyer.operator(Method::POST, &path, asked).await;
    // A provider gives back one at a time.
    assert!(
        status == StatusCode::OK || status == StatusCode::ACCEPTED,
        "{status} {told}"
    );
    eventually(SOON, async || buyer.movements(order).await == (1, so_many)).await;
}

#[tokio::test]
async fn browser_that_reloads_after_a_refund_hears_of_it() {
    let app = app(None).await;
    let house = House::open(&app, attic(), json!({})).await;
    let buyer = Shopper::arrive(&house.base_url, "en-US", Device::Laptop).await;
    buyer.check_out().await;
    let order = buyer.order_id().await;
    buyer.pay("approve").await;
    buyer.expect("#headline", "Paid. Enjoy the show!").await;
    buyer.expect("#detail", "Your 2 tickets are ready.").await;
    let path = format!("/admin/orders/{order}");
    let (_, bought) = buyer.operator(Method::GET, &path, Value::Null).await;
    let ticket = |at: usize| bought["tickets"][at]["ticketId"].clone();

    give_back(&buyer, &order, &ticket(0), 1).await;
    buyer.browser.client().refresh().await.unwrap();
    buyer.expect("#detail", "Your ticket is ready.").await;
    buyer.expect("#lines .chip", "Refunded").await;
    buyer.expect("#total", "₩143,000").await;
    buyer.picture("purchase-paid-in-part").await;
    buyer.hold_device(Device::Laptop).await;
    give_back(&buyer, &order, &ticket(1), 2).await;
    buyer.browser.client().refresh().await.unwrap();
    buyer.expect("#headline", "The money was given back").await;
    buyer.picture("purchase-given-back").await;
    buyer.expect_quiet_console().await;
}

#[tokio::test]
async fn browser_that_was_told_no_hears_of_a_late_charge() {
    let provider = FakeToss::start(Settings::default()).await.unwrap();
    let app = toss::app(&provider, &provider.url()).await;
    let house = House::open(&app, attic(), json!({})).await;
    let buyer = Shopper::arrive(&house.base_url, "en-US", Device::Laptop).await;
    buyer.check_out().await;
    let order = buyer.order_id().await;
    // Charged, whatever the answer says.
    provider
        .fault(&Fault {
            call: Call::Confirm,
            code: Some("REJECT_CARD_PAYMENT".to_owned()),
            ..Fault::new(Kind::Error)
        })
        .await;
    let payment = provider.pay(&order, 286_000).await;
    let back = format!("/pay/return?orderId={order}&paymentKey={payment}&amount=286000");
    buyer.goto(&back).await;
    buyer.expect("#headline", "The payment was declined").await;
    assert_eq!(provider.ledger(&order).await.charges, 1);

    let path = format!("/admin/orders/{order}/retry");
    eventually(SOON, async || {
        let (_, told) = buyer.operator(Method::POST, &path, Value::Null).await;
        if provider.ledger(&order).await.cancels == 1 {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
    eventually(SOON, async || buyer.movements(&order).await == (0, 1)).await;
    buyer.browser.client().refresh().await.unwrap();
    buyer.expect("#headline", "The money was given back").await;
    assert_eq!(provider.ledger(&order).await.balance, 0);
    buyer.expect_refusals(" 402 ").await;
}

#[tokio::test]
async fn browser_that_comes_back_without_an_order_asks_for_none() {
    let app = app(None).await;
    let house = House::open(&app, attic(), json!({})).await;
    let buyer = Shopper::new(&house.base_url, "en-US", Device::Phone).await;
    for (code, headline) in [
        ("PAY_PROCESS_CANCELED", "You have not paid yet"),
        ("REJECT_CARD_COMPANY", "The payment was declined"),
    ] {
        buyer
            .goto(&format!("/pay/return?code={code}&message=Whatever"))
            .await;
        buyer.expect("#headline", headline).await;
        buyer.expect("#choices", "See my orders").await;
        assert_eq!(buyer.count("#choices a").await, 1);
        let asked = "return performance.getEntriesByType('resource').filter(({ name }) => name.includes('/purchase/')).length";
        assert_eq!(buyer.script(asked).await, 0);
    }
    buyer.expect_quiet_console().await;
}
