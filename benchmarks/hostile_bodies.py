"""Peak memory while servers send bombs, 300 MB bodies and streams without end, beside honest answers.

992 tokens on 31 servers are in flight at once, with the default limits: the servers answer
when all of them were asked, the hostile ones first. The vendor is a raw socket in a process of its
own. Exits 1 when the process took more than 150 MiB or an honest call did not end ok.

    python -m benchmarks.hostile_bodies [--tls] [--servers N]
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from .laboratory import Pass, Vendor, fetch, table

MOST_MIB = 150
TOKENS_PER_SERVER = 32
MIB = 2**20
HUGE = 300 * 10**6
HASTE = ("--timeout", "10", "--max-attempts", "1", "--patience", "1")
GATHERING = 5.0  # seconds that the servers wait for each other
HEAD_START = 1.0  # seconds that the hostile ones have before the honest

BLOCK = b" " * 65_536
ROW = b'{"operation":"ACME","description":"interactions","items":"12","date":"2026-11-21"}'
HONEST = b'{"code":200,"error":null,"msg":"found","data":[%b]}'
SMALL = HONEST % ROW
MEDIUM = HONEST % b",".join([ROW] * 2_500)  # 200 KB
GZIP_BOMB = gzip.compress(bytes(HUGE), 9)  # 1000:1
NEARLY_BIG = gzip.compress(bytes(MIB - 1), 9)


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=31)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.serve is not None:
        asyncio.run(_Server(**json.loads(wanted.serve)).serve())
        return 0
    with tempfile.TemporaryDirectory() as name, _vendor(Path(name), wanted.servers, tls=wanted.tls) as at:
        trusting = ["--ca-file", str(at.folder / "authority.pem")] if wanted.tls else []
        done = fetch(at, *HASTE, "--state", str(at.folder / "state"), *trusting)
    return _judge(done, wanted.servers)


def _judge(done: Pass, servers: int) -> int:
    ends = {kind: Counter[str]() for kind in KINDS}
    for record in done.calls():
        kind = record["operation"].rpartition("-")[0]
        ends[kind][record["outcome"] if record["error"] is None else record["error"]["kind"]] += 1
    checks = {
        "every honest call ended ok": all(set(ends[kind]) == {"ok"} for kind in ("small", "medium")),
        f"at most {MOST_MIB} MiB": done.peak_mib <= MOST_MIB,
    }
    table(
        [
            ("tokens in flight", servers * TOKENS_PER_SERVER),
            *((kind, ", ".join(f"{n} {end}" for end, n in sorted(counted.items()))) for kind, counted in ends.items()),
            ("pass", f"{done.run_seconds:.1f} s; process {done.wall:.1f} s, CPU {done.cpu:.1f} s"),
            ("peak memory", f"{done.peak_mib:.0f} MiB (limit {MOST_MIB})"),
            *((name, "yes" if held else "NO") for name, held in checks.items()),
        ]
    )
    return 0 if all(checks.values()) else 1


# --- what the vendor sends -----------------------------------------------------------------


async def _whole(body: bytes, *lines: str) -> AsyncIterator[bytes]:
    yield _head(f"Content-Length: {len(body)}", *lines) + body


async def _in_chunks(body: bytes, *lines: str) -> AsyncIterator[bytes]:
    yield _head("Transfer-Encoding: chunked", *lines)
    for at in range(0, len(body), 8_192):
        yield _chunk(body[at : at + 8_192])
    yield _chunk(b"")


async def _huge_announced() -> AsyncIterator[bytes]:
    yield _head(f"Content-Length: {HUGE}")
    for _ in range(HUGE // len(BLOCK)):
        yield BLOCK


async def _huge_in_chunks() -> AsyncIterator[bytes]:
    yield _head("Transfer-Encoding: chunked")
    for _ in range(HUGE // len(BLOCK)):
        yield _chunk(BLOCK)


async def _endless() -> AsyncIterator[bytes]:
    yield _head()
    while True:
        yield BLOCK


async def _stalled() -> AsyncIterator[bytes]:
    yield _head(f"Content-Length: {MIB}") + bytes(MIB - 1)
    await asyncio.sleep(3600)


async def _stalled_in_chunks() -> AsyncIterator[bytes]:
    yield _head("Transfer-Encoding: chunked") + _chunk(bytes(MIB - 1))
    await asyncio.sleep(3600)


async def _stalled_head() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n" + b"X-More: and more of it\r\n" * 100
    await asyncio.sleep(3600)


def _zstd_bomb() -> bytes:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    except ImportError:
        from backports import zstd  # noqa: PLC0415
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 23})
    return b"".join((*(packer.compress(bytes(MIB)) for _ in range(300)), packer.flush()))


def _head(*lines: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", *lines, "", "")).encode()


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


ZSTD_BOMB = _zstd_bomb()

# How many of a server's tokens are of a kind; the names are those of the operations.
KINDS: dict[str, tuple[int, Callable[[], AsyncIterator[bytes]]]] = {
    "small": (4, lambda: _whole(SMALL)),
    "medium": (1, lambda: _whole(MEDIUM)),
    "gzip-bomb": (3, lambda: _whole(GZIP_BOMB, "Content-Encoding: gzip")),
    "gzip-bomb-in-chunks": (3, lambda: _in_chunks(GZIP_BOMB, "Content-Encoding: gzip")),
    "gzip-of-nearly-1-mib": (2, lambda: _whole(NEARLY_BIG, "Content-Encoding: gzip")),
    "zstd-bomb": (2, lambda: _whole(ZSTD_BOMB, "Content-Encoding: zstd")),
    "300-mb": (3, _huge_announced),
    "300-mb-in-chunks": (3, _huge_in_chunks),
    "endless": (4, _endless),
    "stalled-at-1-mib": (3, _stalled),
    "stalled-in-chunks": (3, _stalled_in_chunks),
    "stalled-head": (1, _stalled_head),
}
HONEST_KINDS = ("small", "medium")


class _Server:
    """Answers by the kind that a token's text begins with, once all were asked; honest answers come last."""

    def __init__(self, tokens: int, certificate: str | None = None, key: str | None = None) -> None:
        self._tokens = tokens
        self._certificate, self._key = certificate, key
        self._asked = 0
        self._all_asked = asyncio.Event()

    async def serve(self) -> None:
        """Say the port on standard output, then serve for ever."""
        tls: Any = None
        if self._certificate is not None:
            import ssl  # noqa: PLC0415

            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(self._certificate, self._key)
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=tls, backlog=2_000)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                kind = head.partition(b"wolkvox-token: ")[2].partition(b".")[0].decode()
                await self._gather(kind)
                async for piece in KINDS[kind][1]():
                    if writer.is_closing():
                        return
                    writer.write(piece)
                    await writer.drain()
                if kind not in HONEST_KINDS:
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _gather(self, kind: str) -> None:
        self._asked += 1
        if self._asked == self._tokens:
            self._all_asked.set()
        try:
            await asyncio.wait_for(self._all_asked.wait(), GATHERING)
        except TimeoutError:
            self._all_asked.set()
        if kind in HONEST_KINDS:
            await asyncio.sleep(HEAD_START)


