//! The shop as its visitors see it: the program itself, over HTTP.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use ticketon_domain::purchase::TicketKeys;
use ticketon_tests::{Answer, AppProcess, answer, eventually};

const SOON: Duration = Duration::from_secs(20);
/// What signs tickets: 32 bytes of 2.
const TICKET_KEYS: &str = "suite:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const WAITING: &str = "/events/demo/tickets/waiting";

/// Somebody with a browser, which keeps cookies.
struct Visitor<'a> {
    app: &'a AppProcess,
    http: Client,
}

impl<'a> Visitor<'a> {
    fn new(app: &'a AppProcess) -> Self {
        let http = Client::builder()
            .cookie_store(true)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(SOON);
        let http = http.build().unwrap();
        Self { app, http }
    }

    fn asks(&self, path: &str) -> RequestBuilder {
        let get = self.http.get(self.app.url(path));
        get.header("accept", "text/html")
    }

    async fn get(&self, path: &str) -> Answer {
        answer(self.asks(path)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let post = self.http.post(self.app.url(path)).json(body);
        answer(post.header("idempotency-key", "once")).await
    }

    /// Joins, or asks how the place is: 200 for whoever is admitted, 202 in line.
    async fn poll(&self) -> Answer {
        let get = self.http.get(self.app.url(WAITING));
        answer(get.header("accept", "application/json")).await
    }

    /// Goes in with the admission that a poll told of.
    async fn enters(&self, admitted: &Answer) -> Answer {
        let token = admitted.json()["admissionToken"]
            .as_str()
            .unwrap()
            .to_owned();
        let seats = self.asks("/seats/demo");
        answer(seats.header("ticketon-admission", token)).await
    }

    /// Holds the two best seats, and goes to the checkout; answers where that sends its buyer.
    async fn checks_out(&self) -> reqwest::Url {
        let wanted = json!({"bestAvailable": {"count": 2}});
        let hold = self.post("/events/demo/holds", &wanted).await.is(201);
        let hold = hold.json()["id"].as_str().unwrap().to_owned();
        let checkout = self.get(&format!("/checkout/demo/{hold}")).await.is(303);
        let to = checkout.header("location").unwrap();
        reqwest::Url::parse(&self.app.url(to)).unwrap()
    }

    /// Pays with this outcome, as the page of the sandbox does; answers what the shop shows whoever comes back.
    async fn pays(&self, page: &reqwest::Url, outcome: &str) -> Answer {
        let told = |name: &str| {
            let pairs = page.query_pairs();
            let value = pairs.into_iter().find(|(other, _)| other == name);
            value.unwrap().1.into_owned()
        };
        let (order, amount) = (told("orderId"), told("amount"));
        let payment = json!({
            "orderId": order, "amount": amount.parse::<u64>().unwrap(),
            "currency": told("currency"), "outcome": outcome,
        });
        let opened = self.post("/sandbox/payments", &payment).await;
        let opened = opened.is(201).json();
        let key = opened["paymentKey"].as_str().unwrap();
        let back = told("returnUrl");
        self.get(&format!(
            "{back}?paymentKey={key}&orderId={order}&amount={amount}"
        ))
        .await
    }
}

async fn shop() -> AppProcess {
    AppProcess::builder(env!("CARGO_BIN_EXE_axum-shop"))
        .env("TICKETON_TICKET_KEYS", TICKET_KEYS)
        .start()
        .await
}

#[tokio::test]
async fn from_the_line_to_the_ticket() {
    let app = shop().await;
    let [ann, bob, eve] = [(); 3].map(|()| Visitor::new(&app));

    // Whoever has no admission is sent to the waiting page.
    let home = ann.get("/").await.is(303);
    assert_eq!(home.header("location"), Some("/seats/demo"));
    let sent = ann.get("/seats/demo").await.is(303);
    assert!(sent.header("location").unwrap().starts_with("/wait/demo"));
    ann.get("/wait/demo").await.is(200);

    // Two are in; the third waits.
    let admitted = ann.poll().await.is(200);
    bob.poll().await.is(200);
    assert_eq!(eve.poll().await.is(202).json()["position"], 1);
    ann.enters(&admitted).await.is(200);

    let page = ann.checks_out().await;
    let sandbox = page.as_str().strip_prefix(&app.base_url()).unwrap();
    ann.get(sandbox).await.is(200);
    let paid = ann.pays(&page, "approve").await.is(200);
    assert!(paid.body.contains("<h1>paid</h1>"), "{}", paid.body);
    assert_eq!(paid.body.matches("<img").count(), 2, "{}", paid.body);

    let tickets = ann.get("/tickets").await.is(200).json();
    let tickets = tickets["tickets"].as_array().unwrap();
    assert_eq!(tickets.len(), 2);
    let keys: TicketKeys = TICKET_KEYS.parse().unwrap();
    for ticket in tickets {
        let code = keys.verify(ticket["code"].as_str().unwrap()).unwrap();
        assert_eq!(code.seat.as_str(), ticket["seat"].as_str().unwrap());
        let code = format!("/tickets/{}/qr.svg", ticket["ticketId"].as_str().unwrap());
        assert!(ann.get(&code).await.is(200).body.contains("<svg"));
        // They are hers alone.
        bob.get(&code).await.is(404);
    }

    // Her payment ended her admission: it is the third one's turn, and the seats are gone.
    let admitted = eventually(SOON, async || {
        let seen = eve.poll().await;
        (seen.status == 200).then_some(seen)
    });
    eve.enters(&admitted.await).await.is(200);
    let map = eve.http.get(app.url("/events/demo/seats"));
    assert_eq!(answer(map).await.is(200).json()["counts"]["sold"], 2);

    // The relay told of it.
    eventually(SOON, async || {
        app.output().contains("order.paid ").then_some(())
    })
    .await;
}

#[tokio::test]
async fn whoever_is_declined_or_gives_up_has_their_seats_still() {
    let app = shop().await;
    let ann = Visitor::new(&app);
    let admitted = ann.poll().await.is(200);
    ann.enters(&admitted).await.is(200);
    let page = ann.checks_out().await;

    let order = page.query().unwrap().split('&').next().unwrap();
    let back = ann.get(&format!("/paid?{order}&code=userCanceled")).await;
    assert!(back.is(200).body.contains("<h1>pending</h1>"));

    let declined = ann.pays(&page, "decline").await.is(402).json();
    assert_eq!(declined["code"], "paymentDeclined");
    let again = ann.checks_out().await;
    assert_ne!(again.query(), page.query());
    let paid = ann.pays(&again, "approve").await.is(200);
    assert!(paid.body.contains("<h1>paid</h1>"), "{}", paid.body);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_until_it_is_known() {
    let app = shop().await;
    let ann = Visitor::new(&app);
    let admitted = ann.poll().await.is(200);
    ann.enters(&admitted).await.is(200);
    let page = ann.checks_out().await;
    let seen = ann.pays(&page, "delay").await.is(200);
    assert!(seen.body.contains("refresh"), "{}", seen.body);
    let order = page.query().unwrap().split('&').next().unwrap();
    eventually(SOON, async || {
        let seen = ann.get(&format!("/paid?{order}")).await.is(200).body;
        seen.contains("<h1>paid</h1>").then_some(()).ok_or(seen)
    })
    .await;
}
