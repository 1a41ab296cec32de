//! Layouts as maps, encoded once: a stampede that opens the map of one hall asks for the same bytes.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::venue::Layout;

/// How many layouts are remembered; the one that was asked for the longest ago goes first.
const MAX_MAPS: usize = 16;

/// The map JSON of the layouts that were asked for lately. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Maps(Arc<Mutex<Vec<(String, Bytes)>>>);

impl Maps {
    /// The map JSON of a layout.
    pub(super) fn json(&self, layout: &Layout) -> Bytes {
        // Whoever asks meanwhile waits: that is shorter than encoding it too.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known
            .iter()
            .position(|(version, _)| version == layout.version());
        let map = match found {
            Some(index) => known.remove(index),
            None => (
                layout.version().to_owned(),
                Bytes::from(layout.to_map_json()),
            ),
        };
        let json = map.1.clone();
        if known.len() >= MAX_MAPS {
            known.remove(0);
        }
        known.push(map);
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::sample;

    #[test]
    fn a_layout_is_encoded_once_and_old_ones_are_forgotten() {
        let maps = Maps::default();
        let hall = sample::club(10);
        let first = maps.json(&hall);
        assert_eq!(first, hall.to_map_json());
        for capacity in 11..11 + MAX_MAPS as u32 - 1 {
            maps.json(&sample::club(capacity));
            assert_eq!(maps.json(&hall).as_ptr(), first.as_ptr());
        }
        assert_eq!(maps.0.lock().unwrap().len(), MAX_MAPS);
        maps.json(&sample::club(1_000));
        let known = maps.0.lock().unwrap();
        assert_eq!(known.len(), MAX_MAPS);
        assert!(
            known
                .iter()
                .all(|(version, _)| version != sample::club(11).version())
        );
    }
}
