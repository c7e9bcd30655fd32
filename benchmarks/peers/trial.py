"""One trial: a fresh server, one client, what it cost, and whether it did its work."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from .job import Job
from .loopback import operation_of
from .servers import Offer, Server, Workshop, cores, folder, pin

APIS = (
    "interactions",
    "gamification",
    "ivr_minutes",
    "agent_script",
    "intelligent_dial",
    "rec_minutes",
    "amazon_s3",
    "rsync",
    "rsync_s3_mp3",
    "rec_screen",
    "rec_screen_on_demand",
    "speech_analytics",
    "wp_connectors",
    "sentiment_analysis",
    "chat_licenses",
    "interaction_licenses",
    "video_call",
    "pbx_licenses",
    "ivr_calls",
    "asr_calls",
    "vision",
    "tts_chars",
    "wp_connectors_official",
    "contact_center_licenses",
    "amd_ai",
    "stereo_rec",
    "nlp_ai",
)
RULES = ("overlaps", "repeated", "no_token", "wrong_path", "pipelined", "body", "abandoned")
NOTHING = {"cpu": 0.0, "wall": 0.0, "peak_mib": 0.0}
LONGEST = 120.0
"""Seconds after which a client is given up."""


@dataclass(frozen=True, slots=True)
class Load:
    """The work of a trial: tokens, calls of each, rows of each answer, and how the server gives them."""

    tokens: int
    calls_per_token: int
    rows: int
    in_flight: int
    latency: float = 0.0
    tls: bool = False

    @property
    def calls(self) -> int:
        """All of them."""
        return self.tokens * self.calls_per_token

    @property
    def bound(self) -> float:
        """Seconds that the latency alone takes at this many calls in flight."""
        return self.calls * self.latency / min(self.in_flight, self.tokens)

    def offer(self) -> Offer:
        """Return what the server is to have."""
        return Offer(self.rows, self.latency, APIS[: self.calls_per_token], self.tls)


@dataclass(frozen=True, slots=True)
class Client:
    """A client: its module with arguments, what it is called, what it imports.

    `share` of the tokens are enough to measure one that takes long. A `whole` client is a
    command: its cost is that of its process less that of the same command with one call.
    """

    name: str
    module: str
    label: str
    needs: str
    arguments: tuple[str, ...] = ()
    share: float = 1.0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """What a client did: seconds of CPU and wall, peak memory, the server's verdict, what was wrong."""

    client: str
    calls: int
    cpu: float
    wall: float
    peak_mib: float
    server: dict[str, Any]
    faults: tuple[str, ...] = ()

    @property
    def per_call(self) -> float:
        """Microseconds of CPU per call."""
        return self.cpu / self.calls * 1e6

    @property
    def server_busy(self) -> float:
        """The part of the time in which the server had something to do."""
        return self.server["cpu"] / self.server["wall"] if self.server["wall"] else 0.0


def missing(client: Client) -> str | None:
    """Return why the client cannot run here, or None."""
    ran = subprocess.run([sys.executable, "-c", f"import {client.needs}"], capture_output=True, text=True, check=False)
    return None if ran.returncode == 0 else ran.stderr.strip().splitlines()[-1]


def run(workshop: Workshop, client: Client, load: Load) -> Trial:
    """Make one trial."""
    if client.share < 1:
        load = Load(max(1, round(load.tokens * client.share)), *_rest(load))
    if not client.whole:
        return _trial(workshop, client, load)
    alone = _trial(workshop, client, Load(1, 1, *_rest(load)[1:]))
    whole = _trial(workshop, client, load)
    faults = (*alone.faults, *whole.faults)
    return Trial(
        whole.client,
        whole.calls - 1,
        whole.cpu - alone.cpu,
        whole.wall - alone.wall,
        whole.peak_mib,
        whole.server,
        faults,
    )


def _rest(load: Load) -> tuple[int, int, int, float, bool]:
    return load.calls_per_token, load.rows, load.in_flight, load.latency, load.tls


