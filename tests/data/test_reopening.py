"""A run's data are loaded again as they were."""

import json
from pathlib import Path

import numpy as np
import pytest

from kscale import load_dataset
from kscale.data.dataset import Dataset
from kscale.data.loading import reopened
from kscale.errors import DataError

TABLE = "a,b,kind\n" + "".join(f"{i},{i * 7 % 5},{'xy'[i % 2]}\n" for i in range(40))


def described(data: Dataset) -> dict[str, object]:
    about = {
        "data": {"name": data.name, "origin": data.origin},
        "identity": {"data_fingerprint": data.fingerprint},
    }
    read: dict[str, object] = json.loads(json.dumps(about))
    return read


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text(TABLE)
    return Path("table.csv")


def test_a_file_is_loaded_again_from_any_folder_with_its_options(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_dataset(table, label="kind", ignore="b", split_seed=3)
    monkeypatch.chdir("/")
    again = reopened(described(data))
    assert again.fingerprint == data.fingerprint
    assert again.task == data.task


def test_a_name_is_loaded_again() -> None:
    data = load_dataset("digits")
    assert data.origin is not None
    assert data.origin["source"] == "digits"
    assert reopened(described(data)).fingerprint == data.fingerprint


def test_moved_data_are_loaded_from_where_they_are(table: Path) -> None:
    about = described(load_dataset(table, label="kind"))
    moved = table.rename("moved.csv")
    with pytest.raises(DataError, match="no file"):
        reopened(about)
    assert reopened(about, moved).name == "table"


def test_other_data_are_refused(table: Path) -> None:
    about = described(load_dataset(table, label="kind"))
    table.write_text(TABLE.replace("39,3", "39,4"))
    with pytest.raises(DataError, match="other examples"):
        reopened(about)


def test_data_in_memory_must_be_given() -> None:
    x = np.arange(40.0).reshape(20, 2)
    data = load_dataset((x, x[:, 0] > 19))
    with pytest.raises(DataError, match="--data"):
        reopened(described(data))
    assert reopened(described(data), data) is data
