-- A chain of entries an order. checkpoint is the id of the checkpoint that an entry went into.
CREATE TABLE audit (
    order_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    checkpoint INTEGER,
    CHECK (length(order_id) = 32),
    CHECK (seq > 0),
    PRIMARY KEY (order_id, seq)
) STRICT;
CREATE INDEX audit_of_checkpoint ON audit (checkpoint, order_id, seq);

-- Signed batches of heads, each with the hash of the one before.
CREATE TABLE audit_checkpoints (
    id INTEGER NOT NULL PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    key_id TEXT NOT NULL,
    signature TEXT NOT NULL,
    body TEXT NOT NULL,
    CHECK (id > 0)
) STRICT;
