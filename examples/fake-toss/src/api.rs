//! The provider's endpoints: confirm, look-ups, cancel.
//!
//! In this order: who calls, a code asked for by header, a call under way with the same key, the fault that this
//! call meets, the first answer of the key, the shop. What moves money runs to its end even if the caller has left.

mod reply;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;

pub(crate) use reply::{Cut, Twice, answered};

use crate::Settings;
use crate::code::{Language, Refusal};
use crate::fault::{Call, Fault, Kind, Money};
use crate::idempotency::{Answer, MAX_KEY_CHARS, Scope};
use crate::merchant::{CancelRequest, ConfirmRequest};
use crate::payment::Payment;
use crate::state::{Inner, Seen, State, remember};

/// How keys begin.
const KEYS: [&str; 4] = ["test_sk", "live_sk", "test_gsk", "live_gsk"];

/// The longest that a call is held.
const MAX_HOLD: Duration = Duration::from_secs(3_600);

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/v1/payments/confirm", post(confirm))
        .route("/v1/payments/{payment_key}", get(by_key))
        .route("/v1/payments/orders/{order_id}", get(by_order))
        .route("/v1/payments/{payment_key}/cancel", post(cancel))
}

async fn confirm(Shared(state): Shared<Arc<State>>, caller: Caller, body: Bytes) -> Response {
    let request = read::<ConfirmRequest>(&body);
    let key = request
        .as_ref()
        .ok()
        .map(|request| request.payment_key.clone());
    let run =
        move |inner: &mut Inner, now_ms| inner.merchant.confirm(&request?, now_ms).map(stored);
    caller.call(state, Call::Confirm, key, run).await
}

async fn cancel(
    Shared(state): Shared<Arc<State>>,
    Path(key): Path<String>,
    caller: Caller,
    body: Bytes,
) -> Response {
    let request = read::<CancelRequest>(&body);
    let named = Some(key.clone());
    let run =
        move |inner: &mut Inner, now_ms| inner.merchant.cancel(&key, &request?, now_ms).map(stored);
    caller.call(state, Call::Cancel, named, run).await
}

async fn by_key(
    Shared(state): Shared<Arc<State>>,
    Path(key): Path<String>,
    caller: Caller,
) -> Response {
    let named = Some(key.clone());
    caller
        .call(state, Call::Query, named, move |inner, _| {
            inner.merchant.payment(&key).map(stored)
        })
        .await
}

async fn by_order(
    Shared(state): Shared<Arc<State>>,
    Path(order_id): Path<String>,
    caller: Caller,
) -> Response {
    let key = state
        .lock()
        .merchant
        .payment_of(&order_id)
        .ok()
        .map(|payment| payment.key.clone());
    caller
        .call(state, Call::Query, key, move |inner, _| {
            inner.merchant.payment_of(&order_id).map(stored)
        })
        .await
}

fn stored(payment: &Payment) -> Box<Payment> {
    Box::new(payment.clone())
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::of("INVALID_REQUEST"))
}

/// Who calls, and how.
#[derive(Debug)]
pub(crate) struct Caller {
    method: Method,
    path: String,
    headers: HeaderMap,
}

impl<S: Sync> axum::extract::FromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        let path = Uri::path(&parts.uri).to_owned();
        Ok(Self {
            method: parts.method.clone(),
            path,
            headers: parts.headers.clone(),
        })
    }
}

impl Caller {
    async fn call<F>(
        self,
        state: Arc<State>,
        call: Call,
        payment_key: Option<String>,
        run: F,
    ) -> Response
    where
        F: FnOnce(&mut Inner, i64) -> Answer + Send + 'static,
    {
        let language = self.language();
        let refuse = |refusal: Refusal| answered(&Err(refusal), language);
        let now_ms = state.now_ms();
        let seen = Seen {
            method: self.method.to_string(),
            path: self.path.clone(),
            idempotency_key: self.text("idempotency-key").map(str::to_owned),
            at_ms: now_ms,
        };
        remember(&mut state.lock().calls, seen);
        let api_key = match self.api_key(&state.settings.secret_keys) {
            Ok(key) => key,
            Err(code) => return refuse(Refusal::of(code)),
        };
        if let Some(code) = self
            .text("tosspayments-test-code")
            .filter(|_| api_key.starts_with("test_"))
        {
            return refuse(Refusal::of(code));
        }
        let scope = match self.scope(api_key) {
            Ok(scope) => scope,
            Err(code) => return refuse(Refusal::of(code)),
        };
        let fault = {
            let mut inner = state.lock();
            if let Some(scope) = &scope
                && !inner.keys.begin(scope)
            {
                return refuse(Refusal::of("IDEMPOTENT_REQUEST_PROCESSING"));
            }
            let order_id = payment_key.and_then(|key| {
                inner
                    .merchant
                    .payment(&key)
                    .ok()
                    .map(|payment| payment.order_id.clone())
            });
            inner.faults.take(call, order_id.as_deref())
        };
        // A task of its own: the caller may leave, the money moves all the same.
        let told = fault.clone();
        let work = tokio::spawn(async move { work(&state, scope, told, run).await });
        let answer = work
            .await
            .unwrap_or_else(|_| Err(Refusal::of("FAILED_INTERNAL_SYSTEM_PROCESSING")));
        reply::faulty(&answer, fault.as_ref(), language).await
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn language(&self) -> Language {
        match self.text(header::ACCEPT_LANGUAGE.as_str()) {
            Some(language) if language.starts_with("en") => Language::English,
            _ => Language::Korean,
        }
    }

    fn api_key(&self, known: &[String]) -> Result<String, &'static str> {
        let form = "INCORRECT_BASIC_AUTH_FORMAT";
        let login = self
            .text(header::AUTHORIZATION.as_str())
            .and_then(|login| login.strip_prefix("Basic "))
            .ok_or(form)?;
        let login = STANDARD.decode(login).map_err(|_| form)?;
        let login = String::from_utf8(login).map_err(|_| form)?;
        let key = login.strip_suffix(':').ok_or(form)?;
        if !KEYS.iter().any(|kind| key.starts_with(kind)) {
            return Err("INVALID_API_KEY");
        }
        if known.iter().any(|known| known == key) {
            Ok(key.to_owned())
        } else {
            Err("UNAUTHORIZED_KEY")
        }
    }

