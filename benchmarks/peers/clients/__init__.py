"""One client a file, each a program of its own: `python -m benchmarks.peers.clients.NAME JOB`.

Every one reads the same job (see `job.py`), makes a token's calls one after the other and at
most `in_flight` at once, checks that an answer is a success with rows, and writes the same
lines: one per row, one per call. It prints what its fetching cost.
"""
