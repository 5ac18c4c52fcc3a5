-- name: cities
-- Every schema of this database that holds a ledger.
SELECT n.nspname FROM pg_catalog.pg_namespace AS n
JOIN pg_catalog.pg_class AS head ON head.relnamespace = n.oid AND head.relname = 'head'
JOIN pg_catalog.pg_class AS commits ON commits.relnamespace = n.oid AND commits.relname = 'commits'
ORDER BY n.nspname
