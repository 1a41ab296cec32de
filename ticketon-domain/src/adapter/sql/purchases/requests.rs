//! Idempotency keys: which requests run, and what was answered.

use ticketon_queue::UnixMs;

use super::super::each;
use super::{Conn, Fault, for_update, values};
use crate::purchase::{Begun, RequestEnd, RequestKey};

/// Begins a request, or says what became of it.
pub(super) async fn begin(
    conn: &mut Conn,
    key: &RequestKey,
    hash: &str,
    now_ms: UnixMs,
    until_ms: UnixMs,
) -> Result<Begun, Fault> {
    let insert = "INSERT INTO requests (user_id, operation, idem_key, hash, lease_until_ms, created_ms) \
                  VALUES (?, ?, ?, ?, ?, ?)";
    let values = values![&key.user, key.operation, &key.key, hash, until_ms, now_ms];
    // Most keys are new: nothing is read for those.
    match conn.run(insert, values).await {
        Err(Fault::Duplicate) => {}
        inserted => return inserted.map(|_| Begun::Go),
    }
    let sql = for_update!(
        "SELECT hash, lease_until_ms, answer FROM requests WHERE user_id = ? AND operation = ? AND idem_key = ?"
    );
    let row = conn
        .row(sql, values![&key.user, key.operation, &key.key])
        .await?;
    let Some(row) = row else {
        return Err(Fault::race("a key was free again a moment later"));
    };
    if row.text("hash")? != hash {
        return Ok(Begun::Mismatch);
    }
    if let Some(answer) = row.opt_text("answer")? {
        return Ok(Begun::Answered(answer));
    }
    let running_until_ms = row.int("lease_until_ms")?;
    if now_ms < running_until_ms {
        let until_ms = running_until_ms;
        return Ok(Begun::Running { until_ms });
    }
    let sql = "UPDATE requests SET lease_until_ms = ? WHERE user_id = ? AND operation = ? AND idem_key = ?";
    conn.run(sql, values![until_ms, &key.user, key.operation, &key.key])
        .await?;
    Ok(Begun::Go)
}

/// Writes the answer down, lets the same be asked again, or forgets the request. An answer that was given stays.
pub(super) async fn end(
    conn: &mut Conn,
    key: &RequestKey,
    end: RequestEnd<'_>,
) -> Result<(), Fault> {
    match end {
        RequestEnd::Answered(answer) => {
            let sql = "UPDATE requests SET answer = ? \
                       WHERE user_id = ? AND operation = ? AND idem_key = ? AND answer IS NULL";
            conn.run(sql, values![answer, &key.user, key.operation, &key.key])
                .await?;
        }
        RequestEnd::Again => {
            let sql = "UPDATE requests SET lease_until_ms = 0 \
                       WHERE user_id = ? AND operation = ? AND idem_key = ? AND answer IS NULL";
            conn.run(sql, values![&key.user, key.operation, &key.key])
                .await?;
        }
        RequestEnd::Forgotten => {
            let sql = "DELETE FROM requests \
                       WHERE user_id = ? AND operation = ? AND idem_key = ? AND answer IS NULL";
            conn.run(sql, values![&key.user, key.operation, &key.key])
                .await?;
        }
    }
    Ok(())
}

/// Forgets requests that began before a time and do not run any more.
pub(super) async fn forget(conn: &mut Conn, before_ms: UnixMs) -> Result<u64, Fault> {
    let sql = each!(
        sqlite: "DELETE FROM requests WHERE rowid IN (SELECT rowid FROM requests \
                 WHERE created_ms < ? AND (answer IS NOT NULL OR lease_until_ms < ?) ORDER BY created_ms LIMIT 1000)",
        mysql: "DELETE FROM requests WHERE created_ms < ? AND (answer IS NOT NULL OR lease_until_ms < ?) \
                ORDER BY created_ms LIMIT 1000",
    );
    conn.run(sql, values![before_ms, before_ms]).await
}
