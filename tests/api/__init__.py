"""The API as callers meet it: a real server on loopback, a real PostgreSQL."""
