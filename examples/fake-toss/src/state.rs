//! What all requests share: the shop behind a lock, the clock, the faults that wait, who was called.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use ticketon_queue::{Clock as _, SystemClock, UnixMs};
use tokio::sync::mpsc;

use crate::Settings;
use crate::fault::Faults;
use crate::idempotency::Keys;
use crate::merchant::{Merchant, Notice};
use crate::webhook::Delivery;

/// The most calls and deliveries that are remembered.
const MAX_REMEMBERED: usize = 10_000;

/// A call of the shop.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) at_ms: UnixMs,
}

/// Behind the lock.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) merchant: Merchant,
    pub(crate) keys: Keys,
    pub(crate) faults: Faults,
    pub(crate) calls: VecDeque<Seen>,
    pub(crate) deliveries: VecDeque<Delivery>,
}

/// What all requests share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    offset_ms: AtomicI64,
    inner: Mutex<Inner>,
    notices: mpsc::Sender<(UnixMs, Notice)>,
}

impl State {
    pub(crate) fn new(settings: Settings, notices: mpsc::Sender<(UnixMs, Notice)>) -> Self {
        Self {
            settings,
            offset_ms: AtomicI64::new(0),
            inner: Mutex::default(),
            notices,
        }
    }

    /// The time, moved as told.
    pub(crate) fn now_ms(&self) -> UnixMs {
        SystemClock
            .now_ms()
            .saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    /// Moves the clock; the whole offset.
    pub(crate) fn advance(&self, by_ms: i64) -> i64 {
        self.offset_ms
            .fetch_add(by_ms, Ordering::Relaxed)
            .saturating_add(by_ms)
    }

    /// Does something at the present time, once what ran out has ended; then tells the shop what changed.
    pub(crate) fn now<T>(&self, act: impl FnOnce(&mut Inner, UnixMs) -> T) -> T {
        let mut inner = self.lock();
        let now_ms = self.now_ms();
        inner.merchant.expire(now_ms);
        let value = act(&mut inner, now_ms);
        for notice in inner.merchant.take_notices() {
            // Under the lock, so in the order of the changes; a full queue loses some, as the provider may.
            let _ = self.notices.try_send((now_ms, notice));
        }
        value
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds to a list that forgets its oldest.
pub(crate) fn remember<T>(list: &mut VecDeque<T>, one: T) {
    if list.len() >= MAX_REMEMBERED {
        list.pop_front();
    }
    list.push_back(one);
}
