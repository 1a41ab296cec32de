//! The one connection that writes into a file of SQLite, and how transactions share its commits.
//!
//! SQLite has one writer at a time, and a durable commit waits for the disk. So whoever has done its work and sees
//! others wait passes the open transaction on instead of committing it; the last one commits for all of this group.
//! Each is a savepoint of its own, and each is answered after the commit: also one that changed nothing, since what
//! it read may have been written by the group. Whoever leaves in the middle takes its own work back and nobody else's.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::connection::Conn;
use super::fault::Fault;
use super::open::Source;
use super::pool::Line;

/// The most transactions of a group.
const MAX_GROUP: u32 = 64;

/// Who may write into the file.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    desk: Arc<Mutex<Desk>>,
    line: Line,
    /// A database in memory lives as long as its connection.
    in_memory: bool,
}

/// What the one whose turn it is has.
#[derive(Debug)]
struct Desk {
    source: Source,
    conn: Option<Conn>,
    group: Option<Group>,
}

/// Transactions that are committed together.
#[derive(Debug)]
struct Group {
    /// Those that did their work.
    members: u32,
    /// How it ended; the sender vanishes if nobody knows.
    end: watch::Sender<Option<End>>,
}

/// How a group ended.
#[derive(Debug, Clone)]
enum End {
    Committed,
    /// Nothing of it was done.
    TakenBack(Arc<str>),
    Unknown(Arc<str>),
}

impl Writer {
    pub(super) fn new(source: Source, line: Line, in_memory: bool) -> Self {
        let desk = Desk {
            source,
            conn: None,
            group: None,
        };
        Self {
            desk: Arc::new(Mutex::new(desk)),
            line,
            in_memory,
        }
    }

    /// Waits for the turn and begins a transaction.
    pub(super) async fn begin(&self) -> Result<Turn, Fault> {
        let desk = match Arc::clone(&self.desk).try_lock_owned() {
            Ok(desk) => desk,
            Err(_) => {
                let in_line = async {
                    let mut leaving = Leaving {
                        writer: Some(self.clone()),
                    };
                    let desk = Arc::clone(&self.desk).lock_owned().await;
                    leaving.writer = None;
                    desk
                };
                self.line.wait(in_line).await?
            }
        };
        let mut turn = Turn {
            desk: Some(desk),
            writer: self.clone(),
            stage: Stage::Torn,
        };
        turn.open().await?;
        Ok(turn)
    }

    /// Commits a group that was passed on to somebody who left the line.
    async fn commit_if_alone(self) {
        let desk = Arc::clone(&self.desk).lock_owned().await;
        if desk.group.is_some() {
            self.pass_on(desk);
        }
    }

    /// Lets the next one write; the last one commits, in a task that nobody can cut short.
    fn pass_on(&self, desk: OwnedMutexGuard<Desk>) {
        let full = desk.group.as_ref().is_none_or(|group| group.members >= MAX_GROUP);
        if full || self.line.waiting() == 0 {
            spawn(commit(desk, self.in_memory));
        }
    }
}

/// In which state a turn finds the connection if it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Unclear: all that the group did is taken back.
    Torn,
    /// In a transaction of its own.
    First,
    /// In a savepoint of the group's transaction.
    Member,
}

/// A transaction that has begun.
#[derive(Debug)]
pub(super) struct Turn {
    desk: Option<OwnedMutexGuard<Desk>>,
    writer: Writer,
    stage: Stage,
}

impl Turn {
    fn desk(&mut self) -> Result<&mut Desk, Fault> {
        let gone = || Fault::Corrupt("a transaction was ended already".to_owned());
        self.desk.as_deref_mut().ok_or_else(gone)
    }

    /// The connection.
    pub(super) fn conn(&mut self) -> Result<&mut Conn, Fault> {
        let lost = || Fault::again("the connection was lost");
        self.desk()?.conn.as_mut().ok_or_else(lost)
    }

    async fn open(&mut self) -> Result<(), Fault> {
        let desk = self.desk()?;
        if desk.conn.is_none() {
            desk.group = None;
            desk.conn = Some(desk.source.connect().await?);
        }
        let member = desk.group.as_ref().is_some_and(|group| group.members > 0);
        if desk.group.is_none() {
            // From the start it has the right to write, so that it can never be refused in the middle.
            self.conn()?.command("BEGIN IMMEDIATE").await?;
            let end = watch::Sender::new(None);
            self.desk()?.group = Some(Group { members: 0, end });
        }
        if member {
            self.conn()?.command("SAVEPOINT member").await?;
        }
        self.stage = if member { Stage::Member } else { Stage::First };
        Ok(())
    }

