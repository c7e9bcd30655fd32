"""What a server that is down costs: attempts on it, and time of the healthy tenants.

A fifth of the operations is on a server where nobody listens. The healthy ones are fetched
together with them and then alone; what counts is when the last healthy call was
complete, and how many attempts were made per call on the dead server before `--patience`
was over. Exits 1 when a figure is missed.

    python -m benchmarks.outage [--operations N]
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import sys
from contextlib import closing
from datetime import datetime

from .laboratory import Pass, Vendor, fetch, table, vendor

APIS = ("interactions", "gamification", "ivr_minutes", "vision")
SERVERS = 20
LATENCY = 0.5
ROUNDS = 3
DEAD = 400
HASTE = ("--patience", "15", "--after-failure", "continue")


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=1_600)
    operations = parser.parse_args().operations
    base = ["--operations", str(operations), "--servers", str(SERVERS), "--latency", str(LATENCY)]
    base += [f"--api={api}" for api in APIS]
    ratios, costs, verdicts = [], [], []
    for _ in range(ROUNDS):
        with vendor(*base) as at:
            alone = fetch(at, *HASTE)
        verdicts.append(at.verdict["ok"])
        with vendor(*base) as at:
            server = _add_dead(at)
            together = fetch(at, *HASTE)
        verdicts.append(at.verdict["ok"])
        ratios.append(_last(together, server) / _last(alone, server))
        costs.append(_cost(together, server))
    return _judge(ratios, costs, all(verdicts))


def _add_dead(at: Vendor) -> str:
    """Add operations on a server where nobody listens; return its name."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        server = str(probe.getsockname()[1])
    document = json.loads(at.tenants.read_text())
    secret = at.tenants.parent / "secrets"
    secret.mkdir(exist_ok=True)
    operations = []
    for number in range(DEAD):
        (secret / f"dead-{number}").write_text(f"made-up-token-of-the-dead-{number:04}")
        operations.append({"name": f"dead-{number}", "server": server, "token": {"file": f"secrets/dead-{number}"}})
    document["tenants"].append({"name": "nobody", "operations": operations})
    at.tenants.write_text(json.dumps(document))
    return server


def _last(done: Pass, dead: str) -> float:
    """Return after how many seconds of the pass the last healthy call was complete."""
    began = datetime.fromisoformat(done.records[0]["at"])
    return max((datetime.fromisoformat(c["at"]) - began).total_seconds() for c in done.calls() if c["server"] != dead)


def _cost(done: Pass, dead: str) -> float:
    calls = [call for call in done.calls() if call["server"] == dead]
    return float(sum(call["attempts"] for call in calls)) / len(calls)


def _judge(ratios: list[float], costs: list[float], sound: bool) -> int:
    later, cost = statistics.median(ratios), max(costs)
    checks = {
        "healthy tenants at most 5 % later": later <= 1.05,
        "at most 1.1 attempts per call on the dead server": cost <= 1.1,
        "0 overlaps": sound,
    }
    table(
        [
            ("together / alone", ", ".join(f"{ratio:.3f}" for ratio in ratios) + f"; median {later:.3f}"),
            ("attempts per call", ", ".join(f"{cost:.3f}" for cost in costs)),
            *((name, "yes" if kept else "NO") for name, kept in checks.items()),
        ]
    )
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
