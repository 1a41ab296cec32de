//! A lane's line in memory: people ordered by score, with ranks.
//!
//! A list of sorted chunks: inserting, removing, ranking and taking the first cost about the
//! square root of the length, which for a million people is some microseconds.

use std::collections::VecDeque;

use crate::id::UserId;

/// Chunks split when they grow past this.
const CHUNK: usize = 1_024;

/// People ordered by (score, user), as a Redis sorted set orders them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Sorted, none of them empty.
    chunks: Vec<VecDeque<(i64, UserId)>>,
    len: usize,
}

impl Line {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunk that has, or would have, this entry.
    fn chunk_of(&self, entry: &(i64, UserId)) -> usize {
        self.chunks
            .partition_point(|chunk| chunk.back().is_some_and(|last| last < entry))
    }

    /// Puts a person in; they must not be in yet.
    pub(crate) fn insert(&mut self, score: i64, user: UserId) {
        let entry = (score, user);
        if self.chunks.is_empty() {
            self.chunks.push(VecDeque::new());
        }
        let at = self.chunk_of(&entry).min(self.chunks.len() - 1);
        let chunk = &mut self.chunks[at];
        let index = chunk.partition_point(|other| *other < entry);
        chunk.insert(index, entry);
        self.len += 1;
        if chunk.len() > CHUNK {
            let tail = chunk.split_off(CHUNK / 2);
            self.chunks.insert(at + 1, tail);
        }
    }

    /// Takes a person out.
    pub(crate) fn remove(&mut self, score: i64, user: &UserId) -> bool {
        let entry = (score, user.clone());
        let at = self.chunk_of(&entry);
        let Some(chunk) = self.chunks.get_mut(at) else {
            return false;
        };
        let Ok(index) = chunk.binary_search(&entry) else {
            return false;
        };
        chunk.remove(index);
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
        self.len -= 1;
        true
    }

    /// Takes the first person out.
    pub(crate) fn pop_first(&mut self) -> Option<(i64, UserId)> {
        let chunk = self.chunks.first_mut()?;
        let entry = chunk.pop_front();
        if chunk.is_empty() {
            self.chunks.remove(0);
        }
        self.len -= usize::from(entry.is_some());
        entry
    }

    /// How many people stand before this one, who is in line.
    pub(crate) fn rank_of(&self, score: i64, user: &UserId) -> usize {
        let entry = (score, user.clone());
        let at = self.chunk_of(&entry);
        let before: usize = self.chunks[..at].iter().map(VecDeque::len).sum();
        let within = self
            .chunks
            .get(at)
            .map_or(0, |chunk| chunk.partition_point(|other| *other < entry));
        before + within
    }

    /// How many people have a lower score.
    pub(crate) fn rank(&self, score: i64) -> usize {
        let at = self
            .chunks
            .partition_point(|chunk| chunk.back().is_some_and(|last| last.0 < score));
        let before: usize = self.chunks[..at].iter().map(VecDeque::len).sum();
        let within = self
            .chunks
            .get(at)
            .map_or(0, |chunk| chunk.partition_point(|entry| entry.0 < score));
        before + within
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_sorted_set(steps in proptest::collection::vec((0..4u8, 0..3_000i64), 1..3_000)) {
            let mut line = Line::default();
            let mut set = BTreeSet::new();
            for (kind, chance) in steps {
                let user = UserId::new(format!("u{chance}")).unwrap();
                // Drawn ones too, and some with the same score.
                let score = chance / 3 - 500;
                match kind {
                    0 | 1 => if set.insert((score, user.clone())) { line.insert(score, user) },
                    2 => prop_assert_eq!(line.remove(score, &user), set.remove(&(score, user))),
                    _ => prop_assert_eq!(line.pop_first(), set.pop_first()),
                }
                prop_assert_eq!(line.len(), set.len());
                prop_assert_eq!(line.rank(score), set.iter().filter(|entry| entry.0 < score).count());
                let entry = (score, UserId::new(format!("u{chance}")).unwrap());
                prop_assert_eq!(line.rank_of(score, &entry.1), set.iter().filter(|other| **other < entry).count());
            }
        }
    }
}
