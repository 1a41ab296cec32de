//! What goes wrong at a call to a port: the process dies before it or after it, it fails, its answer is lost, or the
//! process stands still.
//!
//! An operation runs under an [`Op`], which counts the calls that it makes over all ports and has the fault of one of
//! them. A process that dies is an operation whose future is dropped at that call.

use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ticketon_queue::{Clock, ManualClock, UnixMs};
use tokio::sync::{Notify, watch};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The process dies before the call.
    DieBefore,
    /// The process dies after the call took effect.
    DieAfter,
    /// The call does not reach its port.
    Fail,
    /// The call takes effect, its answer is lost.
    Lose,
    /// The process stands still for longer than a lease, then the call is made.
    StallBefore,
    /// The call takes effect, then the process stands still for longer than a lease.
    StallAfter,
    /// A provider says no; other ports fail.
    Refuse,
    /// The same, and then the process stands still before it writes down what came of it.
    RefuseThenStall,
    /// The call takes effect, and a provider says no all the same; other ports fail.
    Deny,
}

impl Fault {
    /// All that a call to any port may meet.
    pub const ALL: [Self; 6] = [
        Self::DieBefore,
        Self::DieAfter,
        Self::Fail,
        Self::Lose,
        Self::StallBefore,
        Self::StallAfter,
    ];

    /// All that a call of a life may meet: a provider lies once, not of the charge and of its refund.
    pub const OF_LIVES: [Self; 7] = [
        Self::DieBefore,
        Self::DieAfter,
        Self::Fail,
        Self::Lose,
        Self::StallBefore,
        Self::StallAfter,
        Self::Deny,
    ];
}

/// The call that writes down what came of an order.
pub(super) const WRITE: &str = "orders.change";

/// How long a process stands still: longer than a lease.
pub(super) const STALL: Duration = Duration::from_secs(75);

/// The clock of a shop, which knows how many wait for it.
#[derive(Debug, Clone)]
pub struct StillClock {
    clock: ManualClock,
    waiting: watch::Sender<usize>,
}

impl StillClock {
    /// At this time.
    #[must_use]
    pub fn at(now_ms: UnixMs) -> Self {
        Self {
            clock: ManualClock::at(now_ms),
            waiting: watch::Sender::new(0),
        }
    }

    /// The time itself.
    #[must_use]
    pub fn manual(&self) -> &ManualClock {
        &self.clock
    }

    /// How many wait for it to move.
    #[must_use]
    pub fn waiting(&self) -> watch::Receiver<usize> {
        self.waiting.subscribe()
    }
}

/// One who waits, until it is dropped.
struct Waits<'a>(&'a watch::Sender<usize>);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

#[async_trait]
impl Clock for StillClock {
    fn now_ms(&self) -> UnixMs {
        self.clock.now_ms()
    }

    async fn sleep(&self, duration: Duration) {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let _waits = Waits(&self.waiting);
        self.clock.sleep(duration).await;
    }
}

tokio::task_local! {
    static OP: Arc<Op>;
}

/// One operation of one process.
#[derive(Debug)]
pub struct Op {
    fault: Option<(usize, Fault)>,
    clock: StillClock,
    calls: AtomicUsize,
    met: AtomicBool,
    stalls_at_write: AtomicBool,
    died: Notify,
    log: Mutex<Vec<&'static str>>,
}

impl Op {
    /// An operation whose call of this number, from 1, meets a fault.
    #[must_use]
    pub fn new(clock: &StillClock, fault: Option<(usize, Fault)>) -> Arc<Self> {
        Arc::new(Self {
            fault,
            clock: clock.clone(),
            calls: AtomicUsize::new(0),
            met: AtomicBool::new(false),
            stalls_at_write: AtomicBool::new(false),
            died: Notify::new(),
            log: Mutex::default(),
        })
    }

    /// Runs it; `None` if its process died.
    pub async fn run<T>(self: Arc<Self>, work: impl Future<Output = T>) -> Option<T> {
        let op = Arc::clone(&self);
        let died = async move { op.died.notified().await };
        OP.scope(self, async {
            tokio::select! {
                biased;
                done = work => Some(done),
                () = died => None,
            }
        })
        .await
    }

    /// Whether its fault was met.
    #[must_use]
    pub fn met(&self) -> bool {
        self.met.load(Ordering::Relaxed)
    }

    /// The calls that it made.
    #[must_use]
    pub fn log(&self) -> Vec<&'static str> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn next(&self, what: &'static str) -> Option<Fault> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what);
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if what == WRITE && self.stalls_at_write.swap(false, Ordering::Relaxed) {
            return Some(Fault::StallBefore);
        }
        let fault = self.fault.filter(|(at, _)| *at == number)?.1;
        self.met.store(true, Ordering::Relaxed);
        Some(fault)
    }
}

/// Makes a call as the operation that it belongs to has it.
pub(super) async fn call<T, E>(
    what: &'static str,
    call: impl Future<Output = Result<T, E>>,
    fail: impl FnOnce(Fault) -> E,
) -> Result<T, E> {
    let Ok(op) = OP.try_with(Arc::clone) else {
        return call.await;
    };
    // Others may come first.
    tokio::task::yield_now().await;
    let die = async || -> Result<T, E> {
        op.died.notify_one();
        pending().await
    };
    match op.next(what) {
        None => call.await,
        Some(Fault::DieBefore) => die().await,
        Some(Fault::DieAfter) => {
            drop(call.await);
            die().await
        }
        Some(fault @ (Fault::Fail | Fault::Refuse)) => Err(fail(fault)),
        Some(Fault::RefuseThenStall) => {
            op.stalls_at_write.store(true, Ordering::Relaxed);
            Err(fail(Fault::Refuse))
        }
        Some(fault @ Fault::Lose) => {
            drop(call.await);
            Err(fail(fault))
        }
        Some(Fault::Deny) => {
            drop(call.await);
            Err(fail(Fault::Refuse))
        }
        Some(Fault::StallBefore) => {
            op.clock.sleep(STALL).await;
            call.await
        }
        Some(Fault::StallAfter) => {
            let done = call.await;
            op.clock.sleep(STALL).await;
            done
        }
    }
}
