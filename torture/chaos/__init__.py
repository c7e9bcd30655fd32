"""The chaos lab: what the promises of many machines are worth when everything goes wrong at once.

A real broker, or three; machines that are the command line (`watch --join`), each behind a wire
that can be cut; a reader (`records --follow`); and the vendor of `tests.judging`, who goes on working on
what was abandoned. Things happen to them as a plan says, which follows from a seed. Judged are
the vendor's journal and the records that came out, never what the machines say of themselves.

    python -m torture.chaos [--short] [--nodes 3] [--control | --gap]
"""
