//! One room, lived by the model and by the stores side by side.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, LazyLock};

use ticketon_queue::room::Room;
use ticketon_queue::{
    Attach, BrokerId, Clock, ConnId, DrawKey, DrawKeys, EventId, JoinRequest, LaneName,
    ManualClock, MemoryStore, Observe, Presence, QueueStore, RoomSaved, RoomVerb, Standing, UserId,
};

use super::promises::{Snapshot, Witness};
use super::step::{BROKERS, Fence, Joining, LANES, USERS, config};
use super::{Met, START_MS, Step, Verb};

/// Calls that may arrive again.
const REMEMBERED: usize = 12;

/// A verb with its arguments: what is on the wire.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Save(u8),
    State(RoomVerb),
    Join(Vec<JoinRequest>),
    Standing(UserId),
    Leave(UserId, Option<u64>),
    Claim(UserId, u64),
    Complete(UserId, u64),
    Extend(UserId, u64, i64),
    Tick(usize),
    Register(BrokerId),
    Observe(BrokerId),
    Attach(BrokerId, BrokerId, Vec<Attach>),
    Disconnect(BrokerId, Vec<(UserId, ConnId)>),
    TakeOver(BrokerId),
}

impl Call {
    /// Whether the effect of twice in a row is the effect of once. Each tick may promote a batch more; and
    /// who is in a batch of joins twice, differently, may be present in another way at the end.
    fn is_idempotent(&self) -> bool {
        match self {
            Self::Tick(_) => false,
            Self::Join(batch) => {
                let users: HashSet<&UserId> = batch.iter().map(|request| &request.user).collect();
                users.len() == batch.len()
            }
            _ => true,
        }
    }
}

pub(super) struct Life {
    clock: ManualClock,
    event: EventId,
    model: Room,
    memory: Arc<dyn QueueStore>,
    redis: Vec<Arc<dyn QueueStore>>,
    /// How often each broker has died.
    deaths: [u64; BROKERS as usize],
    lapsed: Vec<BrokerId>,
    sent: VecDeque<Call>,
    witness: Witness,
    met: Met,
}

pub(super) fn user(index: u8) -> UserId {
    static ALL: LazyLock<Vec<UserId>> = LazyLock::new(|| {
        let user = |index| UserId::new(format!("사용자:{index}"));
        (0..USERS)
            .map(|index| user(index).unwrap_or_else(|error| panic!("{error}")))
            .collect()
    });
    ALL[usize::from(index)].clone()
}

/// Every draw has this key, so that all draw the same.
pub(super) fn draw_keys() -> DrawKeys {
    DrawKeys::fixed(DrawKey::from_bytes([7; 32]))
}

fn conn(index: u8) -> ConnId {
    ConnId((1 << 60) + u64::from(index))
}

impl Life {
    pub(super) async fn begin(
        clock: &ManualClock,
        redis: &[Arc<dyn QueueStore>],
        event: EventId,
    ) -> Result<Self, String> {
        let memory: Arc<dyn QueueStore> =
            Arc::new(MemoryStore::with_clock(Arc::new(clock.clone())).draw_keys(draw_keys()));
        for store in std::iter::once(&memory).chain(redis.first()) {
            let saved = store.save_room(&event, &config(0)).await;
            match saved {
                Ok(RoomSaved::Created) => {}
                other => return Err(format!("a new room led to {other:?} of {}", store.name())),
            }
        }
        let model = Room::with_draw_keys(config(0), draw_keys(), START_MS);
        Ok(Self {
            witness: Witness::new(&model, START_MS),
            model,
            clock: clock.clone(),
            event,
            memory,
            redis: redis.to_vec(),
            deaths: [0; BROKERS as usize],
            lapsed: Vec::new(),
            sent: VecDeque::new(),
            met: Met::default(),
        })
    }

    pub(super) async fn take(&mut self, step: &Step) -> Result<(), String> {
        self.met.steps += 1;
        match step {
            Step::Wait(ms) => {
                let now = self.clock.now_ms();
                self.witness.wait(&self.model.numbers(now), *ms);
                self.clock.set(now + ms);
                self.agree_on_numbers(0).await
            }
            Step::Ask(by, verb) => {
                let call = self.call_of(verb);
                self.send(*by, call).await
            }
            Step::Lost(by, again, verb) => {
                self.met.repeated += 1;
                let call = self.call_of(verb);
                self.send(*by, call.clone()).await?;
                let once = self.model.clone();
                self.send(*again, call.clone()).await?;
                if call.is_idempotent() && self.model != once {
                    return Err(format!(
                        "Q4, Q8: twice is not once: {once:#?} became {:#?}",
                        self.model
                    ));
                }
                Ok(())
            }
            Step::Late(by, back) => {
                self.met.repeated += 1;
                match self.sent.get(usize::from(*back)).cloned() {
                    Some(call) => self.send(*by, call).await,
                    None => Ok(()),
                }
            }
            Step::Crash(broker) => {
                self.deaths[usize::from(*broker)] += 1;
                Ok(())
            }
        }
    }

