"""Every code block of the README and of docs/ is executed, or accounted for: see `accounts.py`."""
