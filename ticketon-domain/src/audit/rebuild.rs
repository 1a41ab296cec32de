//! Makes orders anew from the entries of their chains, and tells where what is stored differs.
//!
//! An order is what its events made of it; the rows of an order and its tickets are only where it is kept. It reports and changes nothing: what is right is a
//! person's to decide. Run [`Verifier`](super::Verifier) first: this walk believes the entries.

use serde::Serialize;
use serde_json::Value;
use ticketon_queue::StoreError;

use super::finding::{Findings, Place, Wrong};
use super::{AuditLog, MAX_ENTRIES, MAX_PAGE, StoredChain, StoredEntry, rows};
use crate::purchase::event::{buyer_hash, hashed};
use crate::purchase::{Order, OrderEvent, OrderId, OrderRecord};

/// How many orders were made anew, and what differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Rebuilt {
    /// Orders that were made anew.
    pub orders: u64,
    /// Entries that they were made of.
    pub entries: u64,
    /// What differs, or cannot be made anew.
    pub findings: u64,
}

/// Makes every order anew and compares it with the stored one, field by field, and with the columns and tickets that it is
/// found and sold by.
///
/// # Errors
/// [`StoreError`] if the audit cannot be read to its end.
pub async fn rebuild(
    log: &dyn AuditLog,
    findings: &mut Findings<'_>,
) -> Result<Rebuilt, StoreError> {
    let mut rebuilt = Rebuilt::default();
    let mut after = String::new();
    loop {
        let page = log.chains(&after, MAX_PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(rebuilt);
        };
        after.clone_from(&last.order);
        for chain in &page {
            let (mut entries, mut wrongs) = compare(log, chain).await?;
            if !wrongs.is_empty() {
                // Beside a running shop two reads may see two moments.
                let again = log.chain(&chain.order).await?;
                (entries, wrongs) = compare(log, again.as_ref().unwrap_or(chain)).await?;
            }
            rebuilt.orders += 1;
            rebuilt.entries += entries;
            rebuilt.findings += wrongs.len() as u64;
            for wrong in wrongs {
                findings(wrong.at(Place::order(&chain.order)));
            }
        }
    }
}

/// An order as its entries make it; `None` if it has none.
///
/// # Errors
/// [`StoreError`] if they cannot be read, or make no order ([`StoreError::Corrupt`]).
pub async fn rebuild_order(
    log: &dyn AuditLog,
    order: &OrderId,
) -> Result<Option<Order>, StoreError> {
    let text = order.to_string();
    let Some(last) = log.chain(&text).await?.and_then(|chain| chain.last_seq) else {
        return Ok(None);
    };
    let (_, made) = make(log, *order, last).await?;
    made.map_err(|wrong| StoreError::Corrupt {
        context: "make an order anew from its entries",
        detail: wrong.to_string(),
    })
}

/// What differs between an order and its entries.
async fn compare(log: &dyn AuditLog, chain: &StoredChain) -> Result<(u64, Vec<Wrong>), StoreError> {
    let Ok(id) = chain.order.parse::<OrderId>() else {
        let detail = format!("the order's id is {:?}", chain.order);
        return Ok((0, vec![Wrong::Unreadable { detail }]));
    };
    if let Some(detail) = chain.unreadable.clone() {
        return Ok((0, vec![Wrong::Unreadable { detail }]));
    }
    let Some(stored) = &chain.stored else {
        let orphans = rows::orphans(chain);
        return Ok((
            0,
            [Wrong::OrderMissing].into_iter().chain(orphans).collect(),
        ));
    };
    let record: OrderRecord = match serde_json::from_str(&stored.record) {
        Ok(record) => record,
        Err(error) => {
            let detail = format!("the order's record: {error}");
            return Ok((0, vec![Wrong::Unreadable { detail }]));
        }
    };
    let Some(last) = chain.last_seq else {
        return Ok((0, vec![Wrong::ChainMissing]));
    };
    let (entries, made) = make(log, id, last).await?;
    let wrongs = match made {
        Ok(Some(order)) => {
            let mut wrongs = differences(&record, &order);
            wrongs.extend(rows::differences(chain, &record, &order));
            wrongs
        }
        Ok(None) => vec![Wrong::ChainMissing],
        Err(wrong) => vec![wrong],
    };
    Ok((entries, wrongs))
}

