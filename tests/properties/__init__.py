"""Properties of whole orders (DOMAIN 6.1): any commands, by anybody, at any time."""