    fn scope(&self, api_key: String) -> Result<Option<Scope>, &'static str> {
        let Some(key) = self
            .headers
            .get("idempotency-key")
            .filter(|_| self.method == Method::POST)
        else {
            return Ok(None);
        };
        let key = key
            .to_str()
            .ok()
            .filter(|key| (1..=MAX_KEY_CHARS).contains(&key.chars().count()));
        let key = key.ok_or("INVALID_IDEMPOTENCY_KEY")?.to_owned();
        Ok(Some(Scope {
            key,
            api_key,
            method: self.method.to_string(),
            path: self.path.clone(),
        }))
    }
}

/// Moves the money when the fault says so, once for each key.
async fn work<F>(state: &State, scope: Option<Scope>, fault: Option<Fault>, run: F) -> Answer
where
    F: FnOnce(&mut Inner, i64) -> Answer,
{
    let hold = fault.as_ref().map_or(Duration::ZERO, |fault| {
        Duration::from_millis(fault.hold_ms).min(MAX_HOLD)
    });
    let money = fault.as_ref().map_or(Money::Before, |fault| fault.money);
    let mut run = Some(run);
    let mut act =
        || {
            let once = run.take()?;
            Some(state.now(|inner, now_ms| {
                once_a_key(inner, now_ms, scope.as_ref(), &state.settings, once)
            }))
        };
    let before = if money == Money::Before { act() } else { None };
    if !hold.is_zero() {
        tokio::time::sleep(hold).await;
    }
    let answer = match money {
        Money::Before => before,
        Money::After => act(),
        Money::Never => None,
    };
    if let Some(scope) = &scope {
        let mut inner = state.lock();
        inner.keys.end(scope);
        if let (None, Some(refusal)) = (&answer, fault.as_ref().and_then(refusal))
            && is_kept(&refusal, &state.settings)
        {
            inner
                .keys
                .remember(scope.clone(), state.now_ms(), Err(refusal));
        }
        if fault.as_ref().is_some_and(|fault| fault.forget) {
            inner.keys.forget(scope);
        }
    }
    let untouched = || {
        let slow = fault
            .as_ref()
            .is_some_and(|fault| fault.fault == Kind::Slow);
        // Held, and then nothing was done.
        Err(Refusal::of(if slow {
            "FAILED_INTERNAL_SYSTEM_PROCESSING"
        } else {
            "UNKNOWN_PAYMENT_ERROR"
        }))
    };
    answer.unwrap_or_else(untouched)
}

/// What a fault answers that is an error by itself.
fn refusal(fault: &Fault) -> Option<Refusal> {
    let code = fault.code.as_deref()?;
    (fault.fault == Kind::Error).then(|| Refusal::of(code))
}

/// Whether a key remembers that it was refused.
fn is_kept(refusal: &Refusal, settings: &Settings) -> bool {
    settings.replay_refusals && refusal.status < 500
}

fn once_a_key<F>(
    inner: &mut Inner,
    now_ms: i64,
    scope: Option<&Scope>,
    settings: &Settings,
    run: F,
) -> Answer
where
    F: FnOnce(&mut Inner, i64) -> Answer,
{
    let Some(scope) = scope else {
        return run(inner, now_ms);
    };
    if let Some(answer) = inner.keys.answer(scope, now_ms) {
        return answer.clone();
    }
    let answer = run(inner, now_ms);
    let kept = match &answer {
        Ok(_) => true,
        Err(refusal) => is_kept(refusal, settings),
    };
    if kept {
        inner.keys.remember(scope.clone(), now_ms, answer.clone());
    }
    answer
}
