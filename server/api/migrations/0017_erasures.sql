-- Users without an account whose messages are being erased, or were. A row is never removed: it is an id and times, and it says to who
-- restores a backup of the messages what has to be erased once more.

CREATE TABLE erasures (
    user_id    BIGINT NOT NULL PRIMARY KEY,
    begun_ms   BIGINT NOT NULL,
    -- When all channels had been gone through for the first time; 0: not yet.
    through_ms BIGINT NOT NULL,
    -- When nothing was left; 0: under way.
    done_ms    BIGINT NOT NULL
);
CREATE INDEX erasures_under_way ON erasures (done_ms, begun_ms);
