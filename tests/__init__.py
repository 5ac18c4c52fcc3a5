"""Claims about Huiyin, each able to fail."""
