-- What pgbench is measured with: the shape of the stock recorder's table, without its locks.

-- name: create_single
CREATE TABLE projections.single (
    originator_id text NOT NULL,
    originator_version bigint NOT NULL,
    topic text,
    state bytea,
    notification_id bigserial,
    PRIMARY KEY (originator_id, originator_version),
    UNIQUE (notification_id)
)

-- name: insert_single
INSERT INTO projections.single (originator_id, originator_version, topic, state)
VALUES (gen_random_uuid()::text, 1, 'bench.appended', :state)
