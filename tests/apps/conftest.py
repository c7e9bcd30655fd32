"""Every test of a program has a state folder of its own."""

import pytest


@pytest.fixture(autouse=True)
def state_of_this_test(own_state: None) -> None:
    """Use it."""
