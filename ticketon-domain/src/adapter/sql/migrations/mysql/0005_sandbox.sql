-- Payments of the sandbox, a provider for demonstrations and tests.
CREATE TABLE IF NOT EXISTS sandbox_payments (
    payment_key VARBINARY(200) NOT NULL PRIMARY KEY,
    order_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    KEY sandbox_payments_of_order (order_id)
) ENGINE = InnoDB;
