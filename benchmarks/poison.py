"""What poisoned tokens cost the healthy ones.

A fifth of the tokens is refused, hangs or answers garbage. The healthy ones are fetched
together with them and then alone, from the same vendor; what counts is when the last
healthy call was complete. Every server has a slot for each of its tokens, for a token
that hangs does hold its slot until its time-out. Exits 1 when a figure is missed.

    python -m benchmarks.poison [--operations N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from datetime import datetime

from .laboratory import Pass, Vendor, fetch, table, vendor

APIS = ("interactions", "gamification", "ivr_minutes", "rec_minutes", "vision", "tts_chars", "amd_ai", "ivr_calls")
SERVERS = 20
LATENCY = 0.5
SHARE = 0.2
ROUNDS = 3
HASTE = ("--timeout", "8", "--server-limit", "8", "--max-attempts", "2")


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=500)
    operations = parser.parse_args().operations
    base = ["--operations", str(operations), "--servers", str(SERVERS), "--latency", str(LATENCY), "--limit", "8"]
    base += [f"--api={api}" for api in APIS]
    ratios, verdicts = [], []
    healthy: set[tuple[str, str]] = set()
    for _ in range(ROUNDS):
        with vendor(*base, "--poison", str(SHARE)) as poisoned:
            together = fetch(poisoned, *HASTE)
        healthy = _healthy(together)
        with vendor(*base) as sound:
            _keep(sound, healthy)
            alone = fetch(sound, *HASTE)
        ratios.append(_last(together, healthy) / _last(alone, healthy))
        verdicts.append(poisoned.verdict)
    return _judge(operations, len(healthy), ratios, verdicts)


def _judge(operations: int, healthy: int, ratios: list[float], verdicts: list[dict[str, object]]) -> int:
    median = statistics.median(ratios)
    checks = {
        "healthy tokens at most 10 % later": median <= 1.1,
        "0 overlaps, nothing after a refusal": all(verdict["ok"] for verdict in verdicts),
    }
    table(
        [
            ("operations", f"{operations}, of which healthy {healthy}"),
            ("verdicts", "; ".join(str(verdict["summary"]) for verdict in verdicts)),
            ("together / alone", ", ".join(f"{ratio:.3f}" for ratio in ratios) + f"; median {median:.3f}"),
            *((name, "yes" if held else "NO") for name, held in checks.items()),
        ]
    )
    return 0 if all(checks.values()) else 1


def _healthy(done: Pass) -> set[tuple[str, str]]:
    everyone = {(r["tenant"], r["operation"]) for r in done.calls()}
    return everyone - {(r["tenant"], r["operation"]) for r in done.calls() if r["outcome"] in ("failed", "skipped")}


def _keep(at: Vendor, healthy: set[tuple[str, str]]) -> None:
    document = json.loads(at.tenants.read_text())
    for tenant in document["tenants"]:
        tenant["operations"] = [o for o in tenant["operations"] if (tenant["name"], o["name"]) in healthy]
    document["tenants"] = [tenant for tenant in document["tenants"] if tenant["operations"]]
    at.tenants.write_text(json.dumps(document))


def _last(done: Pass, healthy: set[tuple[str, str]]) -> float:
    """Return the seconds from the start of the pass to the last healthy call's answer."""
    started = datetime.fromisoformat(done.records[0]["at"])
    ends = [datetime.fromisoformat(r["at"]) for r in done.calls() if (r["tenant"], r["operation"]) in healthy]
    return (max(ends) - started).total_seconds()


if __name__ == "__main__":
    sys.exit(main())
