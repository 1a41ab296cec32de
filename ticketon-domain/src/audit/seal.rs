//! Sealing: what is new goes into the next checkpoints.

use ticketon_queue::{Clock, StoreError};

use super::{AuditKeys, AuditStore, ChainHash, Checkpoint, MAX_HEADS, Put, Run, SealedHead};

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
    let mut sealed = Sealed::default();
    let mut after = String::new();
    let mut conflicts = 0;
    for _ in 0..MAX_BATCHES + MAX_ATTEMPTS {
        if sealed.checkpoints >= MAX_BATCHES as u64 {
            break;
        }
        let last = last(store, keys).await?;
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
        if !heads.is_empty()
            && put(store, keys, clock, last.as_ref(), heads, &runs).await? == Put::Conflict
        {
            conflicts += 1;
            if conflicts >= MAX_ATTEMPTS {
                break;
            }
            continue;
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

async fn put(
    store: &dyn AuditStore,
    keys: &AuditKeys,
    clock: &dyn Clock,
    last: Option<&Checkpoint>,
    heads: Vec<SealedHead>,
    runs: &[Run],
) -> Result<Put, StoreError> {
    let number = last.map_or(0, |last| last.number) + 1;
    let prev = last.map_or(ChainHash::START, |last| last.hash);
    let checkpoint = Checkpoint::signed(number, clock.now_ms(), prev, heads, keys);
    let put = store.put_checkpoint(&checkpoint, runs).await?;
    if put == Put::Done {
        tracing::info!(target: "ticketon::audit", number, heads = runs.len(), hash = %checkpoint.hash,
            "a checkpoint of the audit was made");
    }
    Ok(put)
}
