"""The torture lab's own tools: a vendor in another process, a client that is sabotaged, figures that break."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.judging.facts import Asked, Halted, Unanswered, read_journal, token_id
from tests.judging.manners import End, Manner, Plan
from tests.judging.rules import Violation
from tests.judging.vendor import HOST, Setting
from torture.figures import Figures
from torture.population import Population
from torture.processes import ROOT, VendorProcess

POPULATION = Population(3, servers=2)
BREACH = Violation("overlap", "tk_a", "too soon")
AS_WORK = "import sys; sys.modules['work'] = sys.modules['__main__']"


def until(come: Callable[[], object]) -> None:
    """Wait until something has come about in another process."""
    while not come():
        time.sleep(0.002)


def sabotaged(code: str, conditions: str) -> subprocess.CompletedProcess[str]:
    """Run `code` after `conditions`, which are calls of the saboteur's functions."""
    program = f"from torture.saboteur import *; import json, time\n{conditions}\n{code}"
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_vendor_in_another_process_outlives_a_client_and_tells_what_that_left(tmp_path: Path) -> None:
    text, server = POPULATION.tokens[1]
    plan = Plan(scripts={"token:1": (Manner(halt=0.5, end=End.STALL),)})
    journal = tmp_path / "journal.jsonl"
    vendor = VendorProcess(Setting(POPULATION.tokens, POPULATION.servers, plan=plan), journal)
    try:
        with socket.create_connection((HOST, int(vendor.servers[server]))) as client:
            client.sendall(f"GET /api/v2/billing.php?api=x HTTP/1.1\r\nwolkvox-token: {text}\r\n\r\n".encode())
            assert isinstance(vendor.halts.get(timeout=30), Halted)
        until(lambda: any(isinstance(fact, Unanswered) for fact in read_journal(journal)))
    finally:
        vendor.stop()
    (asked,) = (fact for fact in read_journal(journal) if isinstance(fact, Asked))
    assert (asked.token, asked.home) == (token_id(text), asked.server)
    assert text not in journal.read_text()


def test_a_tenants_file_is_for_its_owner_alone_and_names_every_operation(tmp_path: Path) -> None:
    path = tmp_path / "tenants.json"
    POPULATION.write(path, ["0001", "0002"])
    tenants = json.loads(path.read_text())["tenants"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [tenant["operations"][0]["server"] for tenant in tenants] == ["0001", "0002", "0001"]
    assert len(POPULATION.planned) == len(tenants) * len(POPULATION.apis)
    assert {owner.tenant for owner in POPULATION.owners(["0001", "0002"]).values()} == {t["name"] for t in tenants}


@pytest.mark.parametrize(("when", "printed"), [("before", ["1"]), ("after", ["1", "2"])])
def test_a_process_kills_itself_at_the_chosen_call(when: str, printed: list[str]) -> None:
    told = f"class Work:\n    def do(self, n): print(n, flush=True)\n{AS_WORK}"
    done = sabotaged("for n in '123': Work().do(n)", f"{told}\narm('work:Work.do', '{when}', 2)")
    assert (done.returncode, done.stdout.split()) == (-signal.SIGKILL, printed)


def test_a_process_dies_in_the_middle_of_the_chosen_call() -> None:
    told = f"async def do(): print('in', flush=True); time.sleep(9)\n{AS_WORK}"
    done = sabotaged("import asyncio; asyncio.run(do())", f"{told}\narm('work:do', 'during', 1, 1.0)")
    assert (done.returncode, done.stdout.split()) == (-signal.SIGALRM, ["in"])


def test_only_the_wall_clock_is_set() -> None:
    code = "print(time.time() - wall > 3000, time.clock_gettime(0) - wall > 3000, time.monotonic() - begun > 3000)"
    done = sabotaged(code, "wall, begun = time.time(), time.monotonic()\nstep_clock(3600.0, 0.0)")
    assert done.stdout.split() == ["True", "True", "False"], done.stderr


def test_promises_that_are_kept_are_only_shown(capsys: pytest.CaptureFixture[str]) -> None:
    figures = Figures("a scenario")
    figures.codes("exit codes", [0, 0])
    figures.no_rule_broken([])
    figures.none_of(["overlap"], [])
    figures.show()
    assert figures.kept
    assert "BROKEN" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "breach",
    [
        lambda figures: figures.codes("exit codes", [0, 4]),
        lambda figures: figures.codes("exit codes", []),
        lambda figures: figures.none("lost", 1),
        lambda figures: figures.no_rule_broken([BREACH]),
        lambda figures: figures.none_of(["overlap"], [BREACH]),
    ],
)
def test_a_promise_that_is_broken_stays_broken(
    breach: Callable[[Figures], None], capsys: pytest.CaptureFixture[str]
) -> None:
    figures = Figures("a scenario")
    breach(figures)
    figures.none("nothing else", 0)
    figures.show()
    assert not figures.kept
    assert "BROKEN" in capsys.readouterr().out
