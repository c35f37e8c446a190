-- Log out everywhere: tokens that were issued before this moment are refused. Milliseconds since the Unix epoch; 0: never.

ALTER TABLE users ADD COLUMN not_before_ms BIGINT NOT NULL DEFAULT 0;
