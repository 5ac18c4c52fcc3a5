"""Benchmarks, each beside a peer or a limit in the same run; they print a table, and JSON with --json."""
