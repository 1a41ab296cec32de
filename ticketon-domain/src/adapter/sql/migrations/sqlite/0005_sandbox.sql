-- Payments of the sandbox, a provider for demonstrations and tests.
CREATE TABLE sandbox_payments (
    payment_key TEXT NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX sandbox_payments_of_order ON sandbox_payments (order_id);
