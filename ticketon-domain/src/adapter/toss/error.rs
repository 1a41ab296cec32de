//! What may come back instead of a payment, and what the port makes of it.
//!
//! Calls that move money and look-ups map differently: only the former can be refused.

use std::time::Duration;

use super::code::{TossClass, TossCode};
use crate::purchase::ProviderError;

/// When asking again makes sense while an earlier call still runs.
const WHILE_PROCESSING: Duration = Duration::from_secs(1);

/// Why there is no payment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TossError {
    /// The provider answered with an error.
    #[error("{code} ({status}): {message}")]
    Answered {
        /// The HTTP status.
        status: u16,
        /// Which.
        code: TossCode,
        /// For people, in the language that was asked for.
        message: String,
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// No whole answer came in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection could not be made, or it broke.
    #[error("connection: {0}")]
    Broken(String),
    /// The answer is nothing that this version can read.
    #[error("unreadable answer ({status}): {why}")]
    Unreadable {
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        why: String,
    },
    /// The answer is about something else than what was asked.
    #[error("the answer is not for what was asked: {0}")]
    Mismatch(&'static str),
    /// The call cannot be written down for this provider, and was not sent.
    #[error("not sent: {0}")]
    NotSent(&'static str),
}

impl TossError {
    /// What it lets one conclude.
    #[must_use]
    pub fn class(&self) -> TossClass {
        match self {
            Self::Answered { status, code, .. } => code.class_at(*status),
            Self::NotSent(_) => TossClass::Misconfigured,
            _ => TossClass::Ask,
        }
    }

    /// The provider's code, or the name of what broke off.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Answered { code, .. } => code.as_str(),
            Self::TimedOut(_) => "TIMED_OUT",
            Self::Broken(_) => "CONNECTION_BROKEN",
            Self::Unreadable { .. } => "UNREADABLE_ANSWER",
            Self::Mismatch(_) => "ANOTHER_ANSWER",
            Self::NotSent(_) => "NOT_SENT",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Answered { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        let Self::Answered {
            code, retry_after, ..
        } = self
        else {
            return None;
        };
        retry_after.or(match code {
            TossCode::IdempotentRequestProcessing => Some(WHILE_PROCESSING),
            _ => None,
        })
    }

    /// Whether the provider says that there is no such payment.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Answered { status: 404, code, .. } if code.is_not_found())
    }

    /// Whether the call was not even looked at, which its idempotency key remembers: only another key gets it heard.
    fn is_not_now(&self) -> bool {
        matches!(
            self,
            Self::Answered {
                status: 403,
                code: TossCode::ForbiddenConsecutiveRequest,
                ..
            }
        )
    }

    /// Whether the provider answers the same whenever it is asked under the same key: so it does with what it refuses, but
    /// not while the call is still under way, or was one too many.
    fn is_kept(&self) -> bool {
        matches!(
            self,
            Self::Answered {
                status: 400..=499,
                ..
            }
        ) && !matches!(
            self,
            Self::Answered {
                status: 408 | 409 | 425 | 429,
                ..
            }
        )
    }

    /// Of a call that moves money.
    pub(super) fn of_a_move(&self) -> ProviderError {
        let (code, message) = (self.code().to_owned(), self.message());
        match self.class() {
            TossClass::Declined => ProviderError::Refused { code, message },
            TossClass::Ask if self.is_not_now() => ProviderError::NotNow { code, message },
            TossClass::Ask => ProviderError::Unknown {
                code,
                message,
                retry_after: self.retry_after(),
                kept: self.is_kept(),
            },
            TossClass::Misconfigured => ProviderError::Misconfigured { code, message },
        }
    }

    /// Of a look-up: who may not see a payment has to be let in by an operator.
    pub(super) fn of_a_look(&self) -> ProviderError {
        match self.of_a_move() {
            ProviderError::Refused { code, message } => {
                ProviderError::Misconfigured { code, message }
            }
            ProviderError::NotNow { code, message } => ProviderError::Unknown {
                code,
                message,
                retry_after: None,
                kept: false,
            },
            other => other,
        }
    }
}
