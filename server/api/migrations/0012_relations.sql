-- What people have said of each other, and who may come near them. The homes of users have copies, which is what decides;
-- a row that its home has not confirmed yet is told again.

ALTER TABLE users ADD COLUMN may_message BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN may_add BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN may_see BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN policy_told BIGINT NOT NULL DEFAULT 1;
CREATE INDEX users_untold ON users (policy_told);

CREATE TABLE relations (
    user_id  BIGINT NOT NULL,
    other_id BIGINT NOT NULL,
    -- 0 no friend, 1 asked to be one, 2 a friend.
    friend   BIGINT NOT NULL,
    blocked  BIGINT NOT NULL,
    since_ms BIGINT NOT NULL,
    told     BIGINT NOT NULL,
    PRIMARY KEY (user_id, other_id)
);
CREATE INDEX relations_by_other ON relations (other_id, user_id);
CREATE INDEX relations_untold ON relations (told);
