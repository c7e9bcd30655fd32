"""One outside thing each; adapters never know each other."""