/// Makes an order of its entries up to a number.
async fn make(
    log: &dyn AuditLog,
    id: OrderId,
    last_seq: i64,
) -> Result<(u64, Result<Option<Order>, Wrong>), StoreError> {
    let text = id.to_string();
    let mut order = None;
    let mut entries = 0;
    let mut from = Some(i64::MIN);
    while let Some(first) = from.filter(|from| *from <= last_seq) {
        let page = match log.entries(&text, first, MAX_ENTRIES).await {
            Ok(page) => page,
            Err(StoreError::Corrupt { detail, .. }) => {
                return Ok((entries, Err(Wrong::Unreadable { detail })));
            }
            Err(error) => return Err(error),
        };
        let Some(last) = page.last() else {
            break;
        };
        from = last.seq.checked_add(1);
        for entry in page.iter().filter(|entry| entry.seq <= last_seq) {
            entries += 1;
            match happen(id, order.take(), entry) {
                Ok(next) => order = Some(next),
                Err(wrong) => return Ok((entries, Err(wrong))),
            }
        }
    }
    Ok((entries, Ok(order)))
}

fn happen(id: OrderId, order: Option<Order>, entry: &StoredEntry) -> Result<Order, Wrong> {
    let seq = entry.seq;
    let impossible = |detail: String| Wrong::Impossible {
        detail: format!("entry {seq}: {detail}"),
    };
    let event: OrderEvent =
        serde_json::from_str(&entry.body).map_err(|error| impossible(error.to_string()))?;
    if event.kind() != entry.kind {
        let detail = format!("it says {:?} and its body {:?}", entry.kind, event.kind());
        return Err(impossible(detail));
    }
    let Some(mut order) = order else {
        let made = Order::initiated(id, entry.at_ms, &event);
        return made
            .ok_or_else(|| impossible(format!("an order does not begin with {}", event.kind())));
    };
    order
        .apply(entry.at_ms, &event)
        .map_err(|error| impossible(error.to_string()))?;
    Ok(order)
}

fn differences(record: &OrderRecord, rebuilt: &Order) -> Vec<Wrong> {
    let mut wrongs = Vec::new();
    if record.order != *rebuilt {
        differ("order", &json(&record.order), &json(rebuilt), &mut wrongs);
    }
    // Who bought, and why it was given back, are in no entry; their hashes are.
    let buyer = buyer_hash(&rebuilt.id, &record.user);
    differ(
        "user (hashed)",
        &buyer.into(),
        &json(&rebuilt.buyer),
        &mut wrongs,
    );
    for refund in &rebuilt.refunds {
        let stored = record.reasons.iter().find(|(id, _)| *id == refund.id);
        let stored = stored.map(|(_, reason)| hashed(&rebuilt.id, reason));
        let field = format!("reason of refund {} (hashed)", refund.id);
        differ(&field, &json(&stored), &json(&refund.reason), &mut wrongs);
    }
    wrongs
}

fn json(value: &impl Serialize) -> Value {
    // Values of plain fields always have a text.
    serde_json::to_value(value).unwrap_or_default()
}

/// Tells the innermost fields that differ. The depth is that of an order: a few levels.
fn differ(field: &str, stored: &Value, rebuilt: &Value, wrongs: &mut Vec<Wrong>) {
    let null = Value::Null;
    match (stored, rebuilt) {
        _ if stored == rebuilt => {}
        (Value::Object(a), Value::Object(b)) => {
            for (name, value) in a {
                differ(
                    &format!("{field}.{name}"),
                    value,
                    b.get(name).unwrap_or(&null),
                    wrongs,
                );
            }
            for (name, value) in b.iter().filter(|(name, _)| !a.contains_key(*name)) {
                differ(&format!("{field}.{name}"), &null, value, wrongs);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differ(&format!("{field}[{index}]"), a, b, wrongs);
            }
        }
        _ => wrongs.push(Wrong::Differs {
            field: field.to_owned(),
            stored: stored.to_string(),
            rebuilt: rebuilt.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_innermost_fields_are_told() {
        let stored = json!({"a": 1, "b": {"c": [1, 2], "d": [1]}, "e": 5});
        let rebuilt = json!({"a": 1, "b": {"c": [1, 3], "d": []}, "f": null, "g": true});
        let mut wrongs = Vec::new();
        differ("order", &stored, &rebuilt, &mut wrongs);
        let told: Vec<String> = wrongs.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "order.b.c[1] is 2, its entries make it 3",
                "order.b.d is [1], its entries make it []",
                "order.e is 5, its entries make it null",
                "order.g is null, its entries make it true",
            ]
        );
    }
}
