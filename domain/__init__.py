"""What can happen to a case and what the law says about it; pure but for the door (ledger, recorder)."""
