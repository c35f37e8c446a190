-- What a name looks like. NULL: not made yet, or an older user's name looks the same; such a user keeps the name.

ALTER TABLE users ADD COLUMN likeness TEXT;
CREATE UNIQUE INDEX users_by_likeness ON users (likeness);

-- The rule by which they were made; under another one they are made anew.
CREATE TABLE likeness_rule (
    version TEXT NOT NULL PRIMARY KEY
);
