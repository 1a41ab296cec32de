//! A crowd of real clients in a process of its own: each joins by stream or by polling, waits, comes in, looks
//! around and leaves, and changes servers whenever one does not answer. Reports what each person saw.
//!
//! `people --servers URL,URL --event ID --count N --first N --pollers K` prints one JSON line a person; of each K
//! people one polls (0: nobody).

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde::Serialize;
use serde_json::Value;
use ticketon_tests::{ConnectError, SseClient};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Without any event or comment for this long, a person connects elsewhere.
const SILENCE: Duration = Duration::from_secs(6);
/// A person who is not in after this long gives up, and the report says so.
const PATIENCE: Duration = Duration::from_secs(400);

/// What one person saw.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    person: usize,
    polls: bool,
    /// Places, as `epoch-sequence` (streams only); more than one means that a place was lost.
    places: Vec<String>,
    /// Fences of the admissions they were told of.
    fences: Vec<u64>,
    /// Positions told that were higher than the one before at the same place.
    went_back: usize,
    /// Connections, over all servers.
    connections: usize,
    /// Answers 503, and calls without an answer.
    refusals: usize,
    /// Reasons of `closed` events.
    closed: Vec<String>,
    entered: bool,
    waited_ms: u64,
}

struct Crowd {
    servers: Vec<String>,
    event: String,
    http: Client,
}

#[tokio::main]
async fn main() {
    ticketon_tests::speak_tls();
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| -> String {
        let at = args.iter().position(|arg| arg == name);
        let at = at.unwrap_or_else(|| panic!("{name} is missing"));
        args[at + 1].clone()
    };
    let number = |name: &str| -> usize { value(name).parse().expect("a number") };
    let crowd = std::sync::Arc::new(Crowd {
        servers: value("--servers").split(',').map(str::to_owned).collect(),
        event: value("--event"),
        http: Client::builder()
            .timeout(Duration::from_secs(8))
            .build()
            .expect("a client without TLS"),
    });
    let (first, count, pollers) = (number("--first"), number("--count"), number("--pollers"));
    let mut people = JoinSet::new();
    for person in first..first + count {
        let crowd = std::sync::Arc::clone(&crowd);
        let polls = pollers > 0 && person % pollers == 0;
        people.spawn(async move { crowd.attend(person, polls).await });
    }
    while let Some(report) = people.join_next().await {
        let report = report.expect("a person does not panic");
        println!("{}", serde_json::to_string(&report).expect("plain values"));
    }
}

impl Crowd {
    async fn attend(&self, person: usize, polls: bool) -> Report {
        let mut report = Report {
            person,
            polls,
            ..Report::default()
        };
        let started = Instant::now();
        let mut at = person % self.servers.len();
        let visit = async {
            let guest = self.guest(&mut report, &mut at).await;
            if polls {
                self.poll(&mut report, &mut at, &guest).await;
            } else {
                self.stream(&mut report, &mut at, &guest).await;
            }
        };
        // Whoever loses patience is reported as not entered.
        let _ = tokio::time::timeout(PATIENCE, visit).await;
        report.waited_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        report
    }

    /// Something did not work: a moment, and the next server.
    async fn elsewhere(&self, report: &mut Report, at: &mut usize) {
        report.refusals += 1;
        *at = (*at + 1) % self.servers.len();
        let moment = Duration::from_millis(200 + (report.person as u64 * 37) % 300);
        tokio::time::sleep(moment).await;
    }

    async fn guest(&self, report: &mut Report, at: &mut usize) -> String {
        loop {
            let url = format!("{}/auth/guest", self.servers[*at]);
            if let Ok(answer) = self.http.post(url).send().await
                && let Ok(answer) = answer.json::<Value>().await
                && let Some(token) = answer["accessToken"].as_str()
            {
                return token.to_owned();
            }
            self.elsewhere(report, at).await;
        }
    }

    fn waiting(&self, at: usize) -> String {
        format!("{}/events/{}/tickets/waiting", self.servers[at], self.event)
    }

