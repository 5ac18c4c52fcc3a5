"""The five steps of a case, one file a step, and oversight beside them."""
