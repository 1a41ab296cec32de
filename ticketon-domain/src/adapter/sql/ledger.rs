//! What is sold and blocked, as maps are rebuilt from it and compared with it.

use async_trait::async_trait;
use ticketon_queue::{EventId, StoreError, UserId};

use super::row::Row;
use super::statement::{marks, rows_of_marks};
use super::store::SqlStore;
use super::transaction::Reading;
use super::value::Value;
use super::{Fault, read, transaction, values};
use crate::purchase::OrderState;
use crate::seat::{GivenBack, HoldId, Page, SeatLedger, SoldSeat, Untold};
use crate::venue::SeatLabel;

/// The most seats that one call lists.
const MAX_PAGE: usize = 10_000;
/// The most seats of one statement.
const MAX_ROWS: usize = 500;

#[async_trait]
impl SeatLedger for SqlStore {
    async fn sold(
        &self,
        event: &EventId,
        after: Option<&SeatLabel>,
        limit: usize,
    ) -> Result<Page<SoldSeat>, StoreError> {
        let sql = "SELECT seat, user_id, fence FROM tickets \
                   WHERE event_id = ? AND seat > ? AND live = 1 ORDER BY seat LIMIT ?";
        let read = |row: &Row| {
            let user = row.text("user_id")?;
            Ok(SoldSeat {
                seat: row.parsed("seat")?,
                user: UserId::new(&user)
                    .map_err(|error| Fault::Corrupt(format!("user_id: {error}")))?,
                fence: row.count("fence")?,
            })
        };
        self.page("list sold seats", sql, event, after, limit, read, |sold| {
            sold.seat.clone()
        })
        .await
    }

    async fn given_back(
        &self,
        event: &EventId,
        after: Option<&SeatLabel>,
        limit: usize,
    ) -> Result<Page<GivenBack>, StoreError> {
        let sql = "SELECT seat, MAX(fence) AS fence FROM tickets \
                   WHERE event_id = ? AND seat > ? AND state = 'refunded' GROUP BY seat ORDER BY seat LIMIT ?";
        let read = |row: &Row| {
            Ok(GivenBack {
                seat: row.parsed("seat")?,
                fence: row.count("fence")?,
            })
        };
        let label = |given: &GivenBack| given.seat.clone();
        self.page(
            "list given back seats",
            sql,
            event,
            after,
            limit,
            read,
            label,
        )
        .await
    }

    async fn blocked(
        &self,
        event: &EventId,
        after: Option<&SeatLabel>,
        limit: usize,
    ) -> Result<Page<SeatLabel>, StoreError> {
        let sql =
            "SELECT seat FROM blocked_seats WHERE event_id = ? AND seat > ? ORDER BY seat LIMIT ?";
        let read = |row: &Row| row.parsed("seat");
        self.page(
            "list blocked seats",
            sql,
            event,
            after,
            limit,
            read,
            SeatLabel::clone,
        )
        .await
    }

    async fn set_blocked(
        &self,
        event: &EventId,
        seats: &[SeatLabel],
        blocked: bool,
    ) -> Result<(), StoreError> {
        transaction!(self, "block seats", |conn| {
            for seats in seats.chunks(MAX_ROWS) {
                let count = seats.len();
                let mut values: Vec<Value<'_>> = Vec::with_capacity(2 * count);
                // Those that are there already are put anew.
                values.push(event.into());
                values.extend(seats.iter().map(Value::from));
                let delete = "DELETE FROM blocked_seats WHERE event_id = ? AND seat IN";
                conn.run(format!("{delete} ({})", marks(count)), &values)
                    .await?;
                if blocked {
                    values.clear();
                    for seat in seats {
                        values.extend(values![event, seat]);
                    }
                    let insert = "INSERT INTO blocked_seats (event_id, seat) VALUES";
                    conn.run(format!("{insert} {}", rows_of_marks(count, 2)), &values)
                        .await?;
                }
            }
            Ok(())
        })
    }

    async fn paid_for(&self, event: &EventId, holds: &[HoldId]) -> Result<Vec<HoldId>, StoreError> {
        let mut paid = Vec::new();
        for holds in holds.chunks(MAX_ROWS) {
            let ids: Vec<String> = holds.iter().map(HoldId::to_string).collect();
            let mut values: Vec<Value<'_>> = Vec::with_capacity(ids.len() + 2);
            values.extend(values![event, OrderState::Confirming.as_str()]);
            values.extend(ids.iter().map(Value::from));
            let select = "SELECT hold_id FROM orders WHERE event_id = ? AND hold_live = 1 AND state = ? AND hold_id IN";
            let sql = format!("{select} ({})", marks(ids.len()));
            let found: Vec<HoldId> = read!(
                self,
                "find holds that are paid for",
                Reading::Fresh,
                |conn| {
                    let rows = conn.rows(sql.clone(), &values).await?;
                    rows.iter()
                        .map(|row| row.parsed("hold_id"))
                        .collect::<Result<_, _>>()
                }
            )?;
            paid.extend(found);
        }
        Ok(paid)
    }

    async fn untold(&self, event: &EventId) -> Result<Untold, StoreError> {
        let sql = "SELECT id FROM seat_messages WHERE event_id = ? ORDER BY id";
        read!(
            self,
            "find what the map is yet to be told",
            Reading::Fresh,
            |conn| {
                let first = conn.row(format!("{sql} LIMIT 1"), values![event]).await?;
                let last = conn
                    .row(format!("{sql} DESC LIMIT 1"), values![event])
                    .await?;
                Ok(match (first, last) {
                    (Some(first), Some(last)) => Untold::Changes {
                        oldest: first.count("id")?,
                        newest: last.count("id")?,
                    },
                    _ => Untold::Nothing,
                })
            }
        )
    }
}

impl SqlStore {
    /// A page of an event's seats in the order of their labels.
    #[expect(clippy::too_many_arguments, reason = "what the listings differ in")]
    async fn page<T>(
        &self,
        context: &'static str,
        sql: &'static str,
        event: &EventId,
        after: Option<&SeatLabel>,
        limit: usize,
        read: impl Fn(&Row) -> Result<T, Fault>,
        label: impl Fn(&T) -> SeatLabel,
    ) -> Result<Page<T>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let after = after.map_or("", SeatLabel::as_str);
        // One more tells whether there is a next page.
        let rows = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        read!(self, context, Reading::Fresh, |conn| {
            let rows = conn.rows(sql, values![event, after, rows]).await?;
            let items: Result<Vec<T>, Fault> = rows.iter().map(&read).collect();
            let mut items = items?;
            let more = items.len() > limit;
            items.truncate(limit);
            let next = items.last().filter(|_| more).map(&label);
            Ok(Page { items, next })
        })
    }
}