def _trial(workshop: Workshop, client: Client, load: Load) -> Trial:
    at, other = cores()
    with folder() as name:
        with workshop.serve(load.offer(), other) as server:
            owners = write_tenants(Path(name) / "tenants.json", load)
            job = _job(Path(name), server, load)
            job.write(Path(name) / "job.json")
            measured, failure = _measure(client, Path(name), at)
        verdict = {**server.verdict, "kind": server.kind}
        faults = [failure] if failure else [*judge_server(verdict, load), *judge_output(Path(job.output), load, owners)]
    return Trial(
        client.name, load.calls, measured["cpu"], measured["wall"], measured["peak_mib"], verdict, tuple(faults)
    )


def _job(at: Path, server: Server, load: Load) -> Job:
    return Job(
        tenants=str(at / "tenants.json"),
        base_url=server.base_url,
        apis=APIS[: load.calls_per_token],
        in_flight=load.in_flight,
        output=str(at / "usage.jsonl"),
        state=str(at / "state"),
        ca_file=server.ca_file,
    )


def write_tenants(path: Path, load: Load) -> dict[tuple[str, str], str]:
    """Write the tenants file; return each operation's name at the vendor, by tenant and operation.

    As many servers as keep any one of them below the engine's default limit of 32.
    """
    servers = load.in_flight // 16 + 8
    tenants, owners = [], {}
    for n in range(load.tokens):
        token = hashlib.sha256(f"benchmark {n}".encode()).hexdigest()[:40]
        operation = {"name": "main", "server": f"{n % servers:04d}", "token": token}
        tenants.append({"name": f"tenant-{n}", "operations": [operation]})
        owners[f"tenant-{n}", "main"] = operation_of(token)
    document = {"defaults": {"apis": list(APIS[: load.calls_per_token])}, "tenants": tenants}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)  # the engine refuses tokens that others may read
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(document))
    return owners


def _measure(client: Client, at: Path, core: int | None) -> tuple[dict[str, float], str | None]:
    began = time.monotonic()
    # A session of its own: what it has started itself ends with it.
    process = subprocess.Popen(
        _command(client, at), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    pin(process.pid, core)
    try:
        said, complaint = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return dict(NOTHING), f"did not end within {LONGEST:.0f} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    wall = time.monotonic() - began
    measured = json.loads(said.splitlines()[-1]) if said.strip() else {**NOTHING, "wall": wall}
    if process.returncode:
        return measured, f"exit code {process.returncode}: {' '.join(complaint.split())[-300:]}"
    return measured, None


def _command(client: Client, at: Path) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.peers.clients.{client.module}", str(at / "job.json"), *client.arguments]


def judge_server(verdict: dict[str, Any], load: Load) -> Iterator[str]:
    """Yield what the server did not like."""
    for rule in RULES:
        if verdict[rule]:
            yield f"{verdict[rule]} x {rule}"
    if (verdict["answered"], verdict["tokens"]) != (load.calls, load.tokens):
        yield f"{verdict['answered']} answers to {verdict['tokens']} tokens, not {load.calls} to {load.tokens}"
    if verdict["most_in_flight"] > load.in_flight:
        yield f"{verdict['most_in_flight']} calls in flight, not {load.in_flight}"


def judge_output(path: Path, load: Load, owners: dict[tuple[str, str], str]) -> Iterator[str]:
    """Yield what is wrong with the lines: every call once, every row its token's own, none missing."""
    calls: Counter[tuple[str, str, str]] = Counter()
    rows: Counter[tuple[str, str, str]] = Counter()
    foreign = 0
    with path.open("rb") as file:
        for line in file:
            record = orjson.loads(line)
            if record["type"] == "row":
                rows[record["tenant"], record["operation"], record["api"]] += 1
                foreign += record["row"]["operation"] != owners[record["tenant"], record["operation"]]
            elif record["type"] == "call":
                ok = record["outcome"] == "ok" and record["rows"] == load.rows
                calls[record["tenant"], record["operation"], record["api"]] += 1 if ok else 1000
    expected = [(*owner, api) for owner in owners for api in APIS[: load.calls_per_token]]
    if calls != dict.fromkeys(expected, 1):
        yield "not every call has exactly one record that says ok and how many rows"
    if rows != (dict.fromkeys(expected, load.rows) if load.rows else {}):
        yield "not every call has all its rows"
    if foreign:
        yield f"{foreign} rows of another token"
