"""The checker finds what it forbids, and the package has none of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.manners import complaints, main

WRITER = Path("src/wolkvox_async/adapters/jsonlines/output.py")
OTHER = Path("src/wolkvox_async/adapters/clock.py")


def found(text: str, path: Path = OTHER) -> int:
    return len(list(complaints(path, text)))


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    write()\nexcept Exception:\n    pass",
        "try:\n    write()\nexcept:\n    pass",
        "try:\n    write()\nexcept (OSError, BaseException):\n    pass",
    ],
)
def test_a_writer_that_catches_everything_is_found(text: str) -> None:
    assert (found(text, WRITER), found(text, OTHER)) == (1, 0)


def test_a_writer_that_looks_and_raises_is_left_alone() -> None:
    assert found("try:\n    write()\nexcept BaseException:\n    close()\n    raise", WRITER) == 0
    assert found("try:\n    write()\nexcept OSError:\n    pass", WRITER) == 0


@pytest.mark.parametrize(
    "use",
    ["f'{error!r}'", "repr(error)", "log.warning('x', error=error)", "log.error(error)", "log.info('', exc_info=True)"],
)
def test_an_exception_that_is_shown_whole_is_found(use: str) -> None:
    assert found(f"try:\n    ask()\nexcept OSError as error:\n    {use}") == 1


@pytest.mark.parametrize(
    "use", ["type(error).__name__", "f'{error}'", "repr(other)", "log.info('x', error=str(error))"]
)
def test_an_exception_that_is_shown_in_our_words_is_left_alone(use: str) -> None:
    assert found(f"try:\n    ask()\nexcept OSError as error:\n    {use}") == 0


def test_a_request_that_follows_redirects_is_found() -> None:
    assert found("await session.get(url)") == 1
    assert found("await session.get(url, allow_redirects=True)") == 1
    assert found("await session.get(url, allow_redirects=False)") == 0


@pytest.mark.tree
def test_the_package_has_good_manners(capsys: pytest.CaptureFixture[str]) -> None:
    assert (main([]), capsys.readouterr().out) == (0, "")
