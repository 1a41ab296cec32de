//! Everything that there is in a sale: the house, its database, two processes, and the diary.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ticketon_domain::purchase::OrderId;
use ticketon_domain::seat::{MapHead, SeatStore};
use ticketon_queue::{Clock as _, EventId, QueueStore, RoomNumbers, RoomVerb, SystemClock};

use super::bus::{Consumed, Listener};
use super::database::Database;
use super::diary::Diary;
use super::house::House;
use super::plan::{Pace, Plan};
use super::process::{App, Gone, Process};

/// How often it is looked whether all has come to rest.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) pace: Pace,
    pub(super) house: Arc<House>,
    pub(super) database: Database,
    pub(super) diary: Diary,
    /// The observer's own ways to the stores.
    rooms: Arc<dyn QueueStore>,
    maps: Arc<dyn SeatStore>,
    listener: Listener,
    processes: [Process; 2],
    empty: AtomicBool,
    at_rest: AtomicBool,
}

impl World {
    pub(super) async fn open(plan: Plan) -> Self {
        let house = Arc::new(House::open(&plan).await);
        let database = Database::open(plan.database).await;
        let listener = Listener::at(&house.bus);
        let processes = [0, 1].map(|_| Process::new(&house, database.url()));
        for process in &processes {
            process.start().await;
        }
        let world = Self {
            pace: plan.pace(),
            rooms: house.rooms().await,
            maps: house.maps().await,
            house,
            database,
            diary: Diary::new(),
            listener,
            processes,
            empty: AtomicBool::new(false),
            at_rest: AtomicBool::new(false),
            plan,
        };
        world.open_sale().await;
        world
    }

    async fn open_sale(&self) {
        let house = Arc::clone(&self.house);
        let (event, room) = (self.house.event(&self.plan), self.plan.room());
        let opened = self.processes[0].ask(move |app| async move {
            let saved = app.seats.put_event(event, Arc::clone(&house.layout)).await;
            saved
                .map_err(|error| error.to_string())?
                .saved()
                .map_err(|refused| refused.to_string())?;
            let ensured = app.queue.ensure_room(&house.event, room).await;
            ensured.map(drop).map_err(|error| error.to_string())
        });
        match opened.await {
            Ok(Ok(())) => {}
            other => panic!("the sale could not be opened: {other:?}"),
        }
    }

    pub(super) fn event(&self) -> &EventId {
        &self.house.event
    }

    pub(super) fn process(&self, number: usize) -> &Process {
        &self.processes[number % self.processes.len()]
    }

    /// Asks one process, and the other when that is gone, under the same keys; `None` when neither answers for long.
    pub(super) async fn ask<T, F>(&self, home: usize, work: impl Fn(App) -> F) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        for attempt in 0..50 {
            match self.process(home + attempt).ask(&work).await {
                Ok(answer) => return Some(answer),
                Err(Gone) => self.pause(20).await,
            }
        }
        None
    }

    /// Time passes for a person.
    pub(super) async fn pause(&self, ms: u64) {
        SystemClock.sleep(Duration::from_millis(ms)).await;
    }

    /// Somebody thinks.
    pub(super) async fn think(&self, ms: u64) {
        self.pause(ms * self.pace.thinking / 100).await;
    }

    pub(super) async fn numbers(&self) -> Option<RoomNumbers> {
        self.rooms.numbers(self.event()).await.ok().flatten()
    }

    /// The head of the map, while it is ready.
    pub(super) async fn head(&self) -> Option<MapHead> {
        self.maps.head(self.event()).await.ok()?.ready()
    }

    pub(super) async fn snapshot(&self) -> Option<ticketon_domain::seat::Snapshot> {
        self.maps.snapshot(self.event()).await.ok()?.ready()
    }

    pub(super) fn consumed(&self) -> Consumed {
        self.listener.seen()
    }

    /// Half of the people in line lose their places, and nobody tells them: somebody's sabotage.
    pub(super) async fn lose_places(&self) {
        for user in self.diary.in_line().iter().step_by(2) {
            let left = self.rooms.leave(self.event(), user, None).await;
            left.unwrap_or_else(|error| panic!("the rooms answer: {error}"));
        }
    }

    /// Changes the state of the room.
    pub(super) async fn room(&self, verb: RoomVerb) {
        let event = self.event().clone();
        self.ask(0, move |app| {
            let event = event.clone();
            async move { app.queue.change_state(&event, verb).await.is_ok() }
        })
        .await;
    }

    pub(super) fn everybody_left(&self) {
        self.empty.store(true, Ordering::Release);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.empty.load(Ordering::Acquire)
    }

    /// Whether a process runs.
    pub(super) fn is_served(&self) -> bool {
        self.processes.iter().any(Process::is_running)
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.at_rest.load(Ordering::Acquire)
    }

    /// Waits until nothing is left to do, for so long at the most; says whether that came.
    pub(super) async fn rest(&self, within: Duration) -> bool {
        let began = Instant::now();
        let mut still = false;
        // Orders that failed before anybody was charged look after their payment until it cannot be charged any more.
        self.house.provider.run_out();
        self.look_again().await;
        while !still && began.elapsed() < within {
            SystemClock.sleep(LOOK_EVERY).await;
            still = self.is_still().await;
        }
        if !still {
            eprintln!("not at rest: {}", self.left().await);
        }
        // The consumer may have a queue left; nothing comes after it.
        SystemClock.sleep(LOOK_EVERY).await;
        self.at_rest.store(true, Ordering::Release);
        still
    }

    async fn is_still(&self) -> bool {
        let open = "SELECT (SELECT COUNT(*) FROM orders WHERE due_ms IS NOT NULL) + \
                    (SELECT COUNT(*) FROM seat_messages) + (SELECT COUNT(*) FROM outbox) + \
                    (SELECT COUNT(*) FROM audit WHERE checkpoint IS NULL)";
        let held = self.head().await.map(|head| head.counts.held);
        held == Some(0) && self.database.number(open).await == 0
    }

    /// An operator has all orders looked at that wait for their payment to run out.
    async fn look_again(&self) {
        let sql = "SELECT id FROM orders WHERE due_ms IS NOT NULL AND state = 'failed'";
        for id in self.database.texts(sql).await {
            let order = id.parse::<OrderId>().ok();
            self.ask(0, |app| async move {
                match order {
                    Some(order) => app.purchases.retry(&order).await.is_ok(),
                    None => false,
                }
            })
            .await;
        }
    }

    /// What is left to do, for people.
    async fn left(&self) -> String {
        let sql = "SELECT body FROM orders WHERE due_ms IS NOT NULL LIMIT 1";
        let orders = self
            .database
            .number("SELECT COUNT(*) FROM orders WHERE due_ms IS NOT NULL")
            .await;
        let messages = self
            .database
            .number("SELECT COUNT(*) FROM seat_messages")
            .await;
        let events = self.database.number("SELECT COUNT(*) FROM outbox").await;
        let unsealed = "SELECT COUNT(*) FROM audit WHERE checkpoint IS NULL";
        let unsealed = self.database.number(unsealed).await;
        let held = self.head().await.map(|head| head.counts.held);
        let first = self
            .database
            .texts(sql)
            .await
            .into_iter()
            .next()
            .unwrap_or_default();
        format!(
            "{orders} orders, {messages} seat messages, {events} events, {unsealed} entries not sealed, {held:?} seats held; {first}"
        )
    }

    pub(super) async fn close(&self) {
        for process in &self.processes {
            process.stop().await;
        }
    }
}
