//! Reading answers strictly: whatever a script's contract does not allow is [`StoreError::Corrupt`].

use ticketon_queue::redis::Reply;
use ticketon_queue::{StoreError, UserId};

use super::script::{Refusal, Verb};
use crate::seat::{
    Change, Counts, EndReason, Hold, HoldId, MapHead, MapSpec, Mapped, NotReady, Owned, SeatState,
};
use crate::venue::SeatIndex;

/// What a script answered: a code, then items that are read from the first to the last.
#[derive(Debug)]
pub(super) struct Answer {
    verb: Verb,
    items: std::vec::IntoIter<Reply>,
}

impl Answer {
    /// The code and the rest.
    pub(super) fn read(
        verb: Verb,
        reply: Reply,
    ) -> Result<(Result<(), Refusal>, Self), StoreError> {
        let items = reply.array(verb.name())?.into_iter();
        let mut answer = Self { verb, items };
        let code = match answer.next("code")?.int(verb.name())? {
            0 => Ok(()),
            code => match Refusal::from_code(code) {
                Some(refusal) => Err(refusal),
                None => return Err(answer.corrupt(format!("the code {code} is unknown"))),
            },
        };
        Ok((code, answer))
    }

    /// Sorts out why a map is not ready; the rest is the verb's own.
    pub(super) fn mapped<T>(
        verb: Verb,
        reply: Reply,
        read: impl FnOnce(Result<(), Refusal>, &mut Self) -> Result<T, StoreError>,
    ) -> Result<Mapped<T>, StoreError> {
        let (code, mut answer) = Self::read(verb, reply)?;
        let mapped = match code {
            Err(Refusal::Absent) => Mapped::NotReady(NotReady::Absent),
            Err(Refusal::Rebuilding) => {
                let epoch = answer.number("epoch")?;
                Mapped::NotReady(NotReady::Rebuilding { epoch })
            }
            Err(Refusal::OtherEpoch) => {
                let epoch = answer.number("epoch")?;
                Mapped::NotReady(NotReady::OtherEpoch { epoch })
            }
            code => Mapped::Ready(read(code, &mut answer)?),
        };
        answer.end()?;
        Ok(mapped)
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), StoreError> {
        match self.items.len() {
            0 => Ok(()),
            more => Err(self.corrupt(format!("{more} items more than the contract has"))),
        }
    }

    pub(super) fn corrupt(&self, detail: impl Into<String>) -> StoreError {
        StoreError::Corrupt {
            context: self.verb.name(),
            detail: detail.into(),
        }
    }

    pub(super) fn unexpected(&self, code: Result<(), Refusal>) -> StoreError {
        self.corrupt(format!("the code {code:?} is not one of this verb"))
    }

    fn next(&mut self, what: &str) -> Result<Reply, StoreError> {
        match self.items.next() {
            Some(item) => Ok(item),
            None => Err(self.corrupt(format!("{what} is missing"))),
        }
    }

