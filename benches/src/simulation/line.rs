//! The waiting room, from the first click to the door.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ticketon_queue::{
    AdmittedUpdate, Clock as _, JoinOptions, Joined, LaneName, Reason, RoomState, SystemClock,
    Update, UserId, Watched,
};

use super::diary::{Admitted, add, locked};
use super::person::{Exit, Habit, Person};
use super::process::App;
use super::world::World;

/// How the wait ended.
#[derive(Debug)]
pub(super) enum Waited {
    /// It is their turn.
    Admitted(AdmittedUpdate),
    /// They went away, or stayed away.
    Left,
    /// All is sold.
    SoldOut,
    /// Nobody served them.
    Fault,
}

/// How one connection ended.
#[derive(Debug)]
enum Ended {
    Admitted(AdmittedUpdate),
    /// The place has ended, and they were told why.
    Place(Reason),
    /// Another tab has the place now.
    Replaced,
    /// They closed it.
    Closed,
    SoldOut,
    /// The process goes away, or failed: connect again.
    Again,
}

/// What a connection is for.
#[derive(Debug, Clone)]
struct Connection {
    user: UserId,
    lane: LaneName,
    /// What they have seen: like a browser's, it outlives a connection that was cut.
    seen: Arc<Mutex<Seen>>,
    until: Option<Instant>,
    hopes: Duration,
}

/// The place that somebody knows to have.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Its epoch and sequence.
    place: Option<(u64, i64)>,
    /// The connection was cut since then.
    cut: bool,
}

impl Connection {
    fn place(&self) -> Option<(u64, i64)> {
        locked(&self.seen).place
    }

    /// Another tab: what it sees from now on is its own.
    fn tab(&self) -> Self {
        Self {
            seen: Arc::new(Mutex::new(*locked(&self.seen))),
            ..self.clone()
        }
    }
}

/// Waits in line, and is known to do so.
pub(super) async fn wait(
    world: &Arc<World>,
    person: &Person,
    user: &UserId,
    home: usize,
) -> Waited {
    world.diary.comes_into_line(user);
    let waited = wait_in_line(world, person, user, home).await;
    world.diary.leaves_line(user);
    waited
}

/// Waits in line, over as many connections as it takes.
async fn wait_in_line(world: &Arc<World>, person: &Person, user: &UserId, home: usize) -> Waited {
    let began = Instant::now();
    let leaves = match person.exit {
        Some(Exit::Line(ms) | Exit::LineSaid(ms)) => Some(began + Duration::from_millis(ms)),
        _ => None,
    };
    let lane = if person.fan { "fanclub" } else { "general" };
    let mut connection = Connection {
        user: user.clone(),
        lane: LaneName::new(lane).unwrap_or_else(|error| panic!("{error}")),
        seen: Arc::default(),
        until: leaves,
        hopes: Duration::from_millis(person.hopes_ms),
    };
    if person.habit == Habit::Retrying {
        // The answer to the first click is lost; a second tab, or a nervous finger, clicks again.
        connect_twice(world, &connection, home).await;
    }
    for attempt in 0..100 {
        add(&world.diary.counters.joins);
        let ended = if person.habit == Habit::TwoTabs && attempt == 0 {
            two_tabs(world, &mut connection, home).await
        } else {
            connect(world, &connection, home + attempt).await
        };
        match ended {
            Ended::Admitted(admitted) => {
                // The admission lasts from when it was made; until its owner says more, that long surely.
                let at_ms = admitted.claim_by_ms - CLAIM_MS;
                world.diary.admitted(Admitted {
                    lane: lane.to_owned(),
                    sequence: admitted.sequence,
                    fence: admitted.fence,
                    at_ms,
                    until_ms: at_ms,
                });
                return Waited::Admitted(admitted);
            }
            Ended::SoldOut => return Waited::SoldOut,
            Ended::Closed => {
                if matches!(person.exit, Some(Exit::LineSaid(_))) {
                    let (event, user) = (world.event().clone(), user.clone());
                    world
                        .ask(home, move |app| {
                            let (event, user) = (event.clone(), user.clone());
                            async move { app.queue.leave(&event, &user, None).await.is_ok() }
                        })
                        .await;
                }
                return Waited::Left;
            }
            // Whoever stayed away too long, by a fault of ours or their own, comes back: at the end of the line.
            Ended::Place(Reason::RoomClosed) => return Waited::SoldOut,
            Ended::Place(_) => {
                let before = std::mem::take(&mut *locked(&connection.seen));
                if before.cut && before.place.is_some() {
                    add(&world.diary.counters.lost_after_cut);
                }
            }
            Ended::Replaced => return Waited::Left,
            Ended::Again => {
                add(&world.diary.counters.cut_connections);
                locked(&connection.seen).cut = true;
                world.pause(10).await;
            }
        }
    }
    Waited::Fault
}

/// How long an admission waits for its owner; the room's own setting.
pub(super) const CLAIM_MS: i64 = 2_000;