    async fn stream(&self, report: &mut Report, at: &mut usize, guest: &str) {
        let mut position = u64::MAX;
        loop {
            let mut request = SseClient::request(&self.waiting(*at)).bearer(guest);
            if let Some(place) = report.places.last() {
                request = request.last_event_id(place);
            }
            let connecting = tokio::time::timeout(SILENCE, request.connect()).await;
            let mut stream = match connecting {
                Ok(Ok(stream)) => stream,
                Ok(Err(ConnectError::Refused { status, .. }))
                    if status != StatusCode::SERVICE_UNAVAILABLE =>
                {
                    report.closed.push(status.to_string());
                    return;
                }
                _ => {
                    self.elsewhere(report, at).await;
                    continue;
                }
            };
            report.connections += 1;
            while let Some(event) = stream.next_event(SILENCE).await {
                let id = event.id.clone().unwrap_or_default();
                let data: Value = event.json();
                if event.event != "closed" && report.places.last() != Some(&id) {
                    report.places.push(id);
                    position = u64::MAX;
                }
                match event.event.as_str() {
                    "waiting" => {
                        let now = data["position"].as_u64().unwrap_or(u64::MAX);
                        report.went_back += usize::from(now > position);
                        position = now;
                    }
                    "admitted" => {
                        if self.visit(report, at, guest, &data).await {
                            return;
                        }
                        break;
                    }
                    _ => {
                        let reason = data["reason"].as_str().unwrap_or("?").to_owned();
                        let replaced = reason == "replaced";
                        report.closed.push(reason);
                        // Their own newer connection replaced it, or the place is gone.
                        if !replaced {
                            return;
                        }
                        break;
                    }
                }
            }
            *at = (*at + 1) % self.servers.len();
        }
    }

    async fn poll(&self, report: &mut Report, at: &mut usize, guest: &str) {
        let mut position = u64::MAX;
        loop {
            let sent = self
                .http
                .get(self.waiting(*at))
                .bearer_auth(guest)
                .header("accept", "application/json")
                .send()
                .await;
            report.connections += 1;
            let Ok(answer) = sent else {
                self.elsewhere(report, at).await;
                continue;
            };
            let status = answer.status();
            let Ok(data) = answer.json::<Value>().await else {
                self.elsewhere(report, at).await;
                continue;
            };
            match status {
                StatusCode::ACCEPTED => {
                    let now = data["position"].as_u64().unwrap_or(u64::MAX);
                    report.went_back += usize::from(now > position);
                    position = now;
                    let wait = data["retryAfterMs"].as_u64().unwrap_or(1_000);
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                }
                StatusCode::OK => {
                    if self.visit(report, at, guest, &data).await {
                        return;
                    }
                }
                StatusCode::SERVICE_UNAVAILABLE => self.elsewhere(report, at).await,
                other => {
                    report.closed.push(other.to_string());
                    return;
                }
            }
        }
    }

    /// Comes in, looks around, leaves. Answers whether it worked out; if not, they are told again.
    async fn visit(&self, report: &mut Report, at: &mut usize, guest: &str, told: &Value) -> bool {
        let token = told["admissionToken"].as_str().unwrap_or_default();
        let fence = told["fence"].as_u64().unwrap_or_default();
        if report.fences.last() != Some(&fence) {
            report.fences.push(fence);
        }
        let entry = format!("/events/{}/tickets/entry", self.event);
        let leave = format!("/events/{}/tickets/waiting", self.event);
        for (method, path, fine) in [
            (Method::GET, &entry, StatusCode::OK),
            (Method::GET, &entry, StatusCode::OK),
            (Method::DELETE, &leave, StatusCode::NO_CONTENT),
        ] {
            loop {
                let sent = self
                    .http
                    .request(method.clone(), format!("{}{path}", self.servers[*at]))
                    .bearer_auth(guest)
                    .header("ticketon-admission", token)
                    .send()
                    .await;
                match sent.map(|answer| answer.status()) {
                    Ok(status) if status == fine => break,
                    Ok(status) if status != StatusCode::SERVICE_UNAVAILABLE => {
                        report.closed.push(format!("{method} {status}"));
                        return false;
                    }
                    _ => self.elsewhere(report, at).await,
                }
            }
            report.entered = true;
        }
        true
    }
}
