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
/// Begins a member's work; the one before it, if its savepoint is open, has ended its own.
const BEGIN_MEMBER: &str = "SAVEPOINT member";
const BEGIN_NEXT_MEMBER: &str = "RELEASE member; SAVEPOINT member";
/// Takes back a member's work.
const UNDO_MEMBER: &str = "ROLLBACK TO member; RELEASE member";
/// Why a group was taken back; each of its members tries again.
const OTHER_FAILED: &str = "another transaction of the group failed";

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
    /// The savepoint of the last one is open: the next one ends it with its own first statement, or the commit does.
    open: bool,
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
        let full = desk
            .group
            .as_ref()
            .is_none_or(|group| group.members >= MAX_GROUP);
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
            self.desk()?.group = Some(Group {
                members: 0,
                open: false,
                end,
            });
        }
        if !member {
            self.stage = Stage::First;
            return Ok(());
        }
        let open = self.desk()?.group.as_ref().is_some_and(|group| group.open);
        if open {
            // Left in here, nobody knows whose savepoint it is: the stage stays torn.
            self.conn()?.command(BEGIN_NEXT_MEMBER).await?;
        } else {
            self.stage = Stage::Member;
            self.conn()?.command(BEGIN_MEMBER).await?;
        }
        if let Some(group) = &mut self.desk()?.group {
            group.open = false;
        }
        self.stage = Stage::Member;
        Ok(())
    }

    /// Ends the work, to be kept; returns once it is durable.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        self.finish(true).await
    }

    /// Takes the work back; returns once what it may have read is durable.
    pub(super) async fn roll_back(mut self) -> Result<(), Fault> {
        // A group of this one alone ends, and the next one begins another.
        self.finish(false).await
    }

    async fn finish(&mut self, keep: bool) -> Result<(), Fault> {
        let stage = self.stage;
        let Some(mut desk) = self.desk.take() else {
            return Ok(());
        };
        let Some(group) = desk.group.as_mut() else {
            return Ok(());
        };
        let writer = self.writer.clone();
        if !keep && stage != Stage::Member {
            spawn(take_back(desk, "it was taken back", writer.in_memory));
            return Ok(());
        }
        group.members += 1;
        group.open = keep && stage == Stage::Member;
        let mut end = group.end.subscribe();
        match keep {
            true => writer.pass_on(desk),
            // Goes on by itself: a caller who leaves now does not leave the others in doubt.
            false => spawn(undo_member(writer, desk)),
        }
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

/// Takes back what a member did and lets the next one write. If that fails, SQLite has taken back the whole transaction
/// by itself.
async fn undo_member(writer: Writer, mut desk: OwnedMutexGuard<Desk>) {
    let undone = match desk.conn.as_mut() {
        Some(conn) => conn.command(UNDO_MEMBER).await.is_ok(),
        None => false,
    };
    if undone {
        writer.pass_on(desk);
    } else {
        take_back(desk, OTHER_FAILED, writer.in_memory).await;
    }
}

impl Drop for Turn {
    /// Left in the middle.
    fn drop(&mut self) {
        let Some(desk) = self.desk.take() else {
            return;
        };
        let writer = self.writer.clone();
        match self.stage {
            Stage::Member => spawn(undo_member(writer, desk)),
            Stage::First | Stage::Torn => spawn(take_back(desk, OTHER_FAILED, writer.in_memory)),
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::yield_now;

    use super::super::values;
    use super::*;

    async fn writer() -> Writer {
        let line = Line::new(10, Duration::from_secs(10));
        let writer = Writer::new(Source::file(":memory:"), line, true);
        let mut turn = writer.begin().await.unwrap();
        let table = "CREATE TABLE numbers (n INTEGER PRIMARY KEY)";
        turn.conn().unwrap().command(table).await.unwrap();
        turn.commit().await.unwrap();
        writer
    }

    async fn insert(turn: &mut Turn, number: i64) {
        let sql = "INSERT INTO numbers VALUES (?)";
        let conn = turn.conn().unwrap();
        assert_eq!(conn.run(sql, values![number]).await.unwrap(), 1);
    }

    async fn numbers(writer: &Writer) -> Vec<i64> {
        let mut turn = writer.begin().await.unwrap();
        let sql = "SELECT n FROM numbers ORDER BY n";
        let rows = turn.conn().unwrap().rows(sql, &[]).await.unwrap();
        turn.roll_back().await.unwrap();
        rows.iter().map(|row| row.int("n").unwrap()).collect()
    }

    /// A transaction that did its work and waits for its commit, and the turn of the next one in its group.
    async fn group(writer: &Writer) -> (tokio::task::JoinHandle<Result<(), Fault>>, Turn) {
        let mut first = writer.begin().await.unwrap();
        insert(&mut first, 1).await;
        let next = writer.clone();
        let next = tokio::spawn(async move { next.begin().await.unwrap() });
        while writer.line.waiting() == 0 {
            yield_now().await;
        }
        let committing = tokio::spawn(first.commit());
        let next = next.await.unwrap();
        assert_eq!(next.stage, Stage::Member);
        assert!(!committing.is_finished(), "it is answered after the commit");
        (committing, next)
    }

    #[tokio::test]
    async fn a_group_is_committed_by_its_last_member() {
        let writer = writer().await;
        let (first, mut next) = group(&writer).await;
        insert(&mut next, 2).await;
        next.commit().await.unwrap();
        first.await.unwrap().unwrap();
        assert_eq!(numbers(&writer).await, [1, 2]);
    }

    #[tokio::test]
    async fn a_member_takes_back_its_own_work_alone() {
        let writer = writer().await;
        for leaves in [true, false] {
            let (first, mut next) = group(&writer).await;
            insert(&mut next, 2).await;
            if leaves {
                drop(next);
            } else {
                next.roll_back().await.unwrap();
            }
            first.await.unwrap().unwrap();
            assert_eq!(numbers(&writer).await, [1]);
            let mut turn = writer.begin().await.unwrap();
            turn.conn()
                .unwrap()
                .command("DELETE FROM numbers")
                .await
                .unwrap();
            turn.commit().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_group_that_was_passed_to_somebody_who_left_is_committed() {
        let writer = writer().await;
        let mut first = writer.begin().await.unwrap();
        insert(&mut first, 1).await;
        let mut next = Box::pin(writer.begin());
        assert!(futures_util::poll!(&mut next).is_pending());
        let committing = tokio::spawn(first.commit());
        // It passes the turn on, and the one who is to have it leaves without ever knowing.
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(!committing.is_finished());
        drop(next);
        committing.await.unwrap().unwrap();
        assert_eq!(numbers(&writer).await, [1]);
    }

    #[tokio::test]
    async fn a_member_that_tears_the_transaction_is_told_to_all() {
        let writer = writer().await;
        let (first, mut next) = group(&writer).await;
        insert(&mut next, 2).await;
        // As SQLite itself does when the disk is full, while it says so.
        next.conn().unwrap().command("ROLLBACK").await.unwrap();
        assert!(next.roll_back().await.is_err());
        let told = first.await.unwrap();
        assert!(
            matches!(told, Err(Fault::Again(_))),
            "nothing of it was done: {told:?}"
        );
        assert_eq!(numbers(&writer).await, [0; 0]);
        // Who does not hear it wants to go on: the next one in the group or the commit finds it.
        let (first, mut next) = group(&writer).await;
        next.conn().unwrap().command("ROLLBACK").await.unwrap();
        assert!(next.commit().await.is_err());
        assert!(first.await.unwrap().is_err());
        assert_eq!(numbers(&writer).await, [0; 0]);
        let mut turn = writer.begin().await.unwrap();
        insert(&mut turn, 3).await;
        turn.commit().await.unwrap();
        assert_eq!(numbers(&writer).await, [3]);
    }

    #[tokio::test]
    async fn each_member_of_a_long_group_ends_by_itself() {
        let writer = writer().await;
        let mut first = writer.begin().await.unwrap();
        insert(&mut first, 0).await;
        // In the order of the line: some keep what they did, some take it back, some leave.
        let mut line = Vec::new();
        for number in 1..=9 {
            let member = writer.clone();
            line.push(tokio::spawn(async move {
                let mut turn = member.begin().await.unwrap();
                insert(&mut turn, number).await;
                match number % 3 {
                    0 => turn.roll_back().await,
                    1 => turn.commit().await,
                    _ => {
                        drop(turn);
                        Ok(())
                    }
                }
            }));
            while writer.line.waiting() < usize::try_from(number).unwrap() {
                yield_now().await;
            }
        }
        first.commit().await.unwrap();
        for member in line {
            member.await.unwrap().unwrap();
        }
        assert_eq!(numbers(&writer).await, [0, 1, 4, 7]);
    }

    #[tokio::test]
    async fn a_caller_who_leaves_while_it_is_committed_changes_nothing() {
        let writer = writer().await;
        let (first, mut next) = group(&writer).await;
        insert(&mut next, 2).await;
        let last = tokio::spawn(next.commit());
        yield_now().await;
        last.abort();
        first.await.unwrap().unwrap();
        let kept = numbers(&writer).await;
        assert!(kept.starts_with(&[1]), "{kept:?}");
        // A first transaction that is left is not there at all.
        let mut left = writer.begin().await.unwrap();
        insert(&mut left, 9).await;
        drop(left);
        assert_eq!(numbers(&writer).await, kept);
    }
}
