//! The event `demo` and its crowd: simulated fans who join, wait, come in and buy.
//!
//! The crowd keeps the line at its length, so that whoever comes first, whenever that is, sees it
//! move and is in within a minute. Fans are ordinary people to the waiting room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use ticketon_domain::seat::{BestAvailable, HoldId, Outcome, Seats};
use ticketon_queue::{
    Clock, ConfigError, EventId, QueueError, RoomConfig, Update, UserId, WaitingQueue,
};
use tokio::sync::watch;

/// The event's id.
pub(crate) const DEMO: &str = "demo";
/// How many fans are ahead of the first visitor.
pub(crate) const CROWD: u64 = 240;
/// Fans of this process at the most.
const MAX_FANS: usize = 20_000;
/// How often the line is topped up.
const TOP_UP_EVERY: Duration = Duration::from_millis(250);

/// Makes the demo's room if there is none, and returns how long the crowd takes to get in. A room
/// that is there stays as its operator left it.
///
/// # Errors
/// When the store failed.
pub(crate) async fn open(queue: &WaitingQueue, event: &EventId) -> Result<Duration, QueueError> {
    let pace = match queue.numbers(event).await {
        Ok(numbers) => numbers.config.admit_per_second(),
        Err(QueueError::UnknownEvent { .. }) => {
            let config = config()?;
            let pace = config.admit_per_second();
            queue.ensure_room(event, config).await?;
            pace
        }
        Err(error) => return Err(error),
    };
    Ok(Duration::from_secs(CROWD.div_ceil(u64::from(pace))))
}

/// The demo's config: six admissions a second, and never full in practice.
fn config() -> Result<RoomConfig, ConfigError> {
    RoomConfig::builder()
        .capacity(60)
        .admit_per_second(6)
        .claim_ttl_seconds(90)
        .entry_ttl_seconds(600)
        .away_grace_seconds(120)
        .max_waiting(100_000)
        .build()
}

/// The simulated crowd of this process.
#[derive(Debug, Clone)]
pub(crate) struct Crowd {
    queue: WaitingQueue,
    seats: Seats,
    stop: watch::Receiver<bool>,
    fans: Arc<AtomicUsize>,
    next: Arc<AtomicU64>,
    /// Tells apart the fans of several processes.
    prefix: u32,
}

impl Crowd {
    /// A crowd that goes home at the signal.
    #[must_use]
    pub(crate) fn new(queue: &WaitingQueue, seats: &Seats, stop: watch::Receiver<bool>) -> Self {
        Self {
            queue: queue.clone(),
            seats: seats.clone(),
            stop,
            fans: Arc::default(),
            next: Arc::default(),
            prefix: u32::from_ne_bytes(ticketon_queue::id::random_bytes()),
        }
    }

    /// Sends this many more fans into the line; answers how many came (this process bounds them).
    pub(crate) fn send(&self, event: &EventId, count: usize) -> usize {
        let mut sent = 0;
        while sent < count && self.fans.load(Ordering::Relaxed) < MAX_FANS {
            self.fans.fetch_add(1, Ordering::Relaxed);
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Ok(user) = UserId::new(format!("fan-{:08x}-{number}", self.prefix)) else {
                break;
            };
            let (crowd, event) = (self.clone(), event.clone());
            tokio::spawn(async move {
                let mut stop = crowd.stop.clone();
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => {}
                    done = crowd.attend(&event, &user, number) => {
                        if let Err(error) = done {
                            tracing::debug!(target: "ticketon::demo", %user, %error, "a fan gave up");
                        }
                    }
                }
                crowd.fans.fetch_sub(1, Ordering::Relaxed);
            });
            sent += 1;
        }
        sent
    }

    /// Keeps the line as long as the crowd until the signal.
    pub(crate) async fn keep_line(self, event: EventId, clock: Arc<dyn Clock>) {
        let mut stop = self.stop.clone();
        loop {
            if let Ok(numbers) = self.queue.numbers(&event).await
                && numbers.state.joins()
            {
                // Fans who were just sent have not joined yet.
                let on_their_way = self.fans.load(Ordering::Relaxed) as u64;
                let here = numbers
                    .waiting()
                    .max(on_their_way.saturating_sub(numbers.active));
                // Some are admitted until the next look.
                let missing = (CROWD + 2).saturating_sub(here);
                self.send(&event, usize::try_from(missing).unwrap_or(0));
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = clock.sleep(TOP_UP_EVERY) => {}
            }
        }
    }

    /// One fan: waits for their turn, comes in, and looks around for some seconds. Most hold seats meanwhile; they
    /// give them back, so that the house never sells out.
    async fn attend(&self, event: &EventId, user: &UserId, number: u64) -> Result<(), QueueError> {
        let mut updates = self.queue.watch(event, user).await?;
        while let Some(update) = updates.next().await {
            let Update::Admitted(admitted) = update else {
                continue;
            };
            let fence = admitted.fence;
            self.queue.claim(event, user, fence).await?;
            let browsing = Duration::from_millis(2_000 + number * 977 % 4_000);
            let held = self.hold(event, user, number).await;
            self.queue.clock().sleep(browsing).await;
            if let Some(hold) = held {
                drop(self.seats.release(&(event, user), hold).await);
            }
            self.queue.complete(event, user, fence).await?;
            break;
        }
        Ok(())
    }

    /// Holds one to four seats, of a grade of the fan's own.
    async fn hold(&self, event: &EventId, user: &UserId, number: u64) -> Option<HoldId> {
        let count = u32::try_from(1 + number % 4).unwrap_or(1);
        let grade = ["vip", "r", "s", "a"][(number / 4 % 4) as usize];
        let wanted = BestAvailable::new(count).grade(grade);
        match self.seats.hold(&(event, user), wanted).await {
            Ok(Outcome::Done(hold)) => Some(hold.id),
            // They come back another time.
            Ok(Outcome::Refused(_)) | Err(_) => None,
        }
    }
}