/// Two tabs, one on each process: the newer one has the place, and the older one is told so.
async fn two_tabs(world: &Arc<World>, connection: &mut Connection, home: usize) -> Ended {
    let (first, second) = (connection.tab(), connection.tab());
    let older = connect(world, &first, home);
    let newer = async {
        world.pause(60).await;
        connect(world, &second, home + 1).await
    };
    let (older, newer) = tokio::join!(older, newer);
    let place = first.place().zip(second.place());
    if place.is_some_and(|(one, other)| one != other) && !matches!(older, Ended::Place(_)) {
        add(&world.diary.counters.second_places);
    }
    *connection = if second.place().is_some() {
        second
    } else {
        first
    };
    match (older, newer) {
        (Ended::Admitted(admitted), _) | (_, Ended::Admitted(admitted)) => {
            Ended::Admitted(admitted)
        }
        (Ended::Replaced, ended) | (ended, Ended::Replaced) => ended,
        (Ended::Again, ended) | (ended, _) => ended,
    }
}

/// Joins on both processes at once: there must be one place.
async fn connect_twice(world: &Arc<World>, connection: &Connection, home: usize) {
    let join = |process: usize| {
        let (event, connection) = (world.event().clone(), connection.clone());
        add(&world.diary.counters.joins);
        world.process(process).ask(move |app| async move {
            let options = JoinOptions {
                lane: Some(connection.lane),
                resume: None,
            };
            match app.queue.join_with(&event, &connection.user, options).await {
                Ok(Joined::Waiting(place)) => Some((place.epoch, place.sequence)),
                Ok(Joined::Admitted(admitted)) => Some((admitted.epoch, admitted.sequence)),
                _ => None,
            }
        })
    };
    let (one, other) = tokio::join!(join(home), join(home + 1));
    if let (Ok(Some(one)), Ok(Some(other))) = (one, other) {
        add(&world.diary.counters.joined_twice);
        if one != other {
            add(&world.diary.counters.second_places);
        }
    }
}

async fn connect(world: &Arc<World>, connection: &Connection, process: usize) -> Ended {
    let (shared, asked) = (Arc::clone(world), connection.clone());
    let served = world
        .process(process)
        .ask(move |app| serve(shared, app, asked));
    // The process is gone; what was seen by then is not.
    served.await.unwrap_or(Ended::Again)
}

/// One connection inside a process.
async fn serve(world: Arc<World>, app: App, asked: Connection) -> Ended {
    let counters = &world.diary.counters;
    let options = JoinOptions {
        lane: Some(asked.lane.clone()),
        resume: asked.place().map(|(epoch, _)| epoch),
    };
    let mut updates = match app
        .queue
        .watch_with(world.event(), &asked.user, options)
        .await
    {
        Ok(Watched::Stream(updates)) => updates,
        Ok(Watched::Refused(Joined::Gone { reason, .. })) => return Ended::Place(reason),
        Ok(Watched::Refused(Joined::Refused {
            state: RoomState::SoldOut,
        })) => {
            // Nobody new is taken; they look again now and then for a while.
            SystemClock.sleep(asked.hopes / 4).await;
            return Ended::SoldOut;
        }
        Ok(_) => return Ended::SoldOut,
        Err(_) => return Ended::Again,
    };
    let check = |place: (u64, i64)| {
        let mut seen = locked(&asked.seen);
        match seen.place {
            Some(before) if before != place => add(&counters.vanished),
            Some(_) if seen.cut => add(&counters.found_again),
            _ => {}
        }
        *seen = Seen {
            place: Some(place),
            cut: false,
        };
    };
    let mut position = u64::MAX;
    let mut sold_out_since: Option<Instant> = None;
    loop {
        let hope_ends = sold_out_since.map(|since| since + asked.hopes);
        let wake = [asked.until, hope_ends].into_iter().flatten().min();
        let update = tokio::select! {
            update = updates.next() => update,
            () = sleep_until(wake) => {
                return if asked.until.is_some_and(|until| until <= Instant::now()) {
                    Ended::Closed
                } else {
                    Ended::SoldOut
                };
            }
        };
        match update {
            Some(Update::Waiting(place)) => {
                check((place.epoch, place.sequence));
                if let Some(now) = place.position {
                    add(&counters.positions);
                    if now > position {
                        add(&counters.positions_up);
                    }
                    position = now;
                }
                let sold_out = place.state == RoomState::SoldOut;
                sold_out_since = sold_out.then(|| sold_out_since.unwrap_or_else(Instant::now));
            }
            Some(Update::Admitted(admitted)) => {
                check((admitted.epoch, admitted.sequence));
                return Ended::Admitted(admitted);
            }
            Some(Update::Closed(closed)) if closed.reason == Reason::Replaced => {
                return Ended::Replaced;
            }
            Some(Update::Closed(closed)) => return Ended::Place(closed.reason),
            Some(Update::Refused(_)) => return Ended::SoldOut,
            Some(_) | None => return Ended::Again,
        }
    }
}

async fn sleep_until(when: Option<Instant>) {
    match when {
        Some(when) => {
            SystemClock
                .sleep(when.saturating_duration_since(Instant::now()))
                .await;
        }
        None => std::future::pending().await,
    }
}
