//! Paying at Toss Payments, in the window that its script opens. A stand-in plays both.

use std::time::Duration;

use fake_toss::{FakeToss, Settings};
use fantoccini::Locator;
use reqwest::header::CONTENT_SECURITY_POLICY;
use serde_json::json;
use ticketon_tests::{AppProcess, workspace_bin};

use super::buyer::Device;
use super::house::{EVENT, House};
use super::network::{Link, Network};
use super::shopper::{Shopper, attic};
use super::{ADMIN_TOKEN, SOON};

/// The app before a provider, whose script comes from this base URL.
pub(crate) async fn app(toss: &FakeToss, script_base: &str) -> AppProcess {
    AppProcess::builder(workspace_bin("reference-app").await)
        .args(["--no-demo", "--payments", "toss"])
        .args([
            "--toss-secret-key",
            "test_sk_fake",
            "--toss-client-key",
            "test_ck_fake",
        ])
        .args(["--toss-url", &toss.url()])
        .args(["--toss-sdk-url", &format!("{script_base}/v2/standard")])
        .env("TICKETON_ADMIN_TOKEN", ADMIN_TOKEN)
        .ready_within(Duration::from_secs(60))
        .start()
        .await
}

/// Presses a button of the page that lies over the checkout.
async fn press_in_window(buyer: &Shopper, decision: &str) {
    let client = buyer.browser.client();
    client
        .wait()
        .at_most(SOON)
        .for_element(Locator::Css("#toss-window iframe"))
        .await
        .unwrap();
    let page = client.window().await.unwrap();
    client.enter_frame(0).await.unwrap();
    buyer.click(&format!("[value={decision}]")).await;
    client.switch_to_window(page).await.unwrap();
}

