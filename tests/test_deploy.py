"""What is deployed fits the program: no dashboard, rule, unit or image names what is not there."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.apps.serving.scraped import filled
from wolkvox_async.apps.cli.group import cli
from wolkvox_async.model import ErrorKind, GapReason

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
RULE_TESTS = DEPLOY / "prometheus" / "alerts.test.yml"
DASHBOARD = DEPLOY / "grafana" / "wolkvox-async.json"
UNIT = DEPLOY / "systemd" / "wolkvox-async.service"
CONTAINERFILE = DEPLOY / "container" / "Containerfile"
PAGE = ROOT / "docs" / "operations.md"

PROMETHEUS_OWN = {"up", "ALERTS"}
NAME = re.compile(r"\b(?:wolkvox|process)_[a-z_]+[a-z]\b")
SELECTED = re.compile(r"\b((?:wolkvox|process)_[a-z_]+[a-z])(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|=|!=)\s*"([^"]*)"')
SCRAPED_LABELS = {"job", "instance", "le"}


def yaml(path: Path) -> Any:
    """Read a file of YAML, whose library some other tool of the environment brings along."""
    return importlib.import_module("yaml").safe_load(path.read_text())


def exposed() -> dict[str, set[str]]:
    """Return the names of all samples that there are, and the labels of each."""
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(filled().text()):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml(RULES)["groups"] for rule in group["rules"]]


def panels() -> Iterator[dict[str, Any]]:
    for panel in orjson.loads(DASHBOARD.read_bytes())["panels"]:
        yield panel
        yield from panel.get("panels", ())


def dashboard_expressions() -> list[str]:
    dashboard = orjson.loads(DASHBOARD.read_bytes())
    queries = [variable.get("definition", "") for variable in dashboard["templating"]["list"]]
    notes = [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    return [*queries, *notes, *(target["expr"] for panel in panels() for target in panel.get("targets", ()))]


def expressions() -> dict[str, list[str]]:
    tests = yaml(RULE_TESTS)["tests"]
    return {
        "rules": [rule["expr"] for rule in rules()],
        "rule tests": [series["series"] for test in tests for series in test["input_series"]],
        "dashboard": dashboard_expressions(),
    }


# --- metrics ----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["rules", "rule tests", "dashboard"])
def test_every_metric_that_is_named_exists(where: str) -> None:
    there = exposed()
    named = {name for expression in expressions()[where] for name in NAME.findall(expression)}
    assert named
    assert named - set(there) == set()


@pytest.mark.parametrize("where", ["rules", "rule tests", "dashboard"])
def test_every_label_that_is_selected_exists_on_its_metric(where: str) -> None:
    there = exposed()
    for expression in expressions()[where]:
        for name, selector in SELECTED.findall(expression):
            labels = {label for label, _ in MATCHER.findall(selector)}
            assert labels - there[name] - SCRAPED_LABELS == set(), expression


def test_every_reason_and_kind_that_a_rule_selects_is_one() -> None:
    words = {"reason": set(map(str, GapReason)), "kind": set(map(str, ErrorKind)), "result": {"taken", "missed"}}
    words["state"] = {"ours", "others", "nobody"}
    for expression in (*expressions()["rules"], *expressions()["rule tests"]):
        for label, value in MATCHER.findall(expression):
            assert set(value.split("|")) <= words.get(label, {value, *value.split("|")}), expression


def test_every_metric_of_ours_has_a_place_on_the_dashboard() -> None:
    shown = {name for expression in dashboard_expressions() for name in NAME.findall(expression)}
    families = {family.name: family.type for family in text_string_to_metric_families(filled().text())}
    suffix = {"counter": "_total", "histogram": "_bucket"}
    ours = {f"{name}{suffix.get(kind, '')}" for name, kind in families.items() if name.startswith("wolkvox_")}
    assert ours - shown == set()


def test_every_metric_of_ours_is_explained_on_the_page_and_no_other() -> None:
    families = {family.name: family.type for family in text_string_to_metric_families(filled().text())}
    ours = {f"{name}_total" if kind == "counter" else name for name, kind in families.items()}
    explained = {name for name in NAME.findall(PAGE.read_text()) if name.startswith("wolkvox_")}
    assert {name for name in ours if name.startswith("wolkvox_")} - explained == set()
    assert explained - ours == {"wolkvox_freshness_seconds_bucket", "wolkvox_async"}


# --- rules ------------------------------------------------------------------------------------


def test_every_alert_says_what_is_wrong_how_bad_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert {"summary", "description", "runbook"} == set(rule["annotations"])
        assert all(text.strip() for text in rule["annotations"].values())
        assert "for" in rule or rule["alert"] == "WolkvoxClosingReadingMissed"


def test_every_alert_is_on_the_page_and_the_page_names_no_other() -> None:
    alerts = {rule["alert"] for rule in rules()}
    assert set(re.findall(r"\bWolkvox[A-Z]\w+", PAGE.read_text())) == alerts


def test_every_alert_fires_in_a_test() -> None:
    expected = [
        sample["labels"]
        for test in yaml(RULE_TESTS)["tests"]
        for query in test["promql_expr_test"]
        for sample in query["exp_samples"]
    ]
    fired = set(re.findall(r'alertname="(\w+)"', " ".join(expected)))
    assert fired == {rule["alert"] for rule in rules()}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed; the tests above hold anyway")
@pytest.mark.parametrize("arguments", [["check", "rules", RULES.name], ["test", "rules", RULE_TESTS.name]])
def test_promtool_passes_the_rules(arguments: list[str]) -> None:
    judged = subprocess.run(["promtool", *arguments], check=False, cwd=RULES.parent, capture_output=True, text=True)
    assert judged.returncode == 0, judged.stdout + judged.stderr


# --- the dashboard ----------------------------------------------------------------------------


def test_panels_have_a_title_a_place_and_a_source_that_can_be_chosen() -> None:
    shown = list(panels())
    ids = [panel["id"] for panel in shown]
    assert len(ids) == len(set(ids))
    for panel in shown:
        place = panel["gridPos"]
        assert panel["title"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert [target["refId"] for target in panel["targets"]] == sorted({t["refId"] for t in panel["targets"]})


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


# --- the unit ---------------------------------------------------------------------------------


class Unit:
    """A unit file, in which a name may stand several times."""

    def __init__(self, path: Path) -> None:
        self.values: dict[tuple[str, str], list[str]] = {}
        section = ""
        for line in path.read_text().splitlines():
            if not line or line.startswith("#"):
                continue
            if line.startswith("["):
                section = line.strip("[]")
                continue
            name, equals, value = line.partition("=")
            assert equals, line
            assert name.isalpha(), line
            self.values.setdefault((section, name), []).append(value)

    def __getitem__(self, name: str) -> str:
        (value,) = self.values["Service", name]
        return value

    @property
    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for pair in self.values["Service", "Environment"])


def test_the_unit_is_told_and_watched() -> None:
    unit = Unit(UNIT)
    assert {section for section, _ in unit.values} == {"Unit", "Service", "Install"}
    assert (unit["Type"], unit["NotifyAccess"], unit["Restart"]) == ("notify", "all", "on-failure")
    assert int(unit["WatchdogSec"]) >= 10
    assert unit["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert unit["ExecStart"].endswith("/bin/wolkvox-async watch")


def test_the_unit_gives_the_drain_its_time_and_minds_the_exit_codes() -> None:
    unit = Unit(UNIT)
    assert unit["KillSignal"] == "SIGTERM"
    assert int(unit["TimeoutStopSec"]) >= float(unit.environment["WOLKVOX_DRAIN"]) + 30
    assert unit["SuccessExitStatus"].split() == ["130", "143"]
    assert unit["RestartPreventExitStatus"] == "2"


def test_the_unit_writes_nowhere_but_in_its_own_folder() -> None:
    unit = Unit(UNIT)
    folders = {f"/var/lib/{name}" for name in unit["StateDirectory"].split()}
    assert unit["ProtectSystem"] == "strict"
    assert unit.environment["WOLKVOX_STATE"] in folders
    assert str(Path(unit.environment["WOLKVOX_OUTPUT"]).parent) in folders


@pytest.mark.parametrize(
    "name",
    [
        "NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectKernelTunables",
        "ProtectKernelModules", "ProtectControlGroups", "RestrictSUIDSGID", "RestrictNamespaces", "LockPersonality",
    ],
)  # fmt: skip
def test_the_unit_is_hardened(name: str) -> None:
    assert Unit(UNIT)[name] == "yes"


def test_tokens_come_as_credentials_and_never_as_variables() -> None:
    unit = Unit(UNIT)
    assert unit["LoadCredential"].startswith("tokens:/")
    assert not any("TOKEN" in name for name in unit.environment)
    assert "/run/credentials/wolkvox-async.service/tokens_" in PAGE.read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed; the tests above hold")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    # The program is not installed where the unit looks for it.
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text()))
    judged = subprocess.run(["systemd-analyze", "verify", copy], check=False, capture_output=True, text=True)
    about_it = [line for line in judged.stderr.splitlines() if UNIT.name in line]
    assert (judged.returncode, about_it) == (0, [])


# --- the image --------------------------------------------------------------------------------


def image() -> list[tuple[str, str]]:
    """Return the instructions of the image's file: word and rest."""
    text = re.sub(r"(?m)^#.*\n", "", CONTAINERFILE.read_text()).replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip())]


