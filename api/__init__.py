"""The way in over HTTP: who may ask, what they are shown, and what they command."""
