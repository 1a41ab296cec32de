//! The waiting room, from the first click to the door.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ticketon_queue::{
    AdmittedUpdate, Clock as _, JoinOptions, Joined, LaneName, Reason, RoomState, SystemClock,
    Update, UserId, Watched,
};

use super::diary::{Admitted, add};
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
    /// The place that was had before.
    resume: Option<u64>,
    /// The sequence of that place.
    had: Option<(u64, i64)>,
    until: Option<Instant>,
    hopes: Duration,
}

/// Waits in line, over as many connections as it takes.
pub(super) async fn wait(
    world: &Arc<World>,
    person: &Person,
    user: &UserId,
    home: usize,
) -> Waited {
    let began = Instant::now();
    let leaves = match person.exit {
        Some(Exit::Line(ms) | Exit::LineSaid(ms)) => Some(began + Duration::from_millis(ms)),
        _ => None,
    };
    let lane = if person.fan { "fanclub" } else { "general" };
    let mut connection = Connection {
        user: user.clone(),
        lane: LaneName::new(lane).unwrap_or_else(|error| panic!("{error}")),
        resume: None,
        had: None,
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
            connect(world, &mut connection, home + attempt).await
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
                connection.resume = None;
                connection.had = None;
            }
            Ended::Replaced => return Waited::Left,
            Ended::Again => {
                add(&world.diary.counters.cut_connections);
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
    let (mut first, mut second) = (connection.clone(), connection.clone());
    let older = connect(world, &mut first, home);
    let newer = async {
        world.pause(60).await;
        connect(world, &mut second, home + 1).await
    };
    let (older, newer) = tokio::join!(older, newer);
    let place = first.had.zip(second.had);
    if place.is_some_and(|(one, other)| one != other) && !matches!(older, Ended::Place(_)) {
        add(&world.diary.counters.second_places);
    }
    *connection = if second.had.is_some() { second } else { first };
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
    if let (Ok(Some(one)), Ok(Some(other))) = (one, other)
        && one != other
    {
        add(&world.diary.counters.second_places);
    }
}

async fn connect(world: &Arc<World>, connection: &mut Connection, process: usize) -> Ended {
    let (shared, asked) = (Arc::clone(world), connection.clone());
    let served = world
        .process(process)
        .ask(move |app| serve(shared, app, asked))
        .await;
    let Ok((ended, seen)) = served else {
        // Whatever the connection had seen went with the process: what was known before must still hold.
        return Ended::Again;
    };
    if let Some((epoch, _)) = seen {
        connection.resume = Some(epoch);
        connection.had = seen;
    }
    ended
}

/// One connection inside a process.
async fn serve(world: Arc<World>, app: App, asked: Connection) -> (Ended, Option<(u64, i64)>) {
    let counters = &world.diary.counters;
    let mut seen = asked.had;
    let options = JoinOptions {
        lane: Some(asked.lane.clone()),
        resume: asked.resume,
    };
    let mut updates = match app
        .queue
        .watch_with(world.event(), &asked.user, options)
        .await
    {
        Ok(Watched::Stream(updates)) => updates,
        Ok(Watched::Refused(Joined::Gone { reason, .. })) => return (Ended::Place(reason), None),
        Ok(Watched::Refused(Joined::Refused {
            state: RoomState::SoldOut,
        })) => {
            // Nobody new is taken; they look again now and then for a while.
            SystemClock.sleep(asked.hopes / 4).await;
            return (Ended::SoldOut, seen);
        }
        Ok(_) => return (Ended::SoldOut, seen),
        Err(_) => return (Ended::Again, seen),
    };
    let mut check = |place: (u64, i64)| {
        if seen.is_some_and(|before| before != place) {
            add(&counters.vanished);
        }
        seen = Some(place);
    };
    let mut position = u64::MAX;
    let mut sold_out_since: Option<Instant> = None;
    loop {
        let hope_ends = sold_out_since.map(|since| since + asked.hopes);
        let wake = [asked.until, hope_ends].into_iter().flatten().min();
        let update = tokio::select! {
            update = updates.next() => update,
            () = sleep_until(wake) => {
                let ended = if asked.until.is_some_and(|until| until <= Instant::now()) {
                    Ended::Closed
                } else {
                    Ended::SoldOut
                };
                return (ended, seen);
            }
        };
        match update {
            Some(Update::Waiting(place)) => {
                check((place.epoch, place.sequence));
                if let Some(now) = place.position {
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
                return (Ended::Admitted(admitted), seen);
            }
            Some(Update::Closed(closed)) if closed.reason == Reason::Replaced => {
                return (Ended::Replaced, seen);
            }
            Some(Update::Closed(closed)) => return (Ended::Place(closed.reason), None),
            Some(Update::Refused(_)) => return (Ended::SoldOut, seen),
            Some(_) | None => return (Ended::Again, seen),
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
