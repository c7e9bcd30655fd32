"""`tap-wolkvox`, and what real Singer targets make of what it says."""
