-- Orders and tickets, and what is written beside them in the same transaction. Money is in minor units.

-- The body is the whole order; the columns beside it are what it is found by. hold_live is 1 while the hold of the
-- order is its own and NULL after: a hold has one live order. due_ms is when it needs work, attention_ms since when
-- it needs a person.
CREATE TABLE IF NOT EXISTS orders (
    id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    event_id VARBINARY(128) NOT NULL,
    user_id VARBINARY(128) NOT NULL,
    hold_id VARBINARY(128) NOT NULL,
    hold_live TINYINT,
    state VARBINARY(32) NOT NULL,
    payment_key VARBINARY(200),
    due_ms BIGINT,
    attention_ms BIGINT,
    created_ms BIGINT NOT NULL,
    version BIGINT NOT NULL,
    body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    CHECK (length(id) = 32),
    CHECK (hold_live = 1),
    UNIQUE KEY orders_hold (event_id, hold_id, hold_live),
    UNIQUE KEY orders_payment (payment_key),
    KEY orders_of_user (user_id, id),
    KEY orders_due (due_ms, id),
    KEY orders_attention (attention_ms, id)
) ENGINE = InnoDB;

-- live is 1 for as long as the ticket keeps its seat and NULL after: a seat has one live ticket.
CREATE TABLE IF NOT EXISTS tickets (
    id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    order_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    event_id VARBINARY(128) NOT NULL,
    seat VARBINARY(64) NOT NULL,
    live TINYINT,
    state VARBINARY(32) NOT NULL,
    user_id VARBINARY(128) NOT NULL,
    fence BIGINT NOT NULL,
    price BIGINT NOT NULL,
    grade VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    changed_ms BIGINT NOT NULL,
    CHECK (length(order_id) = 32),
    CHECK (live = 1),
    UNIQUE KEY tickets_seat (event_id, seat, live),
    KEY tickets_of_order (order_id),
    KEY tickets_of_user (user_id, id)
) ENGINE = InnoDB;

-- Answers to requests with an idempotency key. Without an answer the request is running, until its lease ends.
CREATE TABLE IF NOT EXISTS requests (
    user_id VARBINARY(128) NOT NULL,
    operation VARBINARY(64) NOT NULL,
    idem_key VARBINARY(255) NOT NULL,
    hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    lease_until_ms BIGINT NOT NULL,
    answer LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, operation, idem_key),
    KEY requests_by_age (created_ms)
) ENGINE = InnoDB;

-- What the map of an event's seats is yet to be told, in the order of the ids; deleted when it was.
CREATE TABLE IF NOT EXISTS seat_messages (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    event_id VARBINARY(128) NOT NULL,
    order_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    KEY seat_messages_of_order (order_id, id)
) ENGINE = InnoDB;
