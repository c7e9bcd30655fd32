"""Memory bounds what `auto` may have in flight."""

from pathlib import Path

from wolkvox_async.settings.memory import MOST, container_kib, machine_kib, most_in_flight


def test_what_a_machine_says_is_free_counts(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:        8000000 kB\nMemFree:          100000 kB\nMemAvailable:    2000000 kB\n")
    assert machine_kib(meminfo) == 2_000_000


def test_a_machine_that_does_not_say_so_has_all_its_memory_or_an_unknown_amount(tmp_path: Path) -> None:
    assert (machine_kib(tmp_path / "none") or 1) > 0
    (tmp_path / "meminfo").write_text("something else\n")
    assert machine_kib(tmp_path / "meminfo") is None


def test_a_container_may_use_what_is_left_of_its_limit(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1073741824\n")
    (tmp_path / "memory.current").write_text("536870912\n")
    assert container_kib(tmp_path) == 524_288


def test_a_container_without_a_limit_says_nothing(tmp_path: Path) -> None:
    assert container_kib(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("536870912\n")
    assert container_kib(tmp_path) is None


def test_this_machine_has_room_for_something() -> None:
    assert 1 <= most_in_flight() <= MOST
