"""The torture lab: what the promises are worth when everything goes wrong.

The vendor is the fault server of `tests.judging`, in a process of its own that notices
nothing of what happens to clients. The client is the command line, started as a person
starts it, and ended by its process id alone. What it did is judged by the server's journal
and by the outputs, never by what it says of itself.

    python -m torture [NAME ...] [--short]
"""
