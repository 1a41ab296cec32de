//! Orders that need somebody, as the operator meets them.

use std::time::Duration;

use serde_json::json;
use ticketon_tests::{AppProcess, eventually, workspace_bin};

use super::buyer::Device;
use super::house::House;
use super::shopper::{Shopper, attic};
use super::{ADMIN_TOKEN, SOON};

/// Writes into whatever has the focus.
async fn type_in(person: &Shopper, words: &str) {
    let focused = person.browser.client().active_element().await.unwrap();
    focused.send_keys(words).await.unwrap();
}

/// An order that its provider does not decide: what the operator sees, and does.
#[tokio::test]
async fn browser_purchase_that_needs_an_operator() {
    let toss = AppProcess::builder(workspace_bin("fake-toss").await)
        .args(["--secret-key", "test_sk_of_a_test"])
        .ready_path("/fake/clock")
        .start()
        .await;
    let app = AppProcess::builder(workspace_bin("reference-app").await)
        .args(["--no-demo", "--payments", "toss"])
        .args(["--toss-secret-key", "test_sk_of_a_test"])
        .args(["--toss-url", &toss.base_url()])
        .args(["--toss-pay-url", &toss.url("/pay")])
        .env("TICKETON_ADMIN_TOKEN", ADMIN_TOKEN)
        .ready_within(Duration::from_secs(60))
        .start()
        .await;
    let house = House::open(&app, attic(), json!({})).await;
    let buyer = Shopper::new(&house.base_url, "en-US", Device::Laptop).await;
    // The start page knows what is in the catalog.
    buyer.goto("/").await;
    buyer.expect(".card", "The Long Night").await;
    buyer.click(".card-link").await;
    buyer.expect("#title", "The Long Night").await;
    buyer.come_in().await;
    let faults = reqwest::Client::new();
    let fault = json!({"call": "any", "fault": "error", "money": "never", "code": "UNAUTHORIZED_KEY", "times": 1000, "forget": true});
    let told = faults
        .post(toss.url("/fake/faults"))
        .json(&fault)
        .send()
        .await;
    assert!(told.unwrap().status().is_success());

    buyer.check_out().await;
    buyer
        .expect("#fine", "the window of our payment provider")
        .await;
    let order = buyer.order_id().await;
    buyer.click("#pay").await;
    buyer.click("[value=approve]").await;
    buyer
        .expect("#headline", "We are still checking your payment")
        .await;

    // The operator, in a tab of their own.
    let shop = buyer
        .open_tab(&format!("/operator/orders#key={ADMIN_TOKEN}"))
        .await;
    buyer.browser.viewport(1280, 800).await;
    buyer
        .expect(".case-row", "The provider does not accept our key")
        .await;
    buyer.click(".case-row").await;
    buyer.expect(".case-what", "UNAUTHORIZED_KEY").await;
    buyer.expect(".desk-case", &order).await;
    buyer.expect(".trail-list", "Payment began").await;
    buyer.click(".trail-entry summary").await;
    buyer.expect(".trail-event", "286000").await;
    buyer.picture("purchase-operator").await;
    buyer.browser.viewport(1280, 800).await;

    // What the browser would wait for at the most, from here on.
    let bounds = "const own = AbortSignal.timeout.bind(AbortSignal);
        globalThis.bounds = [];
        AbortSignal.timeout = (ms) => { bounds.push(ms); return own(ms); }";
    buyer.script(bounds).await;
    let patient = async || {
        buyer
            .script("return bounds.filter((ms) => ms >= 70_000).length")
            .await
    };

    // Once the provider answers again, one press ends it.
    let mended = faults.delete(toss.url("/fake/faults")).send().await;
    assert!(mended.unwrap().status().is_success());
    buyer.click("[data-focus=retry]").await;
    buyer.expect(".case-head .chip", "Paid").await;
    assert_eq!(patient().await, 1, "a provider may take a minute");
    buyer.expect("#calm", "Nothing needs attention.").await;
    buyer.expect(".trail-list", "Paid").await;

    // The provider does not give it back: that is said, and the tickets stay good.
    let refused = json!({"call": "cancel", "fault": "error", "money": "never", "code": "EXCEED_CANCEL_LIMIT", "forget": true});
    let told = faults.post(toss.url("/fake/faults")).json(&refused).send();
    assert!(told.await.unwrap().status().is_success());
    buyer.click("[data-focus=refund]").await;
    buyer.click(".refund-go").await;
    let words = "The payment provider refused. The tickets are good again.";
    buyer.expect(".outcome", words).await;
    let row = "The provider refused a refund";
    buyer.expect(".case-row", row).await;
    buyer.click("[data-focus=retry]").await;
    let words = "Looked again: nothing is left to do.";
    buyer.expect(".outcome", words).await;
    buyer.expect("#calm", "Nothing needs attention.").await;

    // Somebody gives a part back in the provider's own pages, and the provider says so.
    let payment = buyer.payment(&order).await;
    let cancel = faults
        .post(toss.url(&format!("/v1/payments/{payment}/cancel")))
        .basic_auth("test_sk_of_a_test", Some(""))
        .json(&json!({"cancelReason": "by hand", "cancelAmount": 10_000}));
    assert!(cancel.send().await.unwrap().status().is_success());
    let hint = json!({"eventType": "PAYMENT_STATUS_CHANGED", "data": {"paymentKey": payment, "status": "PARTIAL_CANCELED"}});
    let hinted = faults
        .post(app.url("/payments/toss/webhook"))
        .json(&hint)
        .send();
    assert!(hinted.await.unwrap().status().is_success());
    let row = "Money was given back outside of this service";
    buyer.expect(".case-row", row).await;
    buyer.click("[data-focus=retry]").await;
    let words = "Looked again: it stands as before.";
    buyer.expect(".outcome", words).await;
    buyer.picture("purchase-operator-settle").await;
    buyer.browser.viewport(1280, 800).await;
    buyer.click("[data-focus=settle]").await;
    buyer.expect(".outcome", "Settled.").await;
    buyer.expect("#calm", "Nothing needs attention.").await;

    // And money goes back by the operator's hand, for a reason that takes longer to write than the page to look again.
    buyer.click("[data-focus=refund]").await;
    buyer
        .expect("#refund", "The buyer gets back ₩286,000")
        .await;
    buyer.click(".refund-reason:last-of-type input").await;
    let (first, second) = (
        "The roof leaks above row three, ",
        "and nobody is to sit in the rain.",
    );
    type_in(&buyer, first).await;
    buyer
        .script("globalThis.typing = document.activeElement")
        .await;
    let looked = "return performance.getEntriesByType('resource').filter(({ name }) => name.includes('/admin/orders?')).length";
    let looked = async || buyer.script(looked).await.as_u64().unwrap();
    let before = looked().await;
    eventually(SOON, async || looked().await >= before + 2).await;
    type_in(&buyer, second).await;
    let typed = buyer
        .script("return [typing === document.activeElement, typing.value]")
        .await;
    assert_eq!(typed, json!([true, format!("{first}{second}")]));
    buyer.picture("purchase-operator-refund").await;
    buyer.browser.viewport(1280, 800).await;
    buyer.click(".refund-go").await;
    buyer.expect(".case-head .chip", "Refunded").await;
    assert_eq!(patient().await, 6, "a provider may take a minute");
    buyer.expect(".desk-case", second).await;
    buyer.expect(".trail-list", "Money given back").await;
    assert_eq!(buyer.movements(&order).await, (1, 1));
    buyer.browser.client().refresh().await.unwrap();
    buyer.expect(".case-head .chip", "Refunded").await;

    buyer.turn_to(shop).await;
    buyer.browser.client().refresh().await.unwrap();
    buyer.expect("#headline", "The money was given back").await;
}
