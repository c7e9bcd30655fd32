"""What is told of code blocks that are not simply run, all in one place; `rules.py` has what is done without it.

An account belongs to the block of `page` whose text begins with `begins`, or (in `sh`, but for `Elsewhere`, `Shown` and
`Drawing`) to each line that begins so.
With an empty `begins` it belongs to all blocks of the page. One that belongs to nothing fails, and so does a block
for which there is neither rule nor account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class NotRun:
    """A line or block that cannot run here, and `why`; whatever it says of our options is looked at all the same."""

    page: str
    begins: str
    why: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A block that another test runs, as it stands on the page: `by` is `FILE::FUNCTION`, in tests/."""

    page: str
    begins: str
    by: str


@dataclass(frozen=True, slots=True)
class Endless:
    """A line of `sh` that never ends by itself: it is ended at the end of its block.

    The next line begins when the shell's condition `until` holds; `$said` is the file of what it has said.
    """

    page: str
    begins: str
    until: str
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ends:
    """A line of `sh` that ends with an exit code other than 0, on purpose."""

    page: str
    begins: str
    code: int


@dataclass(frozen=True, slots=True)
class Given:
    """A block that needs something `before`, or has something to be looked at `after` it, in its own language.

    What stands in `instead` is replaced in it: what only a real installation has. `on` says what runs it: `postgres`.
    """

    page: str
    begins: str
    before: str = ""
    after: str = ""
    instead: Mapping[str, str] = field(default_factory=dict)
    on: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """Output: each line of the block is in what `command` says, with other numbers, ids and times."""

    page: str
    begins: str
    command: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A block that is neither code nor output, and `what` it is."""

    page: str
    begins: str
    what: str


Account: TypeAlias = NotRun | Elsewhere | Endless | Ends | Given | Shown | Drawing

_ENVIRONMENT: Final = "makes an environment; CI runs it"
_SYSTEM: Final = "changes the system"


def _same(query: str, told: str) -> str:
    """Return SQL that fails where a query does not find what is in the table `told`."""
    differ = f"(({query} except from {told}) union all (from {told} except {query}))"
    return f"select if(count(*) > 0, error('it differs from {told}'), 0) from {differ}"  # noqa: S608 - our own queries


_DATA: Final = "$HOME/.local/state/wolkvox-async-broker"
_ANEW: Final = f"rm -rf {_DATA}; "
_IS_READY: Final = 'grep -q "Server is ready" "$said"'
_A_BROKER: Final = f"endless '{_IS_READY}' 'WOLKVOX_LISTEN=$BROKER wolkvox-async broker'\n"
_WATCH: Final = "wolkvox-async watch --join nats://127.0.0.1:4222 --join-credentials file:credentials"
_OWN: Final = f"file:{_DATA}/credentials"
_NEAR: Final = {"127.0.0.1:4222": "$BROKER", "file:credentials": _OWN}
_FAR: Final = {"tls://broker.example:4222": "nats://$BROKER", "file:broker-credentials": _OWN}
_ENCRYPTED: Final = {"broker.example:4222": "$BROKER", "file:/etc/wolkvox-async/broker-credentials": _OWN}
_JOINING: Final = "unset WOLKVOX_STATE; "  # it is in the broker
_TRUSTING: Final = "WOLKVOX_JOIN_CA=ca.pem"
_THREE: Final = {"0.0.0.0:4222": "$BROKER", "10.0.0.1:6222": "$ROUTE_A", "10.0.0.2:6222": "$ROUTE_B"} | {
    "10.0.0.3:6222": "$ROUTE_C"
}
_SHORT: Final = {  # leases of a cluster that is there for a moment
    "WOLKVOX_TIMEOUT": "2",
    "WOLKVOX_CONNECT_TIMEOUT": "0.5",
    "WOLKVOX_LEASE": "6",
    "WOLKVOX_PARTITIONS": "16",
}


def _has_records(scheme: str = "nats", variables: str = "") -> str:
    """Return a condition: the cluster has stored the record of a call."""
    records = f"{variables} wolkvox-async records --join {scheme}://$BROKER --join-credentials {_OWN}"
    return f"sleep 0.3; {records} | grep -q call"


ACCOUNTS: Final[tuple[Account, ...]] = (
    # --- README -------------------------------------------------------------------------------
    NotRun("README.md", "git clone <this repository>", "where the repository is, is not known here"),
    NotRun("README.md", "./dev demo", _ENVIRONMENT),
    NotRun("README.md", "./dev test", "is what runs this"),
    NotRun("README.md", "pip install .", "the release check installs it"),
    Shown("README.md", "simulating 400 operations", "wolkvox-async demo --operations 30 --servers 3"),
    Endless("README.md", "wolkvox-async watch --output 'usage-{date}", "compgen -G 'usage-*.part'"),
    Given("README.md", "wolkvox-async broker", before=f"{_ANEW}WOLKVOX_LISTEN=$BROKER "),
    Endless("README.md", "wolkvox-async broker", _IS_READY),
    Given("README.md", "wolkvox-async watch --join", before=_JOINING, instead=_FAR),
    Endless("README.md", "wolkvox-async watch --join", _has_records(), _SHORT),
    Given("README.md", "wolkvox-async records --join", instead=_FAR | {"usage.jsonl": "all.jsonl"}),
    Endless("README.md", "wolkvox-async records --join", "grep -q call all.jsonl"),
    Given("README.md", "wolkvox-async simulate --operations 200", after=" --port 0"),
    Endless("README.md", "wolkvox-async simulate --operations 200", 'grep -q base_url "$said"'),
    Given("README.md", "wolkvox-async fetch --tenants sim/", before="WOLKVOX_TIMEOUT=3 WOLKVOX_MAX_ATTEMPTS=1 "),
    Ends("README.md", "wolkvox-async fetch --tenants sim/", 1),
    Given(
        "README.md",
        "from wolkvox_async import load_tenants, open_engine\n\n\nasync def usage_of",
        after="assert len(await usage_of('acme/bogota')) == 1",
    ),
    Given(
        "README.md",
        "select tenant, operation, api, max(items)",
        after="select if(count(*) = 0, error('nothing was found'), 0) from read_json('usage.jsonl') where type = 'row'",
    ),
    # --- architecture -------------------------------------------------------------------------
    Elsewhere(
        "architecture.md",
        "src/wolkvox_async/\n",
        "documents/test_outputs.py::test_every_file_and_folder_of_the_tree_of_sources_is_there",
    ),
    Drawing("architecture.md", "tenants file -> settings", "how data flows"),
    # --- embedding ----------------------------------------------------------------------------
    Given(
        "endpoints.md",
        "from wolkvox_async import DateRange",
        after="assert result.ok and len(result.rows) == 31 * 20 and result.settlement.call.params[1][1] == '1003'\n",
    ),
    Elsewhere("embedding.md", "", "embedding/test_guide.py::test_every_block_is_a_program_that_some_test_runs"),
    # --- many machines ------------------------------------------------------------------------
    NotRun("many-machines.md", "pip install 'wolkvox-async[cluster]'", "the release check installs it"),
    Elsewhere(
        "many-machines.md",
        "wolkvox-async broker\nwolkvox-async watch",
        "apps/joined/test_documented.py::test_two_commands_make_a_cluster_of_two_machines",
    ),
    Given("many-machines.md", f"{_WATCH} --workers 4", before=_JOINING, instead=_NEAR),
    Endless("many-machines.md", f"{_WATCH} --workers 4", _has_records(), _SHORT),
    Given("many-machines.md", f"{_WATCH} --workers 4", before=_A_BROKER),
    Given("many-machines.md", "wolkvox-async broker --listen", before=_ANEW, instead={"0.0.0.0:4222": "$BROKER"}),
    Endless("many-machines.md", "wolkvox-async broker --listen", _IS_READY),
    Given("many-machines.md", "wolkvox-async watch --join tls", before=f"{_JOINING}{_TRUSTING} ", instead=_ENCRYPTED),
    Endless("many-machines.md", "wolkvox-async watch --join tls", _has_records("tls", _TRUSTING), _SHORT),
    Given("many-machines.md", "wolkvox-async broker --name a", before="WOLKVOX_DATA=three ", instead=_THREE),
    Endless("many-machines.md", "wolkvox-async broker --name a", "test -s three/routes"),
    Given("many-machines.md", "wolkvox-async records --join", instead=_NEAR),
    Endless("many-machines.md", "wolkvox-async records --join", "test -e usage.jsonl.bookmark"),
    Given("many-machines.md", "wolkvox-async records --join", before=_A_BROKER),
    Given("many-machines.md", "wolkvox-async cluster --join", before=_A_BROKER, instead=_NEAR),
    Elsewhere(
        "many-machines.md",
        "next: --from 71025",
        "apps/test_records_command.py::test_a_pipe_begins_where_a_person_says_and_the_next_sequence_is_told",
    ),
    Elsewhere(
        "many-machines.md",
        "256 partitions; a lease",
        "documents/test_outputs.py::test_a_cluster_is_shown_as_the_page_has_it",
    ),
    # --- operations ---------------------------------------------------------------------------
    NotRun("operations.md", "useradd --system", _SYSTEM),
    NotRun("operations.md", "python3 -m venv /opt/", _SYSTEM),
    NotRun("operations.md", "install -d -m 0755 /etc/", _SYSTEM),
    NotRun("operations.md", "cp tenants.json /etc/", _SYSTEM),
    NotRun("operations.md", "cp deploy/systemd/", _SYSTEM),
    NotRun("operations.md", "systemctl daemon-reload", "there is no systemd"),
    Given(
        "operations.md",
        "from wolkvox_async.adapters.clock",
        before="from wolkvox_async import load_tenants; tenants = load_tenants('tenants.json')",
        after="assert parts.hooks",
    ),
    # --- planning -----------------------------------------------------------------------------
    Drawing("planning.md", "wolkvox-async plan      ", "commands, each with what it shows"),
    Shown("planning.md", "6000 calls: 2000 operations", "wolkvox-async plan --per-server 1"),
    Shown(
        "planning.md",
        '{"tenant":"t0"',
        'wolkvox-async plan --watch --list | sed \'s/acme/t0/; s/bogota/main/; s/,"params"/,\\n "params"/\'',
    ),
    # --- reports ------------------------------------------------------------------------------
    Elsewhere(
        "reports.md",
        "wolkvox-async report usage.jsonl",
        "apps/reporting/test_reports_doc.py::test_every_command_shown_does_what_it_says",
    ),
    Elsewhere(
        "reports.md",
        '{\n  "currency"',
        "apps/reporting/test_reports_doc.py::test_every_command_shown_does_what_it_says",
    ),
    NotRun("reports.md", "chromium --headless", "needs a browser"),
    # --- secrets ------------------------------------------------------------------------------
    Elsewhere(
        "secrets.md",
        "TOKEN            STATE",
        "test_secrets_docs.py::test_the_commands_and_the_table_of_tokens_are_those_of_the_program",
    ),
    # --- Singer -------------------------------------------------------------------------------
    NotRun(
        "singer.md", "$ meltano run", "Meltano is in no environment of ours; it was run by hand with what stands here"
    ),
    Given(
        "singer.md",
        "select month, tenant, operation, api, params",
        before="create schema wolkvox; create table wolkvox.rows (tenant text, operation text, api text, call text, "
        "n bigint, items numeric, row_description text, at timestamp); create table wolkvox.calls (call text, "
        "tenant text, operation text, api text, params text, window_from text, truncated boolean, outcome text, "
        "error_kind text, at timestamp)",
        on="postgres",
    ),
    Given("singer.md", "select tenant, operation, api, coalesce(error_kind", on="postgres"),
    # --- the simulator ------------------------------------------------------------------------
    Given("simulator.md", "wolkvox-async simulate --servers 8", after=" --port 0"),
    Endless("simulator.md", "wolkvox-async simulate --servers 8", 'grep -q base_url "$said"'),
    # --- the warehouse ------------------------------------------------------------------------
    Given(
        "warehouse.md",
        "select tenant, operation, api, count(*) as readings, max(items) as items",
        after=_same(
            "select tenant, operation, api, count(*), sum(items)::bigint from 'usage-*.jsonl.zst' "
            "where type = 'row' group by all",
            "sent",
        ),
    ),
    Given(
        "warehouse.md",
        "select m.file, coalesce(sha256",
        after="select if(count(*) < 3, error('no manifests'), 0) from read_json('usage-*.jsonl.zst.manifest.json')",
    ),
    Given(
        "warehouse.md",
        "create or replace view lines",
        after=_same("select tenant, operation, api, count(*), sum(items)::bigint from readings group by all", "sent"),
    ),
    Given(
        "warehouse.md",
        "create or replace view bill",
        after=_same("select month, tenant, operation, api, items from bill", "due"),
    ),
    Given(
        "warehouse.md",
        "copy readings",
        after=_same(
            "select tenant, operation, api, count(*), sum(items)::bigint "
            "from read_parquet('parquet/*/*/*.parquet', hive_partitioning = true) group by all",
            "sent",
        ),
    ),
    Given(
        "warehouse.md",
        "import io\nimport json",
        after="import duckdb\n"
        "loaded = duckdb.execute(\"select count(*) from read_parquet('dataset/*/*/*.parquet')\").fetchall()\n"
        "assert loaded == [({rows},)], loaded",
    ),
    Given(
        "warehouse.md",
        "import dlt",
        after="pipeline.run(usage(Path()))\n"
        "with pipeline.sql_client() as client:\n"
        "    loaded = client.execute_sql('select count(*) from readings')\n"
        "assert loaded == [({rows},)], loaded",
    ),
    Given(
        "warehouse.md",
        "create table if not exists readings",
        on="postgres",
        after="do $$ begin assert (select count(*) = {rows} from readings); end $$",
    ),
    Given(
        "warehouse.md",
        'select month, tenant, operation, api, "window"',
        on="postgres",
        after="do $$ begin assert (select count(distinct (to_char(answered at time zone 'America/Bogota', 'YYYY-MM'), "
        "tenant, operation, api)) = {bills} from readings); end $$",
    ),
    # --- watching -----------------------------------------------------------------------------
    Endless("watching.md", "wolkvox-async watch --output 'usage-{date}", "compgen -G 'usage-*.part'"),
    Given(
        "watching.md",
        "async with open_engine(load_tenants",
        before="from wolkvox_async import load_tenants, open_engine",
        instead={"/var/lib/my-service": "state-of-my-service", "    ...": "    break"},
        after="assert record['type'] == 'run'",
    ),
)
