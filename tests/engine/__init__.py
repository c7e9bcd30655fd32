"""The engine: passes, calls, tokens and what is left behind."""