    /// Ends the work, to be kept; returns once it is durable.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        let release = (self.stage == Stage::Member).then_some("RELEASE member");
        self.finish(release, true).await
    }

    /// Takes the work back; returns once what it may have read is durable.
    pub(super) async fn roll_back(mut self) -> Result<(), Fault> {
        let undo = match self.stage {
            Stage::Member => Some("ROLLBACK TO member; RELEASE member"),
            // The group is this one alone; it ends, and the next one begins another.
            Stage::First | Stage::Torn => None,
        };
        let keep = undo.is_some();
        self.finish(undo, keep).await
    }

    async fn finish(&mut self, command: Option<&'static str>, keep: bool) -> Result<(), Fault> {
        let stage = std::mem::replace(&mut self.stage, Stage::Torn);
        if let Some(command) = command {
            // If it fails, SQLite has taken back the whole transaction by itself: the drop tells the group.
            self.conn()?.command(command).await?;
        }
        let Some(mut desk) = self.desk.take() else {
            return Ok(());
        };
        let Some(group) = desk.group.as_mut() else {
            return Ok(());
        };
        if !keep && stage == Stage::First {
            let in_memory = self.writer.in_memory;
            spawn(take_back(desk, "it was taken back", in_memory));
            return Ok(());
        }
        group.members += 1;
        let mut end = group.end.subscribe();
        self.writer.pass_on(desk);
        let ended = match end.wait_for(Option::is_some).await {
            Ok(ended) => ended.clone(),
            Err(_) => None,
        };
        match ended {
            Some(End::Committed) => Ok(()),
            Some(End::TakenBack(reason)) => Err(Fault::again(&reason)),
            Some(End::Unknown(reason)) => Err(Fault::Failed(reason.to_string().into())),
            None => Err(Fault::Failed("the commit was cut short".into())),
        }
    }
}

impl Drop for Turn {
    /// Left in the middle.
    fn drop(&mut self) {
        let Some(mut desk) = self.desk.take() else {
            return;
        };
        let writer = self.writer.clone();
        if self.stage != Stage::Member {
            spawn(take_back(desk, "another transaction of the group failed", writer.in_memory));
            return;
        }
        let leave = async move {
            let undone = match desk.conn.as_mut() {
                Some(conn) => conn.command("ROLLBACK TO member; RELEASE member").await.is_ok(),
                None => false,
            };
            if undone {
                writer.pass_on(desk);
            } else {
                take_back(desk, "another transaction of the group failed", writer.in_memory).await;
            }
        };
        spawn(leave);
    }
}

/// Somebody in the line who has not had its turn: if it leaves, a group may have been passed on to it.
struct Leaving {
    writer: Option<Writer>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            spawn(writer.commit_if_alone());
        }
    }
}

/// Commits the group and tells its members.
async fn commit(mut desk: OwnedMutexGuard<Desk>, in_memory: bool) {
    let Some(group) = desk.group.take() else {
        return;
    };
    let done = match desk.conn.as_mut() {
        Some(conn) => conn.command("COMMIT").await,
        None => Err(Fault::again("the connection was lost")),
    };
    let end = match done {
        Ok(()) => End::Committed,
        Err(fault) => {
            let fault = fault.in_commit();
            let reason: Arc<str> = format!("{fault:?}").into();
            reset(&mut desk, in_memory).await;
            if matches!(fault, Fault::Again(_)) {
                End::TakenBack(reason)
            } else {
                End::Unknown(reason)
            }
        }
    };
    drop(desk);
    group.end.send_replace(Some(end));
}

/// Takes back all that the group did and tells its members.
async fn take_back(mut desk: OwnedMutexGuard<Desk>, reason: &'static str, in_memory: bool) {
    reset(&mut desk, in_memory).await;
    let group = desk.group.take();
    drop(desk);
    if let Some(group) = group {
        group.end.send_replace(Some(End::TakenBack(reason.into())));
    }
}

/// Brings the connection out of whatever transaction it is in.
async fn reset(desk: &mut Desk, in_memory: bool) {
    if let Some(conn) = desk.conn.as_mut() {
        conn.wants_undo();
        // Refused if there is no transaction any more, which is as good.
        let undone = conn.command("ROLLBACK").await;
        let nothing_open = undone.is_ok() || conn.command("BEGIN; COMMIT").await.is_ok();
        if !nothing_open && !in_memory {
            desk.conn = None;
        }
    }
}

/// Runs on by itself. Without a runtime all ends, and so does the connection.
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(work);
    }
}
