//! Who calls, as an argument of handlers.

use std::ops::Deref;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use ticketon_queue::UserId;
use ticketon_queue::http as contract;

use crate::problem::Problem;

/// The identified caller; 401 if there is none. `Option<Principal>` leaves it open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal(pub contract::Principal);

impl Deref for Principal {
    type Target = contract::Principal;

    fn deref(&self) -> &contract::Principal {
        &self.0
    }
}

impl From<UserId> for Principal {
    fn from(user: UserId) -> Self {
        Self(contract::Principal::new(user))
    }
}

impl From<Principal> for contract::Principal {
    fn from(principal: Principal) -> Self {
        principal.0
    }
}

/// Whom the layers have identified.
pub(crate) fn caller(parts: &Parts) -> Option<&contract::Principal> {
    parts.extensions.get()
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        caller(parts)
            .map(|principal| Self(principal.clone()))
            .ok_or_else(|| Problem::new(contract::Code::UNAUTHENTICATED))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Principal {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(caller(parts).map(|principal| Self(principal.clone())))
    }
}
