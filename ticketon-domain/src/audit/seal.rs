//! Sealing: what is new goes into the next checkpoints.

use ticketon_queue::{Clock, StoreError};

use super::{
    AuditKeys, AuditStore, ChainHash, Checkpoint, CheckpointNote, MAX_HEADS, MemoryNote, Noted,
    Put, Run, SealedHead,
};

/// The most checkpoints that one call makes.
pub const MAX_BATCHES: usize = 64;
/// How often a checkpoint is tried while others make some.
const MAX_ATTEMPTS: usize = 10;

/// What was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Sealed {
    /// Checkpoints that were made.
    pub checkpoints: u64,
    /// Heads in them.
    pub heads: u64,
    /// Orders that were left out, since their rows are not what is ever written there.
    pub unreadable: u64,
    /// Whether there may be more to seal.
    pub more: bool,
}

/// Makes checkpoints until everything is sealed, at most [`MAX_BATCHES`]. Several processes may do so at once: each
/// checkpoint is made by one of them, and none forks the chain.
///
/// # Errors
/// [`StoreError::Unsafe`] if the last checkpoint is not one that these keys accept: nothing is built upon it. Other
/// [`StoreError`]s if the store fails.
pub async fn seal(
    store: &dyn AuditStore,
    keys: &AuditKeys,
    clock: &dyn Clock,
) -> Result<Sealed, StoreError> {
    seal_noted(store, keys, clock, &MemoryNote::default()).await
}

/// The same by somebody who noted the last checkpoint that they saw, and notes the new ones. If that one is gone or
/// another, somebody rewrote the history, and it is not signed anew.
///
/// # Errors
/// See [`seal`]; also [`StoreError::Unsafe`] if what was noted is not there, and [`StoreError`] if nothing can be noted.
pub async fn seal_noted(
    store: &dyn AuditStore,
    keys: &AuditKeys,
    clock: &dyn Clock,
    note: &dyn CheckpointNote,
) -> Result<Sealed, StoreError> {
    let mut sealed = Sealed::default();
    let mut after = String::new();
    let mut conflicts = 0;
    for _ in 0..MAX_BATCHES + MAX_ATTEMPTS {
        if sealed.checkpoints >= MAX_BATCHES as u64 {
            break;
        }
        // First what was noted: another sealer may write and note a checkpoint between the two looks.
        let noted = note.read().await?;
        let last = last(store, keys).await?;
        compare(store, note, noted, last.as_ref()).await?;
        let mut runs = store.unsealed(&after, MAX_HEADS).await?;
        let full = runs.len() >= MAX_HEADS;
        let next_after = runs.last().map(|run| run.order.clone());
        let found = runs.len();
        let mut heads = Vec::with_capacity(found);
        runs.retain(|run| {
            let head = run.head().inspect_err(|error| unreadable(run, error));
            heads.extend(head.as_ref().ok());
            head.is_ok()
        });
        if !heads.is_empty() {
            match put(store, keys, clock, last.as_ref(), heads, &runs).await? {
                Some(noted) => note.write(noted).await?,
                None if conflicts + 1 >= MAX_ATTEMPTS => break,
                None => {
                    conflicts += 1;
                    continue;
                }
            }
        }
        sealed.checkpoints += u64::from(!runs.is_empty());
        sealed.heads += runs.len() as u64;
        sealed.unreadable += (found - runs.len()) as u64;
        match next_after {
            Some(next) if full => after = next,
            _ => return Ok(sealed),
        }
    }
    sealed.more = true;
    Ok(sealed)
}

fn unreadable(run: &Run, error: &ticketon_queue::FieldError) {
    tracing::error!(target: "ticketon::audit", order = run.order, seq = run.last, %error,
        "an entry cannot be sealed: its row was changed");
}

/// The last checkpoint, if it can be built upon.
async fn last(store: &dyn AuditStore, keys: &AuditKeys) -> Result<Option<Checkpoint>, StoreError> {
    let Some(stored) = store.last_checkpoint().await? else {
        return Ok(None);
    };
    let unsafe_to = |why: String| StoreError::Unsafe {
        detail: format!(
            "checkpoint {} of the audit cannot be built upon: {why}; verify the audit, and accept the keys of all \
             its checkpoints",
            stored.number
        ),
    };
    let last = stored
        .read()
        .map_err(|error| unsafe_to(error.to_string()))?;
    last.check(keys.public())
        .map_err(|error| unsafe_to(format!("{error} (key {:?})", last.key)))?;
    Ok(Some(last))
}

/// Compares the store with what was noted, and notes what is new.
async fn compare(
    store: &dyn AuditStore,
    note: &dyn CheckpointNote,
    noted: Option<Noted>,
    last: Option<&Checkpoint>,
) -> Result<(), StoreError> {
    if let Some(noted) = noted {
        let found = match last {
            Some(last) if last.number <= noted.number => Some((last.number, last.hash.to_string())),
            Some(_) => {
                let number = i64::try_from(noted.number).unwrap_or(i64::MAX);
                let page = store.checkpoints(number, 1).await?;
                page.into_iter()
                    .next()
                    .map(|stored| (u64::try_from(stored.number).unwrap_or(0), stored.hash))
            }
            None => None,
        };
        let what = match found {
            Some((number, hash)) if number == noted.number && hash == noted.hash.to_string() => {
                None
            }
            Some((number, hash)) if number == noted.number => {
                Some(format!("has the hash {hash} now"))
            }
            _ => Some("is not there any more".to_owned()),
        };
        if let Some(what) = what {
            return Err(StoreError::Unsafe {
                detail: format!(
                    "checkpoint {} of the audit was seen with the hash {} and {what}: somebody rewrote the history, \
                     or put an older database back; nothing is signed anew. Verify the audit with an export from \
                     elsewhere; if that was on purpose, remove the note and seal again",
                    noted.number, noted.hash
                ),
            });
        }
    }
    match last.map(Noted::of) {
        Some(last) if noted.is_none_or(|noted| noted.number < last.number) => {
            note.write(last).await
        }
        _ => Ok(()),
    }
}

/// Writes a checkpoint; `None` if another one came first.
async fn put(
    store: &dyn AuditStore,
    keys: &AuditKeys,
    clock: &dyn Clock,
    last: Option<&Checkpoint>,
    heads: Vec<SealedHead>,
    runs: &[Run],
) -> Result<Option<Noted>, StoreError> {
    let number = last.map_or(0, |last| last.number) + 1;
    let prev = last.map_or(ChainHash::START, |last| last.hash);
    let checkpoint = Checkpoint::signed(number, clock.now_ms(), prev, heads, keys);
    if store.put_checkpoint(&checkpoint, runs).await? == Put::Conflict {
        return Ok(None);
    }
    tracing::info!(target: "ticketon::audit", number, heads = runs.len(), hash = %checkpoint.hash,
        "a checkpoint of the audit was made");
    Ok(Some(Noted::of(&checkpoint)))
}
