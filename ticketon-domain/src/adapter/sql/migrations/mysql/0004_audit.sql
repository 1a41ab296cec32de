-- A chain of entries an order. checkpoint is the id of the checkpoint that an entry went into.
CREATE TABLE IF NOT EXISTS audit (
    order_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    kind VARBINARY(64) NOT NULL,
    body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    prev_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    checkpoint BIGINT,
    CHECK (length(order_id) = 32),
    CHECK (seq > 0),
    PRIMARY KEY (order_id, seq),
    KEY audit_of_checkpoint (checkpoint, order_id, seq)
) ENGINE = InnoDB;

-- Signed batches of heads, each with the hash of the one before.
CREATE TABLE IF NOT EXISTS audit_checkpoints (
    id BIGINT NOT NULL PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    prev_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    key_id VARBINARY(128) NOT NULL,
    signature VARBINARY(256) NOT NULL,
    body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    CHECK (id > 0)
) ENGINE = InnoDB;
