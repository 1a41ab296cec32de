//! The map that a check makes for itself, with calls that take no answer but the expected kind.
//!
//! Whenever a map is looked at, it is recounted (S3), so every check checks that too.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use ticketon_queue::{Clock, EventId, ManualClock, StoreError, UserId};

use crate::seat::{
    Blocked, Change, Changes, Choice, Counts, Held, Hold, HoldId, HoldKey, HoldReply, HoldRequest,
    Limits, Load, MapHead, MapSpec, Mapped, Mend, Over, Owned, SeatState, SeatStore, SeatSync,
    Snapshot, Swept, Synced,
};
use crate::venue::SeatIndex;

/// How long holds last in the checks, if nothing else is said.
pub(super) const TTL_MS: i64 = 60_000;

/// Limits that stop nobody.
pub(super) const WIDE: Limits = Limits {
    per_order: 100,
    per_user: 100_000,
};

/// An id that no other check has.
pub(super) fn event(promise: &str) -> EventId {
    let random = RandomState::new().build_hasher().finish();
    EventId::new(format!("conformance-{promise}-{random:016x}")).expect("the id has a valid form")
}

/// A user of this name.
pub(super) fn user(name: impl AsRef<str>) -> UserId {
    UserId::new(name.as_ref()).expect("the id has a valid form")
}

/// Seats of these numbers.
pub(super) fn seats(indexes: impl IntoIterator<Item = u32>) -> Vec<SeatIndex> {
    indexes.into_iter().map(SeatIndex::new).collect()
}

/// What names a hold and proves the right to it.
pub(super) fn key(hold: &Hold) -> HoldKey {
    HoldKey {
        id: hold.id,
        user: hold.user.clone(),
        fence: Some(hold.fence),
    }
}

/// What the ledger says when these seats of a hold were bought.
pub(super) fn sold(hold: &Hold, indexes: impl IntoIterator<Item = u32>) -> SeatSync {
    SeatSync::Sold {
        user: hold.user.clone(),
        fence: hold.fence,
        seats: seats(indexes),
    }
}

/// What the ledger says when these seats of a hold were given back after they were bought.
pub(super) fn refunded(hold: &Hold, indexes: impl IntoIterator<Item = u32>) -> SeatSync {
    SeatSync::Released {
        user: hold.user.clone(),
        fence: hold.fence,
        seats: seats(indexes),
    }
}

/// A seat that was sold, as a rebuild reads it.
pub(super) fn load_sold(seat: u32, name: &str, fence: u64) -> Load {
    Load::Sold {
        seat: SeatIndex::new(seat),
        user: user(name),
        fence,
    }
}

/// A seat that was given back, as a rebuild reads it.
pub(super) fn load_given_back(seat: u32, fence: u64) -> Load {
    Load::GivenBack {
        seat: SeatIndex::new(seat),
        fence,
    }
}

/// A seat that is blocked, as a rebuild reads it.
pub(super) fn load_blocked(seat: u32) -> Load {
    Load::Blocked {
        seat: SeatIndex::new(seat),
    }
}

/// Lets time pass on the clock; less than none turns it back.
pub(super) fn pass(clock: &ManualClock, ms: i64) {
    clock.set(clock.now_ms() + ms);
}

/// What a verb answers about a map that is ready.
pub(super) fn ready<T>(verb: &str, answer: Result<Mapped<T>, StoreError>) -> T {
    match answered(verb, answer) {
        Mapped::Ready(answer) => answer,
        Mapped::NotReady(why) => panic!("{verb} says that the map is not ready: {why:?}"),
    }
}

/// What a verb answers.
pub(super) fn answered<T>(verb: &str, answer: Result<T, StoreError>) -> T {
    answer.unwrap_or_else(|error| panic!("{verb} failed: {error} ({error:?})"))
}

/// A map as a text: `.` free, `h` held, `s` sold, `x` blocked.
pub(super) fn picture(snapshot: &Snapshot) -> String {
    let all = (0..snapshot.head.spec.seats).map(SeatIndex::new);
    all.map(|seat| match snapshot.state(seat) {
        Some(SeatState::Free) => '.',
        Some(SeatState::Held) => 'h',
        Some(SeatState::Sold) => 's',
        Some(SeatState::Blocked) | None => 'x',
    })
    .collect()
}

/// S3: what a snapshot counts is what it shows, and nothing is missing.
pub(super) fn recount(snapshot: &Snapshot) {
    let Snapshot { head, bits, .. } = snapshot;
    let all = head.spec.seats;
    assert_eq!(bits.len(), SeatState::packed_len(all), "bytes of a map");
    assert_eq!(
        Counts::of(bits, all),
        head.counts,
        "S3: what is shown against what is counted, at version {}",
        head.version
    );
    assert_eq!(head.counts.total(), all, "S3: {:?}", head.counts);
    let padded = Counts::of(bits, bits.len() as u32 * 4);
    assert_eq!(
        padded.total() - padded.free,
        all - head.counts.free,
        "the bits after the last seat are zero"
    );
}