    /// How many items are left.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn number(&mut self, what: &str) -> Result<u64, StoreError> {
        self.next(what)?.count(self.verb.name())
    }

    pub(super) fn small(&mut self, what: &str) -> Result<u32, StoreError> {
        let number = self.number(what)?;
        u32::try_from(number)
            .map_err(|_| self.corrupt(format!("{what}: {number} is past {}", u32::MAX)))
    }

    pub(super) fn bytes(&mut self, what: &str) -> Result<Vec<u8>, StoreError> {
        self.next(what)?.bytes(self.verb.name())
    }

    fn bytes_of<const N: usize>(&mut self, what: &str) -> Result<[u8; N], StoreError> {
        let bytes = self.bytes(what)?;
        let found = bytes.len();
        <[u8; N]>::try_from(bytes)
            .map_err(|_| self.corrupt(format!("{what}: {N} bytes expected, {found} found")))
    }

    pub(super) fn head(&mut self) -> Result<MapHead, StoreError> {
        let epoch = self.number("epoch")?;
        let version = self.number("version")?;
        let layout = self.next("layout")?.text(self.verb.name())?;
        let seats = self.small("seats")?;
        let counts = Counts {
            free: self.small("free")?,
            held: self.small("held")?,
            sold: self.small("sold")?,
            blocked: self.small("blocked")?,
        };
        let states = [counts.free, counts.held, counts.sold, counts.blocked];
        if states.iter().copied().map(u64::from).sum::<u64>() != u64::from(seats) {
            return Err(self.corrupt(format!("{counts:?} of {seats} seats")));
        }
        Ok(MapHead::new(
            epoch,
            version,
            MapSpec { layout, seats },
            counts,
        ))
    }

    /// Two bits for each seat of a head.
    pub(super) fn bits(&mut self, head: &MapHead) -> Result<Vec<u8>, StoreError> {
        let bits = self.bytes("seats")?;
        let expected = SeatState::packed_len(head.spec.seats);
        if bits.len() == expected {
            return Ok(bits);
        }
        Err(self.corrupt(format!(
            "{} bytes of {} seats, {expected} expected",
            bits.len(),
            head.spec.seats
        )))
    }

    /// What seats are and whose, from one on.
    pub(super) fn owners(&mut self, from: SeatIndex) -> Result<Vec<Owned>, StoreError> {
        let first = self.small("first seat")?;
        let bits = self.bytes("states")?;
        let fences = self.bytes("owners")?;
        let (fences, rest) = fences.as_chunks::<8>();
        let skipped = from.get().checked_sub(first);
        let skipped = skipped.filter(|_| rest.is_empty()).ok_or_else(|| {
            self.corrupt(format!(
                "{} bytes and owners from {first} on are not those from {from} on",
                rest.len()
            ))
        })?;
        let needed = SeatState::packed_len(skipped.saturating_add(fences.len() as u32));
        if bits.len() < needed && !fences.is_empty() {
            return Err(self.corrupt(format!("{} bytes of {needed}", bits.len())));
        }
        let owned = (skipped..).zip(fences).map(|(seat, fence)| Owned {
            state: SeatState::at(&bits, SeatIndex::new(seat)),
            owner: u64::from_be_bytes(*fence),
        });
        Ok(owned.collect())
    }

    pub(super) fn seats(&mut self) -> Result<Vec<SeatIndex>, StoreError> {
        let packed = self.bytes("seats")?;
        self.unpacked(&packed)
    }

    fn unpacked(&self, packed: &[u8]) -> Result<Vec<SeatIndex>, StoreError> {
        let (numbers, rest) = packed.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(self.corrupt(format!("{} bytes are no list of seats", packed.len())));
        }
        let indexes = numbers.iter().map(|bytes| u32::from_be_bytes(*bytes));
        Ok(indexes.map(SeatIndex::new).collect())
    }

    pub(super) fn reason(&mut self) -> Result<EndReason, StoreError> {
        Ok(match self.number("reason")? {
            1 => EndReason::Expired,
            2 => EndReason::Released,
            3 => EndReason::Sold,
            4 => EndReason::Lost,
            other => return Err(self.corrupt(format!("the reason {other} is unknown"))),
        })
    }

    pub(super) fn id(&mut self) -> Result<HoldId, StoreError> {
        self.bytes_of("id").map(HoldId::from_bytes)
    }

    /// A fence and the hold as `holds.lua` packs it.
    pub(super) fn hold(&mut self, epoch: u64) -> Result<Hold, StoreError> {
        let fence = u64::from_be_bytes(self.bytes_of("fence")?);
        let packed = self.bytes("hold")?;
        let hold = self.unpacked_hold(epoch, fence, &packed)?;
        hold.ok_or_else(|| self.corrupt(format!("{} bytes are no hold", packed.len())))
    }

    fn unpacked_hold(
        &self,
        epoch: u64,
        fence: u64,
        packed: &[u8],
    ) -> Result<Option<Hold>, StoreError> {
        let parts = || {
            let (id, rest) = packed.split_first_chunk::<16>()?;
            let (_request_hash, rest) = rest.split_first_chunk::<8>()?;
            let (taken_at, rest) = rest.split_first_chunk::<8>()?;
            let (deadline, rest) = rest.split_first_chunk::<8>()?;
            let (length, rest) = rest.split_first_chunk::<2>()?;
            let (user, seats) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
            let user = UserId::new(std::str::from_utf8(user).ok()?).ok()?;
            Some((
                id,
                i64::from_be_bytes(*taken_at),
                i64::from_be_bytes(*deadline),
                user,
                seats,
            ))
        };
        let Some((id, taken_at_ms, deadline_ms, user, seats)) = parts() else {
            return Ok(None);
        };
        Ok(Some(Hold::new(
            HoldId::from_bytes(*id),
            epoch,
            user,
            fence,
            self.unpacked(seats)?,
            taken_at_ms,
            (deadline_ms != 0).then_some(deadline_ms),
        )))
    }

    /// The change that follows a version: its id in the stream, and its seats.
    pub(super) fn change(&mut self, after: u64) -> Result<Change, StoreError> {
        let version = after + 1;
        let id = self.next("stream id")?.text(self.verb.name())?;
        if id != format!("{version}-1") {
            return Err(self.corrupt(format!("{id:?} follows the version {after}")));
        }
        let packed = self.seats()?;
        let seats = packed.into_iter().map(|packed| {
            let packed = packed.get();
            let state = SeatState::from_code((packed % 4) as u8);
            (SeatIndex::new(packed / 4), state)
        });
        let seats = seats.collect();
        Ok(Change { version, seats })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(items: Vec<Reply>) -> Answer {
        let mut all = vec![Reply::Int(0)];
        all.extend(items);
        Answer::read(Verb::Hold, Reply::Array(all)).unwrap().1
    }

    fn bytes(bytes: &[u8]) -> Reply {
        Reply::Bytes(bytes.to_vec())
    }

    fn is_corrupt<T>(result: impl Into<Result<T, StoreError>>) -> bool {
        matches!(
            result.into(),
            Err(StoreError::Corrupt {
                context: "seats.hold",
                ..
            })
        )
    }

    fn packed_hold(user: &str) -> Vec<u8> {
        let mut packed = vec![7; 16];
        packed.extend([0; 8]);
        packed.extend(5_i64.to_be_bytes());
        packed.extend(0_i64.to_be_bytes());
        packed.extend((user.len() as u16).to_be_bytes());
        packed.extend(user.as_bytes());
        packed.extend(9_u32.to_be_bytes());
        packed
    }

    #[test]
    fn whatever_is_out_of_contract_is_corrupt() {
        let read = |reply| Answer::read(Verb::Hold, reply);
        assert!(is_corrupt(read(Reply::Nil)));
        assert!(is_corrupt(read(Reply::Array(vec![]))));
        assert!(is_corrupt(read(Reply::Array(vec![Reply::Int(-99)]))));
        assert!(is_corrupt(read(Reply::Array(vec![Reply::Int(1)]))));
        assert!(is_corrupt(answer(vec![]).number("x")));
        assert!(is_corrupt(answer(vec![Reply::Int(-1)]).number("x")));
        assert!(is_corrupt(answer(vec![bytes(b"12345")]).seats()));
        assert!(is_corrupt(answer(vec![Reply::Int(5)]).reason()));
        assert!(is_corrupt(answer(vec![bytes(b"short")]).id()));
        assert!(is_corrupt(answer(vec![Reply::Nil]).end()));
        let change = vec![bytes(b"3-1"), bytes(&[0; 4])];
        assert!(is_corrupt(answer(change).change(1)));
    }

    #[test]
    fn a_head_whose_counts_differ_from_its_seats_is_corrupt() {
        let head = |free| {
            let numbers = |numbers: &[i64]| {
                let numbers = numbers.iter().map(|number| Reply::Int(*number));
                numbers.collect::<Vec<_>>()
            };
            let mut items = numbers(&[1, 2]);
            items.push(bytes(b"hall"));
            items.extend(numbers(&[10, free, 2, 3, 4]));
            answer(items).head()
        };
        assert_eq!(head(1).unwrap().counts.total(), 10);
        assert!(is_corrupt(head(2)));
    }

    #[test]
    fn a_hold_is_read_or_refused_whole() {
        let fence = bytes(&8_u64.to_be_bytes());
        let packed = packed_hold("ann");
        let hold = answer(vec![fence.clone(), bytes(&packed)]).hold(3).unwrap();
        assert_eq!((hold.epoch, hold.fence, hold.taken_at_ms), (3, 8, 5));
        assert_eq!((hold.deadline_ms, hold.user.as_str()), (None, "ann"));
        assert_eq!(hold.seats, [SeatIndex::new(9)]);
        for length in 0..packed.len() {
            // Without its seats a hold is whole.
            if length + 4 != packed.len() {
                let cut = bytes(&packed[..length]);
                assert!(is_corrupt(answer(vec![fence.clone(), cut]).hold(3)));
            }
        }
        let nameless = bytes(&packed_hold("{}"));
        assert!(is_corrupt(answer(vec![fence, nameless]).hold(3)));
    }
}
