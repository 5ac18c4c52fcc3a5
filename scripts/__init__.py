"""The edge: command line, wiring, settings; the only place that knows clock, environment and entropy."""
