//! One change told to ten thousand watchers of a map, against handing the same bytes to as many receivers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ticketon_domain::adapter::memory::MemorySeatStore;
use ticketon_domain::event::{Event, EventStatus};
use ticketon_domain::seat::{MapVersion, Outcome, Seats};
use ticketon_domain::venue::sample;
use ticketon_queue::{EventId, UserId};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use crate::measure::{ROUNDS, Table, Times, median, shown};

const WATCHERS: u64 = 10_000;
const NAME: &str = "one hold told to 10,000 watchers of a map, encoded once";

pub(crate) async fn measure(table: &mut Table) {
    if !table.wants(NAME) {
        return;
    }
    let seats = Seats::builder(MemorySeatStore::new())
        .start()
        .await
        .expect("a memory store starts");
    let event = EventId::new("bench").expect("a valid id");
    let hall = sample::theatre(2_000);
    let mut sale = Event::builder(event.clone())
        .title("Bench", "Bench")
        .venue("Hall")
        .starts_at_ms(4_102_444_800_000)
        .status(EventStatus::Open)
        .currency("KRW");
    for grade in hall.grades() {
        sale = sale.price(grade, 1_000);
    }
    let saved = seats
        .put_event(sale.build().expect("a valid event"), hall)
        .await
        .expect("a memory store");
    saved.saved().expect("a valid event");

    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Times::new(), Times::new());
    let mut watchers = Watchers::of(&seats, &event).await;
    let mut receivers = Receivers::new();
    for round in 0..ROUNDS {
        let subject = watchers.told_after(|| hold(&seats, &event, round)).await;
        let baseline = receivers.told().await;
        if round > 0 {
            ours.add(subject);
            theirs.add(baseline);
            ratios.push(subject.as_secs_f64() / baseline.as_secs_f64());
        }
    }
    watchers.tasks.shutdown().await;
    receivers.tasks.shutdown().await;
    seats.shutdown().await;
    table.add(
        NAME,
        median(ratios),
        shown(ours.median()),
        shown(theirs.median()),
        "time from the first told to the last ÷ time of a bare broadcast",
    );
}

async fn hold(seats: &Seats, event: &EventId, round: usize) {
    let user = UserId::new(format!("buyer-{round}")).expect("a valid id");
    let wanted = ticketon_domain::seat::HoldSeats::best(4);
    let held = seats
        .hold(&(event, &user), wanted)
        .await
        .expect("a memory store");
    assert!(matches!(held, Outcome::Done(_)), "{held:?}");
}

/// How many were told, and when the first and the last were.
#[derive(Debug, Default)]
struct Told {
    count: AtomicU64,
    first_ns: AtomicU64,
    last_ns: AtomicU64,
}

impl Told {
    fn one(&self, began: Instant) {
        let now = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // Zero means nobody yet.
        let _ = self
            .first_ns
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        self.last_ns.fetch_max(now, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Release);
    }

    async fn all(&self, done: &mut watch::Receiver<u64>) -> Duration {
        done.wait_for(|_| self.count.load(Ordering::Acquire) >= WATCHERS)
            .await
            .expect("somebody tells");
        let spread = self.last_ns.load(Ordering::Relaxed) - self.first_ns.load(Ordering::Relaxed);
        self.count.store(0, Ordering::Relaxed);
        self.first_ns.store(0, Ordering::Relaxed);
        self.last_ns.store(0, Ordering::Relaxed);
        Duration::from_nanos(spread)
    }
}

struct Watchers {
    told: Arc<Told>,
    done: watch::Receiver<u64>,
    tasks: JoinSet<()>,
}

impl Watchers {
    async fn of(seats: &Seats, event: &EventId) -> Self {
        let told = Arc::new(Told::default());
        let (sender, done) = watch::channel(0);
        let sender = Arc::new(sender);
        let began = Instant::now();
        let view = seats
            .snapshot(event)
            .await
            .expect("a memory store")
            .done()
            .expect("a map");
        let head = &view.snapshot().head;
        let since = MapVersion {
            epoch: head.epoch,
            version: head.version,
        };
        let mut tasks = JoinSet::new();
        for _ in 0..WATCHERS {
            let mut updates = seats
                .watch(event, Some(since))
                .await
                .expect("a memory store");
            let (told, sender) = (Arc::clone(&told), Arc::clone(&sender));
            tasks.spawn(async move {
                while let Some(update) = updates.next().await {
                    assert!(!update.frame.is_empty() && !update.resync);
                    told.one(began);
                    sender.send_modify(|count| *count += 1);
                }
            });
        }
        Self { told, done, tasks }
    }

    async fn told_after<F: Future<Output = ()>>(&mut self, change: impl FnOnce() -> F) -> Duration {
        change().await;
        self.told.all(&mut self.done).await
    }
}

/// The least that telling so many can cost: a broadcast of shared bytes.
struct Receivers {
    sender: broadcast::Sender<Bytes>,
    told: Arc<Told>,
    done: watch::Receiver<u64>,
    tasks: JoinSet<()>,
}

impl Receivers {
    fn new() -> Self {
        let (sender, _) = broadcast::channel::<Bytes>(64);
        let told = Arc::new(Told::default());
        let (count, done) = watch::channel(0);
        let count = Arc::new(count);
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..WATCHERS {
            let mut receiver = sender.subscribe();
            let (told, count) = (Arc::clone(&told), Arc::clone(&count));
            tasks.spawn(async move {
                while let Ok(frame) = receiver.recv().await {
                    assert!(!frame.is_empty());
                    told.one(began);
                    count.send_modify(|count| *count += 1);
                }
            });
        }
        Self {
            sender,
            told,
            done,
            tasks,
        }
    }

    async fn told(&mut self) -> Duration {
        self.sender
            .send(Bytes::from_static(b"event: seats\ndata: {}\n\n"))
            .expect("receivers");
        self.told.all(&mut self.done).await
    }
}
