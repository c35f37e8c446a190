-- Messages that somebody finds wrong, for operators to look at. What a message says is not here: it may be recalled.

CREATE TABLE reports (
    report_id  BIGINT NOT NULL PRIMARY KEY,
    -- Who says so; 0: the server's list of words.
    reporter   BIGINT NOT NULL,
    -- Decimal digits: a channel's number has 128 bits.
    channel    TEXT   NOT NULL,
    seq        BIGINT NOT NULL,
    sender     BIGINT NOT NULL,
    reason     TEXT   NOT NULL,
    made_ms    BIGINT NOT NULL,
    -- 0: open.
    closed_ms  BIGINT NOT NULL,
    -- The number of the operator's token.
    closed_by  BIGINT NOT NULL,
    -- 0 open, 1 upheld, 2 dismissed.
    outcome    BIGINT NOT NULL,
    note       TEXT   NOT NULL,
    UNIQUE (reporter, channel, seq)
);
CREATE INDEX reports_by_state ON reports (outcome, report_id);
CREATE INDEX reports_closed ON reports (closed_ms);
CREATE INDEX reports_of_sender ON reports (sender, reporter, outcome);
