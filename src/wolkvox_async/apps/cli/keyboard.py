"""Answers from a terminal, of which nothing that may be a token is ever shown.

People paste their token where its variable's name is asked for. The terminal would show it, and
scrollback, screen sharing and recordings would keep it. So its echo is off while questions are
asked, and what is typed is shown from here: all of it, until it begins to look like a token; then
what was shown of it is wiped out. A paste arrives at once, so nothing of it is shown at all.

Editing is what people expect of a line: backspace, Ctrl-W and Ctrl-U; arrows do nothing. Ctrl-C
is a `KeyboardInterrupt`; Ctrl-D on an empty line, or a terminal that is gone, an `EOFError`.
"""

from __future__ import annotations

import codecs
import os
import re
import select
import signal
import sys
import termios
from types import FrameType, TracebackType
from typing import Final, Self

from wolkvox_async.apps.exits import Exit
from wolkvox_async.errors import one_line
from wolkvox_async.spelling import looks_like_a_token

_CHUNK: Final = 4096
_TOGETHER: Final = 0.03  # seconds within which the rest of a paste arrives
_SHOWN: Final = 300  # characters
_CALM: Final = termios.ECHO | termios.ICANON
_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)|\x1b\[?[0-?]*\Z")
_TOKEN_IN_THE_MAKING: Final = re.compile(r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[0-9A-Za-z]{16,}")
_ENTER: Final = "\r\n"
_BACKSPACE: Final = "\b\x7f"
_WORD: Final = "\x17"
_LINE: Final = "\x15"
_END: Final = "\x04"


class Keyboard:
    """A terminal on standard input, and standard error, where questions are put; used as a block."""

    def __init__(self) -> None:
        self._terminal: Final = sys.stdin.fileno()
        self._decoder: Final = codecs.getincrementaldecoder("utf-8")("replace")
        self._ahead = ""  # typed, and not asked for yet
        self._usual = termios.tcgetattr(self._terminal)
        self._ended = signal.getsignal(signal.SIGTERM)

    def __enter__(self) -> Self:
        calm = termios.tcgetattr(self._terminal)
        calm[3] &= ~_CALM
        # A program that is ended must give the terminal back as it was.
        signal.signal(signal.SIGTERM, _end)
        termios.tcsetattr(self._terminal, termios.TCSANOW, calm)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        termios.tcsetattr(self._terminal, termios.TCSANOW, self._usual)
        signal.signal(signal.SIGTERM, self._ended)

    def ask(self, question: str, longest: int = _SHOWN) -> str:
        """Put a question and return the answer, without spaces around it; one longer than `longest` is not shown."""
        line = _Line(longest)
        _show(question)
        try:
            while not self._take(line):
                self._ahead += self._read()
        except BaseException:
            _show("\n")
            raise
        return line.text.strip()

    def _take(self, line: _Line) -> bool:
        """Have the line take what was typed; tell whether it is complete."""
        text = _SEQUENCE.sub("", self._ahead)
        end = next((place for place, sign in enumerate(text) if sign in _ENTER), None)
        typed, self._ahead = (text, "") if end is None else (text[:end], text[end + 1 :])
        line.take(typed)
        if end is not None:
            line.settle()
        return end is not None

    def _read(self) -> str:
        """Wait for something to be typed, and for what comes with it."""
        content = os.read(self._terminal, _CHUNK)
        while content and select.select([self._terminal], [], [], _TOGETHER)[0]:
            more = os.read(self._terminal, _CHUNK)
            if not more:
                break
            content += more
        if not content:
            raise EOFError
        return self._decoder.decode(content)


class _Line:
    """A line as it is typed, and how much of it is shown."""

    def __init__(self, longest: int) -> None:
        self._longest: Final = longest
        self.text = ""
        self._shown = ""

    def take(self, typed: str) -> None:
        """Take what was typed, and show it unless it begins to look like a token."""
        for sign in typed:
            if sign == _END and not self.text:
                raise EOFError
            self._take(sign)
        is_hidden = (
            len(self.text) > self._longest
            or _TOKEN_IN_THE_MAKING.search(self.text)
            or looks_like_a_token(self.text)  # one with dashes in it
        )
        self._draw("" if is_hidden else one_line(self.text))

    def settle(self) -> None:
        """End the line; a name that only began like a token is shown after all."""
        if len(self.text) <= self._longest and not looks_like_a_token(self.text):
            self._draw(one_line(self.text))
        _show("\n")

    def _take(self, sign: str) -> None:
        if sign in _BACKSPACE:
            self.text = self.text[:-1]
        elif sign == _WORD:
            self.text = re.sub(r"\S*\s*\Z", "", self.text)
        elif sign == _LINE:
            self.text = ""
        elif sign >= " ":
            self.text += sign

    def _draw(self, wanted: str) -> None:
        kept = len(self._shown) if wanted.startswith(self._shown) else 0
        gone = len(self._shown) - kept
        _show("\b" * gone + " " * gone + "\b" * gone + wanted[kept:])
        self._shown = wanted


def _show(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(Exit.TERMINATED)
