"""One pass by several processes of this machine: a parent that writes, and workers that call.

The parent reads everything, resolves the tokens, forks the workers, and only then starts an
event loop. It alone has the output, the run and its ledger; each token belongs to one worker,
which calls with an engine of its own and hands over lines and marks. So no token's text ever
leaves the memory that it was resolved into, a line is written by one process only, and what
a worker that was killed had handed over whole is neither lost nor made again.
"""
