"""Starting the loopback server: in C where that serves, else in Python; always on a core of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

SOURCE = Path(__file__).with_name("loopback.c")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server has for its clients: rows per answer, seconds until it comes, endpoints, maybe TLS."""

    rows: int
    latency: float
    apis: Sequence[str]
    tls: bool = False


@dataclass(slots=True)
class Server:
    """A running server; `verdict` is there once its block has ended."""

    base_url: str
    ca_file: str | None
    kind: str
    verdict: dict[str, Any] = field(default_factory=dict)


class Workshop:
    """Compiles the server and makes the certificates, once for all runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.compiled = self._compile()
        self.certificates: tuple[str, str, str] | None = None

    def _compile(self) -> str | None:
        compiler = shutil.which("cc")
        if compiler is None or not sys.platform.startswith("linux"):
            return None
        program = str(self._folder / "loopback")
        ran = subprocess.run([compiler, "-O2", "-o", program, str(SOURCE)], check=False)
        return program if ran.returncode == 0 else None

    def certify(self) -> tuple[str, str, str]:
        """Return the files of a certificate, its key and the authority to trust."""
        if self.certificates is None:
            authority = trustme.CA()
            issued = authority.issue_cert("127.0.0.1")
            names = [str(self._folder / name) for name in ("cert.pem", "key.pem", "authority.pem")]
            issued.cert_chain_pems[0].write_to_path(names[0])
            issued.private_key_pem.write_to_path(names[1])
            authority.cert_pem.write_to_path(names[2])
            self.certificates = names[0], names[1], names[2]
        return self.certificates

    @contextmanager
    def serve(self, offer: Offer, core: int | None) -> Iterator[Server]:
        """Serve for the length of the block."""
        command = [str(offer.rows), str(offer.latency * 1000), ",".join(offer.apis)]
        ca_file = None
        if offer.tls:
            certificate, key, ca_file = self.certify()
            command += [certificate, key]
        if self.compiled and not offer.tls:
            command, kind = [self.compiled, *command], "C"
        else:
            command, kind = [sys.executable, "-m", "benchmarks.peers.loopback", *command], "Python"
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            pin(process.pid, core)
            if process.stdout is None:
                raise AssertionError("the server's output is a pipe")
            port = int(process.stdout.readline())
            scheme = "https" if offer.tls else "http"
            # The server's name stands in the path: one port, and as many servers as are wanted.
            server = Server(f"{scheme}://127.0.0.1:{port}/{{server}}", ca_file, kind)
            yield server
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=60)
            server.verdict = json.loads(said)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def cores() -> tuple[int | None, int | None]:
    """Return a core for the client and another for the server; None where there are not two."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[-1]) if len(usable) > 1 else (None, None)


def pin(process: int, core: int | None) -> None:
    """Keep a process, which has started its first thread only, on one core."""
    if core is not None:
        os.sched_setaffinity(process, {core})


def folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for one run, which goes when its block ends."""
    return tempfile.TemporaryDirectory(prefix="wolkvox-peers-")
