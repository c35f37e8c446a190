-- Whether a user shows others how far it has come in channels. A part of its policy: the home is told of it with the rest.

ALTER TABLE users ADD COLUMN hides_receipts BIGINT NOT NULL DEFAULT 0;