# --- tenants, and the vendor's process ---------------------------------------------------------


@contextmanager
def _vendor(folder: Path, servers: int, *, tls: bool) -> Iterator[Vendor]:
    settings: dict[str, Any] = {"tokens": servers * TOKENS_PER_SERVER}
    if tls:
        settings |= _certificates(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.hostile_bodies", "--serve", json.dumps(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        if process.stdout is None:
            raise AssertionError("the server's output is a pipe")
        address = f"{'https' if tls else 'http'}://127.0.0.1:{int(process.stdout.readline())}"
        yield Vendor(address + "/{server}", _tenants(folder, servers), folder)
    finally:
        process.kill()
        process.wait()


def _tenants(folder: Path, servers: int) -> Path:
    kinds = [kind for kind, (n, _) in KINDS.items() for _ in range(n)]
    tenants = []
    for number in range(servers):
        operations = []
        for place, kind in enumerate(kinds):
            token = folder / f"token-{number}-{place}"
            token.touch(mode=0o600)
            token.write_text(f"{kind}.{number:04}.{place:04}")
            operations.append({"name": f"{kind}-{place}", "server": f"{number:04}", "token": {"file": token.name}})
        tenants.append({"name": f"tenant-{number}", "operations": operations})
    path = folder / "tenants.json"
    path.write_text(json.dumps({"defaults": {"apis": ["interactions"]}, "tenants": tenants}))
    return path


def _certificates(folder: Path) -> dict[str, str]:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    return {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}


if __name__ == "__main__":
    sys.exit(main())
