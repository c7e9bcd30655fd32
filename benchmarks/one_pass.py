"""One pass over 2,000 operations x 3 endpoints on 20 servers, 200 ms each.

The bound is what no client can beat under the same limits: calls x latency / calls in
flight, or the longest token queue. With `--tls` a handshake's CPU (3.5 ms) is added to
it for every connection. Exits 1 when a promise or the figure is missed.

    python -m benchmarks.one_pass [--tls] [--operations N] [--servers N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import trustme

from .laboratory import Pass, Vendor, fetch, table, vendor

LATENCY = 0.2
APIS = ("interactions", "gamification", "ivr_minutes")
IN_FLIGHT = 1000
PER_SERVER = 32
HANDSHAKE = 0.0035


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--operations", type=int, default=2000)
    parser.add_argument("--servers", type=int, default=20)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        serving, trusting = _certificates(Path(name)) if wanted.tls else ([], [])
        arguments = [
            "--operations",
            str(wanted.operations),
            "--servers",
            str(wanted.servers),
            "--latency",
            str(LATENCY),
        ]
        with vendor(*arguments, *serving, *[f"--api={api}" for api in APIS]) as at:
            done = fetch(at, "--max-in-flight", str(IN_FLIGHT), *trusting)
    return _judge(at, done, wanted)


def _judge(at: Vendor, done: Pass, wanted: argparse.Namespace) -> int:
    calls = wanted.operations * len(APIS)
    slots = min(IN_FLIGHT, wanted.servers * PER_SERVER)
    bound = max(calls * LATENCY / slots, len(APIS) * LATENCY)
    if wanted.tls:
        bound += at.verdict["connections"] * HANDSHAKE
    once = Counter(record["call"] for record in done.calls())
    checks = {
        "exit code 0": done.code == 0,
        "0 overlaps, 0 wrong requests": at.verdict["ok"],
        "every call exactly one call record": len(once) == calls and set(once.values()) == {1},
        "rows as the simulator sent them, tenant by tenant": rows_agree(at, done),
        "wall at most 2 x bound + start-up": done.wall <= 2 * bound + done.start_up,
    }
    table(
        [
            ("verdict", at.verdict["summary"]),
            ("requests", at.verdict["requests"]),
            ("connections", at.verdict["connections"]),
            ("most in flight, as the server saw it", at.verdict["max_in_flight"]),
            ("bound", f"{bound:.2f} s"),
            ("pass", f"{done.run_seconds:.2f} s = {done.run_seconds / bound:.2f} x bound"),
            ("process", f"{done.wall:.2f} s, of which start-up {done.start_up:.2f} s"),
            ("CPU per call", f"{done.cpu / calls * 1e6:.0f} us (start-up included)"),
            ("peak memory", f"{done.peak_mib:.0f} MiB"),
            *((name, "yes" if held else "NO") for name, held in checks.items()),
        ]
    )
    return 0 if all(checks.values()) else 1


def rows_agree(at: Vendor, done: Pass) -> bool:
    """Compare, for every token and endpoint, the rows written with those the simulator sent."""
    tokens = {(record["tenant"], record["operation"]): record["token"] for record in done.calls()}
    received: Counter[tuple[str, str]] = Counter()
    items: Counter[tuple[str, str]] = Counter()
    for record in done.records:
        if record["type"] == "row":
            key = tokens[record["tenant"], record["operation"]], record["api"]
            received[key] += 1
            items[key] += record["items"] or 0
    sent = {(token, api): facts for token, apis in at.verdict["sent"].items() for api, facts in apis.items()}
    return {key: (n, items[key]) for key, n in received.items()} == {
        key: (facts["rows"], facts["items"]) for key, facts in sent.items() if facts["rows"]
    }


def _certificates(folder: Path) -> tuple[list[str], list[str]]:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    serving = ["--cert", str(folder / "cert.pem"), "--key", str(folder / "key.pem")]
    return serving, ["--ca-file", str(folder / "authority.pem")]


if __name__ == "__main__":
    sys.exit(main())
