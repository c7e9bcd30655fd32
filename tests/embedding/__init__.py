"""Services that have an engine of their own, run as their users run them."""
