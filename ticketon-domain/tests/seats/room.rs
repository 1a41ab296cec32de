//! Sold out: what the waiting room hears, and whose word counts.

use std::sync::Arc;

use ticketon_domain::seat::SeatHold;
use ticketon_queue::{MemoryStore, RoomConfig, RoomState, RoomVerb, WaitingQueue};

use crate::shop::{Shop, id, tour};

struct House {
    shop: Shop,
    queue: WaitingQueue,
}

impl House {
    async fn open() -> Self {
        let queue = WaitingQueue::builder(MemoryStore::new())
            .start()
            .await
            .unwrap();
        let config = RoomConfig::builder().capacity(10).build().unwrap();
        queue.ensure_room(&id(), config).await.unwrap();
        let shop = Shop::with(tour(), Some(&queue), true).await;
        // All but two seats are not for sale, so that two people sell the house out.
        let mut labels: Vec<String> = (1..=10).map(|seat| format!("A-2-{seat}")).collect();
        labels.extend((3..=10).map(|seat| format!("A-1-{seat}")));
        labels.extend((1..=30).map(|unit| format!("floor/{unit}")));
        shop.seats
            .block(&id(), &labels)
            .await
            .unwrap()
            .done()
            .unwrap();
        Self { shop, queue }
    }

    async fn state(&self) -> RoomState {
        self.queue.numbers(&id()).await.unwrap().state
    }

    async fn tell(&self, verb: RoomVerb) {
        self.queue.change_state(&id(), verb).await.unwrap();
        self.shop.pass_seconds(3).await;
    }

    async fn buy(&self, name: &str, seat: &str) -> SeatHold {
        let hold = self.shop.hold(name, &[seat]).await;
        self.shop.sell(name, &hold).await;
        self.shop.pass_seconds(3).await;
        hold
    }

    async fn give_back(&self, name: &str, hold: &SeatHold) {
        self.shop.refund(name, hold).await;
        self.shop.pass_seconds(3).await;
    }
}

#[tokio::test]
async fn a_room_closes_when_all_is_sold_and_opens_when_seats_come_back() {
    let house = House::open().await;
    house.buy("ann", "A-1-1").await;
    let held = house.shop.hold("ben", &["A-1-2"]).await;
    house.shop.pass_seconds(3).await;
    assert_eq!(
        house.state().await,
        RoomState::Open,
        "what is held may come back"
    );
    house.shop.sell("ben", &held).await;
    house.shop.pass_seconds(3).await;
    assert_eq!(house.state().await, RoomState::SoldOut);
    let mut sold = held;
    for _ in 0..2 {
        house.give_back("ben", &sold).await;
        assert_eq!(house.state().await, RoomState::Open);
        sold = house.buy("ben", "A-1-2").await;
        assert_eq!(house.state().await, RoomState::SoldOut);
    }
}

#[tokio::test]
async fn what_an_operator_sold_out_stays_so() {
    let house = House::open().await;
    let ann = house.buy("ann", "A-1-1").await;
    house.tell(RoomVerb::SoldOut).await;
    assert_eq!(
        house.state().await,
        RoomState::SoldOut,
        "although a seat is free"
    );
    let ben = house.buy("ben", "A-1-2").await;
    house.give_back("ann", &ann).await;
    house.give_back("ben", &ben).await;
    assert_eq!(house.state().await, RoomState::SoldOut);
}

#[tokio::test]
async fn what_an_operator_opened_again_stays_open_until_seats_came_back() {
    let house = House::open().await;
    house.buy("ann", "A-1-1").await;
    let ben = house.buy("ben", "A-1-2").await;
    assert_eq!(house.state().await, RoomState::SoldOut);
    house.tell(RoomVerb::Open).await;
    assert_eq!(house.state().await, RoomState::Open, "although all is sold");
    house.give_back("ben", &ben).await;
    house.buy("eve", "A-1-2").await;
    assert_eq!(
        house.state().await,
        RoomState::SoldOut,
        "the next time it is news again"
    );
}

#[tokio::test]
async fn paused_draining_and_closed_are_the_operators_affair() {
    for (verb, state) in [
        (RoomVerb::Pause, RoomState::Paused),
        (RoomVerb::Drain, RoomState::Draining),
        (RoomVerb::Close, RoomState::Closed),
    ] {
        let house = House::open().await;
        house.buy("ann", "A-1-1").await;
        house.tell(verb).await;
        let ben = house.buy("ben", "A-1-2").await;
        assert_eq!(house.state().await, state);
        house.give_back("ben", &ben).await;
        assert_eq!(house.state().await, state);
    }
    let house = House::open().await;
    house.buy("ann", "A-1-1").await;
    let ben = house.buy("ben", "A-1-2").await;
    assert_eq!(house.state().await, RoomState::SoldOut);
    house.tell(RoomVerb::Drain).await;
    house.give_back("ben", &ben).await;
    assert_eq!(
        house.state().await,
        RoomState::Draining,
        "although it was the keeper who sold it out"
    );

    let house = House::open().await;
    house.buy("ann", "A-1-1").await;
    house.tell(RoomVerb::Pause).await;
    house.buy("ben", "A-1-2").await;
    house.tell(RoomVerb::Resume).await;
    assert_eq!(
        house.state().await,
        RoomState::SoldOut,
        "nobody waits for nothing"
    );
}

#[tokio::test]
async fn another_process_opens_what_a_dead_one_closed() {
    let house = House::open().await;
    house.buy("ann", "A-1-1").await;
    let ben = house.buy("ben", "A-1-2").await;
    assert_eq!(house.state().await, RoomState::SoldOut);
    house.shop.seats.shutdown().await;
    let shop = &house.shop;
    let other = ticketon_domain::seat::Seats::builder(shop.store.clone())
        .catalog(shop.catalog.clone())
        .ledger(shop.ledger.clone())
        .clock(Arc::new(shop.clock.clone()))
        .queue(&house.queue)
        .start()
        .await
        .unwrap();
    house.give_back("ben", &ben).await;
    assert_eq!(house.state().await, RoomState::Open);
    other.shutdown().await;
}
