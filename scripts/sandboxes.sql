-- How a sandbox is reset, as owner. The answers of `drop` and `rename` are the statements to run: a schema's name is an
-- identifier, which no parameter can be.

-- name: alone
-- One reset of a sandbox at a time, in whatever process; it ends with the session.
SELECT pg_try_advisory_lock(hashtextextended('huiyin/sandbox/' || $1::text, 0))

-- name: waiting
-- Whoever reads the old tables at this instant is waited for, but not for ever: writers must not queue behind us.
SET LOCAL lock_timeout = '3s'

-- name: drop
SELECT format('DROP SCHEMA IF EXISTS %I CASCADE', $1::text)

-- name: rename
SELECT format('ALTER SCHEMA %I RENAME TO %I', $1::text, $2::text)
