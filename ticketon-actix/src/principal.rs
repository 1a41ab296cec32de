//! Who calls, as an argument of handlers.

use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use futures_util::future::{Ready, ready};
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

/// Whom the middleware has identified.
pub(crate) fn caller(request: &HttpRequest) -> Option<contract::Principal> {
    request.extensions().get().cloned()
}

impl FromRequest for Principal {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let principal = caller(request).map(Self);
        ready(principal.ok_or_else(|| Problem::new(contract::Code::UNAUTHENTICATED)))
    }
}
