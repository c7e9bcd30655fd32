"""Peak memory of a pass with 20,000 operations queued and 640 calls in flight.

python -m benchmarks.memory [--operations N]
"""

from __future__ import annotations

import argparse
import sys

from .laboratory import fetch, table, vendor

SERVERS = 20
LATENCY = 0.2
MOST_MIB = 200
MOST_MIB_OF_MANY = 300  # with up to 100,000 operations


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=20_000)
    operations = parser.parse_args().operations
    arguments = ["--operations", str(operations), "--servers", str(SERVERS), "--latency", str(LATENCY)]
    most = MOST_MIB if operations <= 20_000 else MOST_MIB_OF_MANY
    with vendor(*arguments, "--api", "interactions") as at:
        done = fetch(at)
    table(
        [
            ("verdict", at.verdict["summary"]),
            ("most in flight, as the server saw it", at.verdict["max_in_flight"]),
            ("pass", f"{done.run_seconds:.1f} s; process {done.wall:.1f} s"),
            ("CPU per call", f"{done.cpu / operations * 1e6:.0f} us (start-up included)"),
            ("peak memory", f"{done.peak_mib:.0f} MiB (limit {most})"),
        ]
    )
    return 0 if at.verdict["ok"] and done.code == 0 and done.peak_mib < most else 1


if __name__ == "__main__":
    sys.exit(main())
