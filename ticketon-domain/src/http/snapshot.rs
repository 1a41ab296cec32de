//! A seat map on the wire: the binary form and the JSON form.
//!
//! The binary form, all numbers big-endian: `TKS1`, then the epoch (8 bytes), the version (8), the
//! number of seats (4), the length of the layout's version (1) and the version itself in ASCII, then two
//! bits a seat, the first seat in the highest bits of the first byte: 0 free, 1 held, 2 sold, 3 blocked.
//! 50,000 seats are 12,541 bytes.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::{Value, json};
use ticketon_queue::EventId;

use crate::seat::{SeatState, Snapshot};
use crate::venue::SeatIndex;

/// The media type of the binary form.
pub const SNAPSHOT_TYPE: &str = "application/vnd.ticketon.seats";

const MAGIC: &[u8; 4] = b"TKS1";

/// The binary form of a map.
#[must_use]
pub fn encode_snapshot(snapshot: &Snapshot) -> Bytes {
    let head = &snapshot.head;
    let layout = head.spec.layout.as_bytes();
    let layout = &layout[..layout.len().min(usize::from(u8::MAX))];
    let mut bytes = BytesMut::with_capacity(25 + layout.len() + snapshot.bits.len());
    bytes.put_slice(MAGIC);
    bytes.put_u64(head.epoch);
    bytes.put_u64(head.version);
    bytes.put_u32(head.spec.seats);
    bytes.put_u8(u8::try_from(layout.len()).unwrap_or(u8::MAX));
    bytes.put_slice(layout);
    bytes.put_slice(&snapshot.bits);
    bytes.freeze()
}

/// The JSON form of a map: `states` has one digit a seat, in the order of the layout.
pub(super) fn snapshot_json(event: &EventId, snapshot: &Snapshot) -> Value {
    let head = &snapshot.head;
    let states: String = (0..head.spec.seats)
        .map(|seat| SeatState::at(&snapshot.bits, SeatIndex::new(seat)))
        .map(|state| char::from(b'0' + state.code()))
        .collect();
    json!({
        "eventId": event,
        "epoch": head.epoch,
        "version": head.version,
        "layoutVersion": head.spec.layout,
        "counts": head.counts,
        "states": states,
    })
}

/// What tells two moments of a map apart, as an entity tag.
pub(super) fn etag(snapshot: &Snapshot) -> String {
    format!("\"{}-{}\"", snapshot.head.epoch, snapshot.head.version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seat::{Counts, MapHead, MapSpec};

    fn snapshot() -> Snapshot {
        let bits = Bytes::from_static(&[0b0001_1011, 0b1000_0000]);
        let spec = MapSpec {
            layout: "ab12".to_owned(),
            seats: 5,
        };
        Snapshot::new(MapHead::new(7, 300, spec, Counts::of(&bits, 5)), bits)
    }

    #[test]
    fn the_binary_form_is_as_documented() {
        let bytes = encode_snapshot(&snapshot());
        assert_eq!(
            &bytes[..],
            b"TKS1\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\x01\x2c\0\0\0\x05\x04ab12\x1b\x80"
        );
    }

    #[test]
    fn the_json_form_has_a_digit_a_seat() {
        let value = snapshot_json(&EventId::new("tour").unwrap(), &snapshot());
        assert_eq!(value["states"], "01232");
        assert_eq!(value["counts"]["sold"], 2);
        assert_eq!(etag(&snapshot()), "\"7-300\"");
    }
}
