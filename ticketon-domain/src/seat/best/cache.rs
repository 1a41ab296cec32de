//! A small cache that forgets what was not asked for the longest.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Values by key, at most so many.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    most: usize,
    kept: Mutex<Kept<K, V>>,
}

#[derive(Debug)]
struct Kept<K, V> {
    /// Each value with when it was last asked for, counted in questions.
    values: HashMap<K, (Arc<V>, u64)>,
    asked: u64,
}

impl<K: Eq + Hash + Clone, V> Cache<K, V> {
    /// An empty one that keeps at most so many, and at least one.
    pub(super) fn new(most: usize) -> Self {
        let (values, asked) = (HashMap::new(), 0);
        Self {
            most: most.max(1),
            kept: Mutex::new(Kept { values, asked }),
        }
    }

    /// The value of a key. If it has to be made, others are not kept waiting.
    pub(super) fn get_or_insert_with(&self, key: K, make: impl FnOnce(&K) -> V) -> Arc<V> {
        if let Some(value) = self.lock().get(&key) {
            return value;
        }
        let value = Arc::new(make(&key));
        let mut kept = self.lock();
        kept.get(&key).unwrap_or_else(|| {
            kept.put(key, Arc::clone(&value), self.most);
            value
        })
    }

    fn lock(&self) -> MutexGuard<'_, Kept<K, V>> {
        // Whoever panicked left a whole map behind.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone, V> Kept<K, V> {
    fn get(&mut self, key: &K) -> Option<Arc<V>> {
        self.asked += 1;
        let (value, last) = self.values.get_mut(key)?;
        *last = self.asked;
        Some(Arc::clone(value))
    }

    fn put(&mut self, key: K, value: Arc<V>, most: usize) {
        if self.values.len() >= most {
            let oldest = self.values.iter().min_by_key(|(_, (_, last))| *last);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.values.remove(&oldest);
            }
        }
        self.values.insert(key, (value, self.asked));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_the_longest_is_forgotten() {
        let cache = Cache::new(2);
        let ask = |key: u32| {
            let mut made = false;
            let value = cache.get_or_insert_with(key, |key| {
                made = true;
                key * 2
            });
            assert_eq!(*value, key * 2);
            made
        };
        assert_eq!(
            [1, 2, 1, 3, 1, 2].map(ask),
            [true, true, false, true, false, true]
        );
        assert_eq!(cache.lock().values.len(), 2);
    }
}
