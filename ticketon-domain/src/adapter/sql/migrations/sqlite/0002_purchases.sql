-- Orders and tickets, and what is written beside them in the same transaction. Money is in minor units.

-- The body is the whole order; the columns beside it are what it is found by. hold_live is 1 while the hold of the
-- order is its own and NULL after: a hold has one live order. due_ms is when it needs work, attention_ms since when
-- it needs a person.
CREATE TABLE orders (
    id TEXT NOT NULL PRIMARY KEY,
    event_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hold_id TEXT NOT NULL,
    hold_live INTEGER,
    state TEXT NOT NULL,
    payment_key TEXT,
    due_ms INTEGER,
    attention_ms INTEGER,
    created_ms INTEGER NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    CHECK (length(id) = 32),
    CHECK (hold_live = 1)
) STRICT;
CREATE UNIQUE INDEX orders_hold ON orders (event_id, hold_id, hold_live);
CREATE UNIQUE INDEX orders_payment ON orders (payment_key);
CREATE INDEX orders_of_user ON orders (user_id, id);
CREATE INDEX orders_due ON orders (due_ms, id) WHERE due_ms IS NOT NULL;
CREATE INDEX orders_attention ON orders (id) WHERE attention_ms IS NOT NULL;

-- live is 1 for as long as the ticket keeps its seat and NULL after: a seat has one live ticket.
CREATE TABLE tickets (
    id TEXT NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    seat TEXT NOT NULL,
    live INTEGER,
    state TEXT NOT NULL,
    user_id TEXT NOT NULL,
    fence INTEGER NOT NULL,
    price INTEGER NOT NULL,
    grade TEXT NOT NULL,
    changed_ms INTEGER NOT NULL,
    CHECK (length(order_id) = 32),
    CHECK (live = 1)
) STRICT;
CREATE UNIQUE INDEX tickets_seat ON tickets (event_id, seat, live);
CREATE INDEX tickets_of_order ON tickets (order_id);
CREATE INDEX tickets_of_user ON tickets (user_id, id);

-- Answers to requests with an idempotency key. Without an answer the request is running, until its lease ends.
CREATE TABLE requests (
    user_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    idem_key TEXT NOT NULL,
    hash TEXT NOT NULL,
    lease_until_ms INTEGER NOT NULL,
    answer TEXT,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (user_id, operation, idem_key)
) STRICT;
CREATE INDEX requests_by_age ON requests (created_ms);

-- What the map of an event's seats is yet to be told, in the order of the ids; deleted when it was.
CREATE TABLE seat_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX seat_messages_of_order ON seat_messages (order_id, id);
