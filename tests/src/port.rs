//! Ports that no other test takes.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;

use crate::tls::speak_tls;

/// Below the range that systems hand to outgoing connections (32768 and up on Linux), so that no
/// client's own port is in the way when a server comes back, and no client that tries again and
/// again connects to itself.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// A TCP port on 127.0.0.1 that is this test's own for as long as the value lives.
///
/// A lock file keeps it from all other tests on the machine, also while the server that uses it
/// is down.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Holds the lock; the system gives it back when the process ends, however it ends.
    _lock: File,
}

impl Port {
    /// Takes a random free port.
    ///
    /// # Panics
    /// If a thousand random ports were all taken, or the lock files cannot be written.
    #[must_use]
    pub fn reserve() -> Self {
        // Whoever has a server has clients too.
        speak_tls();
        let folder = std::env::temp_dir();
        // One folder a user: nobody can write into another user's.
        let user = rustix::process::getuid().as_raw();
        let folder = folder.join(format!("ticketon-test-ports-{user}"));
        std::fs::create_dir_all(&folder)
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
        (0..1_000)
            .find_map(|_| Self::try_reserve(random_in_range(), &folder))
            .unwrap_or_else(|| panic!("no free port found in {RANGE:?}"))
    }

    /// The port's number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    fn try_reserve(number: u16, folder: &std::path::Path) -> Option<Self> {
        let path: PathBuf = folder.join(number.to_string());
        let lock = File::options().create(true).append(true).open(path).ok()?;
        lock.try_lock().ok()?;
        // Held by no test; now by no other program either?
        TcpListener::bind(("127.0.0.1", number)).ok()?;
        Some(Self {
            number,
            _lock: lock,
        })
    }
}

fn random_in_range() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    // A new `RandomState` hashes by fresh random keys: enough randomness to spread tests.
    let random = RandomState::new().hash_one(std::process::id());
    let width = u64::from(RANGE.end - RANGE.start);
    RANGE.start + u16::try_from(random % width).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_given_to_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let first = (0..1_000)
            .find_map(|_| Port::try_reserve(random_in_range(), folder.path()))
            .unwrap();
        let number = first.number();
        assert!(Port::try_reserve(number, folder.path()).is_none());
        drop(first);
        assert!(Port::try_reserve(number, folder.path()).is_some());
    }

    #[test]
    fn a_port_that_another_program_uses_is_not_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let number = listener.local_addr().unwrap().port();
        assert!(Port::try_reserve(number, folder.path()).is_none());
    }
}
