//! Reading replies strictly: whatever a script's contract does not allow is [`StoreError::Corrupt`].

use std::str::FromStr;

use super::reply::Reply;
use super::script::Refusal;
use super::shape::Shape;
use crate::error::StoreError;
use crate::id::{BrokerId, ConnId, LaneName};
use crate::state::{Reason, RoomState};
use crate::store::{DrawNumbers, LaneNumbers, Lease, Place, RoomNumbers, Standing};

/// Who owns a place.
pub(super) type Owner = Option<(BrokerId, ConnId)>;

/// The items of one array, read from the first to the last.
#[derive(Debug)]
pub(super) struct Fields {
    context: &'static str,
    items: std::vec::IntoIter<Reply>,
}

impl Fields {
    pub(super) fn new(context: &'static str, reply: Reply) -> Result<Self, StoreError> {
        Ok(Self {
            context,
            items: reply.array(context)?.into_iter(),
        })
    }

    pub(super) fn corrupt(&self, detail: impl Into<String>) -> StoreError {
        corrupt(self.context, detail)
    }

    fn next(&mut self, what: &str) -> Result<Reply, StoreError> {
        self.items
            .next()
            .ok_or_else(|| corrupt(self.context, format!("{what} is missing")))
    }

    /// How many items are left.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn int(&mut self, what: &str) -> Result<i64, StoreError> {
        match self.next(what)? {
            Reply::Int(number) => Ok(number),
            other => Err(self.corrupt(format!("{what}: a number expected, {}", other.kind()))),
        }
    }

    pub(super) fn count(&mut self, what: &str) -> Result<u64, StoreError> {
        let number = self.int(what)?;
        u64::try_from(number).map_err(|_| self.corrupt(format!("{what}: {number} is below zero")))
    }

    pub(super) fn flag(&mut self, what: &str) -> Result<bool, StoreError> {
        match self.int(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.corrupt(format!("{what}: {other} is neither 0 nor 1"))),
        }
    }

    pub(super) fn text(&mut self, what: &str) -> Result<String, StoreError> {
        match self.next(what)? {
            Reply::Bytes(bytes) => {
                String::from_utf8(bytes).map_err(|_| self.corrupt(format!("{what} is not UTF-8")))
            }
            other => Err(self.corrupt(format!("{what}: a text expected, {}", other.kind()))),
        }
    }

    /// A text, or `None` where Redis has none.
    pub(super) fn optional_text(&mut self, what: &str) -> Result<Option<String>, StoreError> {
        if matches!(self.items.as_slice().first(), Some(Reply::Nil)) {
            self.items.next();
            return Ok(None);
        }
        self.text(what).map(Some)
    }

    pub(super) fn parsed<T: FromStr>(&mut self, what: &str) -> Result<T, StoreError> {
        let text = self.text(what)?;
        self.parse(what, &text)
    }

    fn parse<T: FromStr>(&self, what: &str, text: &str) -> Result<T, StoreError> {
        text.parse()
            .map_err(|_| self.corrupt(format!("{what}: {}", shown(text))))
    }

    pub(super) fn fields(&mut self, what: &str) -> Result<Self, StoreError> {
        let value = self.next(what)?;
        Self::new(self.context, value)
    }

    /// Reads each of the items that are left.
    pub(super) fn each<T>(
        mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut all = Vec::with_capacity(self.len());
        while self.len() > 0 {
            all.push(read(&mut self)?);
        }
        Ok(all)
    }

    /// The code that each reply begins with: what was done, or why nothing was.
    pub(super) fn code(&mut self) -> Result<Result<u64, Refusal>, StoreError> {
        let code = self.int("code")?;
        match (u64::try_from(code), Refusal::from_code(code)) {
            (Ok(done), _) => Ok(Ok(done)),
            (Err(_), Some(refusal)) => Ok(Err(refusal)),
            (Err(_), None) => Err(self.corrupt(format!("the code {code} is unknown"))),
        }
    }

    pub(super) fn unexpected(&self, code: Result<u64, Refusal>) -> StoreError {
        self.corrupt(format!("the code {code:?} is not one of this verb"))
    }

    /// `reason:fence`.
    pub(super) fn ending(&mut self) -> Result<(Reason, u64), StoreError> {
        let text = self.text("ending")?;
        let Some((reason, fence)) = text.split_once(':') else {
            return Err(self.corrupt(format!("ending: {}", shown(&text))));
        };
        Ok((self.parse("reason", reason)?, self.parse("fence", fence)?))
    }

    /// `fence:admitted at:claim by:expires at:claimed:sequence:lane`.
    pub(super) fn lease(&mut self, shape: &Shape) -> Result<Lease, StoreError> {
        let text = self.text("lease")?;
        let parts: Vec<&str> = text.split(':').collect();
        let [
            fence,
            admitted_at,
            claim_by,
            expires_at,
            claimed,
            sequence,
            lane,
        ] = parts[..]
        else {
            return Err(self.corrupt(format!("lease: {}", shown(&text))));
        };
        Ok(Lease {
            epoch: shape.epoch,
            lane: self.parse::<LaneName>("lane", lane)?,
            sequence: self.parse("sequence", sequence)?,
            fence: self.parse("fence", fence)?,
            admitted_at_ms: self.parse("admitted at", admitted_at)?,
            claim_by_ms: self.parse("claim by", claim_by)?,
            expires_at_ms: self.parse("expires at", expires_at)?,
            claimed: match claimed {
                "0" => false,
                "1" => true,
                other => return Err(self.corrupt(format!("claimed: {}", shown(other)))),
            },
        })
    }

    /// `lane, sequence, rank, waiting`; the rank counts from 0.
    pub(super) fn place(&mut self, shape: &Shape, state: RoomState) -> Result<Place, StoreError> {
        let index = self.count("lane")?;
        let lane = usize::try_from(index)
            .ok()
            .and_then(|index| index.checked_sub(1))
            .and_then(|index| shape.config.lanes().get(index))
            .ok_or_else(|| self.corrupt(format!("the room has no lane {index}")))?;
        let sequence = self.int("sequence")?;
        let rank = self.count("rank")?;
        let undrawn = state == RoomState::Scheduled && shape.config.is_draw();
        Ok(Place {
            epoch: shape.epoch,
            lane: lane.name.clone(),
            sequence,
            position: (!undrawn).then_some(rank + 1),
            waiting: self.count("waiting")?,
            state,
        })
    }

    /// `kind, ...` as the prelude's `standing` answers.
    pub(super) fn standing(
        &mut self,
        shape: &Shape,
        state: RoomState,
    ) -> Result<Standing, StoreError> {
        match self.count("standing")? {
            0 => Ok(Standing::Absent),
            1 => Ok(Standing::Waiting(self.place(shape, state)?)),
            2 => Ok(Standing::Admitted(self.lease(shape)?)),
            3 => {
                let (reason, fence) = self.ending()?;
                Ok(Standing::Gone { reason, fence })
            }
            other => Err(self.corrupt(format!("the standing {other} is unknown"))),
        }
    }

    /// `broker:connection`, or nothing.
    pub(super) fn owner(&mut self) -> Result<Owner, StoreError> {
        let text = self.text("owner")?;
        if text.is_empty() {
            return Ok(None);
        }
        let parsed = text.split_once(':').and_then(|(broker, conn)| {
            let conn = u64::from_str_radix(conn, 16).ok()?;
            Some((broker.parse().ok()?, ConnId(conn)))
        });
        match parsed {
            Some(owner) => Ok(Some(owner)),
            None => Err(self.corrupt(format!("owner: {}", shown(&text)))),
        }
    }

    /// The prelude's `numbers`.
    pub(super) fn numbers(&mut self, shape: &Shape) -> Result<RoomNumbers, StoreError> {
        let mut fields = self.fields("numbers")?;
        let now_ms = fields.int("now")?;
        let state = fields.parsed("state")?;
        Ok(RoomNumbers {
            now_ms,
            state,
            active: fields.count("live leases")?,
            joined_total: fields.count("joined")?,
            admitted_total: fields.count("admitted")?,
            completed_total: fields.count("completed")?,
            expired_total: fields.count("expired")?,
            left_total: fields.count("left")?,
            draw: {
                let drawn = fields.count("drawn")?;
                shape.draw_key.as_ref().map(|key| DrawNumbers {
                    commitment: key.commitment(),
                    key: (state != RoomState::Scheduled).then(|| key.clone()),
                    drawn,
                })
            },
            epoch: shape.epoch,
            config_version: shape.version,
            config: std::sync::Arc::clone(&shape.config),
            lanes: shape
                .config
                .lanes()
                .iter()
                .map(|lane| {
                    Ok(LaneNumbers {
                        name: lane.name.clone(),
                        weight: lane.weight,
                        waiting: fields.count("waiting")?,
                        watermark: fields.int("watermark")?,
                    })
                })
                .collect::<Result<_, StoreError>>()?,
        })
    }
}