/// One map of one store. Its id is its own, so that checks may share a server.
#[derive(Debug, Clone)]
pub(super) struct TestMap {
    pub(super) store: Arc<dyn SeatStore>,
    pub(super) event: EventId,
    pub(super) epoch: u64,
}

impl TestMap {
    /// Builds a map of free seats.
    pub(super) async fn build(store: &Arc<dyn SeatStore>, promise: &str, seats: u32) -> Self {
        let event = event(promise);
        let epoch = Self::begin(store, &event, seats).await;
        let finished = store.finish_rebuild(&event, epoch).await;
        assert!(answered("finish_rebuild", finished), "nobody else rebuilds");
        let store = Arc::clone(store);
        let map = Self {
            store,
            event,
            epoch,
        };
        let head = map.snapshot().await.head;
        assert_eq!(head.version, 0, "a new map has seen no change");
        assert_eq!(head.counts.free, seats, "a new map is free: {head:?}");
        map
    }

    /// Begins a rebuild.
    pub(super) async fn begin(store: &Arc<dyn SeatStore>, event: &EventId, seats: u32) -> u64 {
        let spec = MapSpec {
            layout: format!("hall-of-{seats}"),
            seats,
        };
        let begun = store.begin_rebuild(event, &spec, Over::Any).await;
        answered("begin_rebuild", begun).expect("it begins over whatever there is")
    }

    /// Begins a rebuild over what was seen.
    pub(super) async fn begin_over(&self, seats: u32, over: Over) -> Option<u64> {
        let spec = MapSpec {
            layout: format!("hall-of-{seats}"),
            seats,
        };
        let begun = self.store.begin_rebuild(&self.event, &spec, over).await;
        answered("begin_rebuild", begun)
    }

    /// Rebuilds the map with these seats; answers it under its new epoch.
    pub(super) async fn rebuilt(&self, seats: u32, load: &[Load]) -> Self {
        let epoch = Self::begin(&self.store, &self.event, seats).await;
        assert!(epoch > self.epoch, "a new epoch is newer");
        let map = Self {
            epoch,
            ..self.clone()
        };
        assert!(map.load(load).await, "nobody else rebuilds");
        assert!(map.finish().await, "nobody else rebuilds");
        map
    }

    /// The same map as another process has it.
    pub(super) fn by(&self, store: &Arc<dyn SeatStore>) -> Self {
        Self {
            store: Arc::clone(store),
            ..self.clone()
        }
    }

    /// The same map as somebody knows it who knows another epoch.
    pub(super) fn under(&self, epoch: u64) -> Self {
        Self {
            epoch,
            ..self.clone()
        }
    }

    /// A request with an id of its own for each user and key.
    pub(super) fn request(&self, name: &str, idempotency_key: &str, choice: Choice) -> HoldRequest {
        let user = user(name);
        HoldRequest {
            id: HoldId::derive(&self.event, &user, idempotency_key),
            user,
            request_hash: 1,
            choice,
            ttl_ms: TTL_MS,
            limits: WIDE,
        }
    }

    /// A request of these seats.
    pub(super) fn wants(
        &self,
        name: &str,
        key: &str,
        indexes: impl IntoIterator<Item = u32>,
    ) -> HoldRequest {
        self.request(name, key, Choice::Seats(seats(indexes)))
    }

    pub(super) async fn try_hold(&self, request: &HoldRequest) -> Held {
        let held = self.store.hold(&self.event, self.epoch, request).await;
        let held = ready("hold", held);
        self.snapshot().await;
        held
    }

    /// Takes a hold that nothing stands in the way of.
    pub(super) async fn take(&self, request: &HoldRequest) -> Hold {
        match self.try_hold(request).await {
            Held::Taken(hold) => {
                assert_eq!(hold.id, request.id, "the hold is the one asked for");
                assert_eq!(hold.user, request.user, "the hold is whose it is");
                assert_eq!(hold.epoch, self.epoch, "the hold is of this map");
                hold
            }
            other => panic!("{request:?} led to {other:?}"),
        }
    }

    /// As [`Self::take`], of these seats.
    pub(super) async fn take_seats(
        &self,
        name: &str,
        idempotency_key: &str,
        indexes: impl IntoIterator<Item = u32>,
    ) -> Hold {
        self.take(&self.wants(name, idempotency_key, indexes)).await
    }

    pub(super) async fn find(&self, key: &HoldKey) -> HoldReply {
        ready("find", self.store.find(&self.event, self.epoch, key).await)
    }

    pub(super) async fn extend(&self, key: &HoldKey, ttl_ms: i64, cap_ms: i64) -> HoldReply {
        let (event, epoch) = (&self.event, self.epoch);
        let extended = self.store.extend(event, epoch, key, ttl_ms, cap_ms).await;
        self.seen("extend", extended).await
    }

    pub(super) async fn release(&self, key: &HoldKey) -> HoldReply {
        let released = self.store.release(&self.event, self.epoch, key).await;
        self.seen("release", released).await
    }

