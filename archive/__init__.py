"""归档. What leaves the ledger: files that others keep, and can check."""
