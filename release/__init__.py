"""What is proved of a release before it is one: `./dev release-check`, or `python -m release`.

What users install is a wheel, not this tree. So source distribution and wheel are built once,
and everything is asked of them: what is in them and what they say of themselves, whether they
work in an empty environment, and whether the tests pass beside an installed wheel, on every
Python that it says it runs on and with the lowest versions that it says it takes.
"""
