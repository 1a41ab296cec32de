//! Idempotency keys: the same key, API key, address and method get the first call's answer; the body is not in scope.

use std::collections::{HashMap, HashSet};

use crate::code::Refusal;
use crate::payment::Payment;
use ticketon_queue::UnixMs;

/// How long a key is remembered from its first use.
const LIVES_MS: i64 = 15 * 24 * 3_600_000;

/// The longest key, in characters.
pub(crate) const MAX_KEY_CHARS: usize = 300;

/// What a key is remembered for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub(crate) key: String,
    pub(crate) api_key: String,
    pub(crate) method: String,
    pub(crate) path: String,
}

/// An answer that was given, before it is written in a language.
pub(crate) type Answer = Result<Box<Payment>, Refusal>;

/// What was answered, and what is being worked on.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    answered: HashMap<Scope, (UnixMs, Answer)>,
    processing: HashSet<Scope>,
}

impl Keys {
    /// Begins a call; whether no other of this scope is under way.
    pub(crate) fn begin(&mut self, scope: &Scope) -> bool {
        self.processing.insert(scope.clone())
    }

    /// The call is over.
    pub(crate) fn end(&mut self, scope: &Scope) {
        self.processing.remove(scope);
    }

    /// The first call's answer.
    pub(crate) fn answer(&self, scope: &Scope, now_ms: UnixMs) -> Option<&Answer> {
        let (since_ms, answer) = self.answered.get(scope)?;
        (now_ms < since_ms + LIVES_MS).then_some(answer)
    }

    /// Remembers an answer.
    pub(crate) fn remember(&mut self, scope: Scope, now_ms: UnixMs, answer: Answer) {
        self.answered.insert(scope, (now_ms, answer));
    }

    /// Forgets an answer.
    pub(crate) fn forget(&mut self, scope: &Scope) {
        self.answered.remove(scope);
    }
}
