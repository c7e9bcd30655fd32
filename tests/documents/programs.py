"""`wolkvox-async` and `tap-wolkvox` on a PATH of their own, without the start of an interpreter for each command.

A page has dozens of commands, and most of what each costs is importing. So one process
imports all of it once, and forks for each command; what stands on the PATH is a small
client that hands over its arguments, environment, folder and streams, passes signals on,
and exits as the program does.

    python tests/documents/programs.py SOCKET
"""

from __future__ import annotations

import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

MAINS: Final = {"wolkvox-async": "wolkvox_async.apps.cli.group", "tap-wolkvox": "wolkvox_async.apps.cli.tap"}
_PATIENCE: Final = 60.0  # seconds

CLIENT: Final = """#!{python} -SE
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as link:
    link.connect({address!r})
    asked = json.dumps([{main!r}, sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(link, [len(asked).to_bytes(4, "big")], [0, 1, 2])
    link.sendall(asked)
    said = link.makefile("r")
    program = int(said.readline())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(program, number))
    sys.exit(int(said.readline()))
"""


@contextmanager
def forked(folder: Path) -> Iterator[Path]:
    """Have a folder with the programs in it, to be put on a PATH, while the block lasts."""
    address, programs = folder / "socket", folder / "bin"
    programs.mkdir()
    for name, main in MAINS.items():
        program = programs / name
        program.write_text(CLIENT.format(python=sys.executable, address=str(address), main=main))
        program.chmod(0o700)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WOLKVOX_")}
    with subprocess.Popen(
        [sys.executable, __file__, str(address)],
        cwd=Path(__file__).parents[2],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as server:
        try:
            _await(server, address)
            yield programs
        finally:
            server.kill()


def _await(server: subprocess.Popen[bytes], address: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not address.exists():
        assert server.poll() is None, "what commands are forked from did not start"
        assert time.monotonic() < deadline, "what commands are forked from is not ready"
        time.sleep(0.02)


# --- the process that forks -------------------------------------------------------------------


def serve(address: str) -> NoReturn:
    """Import everything, then fork for whoever asks."""
    _import()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address + ".early")
        listener.listen(64)
        Path(address + ".early").rename(address)
        while True:
            link, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _keep(link)
            link.close()
            _reap()


def _import() -> None:
    package = import_module("wolkvox_async.apps.cli")
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
    for name in ("passing", "watching", "simulating", "demonstrating", "rehearsal"):
        import_module(f"wolkvox_async.apps.{name}")


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _keep(link: socket.socket) -> NoReturn:
    """Run a program, and tell how it ended."""
    head, streams, _, _ = socket.recv_fds(link, 4, 3)
    asked = link.makefile("rb").read(int.from_bytes(head, "big"))
    program = os.fork()
    if program == 0:
        link.close()
        _become(streams, *json.loads(asked))
    link.sendall(b"%d\n" % program)
    if hasattr(os, "pidfd_open"):
        ended = os.pidfd_open(program)
        ready, _, _ = select.select([ended, link.fileno()], [], [])
        if ended not in ready:  # its client was killed
            os.kill(program, signal.SIGKILL)
    _, status = os.waitpid(program, 0)
    code = os.waitstatus_to_exitcode(status)
    link.sendall(b"%d\n" % (code if code >= 0 else 128 - code))
    os._exit(0)


def _become(
    streams: list[int], main: str, arguments: list[str], folder: str, environment: Mapping[str, str]
) -> NoReturn:
    """Be the program, as a process of its own would."""
    code: Any = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        import_module(main).main(arguments)
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    serve(sys.argv[1])