pub(super) fn corrupt(context: &'static str, detail: impl Into<String>) -> StoreError {
    StoreError::Corrupt {
        context,
        detail: detail.into(),
    }
}

/// A text for an error message, shortened.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(64).collect();
    format!("{start:?} is not readable")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(items: Vec<Reply>) -> Fields {
        Fields::new("test", Reply::Array(items)).unwrap()
    }

    fn text(text: &str) -> Reply {
        Reply::Bytes(text.as_bytes().to_vec())
    }

    fn is_corrupt<T>(result: impl Into<Result<T, StoreError>>) -> bool {
        matches!(result.into(), Err(StoreError::Corrupt { .. }))
    }

    #[test]
    fn whatever_is_out_of_contract_is_corrupt() {
        assert!(is_corrupt(Fields::new("test", Reply::Nil)));
        assert!(is_corrupt(fields(vec![]).int("x")));
        assert!(is_corrupt(fields(vec![text("1")]).int("x")));
        assert!(is_corrupt(fields(vec![Reply::Int(-1)]).count("x")));
        assert!(is_corrupt(fields(vec![Reply::Int(2)]).flag("x")));
        assert!(is_corrupt(fields(vec![Reply::Int(-99)]).code()));
        assert!(is_corrupt(fields(vec![Reply::Bytes(vec![0xff])]).text("x")));
        assert!(is_corrupt(fields(vec![text("left")]).ending()));
        assert!(is_corrupt(fields(vec![text("bored:1")]).ending()));
        assert!(is_corrupt(fields(vec![text("xyz")]).owner()));
        assert!(is_corrupt(fields(vec![text("zz:1")]).owner()));
    }

    #[test]
    fn an_owner_survives_its_text() {
        let owner = (BrokerId::from_u64(u64::MAX), ConnId(u64::MAX));
        let written = text(&format!("{}:{}", owner.0, owner.1));
        assert_eq!(fields(vec![written]).owner().unwrap(), Some(owner));
        assert_eq!(fields(vec![text("")]).owner().unwrap(), None);
    }
}
