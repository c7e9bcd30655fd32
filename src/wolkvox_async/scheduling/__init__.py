"""A scheduler that never waits: no await, no clock, no chance, no I/O in this package."""
