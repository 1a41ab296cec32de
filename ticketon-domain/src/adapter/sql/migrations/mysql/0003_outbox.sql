-- Events that are yet to be published, in the order of each aggregate; deleted when they were.
CREATE TABLE IF NOT EXISTS outbox (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    shard INT NOT NULL,
    aggregate VARBINARY(192) NOT NULL,
    version BIGINT NOT NULL,
    kind VARBINARY(64) NOT NULL,
    occurred_ms BIGINT NOT NULL,
    correlation VARBINARY(512),
    payload LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    KEY outbox_of_shard (shard, id)
) ENGINE = InnoDB;

-- Which relay publishes a shard, until when.
CREATE TABLE IF NOT EXISTS outbox_leases (
    shard INT NOT NULL PRIMARY KEY,
    owner VARBINARY(128) NOT NULL,
    fence BIGINT NOT NULL,
    until_ms BIGINT NOT NULL,
    term_ms BIGINT NOT NULL DEFAULT 0,
    -- Since when somebody doubts that until_ms is by a clock that is right.
    doubted_ms BIGINT
) ENGINE = InnoDB;