    /// Compares where everybody is and who is connected where.
    pub(super) async fn end(mut self) -> Result<Met, String> {
        for who in 0..USERS {
            self.send(0, Call::Standing(user(who))).await?;
        }
        let broker = self.broker(0);
        self.send(0, Call::Register(broker)).await?;
        self.send(0, Call::Observe(broker)).await?;
        let numbers = self.model.numbers(self.clock.now_ms());
        Ok(Met {
            admitted: numbers.admitted_total,
            expired: numbers.expired_total,
            completed: numbers.completed_total,
            left: numbers.left_total,
            ..self.met
        })
    }

    fn broker(&self, index: u8) -> BrokerId {
        self.incarnation(index, self.deaths[usize::from(index)])
    }

    fn incarnation(&self, index: u8, deaths: u64) -> BrokerId {
        BrokerId::from_u64(u64::MAX - u64::from(index) - deaths * u64::from(BROKERS))
    }

    fn fence_of(&self, who: u8, fence: Fence) -> u64 {
        let own = match self.model.standing(&user(who), self.clock.now_ms()) {
            Standing::Admitted(lease) => lease.fence,
            Standing::Gone { fence, .. } => fence,
            _ => 0,
        };
        match fence {
            Fence::Own => own,
            Fence::Old => self.witness.old_fence(who, own),
            Fence::Other => own + 1,
        }
    }

    fn request(&self, joining: &Joining) -> JoinRequest {
        let epoch = self.model.numbers(self.clock.now_ms()).epoch;
        let lane = |index: u8| LaneName::new(LANES[usize::from(index)]).ok();
        JoinRequest {
            user: user(joining.user),
            lane: joining.lane.and_then(lane),
            presence: joining
                .stream
                .map_or(Presence::Poll, |(at, by)| Presence::Stream {
                    broker: self.broker(at),
                    conn: conn(by),
                }),
            resume: joining
                .resume
                .map(|same| if same { epoch } else { u64::MAX }),
        }
    }

    /// The call, with what its sender knows at present.
    fn call_of(&self, verb: &Verb) -> Call {
        let all = |all: &[(u8, u8)]| -> Vec<(UserId, ConnId)> {
            all.iter()
                .map(|(who, by)| (user(*who), conn(*by)))
                .collect()
        };
        match verb {
            Verb::Save(index) => Call::Save(*index),
            Verb::State(verb) => Call::State(*verb),
            Verb::Join(batch) => Call::Join(batch.iter().map(|one| self.request(one)).collect()),
            Verb::Standing(who) => Call::Standing(user(*who)),
            Verb::Leave(who, fence) => {
                Call::Leave(user(*who), fence.map(|fence| self.fence_of(*who, fence)))
            }
            Verb::Claim(who, fence) => Call::Claim(user(*who), self.fence_of(*who, *fence)),
            Verb::Complete(who, fence) => Call::Complete(user(*who), self.fence_of(*who, *fence)),
            Verb::Extend(who, fence, ms) => {
                Call::Extend(user(*who), self.fence_of(*who, *fence), *ms)
            }
            Verb::Tick(batch) => Call::Tick(*batch),
            Verb::Register(at) => Call::Register(self.broker(*at)),
            Verb::Observe(at) => Call::Observe(self.broker(*at)),
            Verb::Attach(from, to, batch) => {
                let deaths = self.deaths[usize::from(*from)];
                let from = if from == to {
                    self.incarnation(*from, deaths.saturating_sub(1))
                } else {
                    self.broker(*from)
                };
                let batch = all(batch)
                    .into_iter()
                    .map(|(user, conn)| Attach { user, conn })
                    .collect();
                Call::Attach(from, self.broker(*to), batch)
            }
            Verb::Disconnect(at, batch) => Call::Disconnect(self.broker(*at), all(batch)),
            Verb::TakeOver(at) => Call::TakeOver(self.broker(*at)),
            Verb::TakeOverLapsed(nth) => {
                let count = self.lapsed.len().max(1);
                let lapsed = self.lapsed.get(usize::from(*nth) % count).copied();
                Call::TakeOver(lapsed.unwrap_or_else(|| self.broker(0)))
            }
        }
    }

