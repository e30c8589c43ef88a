"""Memory of a container counts, not only that of the machine around it."""

from pathlib import Path

import psutil
import pytest

from kscale.data.memory import free_bytes

PLACES = {
    "2": ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    "1": (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
}


@pytest.mark.parametrize("version", PLACES)
def test_a_container_has_what_its_limit_leaves(tmp_path: Path, version: str) -> None:
    limit, used, stat, returned = PLACES[version]
    (tmp_path / "memory").mkdir()
    (tmp_path / limit).write_text("5000000\n")
    (tmp_path / used).write_text("3000000\n")
    (tmp_path / stat).write_text(f"anon 7\n{returned} 1000000\n")
    assert free_bytes(tmp_path) == 3_000_000
    (tmp_path / used).write_text("7000000\n")
    assert free_bytes(tmp_path) == 0


def test_without_a_limit_the_machine_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("3000000\n")
    (tmp_path / "memory.stat").write_text("inactive_file 0\n")
    assert 10**6 < free_bytes(tmp_path) <= psutil.virtual_memory().total