    pub(super) async fn pin(&self, key: &HoldKey) -> HoldReply {
        let pinned = self.store.pin(&self.event, self.epoch, key).await;
        self.seen("pin", pinned).await
    }

    pub(super) async fn unpin(&self, key: &HoldKey, ttl_ms: i64) -> HoldReply {
        let unpinned = self.store.unpin(&self.event, self.epoch, key, ttl_ms).await;
        self.seen("unpin", unpinned).await
    }

    pub(super) async fn sync(&self, batch: &[SeatSync]) -> Synced {
        let synced = self.store.sync(&self.event, self.epoch, batch).await;
        self.seen("sync", synced).await
    }

    pub(super) async fn owners(&self, from: u32) -> Vec<Owned> {
        let from = SeatIndex::new(from);
        let owners = self.store.owners(&self.event, self.epoch, from).await;
        ready("owners", owners)
    }

    pub(super) async fn pinned(&self, skip: u32) -> Vec<Hold> {
        let pinned = self.store.pinned(&self.event, self.epoch, skip).await;
        ready("pinned", pinned)
    }

    pub(super) async fn mend(&self, batch: &[Mend]) -> Synced {
        let mended = self.store.mend(&self.event, self.epoch, batch).await;
        self.seen("mend", mended).await
    }

    pub(super) async fn block(&self, indexes: impl IntoIterator<Item = u32>) -> Blocked {
        let seats = seats(indexes);
        let blocked = self.store.block(&self.event, self.epoch, &seats).await;
        self.seen("block", blocked).await
    }

    pub(super) async fn unblock(&self, indexes: impl IntoIterator<Item = u32>) -> Blocked {
        let seats = seats(indexes);
        let unblocked = self.store.unblock(&self.event, self.epoch, &seats).await;
        self.seen("unblock", unblocked).await
    }

    pub(super) async fn sweep(&self) -> Swept {
        let swept = self.store.sweep(&self.event).await;
        self.seen("sweep", swept).await
    }

    /// Looks at the map after a verb, so that it is recounted.
    async fn seen<T>(&self, verb: &str, answer: Result<Mapped<T>, StoreError>) -> T {
        let answer = ready(verb, answer);
        self.snapshot().await;
        answer
    }

    pub(super) async fn load(&self, seats: &[Load]) -> bool {
        let loaded = self.store.load(&self.event, self.epoch, seats).await;
        answered("load", loaded)
    }

    pub(super) async fn finish(&self) -> bool {
        let finished = self.store.finish_rebuild(&self.event, self.epoch).await;
        answered("finish_rebuild", finished)
    }

    pub(super) async fn head(&self) -> MapHead {
        ready("head", self.store.head(&self.event).await)
    }

    /// A snapshot, recounted.
    pub(super) async fn snapshot(&self) -> Snapshot {
        let snapshot = ready("snapshot", self.store.snapshot(&self.event).await);
        recount(&snapshot);
        snapshot
    }

    /// Waits for something, and looks at the map meanwhile, again and again.
    pub(super) async fn watched<T>(&self, until: impl Future<Output = T>) -> T {
        let watch = async {
            loop {
                self.snapshot().await;
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            answer = until => answer,
            () = watch => unreachable!("it has no end"),
        }
    }

    /// Compares the map with a text of [`picture`].
    pub(super) async fn shows(&self, wanted: &str) {
        let snapshot = self.snapshot().await;
        assert_eq!(picture(&snapshot), wanted, "the map");
    }

    pub(super) async fn changes(&self, after: u64) -> Changes {
        let (event, epoch) = (&self.event, self.epoch);
        ready("changes", self.store.changes(event, epoch, after).await)
    }

    /// What happened after a version, all of it and in order.
    pub(super) async fn since(&self, after: u64) -> Vec<Change> {
        match self.changes(after).await {
            Changes::Since(changes) => {
                for (version, change) in (after + 1..).zip(&changes) {
                    assert_eq!(change.version, version, "the changes after {after}");
                }
                changes
            }
            Changes::Gap => panic!("what happened after {after} is forgotten"),
        }
    }

    pub(super) async fn holds_of(&self, name: impl AsRef<str>) -> Vec<Hold> {
        let user = user(name);
        let holds = self.store.holds_of(&self.event, self.epoch, &user).await;
        ready("holds_of", holds)
    }

    /// S1: the living holds of these people, who are all there are, have each held seat once.
    pub(super) async fn has_holders(
        &self,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Vec<Hold> {
        let mut all = Vec::new();
        for name in names {
            all.extend(self.holds_of(name).await);
        }
        let snapshot = self.snapshot().await;
        let mut held = HashSet::new();
        for hold in &all {
            for seat in &hold.seats {
                let state = snapshot.state(*seat);
                assert_eq!(state, Some(SeatState::Held), "S1: {seat} of {hold:?}");
                assert!(held.insert(*seat), "S1: {seat} has two holders");
            }
        }
        let counts = snapshot.head.counts;
        assert_eq!(held.len(), counts.held as usize, "S1: {all:?}, {counts:?}");
        all
    }
}