    /// Makes a call everywhere: by this process, where there are several. Compares the answers and the
    /// numbers after it, and checks the promises.
    async fn send(&mut self, by: u8, call: Call) -> Result<(), String> {
        let now = self.clock.now_ms();
        let before = Snapshot::take(&self.model, now);
        // A verb of a store, and the same of the model.
        macro_rules! agree {
            ($verb:ident($($arg:expr),*), $wanted:expr) => {{
                let wanted = $wanted;
                for store in self.stores(by) {
                    let got = store.$verb(&self.event, $($arg),*).await;
                    same(store.name(), &call, got, Some(&wanted))?;
                }
                wanted
            }};
        }
        match &call {
            Call::Save(index) => {
                let config = config(*index);
                let wanted = self.model.save(&config, now);
                for store in self.stores(by) {
                    let got = store.save_room(&self.event, &config).await;
                    same(store.name(), &call, got.map(Some), Some(&wanted))?;
                }
            }
            Call::State(verb) => {
                agree!(change_state(*verb), self.model.change_state(*verb));
            }
            Call::Join(batch) => {
                agree!(join(batch), {
                    let model = &mut self.model;
                    batch
                        .iter()
                        .map(|one| model.join(one, now))
                        .collect::<Vec<_>>()
                });
            }
            Call::Standing(who) => {
                agree!(standing(who), self.model.standing(who, now));
            }
            Call::Leave(who, fence) => {
                agree!(leave(who, *fence), self.model.leave(who, *fence, now));
            }
            Call::Claim(who, fence) => {
                agree!(claim(who, *fence), self.model.claim(who, *fence, now));
            }
            Call::Complete(who, fence) => {
                agree!(complete(who, *fence), self.model.complete(who, *fence, now));
            }
            Call::Extend(who, fence, ms) => {
                agree!(
                    extend(who, *fence, *ms),
                    self.model.extend(who, *fence, *ms, now)
                );
            }
            Call::Tick(batch) => {
                let tick = agree!(tick(*batch), self.model.tick(*batch, now));
                self.lapsed = tick.lapsed;
            }
            Call::Register(at) => {
                self.model.register_broker(*at, now);
                agree!(register_broker(*at), ());
            }
            Call::Observe(at) => {
                let request = everything();
                agree!(
                    observe(*at, &request),
                    self.model.observe(*at, &request, now)
                );
            }
            Call::Attach(from, to, batch) => {
                agree!(
                    attach(*from, *to, batch),
                    self.model.attach(*from, *to, batch, now)
                );
            }
            Call::Disconnect(at, batch) => {
                self.model.disconnect(*at, batch, now);
                agree!(disconnect(*at, batch), ());
            }
            Call::TakeOver(at) => {
                agree!(take_over(*at), self.model.take_over(*at, now));
            }
        }
        self.agree_on_numbers(by).await?;
        let after = Snapshot::take(&self.model, now);
        self.witness.check(&call, &before, &after)?;
        self.sent.push_front(call);
        self.sent.truncate(REMEMBERED);
        Ok(())
    }

    /// The stores, as this process has them.
    fn stores(&self, by: u8) -> impl Iterator<Item = &Arc<dyn QueueStore>> {
        let redis = usize::from(by) % self.redis.len().max(1);
        std::iter::once(&self.memory).chain(self.redis.get(redis))
    }

    async fn agree_on_numbers(&self, by: u8) -> Result<(), String> {
        let wanted = self.model.numbers(self.clock.now_ms());
        for store in self.stores(by) {
            let got = store.numbers(&self.event).await;
            same(store.name(), &"the numbers after it", got, Some(&wanted))?;
        }
        Ok(())
    }
}

/// Every user, and samples within, between and beyond the lanes.
fn everything() -> Observe {
    let (most, least) = (i64::MAX, i64::MIN);
    Observe {
        samples: vec![
            (0, 1),
            (1, 5),
            (0, least),
            (1, most),
            (2, 3),
            (usize::MAX, 1),
        ],
        users: (0..USERS).map(user).collect(),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    store: &str,
    call: &impl std::fmt::Debug,
    got: Result<Option<T>, ticketon_queue::StoreError>,
    wanted: Option<&T>,
) -> Result<(), String> {
    match got {
        Ok(got) if got.as_ref() == wanted => Ok(()),
        got => Err(format!(
            "{call:?}\n   {store} answers: {got:?}\nthe model answers: {wanted:?}"
        )),
    }
}