/// What a page may load.
async fn policy(url: &str) -> String {
    let answer = reqwest::get(url).await.unwrap();
    answer.headers()[CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn browser_pays_in_the_window_of_the_provider() {
    let toss = FakeToss::start(Settings::default()).await.unwrap();
    let app = app(&toss, &toss.url()).await;
    let house = House::open(&app, attic(), json!({})).await;
    let buyer = Shopper::arrive(&house.base_url, "en-US", Device::Laptop).await;
    buyer.check_out().await;
    buyer
        .expect("#fine", "the window of our payment provider")
        .await;
    let order = buyer.order_id().await;

    // Closed from outside, and from inside: nothing is lost, and the button works again.
    buyer.click("#pay").await;
    buyer.expect("#pay", "Opening the payment").await;
    buyer.click("#toss-close").await;
    buyer.expect("#note", "You have not paid yet.").await;
    buyer.expect("#pay:enabled", "Pay ₩286,000").await;
    assert_eq!(buyer.focus().await, "pay");
    buyer.click("#pay").await;
    press_in_window(&buyer, "close").await;
    buyer.expect("#note", "You have not paid yet.").await;
    assert_eq!(buyer.order_id().await, order);
    assert_eq!(toss.ledger(&order).await.charges, 0);

    buyer.click("#pay:enabled").await;
    press_in_window(&buyer, "approve").await;
    buyer.expect("#headline", "Paid. Enjoy the show!").await;
    assert_eq!(buyer.movements(&order).await, (1, 0));
    assert_eq!(toss.ledger(&order).await.charges, 1);
    // The browser reports what a policy kept from loading.
    buyer.expect_quiet_console().await;

    // The checkout alone may load from there.
    let checkout = policy(&app.url(&format!("/checkout/{EVENT}/{}", "0".repeat(32)))).await;
    let origin = toss.url();
    for directive in ["script-src", "connect-src", "frame-src", "form-action"] {
        let own = checkout.split("; ").find(|own| own.starts_with(directive));
        assert!(own.unwrap().ends_with(&format!(" {origin}")), "{checkout}");
    }
    for path in [
        "/",
        "/pay/return",
        "/my/tickets",
        "/my/orders",
        "/operator/orders",
    ] {
        assert!(!policy(&app.url(path)).await.contains(&origin), "{path}");
    }
}

#[tokio::test]
async fn browser_goes_to_the_providers_page_on_a_phone() {
    let toss = FakeToss::start(Settings::default()).await.unwrap();
    let app = app(&toss, &toss.url()).await;
    // The name of an order has room for 100 characters, and the family is one of them.
    let title = format!("{}👨‍👩‍👧‍👦{}", "가".repeat(86), "나".repeat(100));
    let house = House::open(&app, attic(), json!({"title": {"en": "Long", "ko": title}})).await;
    let buyer = Shopper::arrive(&house.base_url, "ko-KR", Device::Phone).await;
    buyer.click("#take-best").await;
    buyer.click("#next").await;
    buyer.expect("#pay:enabled", "결제하기").await;
    buyer.expect("#title", "가가").await;
    buyer.picture("purchase-ko-long-title").await;
    buyer.hold_device(Device::Phone).await;
    let order = buyer.order_id().await;
    buyer.click("#pay").await;
    let name = format!("{}… · 티켓 2장", "가".repeat(86));
    assert_eq!(buyer.expect("h1", "티켓 2장").await, name);

    // The provider says that it was closed, and not which order that was.
    buyer.click("[value=close]").await;
    buyer.expect("#note", "아직 결제하지 않았어요.").await;
    assert_eq!(buyer.order_id().await, order);
    buyer.click("#pay:enabled").await;
    buyer.click("[value=decline]").await;
    buyer.expect("#headline", "결제가 거절됐어요").await;
    buyer.click("#choices .tk-main").await;
    buyer.click("#pay:enabled").await;
    buyer.click("[value=approve]").await;
    buyer.expect("#headline", "즐거운 관람 되세요!").await;
    assert_eq!(toss.ledger(&order).await.charges, 1);
    buyer.expect_quiet_console().await;
}

#[tokio::test]
async fn browser_that_cannot_load_the_providers_script_says_so_and_tries_again() {
    let toss = FakeToss::start(Settings::default()).await.unwrap();
    let port = toss.url().rsplit(':').next().unwrap().parse().unwrap();
    let network = Network::before_port(port).await;
    let app = app(&toss, &network.base_url).await;
    let house = House::open(&app, attic(), json!({})).await;
    for link in [Link::Down, Link::Failing] {
        network.become_link(link);
        let buyer = Shopper::arrive(&house.base_url, "en-US", Device::Laptop).await;
        buyer.click("#take-best").await;
        buyer.click("#next").await;
        buyer.expect("#pay:enabled", "Pay").await;
        for _ in 0..2 {
            buyer.click("#pay:enabled").await;
            buyer
                .expect("#note", "The payment window did not open")
                .await;
        }
        buyer.picture("purchase-no-window").await;
        buyer.hold_device(Device::Laptop).await;
        let order = buyer.order_id().await;
        network.become_link(Link::Up);
        buyer.click("#pay:enabled").await;
        press_in_window(&buyer, "approve").await;
        buyer.expect("#headline", "Paid. Enjoy the show!").await;
        assert_eq!(toss.ledger(&order).await.charges, 1);
        buyer.expect_refusals("/v2/standard").await;
    }
}

#[tokio::test]
async fn browser_whose_window_refuses_says_why() {
    let toss = FakeToss::start(Settings::default()).await.unwrap();
    let app = app(&toss, &toss.url()).await;
    let house = House::open(&app, attic(), json!({})).await;
    let buyer = Shopper::arrive(&house.base_url, "en-US", Device::Laptop).await;
    let refusing = "const refuse = async () => { throw Object.assign(new Error('Not for this shop.'), { code: 'FORBIDDEN_REQUEST' }); };
        globalThis.TossPayments = Object.assign(() => ({ payment: () => ({ requestPayment: refuse }) }), { ANONYMOUS: 'nobody' })";
    buyer
        .browser
        .devtools(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": refusing }),
        )
        .await;
    buyer.check_out().await;
    buyer.click("#pay").await;
    buyer
        .expect("#note", "The payment provider says: “Not for this shop.”")
        .await;
    buyer.expect("#pay:enabled", "Pay ₩286,000").await;
    buyer.expect_quiet_console().await;
}