def test_the_image_is_built_in_one_stage_and_runs_in_another_as_nobody() -> None:
    stages = [rest.split()[0] for word, rest in image() if word == "FROM"]
    last = max(place for place, (word, _) in enumerate(image()) if word == "FROM")
    (user,) = [rest for word, rest in image()[last:] if word == "USER"]
    assert stages == ["python:3.13-slim", "python:3.13-slim"]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    assert not any(word in {"ADD", "ARG"} for word, _ in image())


@pytest.mark.tree
def test_the_image_copies_what_there_is() -> None:
    for word, rest in image():
        if word == "COPY" and not rest.startswith("--from"):
            *sources, _ = rest.split()
            assert [source for source in sources if not (ROOT / source).exists()] == []


def test_the_image_writes_only_where_a_volume_is() -> None:
    (volume,) = [rest for word, rest in image() if word == "VOLUME"]
    variables = dict(pair.split("=", 1) for word, rest in image()[-12:] if word == "ENV" for pair in rest.split())
    assert variables["WOLKVOX_STATE"].startswith(f"{volume}/")
    assert variables["WOLKVOX_OUTPUT"].startswith(f"{volume}/")
    assert variables["PYTHONDONTWRITEBYTECODE"] == "1"


def test_the_image_asks_for_its_own_health_by_no_proxy() -> None:
    (check,) = [rest for word, rest in image() if word == "HEALTHCHECK"]
    command = orjson.loads(check[check.index("[") :])
    assert command[:2] == ["python", "-c"]
    assert "http://127.0.0.1:9464/healthz" in command[2]
    assert "ProxyHandler({})" in command[2]
    compile(command[2], "healthcheck", "exec")


# --- all of it --------------------------------------------------------------------------------


def test_every_variable_that_is_set_is_an_option_of_watch() -> None:
    options = {
        str(variable)
        for option in cli.get_command(None, "watch").params  # type: ignore[arg-type, union-attr]
        for variable in ([option.envvar] if isinstance(option.envvar, str) else option.envvar or [])
    }
    given = set(Unit(UNIT).environment) | {
        pair.partition("=")[0] for word, rest in image() if word == "ENV" for pair in rest.split()
    }
    assert {name for name in given if name.startswith("WOLKVOX_")} - options == set()


def test_every_file_of_the_folder_is_on_the_page() -> None:
    named = PAGE.read_text()
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    assert [path.name for path in files if path.name not in named] == []
