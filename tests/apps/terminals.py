"""A person at a terminal, as a pseudo terminal sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.apps.commands import PROGRAM, environment

_PATIENCE: Final = 30.0
# The first process of a terminal takes its settings along when it ends: the shell shows what they were left as.
_SHELL: Final = ("sh", "-c", 'trap : INT TERM; "$@"; code=$?; stty -a; exit $code', "sh")


class Terminal:
    """A terminal with our program in it; `screen` is all that it ever showed."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self._process: Final = process
        self._master: Final = master
        self._seen = 0
        self.screen = ""

    def see(self, text: str) -> None:
        """Wait until `text` is shown, behind what was waited for before."""
        give_up = time.monotonic() + _PATIENCE
        while (place := self.screen.find(text, self._seen)) < 0:
            assert time.monotonic() < give_up, f"{text!r} never came:\n{self.screen}"
            assert self._read(), f"it ended without {text!r}:\n{self.screen}"
        self._seen = place + len(text)

    def type(self, text: str) -> None:
        """Type, or paste."""
        os.write(self._master, text.encode())

    def answer(self, question: str, text: str) -> None:
        """Wait for a question, type, and press Enter."""
        self.see(question)
        self.type(f"{text}\r")

    def end(self) -> int:
        """See the program to its end and return its exit code."""
        while self._read():
            pass
        return self._process.wait(_PATIENCE)

    @property
    def pid(self) -> int:
        """The program."""
        here = f"/proc/{self._process.pid}"
        return int(Path(f"{here}/task/{self._process.pid}/children").read_text())

    def echoes(self) -> bool:
        """Tell whether the terminal itself shows what is typed, or did when the program had ended."""
        if self._process.poll() is None:
            return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)
        return " echo " in self.screen and " icanon " in self.screen

    def _read(self) -> bool:
        if not select.select([self._master], [], [], _PATIENCE)[0]:
            return False
        try:
            content = os.read(self._master, 65_536)
        except OSError:  # nobody has the other end any more
            return False
        self.screen += content.decode().replace("\r\n", "\n")
        return bool(content)


@contextmanager
def terminal(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[Terminal]:
    """Run the program in a terminal; it is gone when the block ends."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*_SHELL, *PROGRAM, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=cwd,
        env={**environment(), **(env or {})},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - or Ctrl-C is only a character
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(master)
