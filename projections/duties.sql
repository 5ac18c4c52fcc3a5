-- What the units of a city have to do next: one row a duty. `_N` stands for the version of the table.

-- name: create
CREATE TABLE projections.duties_N (
    order_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    no bigint NOT NULL,
    number text COLLATE "C" NOT NULL,
    title text NOT NULL,
    state text COLLATE "C" NOT NULL,
    unit text COLLATE "C" NOT NULL,
    command text COLLATE "C" NOT NULL,
    roles text[] NOT NULL,
    not_by text COLLATE "C" NOT NULL,
    clock text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    since timestamptz NOT NULL,
    due timestamptz,
    late_after timestamptz,
    provisional boolean NOT NULL,
    of_class text COLLATE "C" NOT NULL,
    urgency text COLLATE "C" NOT NULL
)

-- name: index
ALTER TABLE projections.duties_N ADD PRIMARY KEY (order_id, no);
CREATE INDEX ON projections.duties_N (unit, coalesce(due, '9999-12-31 00:00:00+00'), since, order_id, no)
    INCLUDE (due, late_after);
CREATE INDEX ON projections.duties_N (greatest(due, late_after)) WHERE due IS NOT NULL;
CREATE INDEX ON projections.duties_N (command, late_after, order_id, no) WHERE clock = '' AND due IS NOT NULL

-- name: drop
DROP TABLE IF EXISTS projections.duties_N

-- name: delete
DELETE FROM projections.duties_N WHERE order_id = ANY ($1::uuid[])

-- name: delete_rows
DELETE FROM projections.duties_N AS r
USING unnest($1::uuid[], $2::bigint[]) AS w(order_id, no)
WHERE r.order_id = w.order_id AND r.no = w.no

-- name: of_orders
SELECT * FROM projections.duties_N WHERE order_id = ANY ($1::uuid[])

-- name: copy
COPY projections.duties_N FROM STDIN (FORMAT BINARY)

-- name: reached
-- Another calendar day moves no due instant before it.
SELECT order_id, kind FROM projections.duties_N WHERE due IS NOT NULL AND greatest(due, late_after) >= $1::timestamptz

-- name: reached_by_units
-- Who decides about an extension stands above whoever asked for it.
SELECT order_id FROM projections.duties_N WHERE clock = 'extension_decision'

-- name: differences
SELECT count(*) FROM (
    (SELECT * FROM projections.duties_N EXCEPT ALL SELECT * FROM projections.duties_M)
    UNION ALL
    (SELECT * FROM projections.duties_M EXCEPT ALL SELECT * FROM projections.duties_N)
) AS d

-- name: of_order
SELECT * FROM projections.duties_N WHERE order_id = $1::uuid ORDER BY no

-- name: list
-- One walk along the index for each unit, as far as the page needs.
SELECT o.* FROM unnest($1::text[]) AS w(unit)
CROSS JOIN LATERAL (
    SELECT * FROM projections.duties_N AS i
    WHERE i.unit = w.unit
        AND ($2::text[] IS NULL OR i.roles && $2::text[])
        AND ($3::text IS NULL OR i.not_by <> $3::text)
        AND (
            $4::timestamptz IS NULL
            OR (coalesce(i.due, '9999-12-31 00:00:00+00'), i.since, i.order_id, i.no)
                > ($4::timestamptz, $5::timestamptz, $6::uuid, $7::bigint)
        )
    ORDER BY coalesce(i.due, '9999-12-31 00:00:00+00'), i.since, i.order_id, i.no LIMIT $8::bigint
) AS o
ORDER BY coalesce(o.due, '9999-12-31 00:00:00+00'), o.since, o.order_id, o.no LIMIT $8::bigint

-- name: late
-- Duties with a day that a person wrote, by the command that does them: what stands longest first.
SELECT * FROM projections.duties_N
WHERE command = $1::text AND clock = '' AND due IS NOT NULL AND late_after <= $2::timestamptz
ORDER BY late_after, order_id, no LIMIT $3::bigint

-- name: count
SELECT unit, count(*), count(*) FILTER (WHERE due IS NOT NULL), count(*) FILTER (WHERE late_after < $1::timestamptz),
    count(*) FILTER (WHERE late_after >= $1::timestamptz AND due < $2::timestamptz)
FROM projections.duties_N GROUP BY unit
