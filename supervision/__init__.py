"""督办. Watches the clocks and acts on what the pack attaches to them; everything it does is a command like any other."""
