//! Answers, whole or as a fault leaves them.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::code::{Language, Refusal};
use crate::fault::{Fault, Kind};
use crate::idempotency::Answer;
use crate::random;

/// Marks an answer that is not sent: the connection closes instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut;

/// Marks an answer that is sent twice, one right behind the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Twice;

/// The size of a huge answer.
const HUGE_BYTES: usize = 4 * 1024 * 1024;

/// The answer as the provider gives it.
pub(crate) fn answered(answer: &Answer, language: Language) -> Response {
    match answer {
        Ok(payment) => Json(payment.view(language)).into_response(),
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, Json(refusal.body(language))).into_response()
        }
    }
}

/// The answer as the fault leaves it.
pub(super) async fn faulty(answer: &Answer, fault: Option<&Fault>, language: Language) -> Response {
    let Some(fault) = fault else {
        return answered(answer, language);
    };
    let refuse = |code: &str| answered(&Err(Refusal::of(code)), language);
    match fault.fault {
        Kind::Slow => answered(answer, language),
        Kind::Drop => cut(),
        Kind::Error => refuse(
            fault
                .code
                .as_deref()
                .unwrap_or("FAILED_INTERNAL_SYSTEM_PROCESSING"),
        ),
        Kind::Processing => refuse("IDEMPOTENT_REQUEST_PROCESSING"),
        Kind::Garbage => (
            StatusCode::OK,
            [(header::CONTENT_TYPE, "text/html")],
            "<html>maintenance</html>",
        )
            .into_response(),
        Kind::Truncated => truncated(answer, language),
        Kind::Huge => (
            StatusCode::OK,
            [(header::CONTENT_TYPE, "application/json")],
            Bytes::from(vec![b' '; HUGE_BYTES]),
        )
            .into_response(),
        Kind::OtherPayment => other(answer, language),
        Kind::AnswersTwice => {
            let mut response = answered(answer, language);
            response.extensions_mut().insert(Twice);
            response
        }
        // The caller's leaving ends it.
        Kind::Hang => std::future::pending().await,
    }
}

fn cut() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Cut);
    response
}

/// Half an answer under a status of success.
fn truncated(answer: &Answer, language: Language) -> Response {
    let body = match answer {
        Ok(payment) => payment.view(language).to_string(),
        Err(refusal) => refusal.body(language).to_string(),
    };
    let half = body.len() / 2;
    let half = body.as_bytes().get(..half).unwrap_or_default().to_vec();
    (
        StatusCode::OK,
        [(header::CONTENT_TYPE, "application/json")],
        half,
    )
        .into_response()
}

/// A payment that nobody asked for.
fn other(answer: &Answer, language: Language) -> Response {
    let Ok(payment) = answer else {
        return answered(answer, language);
    };
    let mut view = payment.view(language);
    view["paymentKey"] = json!(format!("tgen_{}", random::hex(16)));
    view["orderId"] = json!(random::hex(16));
    Json(view).into_response()
}
