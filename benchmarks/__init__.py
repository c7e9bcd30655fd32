"""Measurements, each a command: `python -m benchmarks.NAME`, or `./dev bench NAME`."""
