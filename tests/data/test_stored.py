"""A stored data set opens in another process as it was."""

import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.made_files import tone, write_image, write_wav
from data.made_tables import sentences, table

from kscale.data.dataset import Dataset
from kscale.data.example_rows import FileRows, Rows
from kscale.data.loading import load_dataset
from kscale.data.stored import data_folder, open_dataset, store_dataset
from kscale.errors import DataError

RNG = np.random.default_rng(0)
COUNT = 60
Y = np.arange(COUNT) % 3
REALS = RNG.normal(5.0, 2.0, (COUNT, 4))
LABELS = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0]], np.int8)[Y]
NAMED = {"a": REALS, "b": RNG.integers(0, 255, (COUNT, 4, 5), np.uint8)}


def images(folder: Path) -> Path:
    for number in range(24):
        name = f"{'ab'[number % 2]}/{number}.png"
        write_image(folder / "images" / name, seed=number)
    return folder / "images"


def sounds(folder: Path) -> Path:
    for number in range(24):
        wave = tone(200 + 40 * number)
        write_wav(folder / "sounds" / "ab"[number % 2] / f"{number}.wav", wave)
    return folder / "sounds"


SOURCES: dict[str, Callable[[Path], Any]] = {
    "fractions": lambda folder: (REALS, Y),
    "whole numbers": lambda folder: (NAMED["b"], Y),
    "named inputs and targets": lambda folder: (
        NAMED,
        {"kind": Y, "size": REALS[:, :2]},
    ),
    "labels of which several are true": lambda folder: (REALS, LABELS),
    "token ids": lambda folder: (RNG.integers(0, 50, (COUNT, 6)), Y),
    "a table": lambda folder: table(folder / "table.csv"),
    "texts": lambda folder: sentences(folder / "sentences.csv"),
    "images": images,
    "sounds": sounds,
}

FACTS = """
import json, sys
from pathlib import Path
from data.test_stored import facts
from kscale.data.stored import open_dataset
print(json.dumps([facts(open_dataset(Path(path))) for path in sys.argv[1:]]))
assert "tensorflow" not in sys.modules
"""


def facts(data: Dataset) -> dict[str, Any]:
    """All that two equal data sets agree in."""
    return {
        "described": str(data),
        "name": data.name,
        "task": data.task.to_json(),
        "scales": [[*item.scale, *item.offset] for item in data.task.inputs],
        "preprocessing": {n: item.to_json() for n, item in data.preprocessing.items()},
        "target scaling": {n: str(item) for n, item in data.target_scaling.items()},
        "fingerprint": data.fingerprint,
        "warnings": data.warnings,
        "reader": repr(data.reader),
        "notes": data.notes,
        "cut": data.cut,
        "cut by": data.cut_by,
        "parts": {
            name: {
                f"{role} {key}": row_facts(rows)
                for role in ("inputs", "targets", "raw")
                for key, rows in getattr(part, role).items()
            }
            for name, part in data.parts.items()
        },
    }


def row_facts(rows: Rows) -> list[Any]:
    """Shape, type and digests of rows, read in order and out of order."""
    whole, some = rows[:], rows[np.array([3, 0, 1])]
    assert len(rows) == len(whole) and rows.shape == whole.shape
    return [rows.shape, rows.dtype.name, _digest(whole), _digest(some)]


def _digest(array: Any) -> str:
    text = str(array.tolist()).encode()
    return blake2b(text if array.dtype.kind == "T" else array.tobytes()).hexdigest()


def plain(found: Any) -> Any:
    return json.loads(json.dumps(found))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Dataset, Path]]:
    """Each source in memory and on disk, with the folder it is stored in."""
    made = {}
    for source, given in SOURCES.items():
        for memory in (None, 1):
            folder = tmp_path_factory.mktemp("source")
            data = load_dataset(given(folder), memory=memory, name="made")
            name = f"{source}, {'in memory' if memory is None else 'streamed'}"
            made[name] = data, folder / "stored" / "data"
            store_dataset(*made[name])
    return made


def test_another_process_opens_an_equal_data_set(
    stored: dict[str, tuple[Dataset, Path]],
) -> None:
    path = [entry for entry in sys.path if entry]
    script = f"import sys; sys.path[:0] = {path!r}\n{FACTS}"
    folders = [str(folder) for _, folder in stored.values()]
    done = subprocess.run(
        [sys.executable, "-c", script, *folders],
        capture_output=True,
        text=True,
        check=True,
    )
    for name, found in zip(stored, json.loads(done.stdout), strict=True):
        assert found == plain(facts(stored[name][0])), name


def test_rows_are_mapped_or_read_as_they_were_held(
    stored: dict[str, tuple[Dataset, Path]],
) -> None:
    for data, folder in stored.values():
        opened = open_dataset(folder)
        for name, part in data.parts.items():
            for key, rows in part.inputs.items():
                again = opened.parts[name].inputs[key]
                assert isinstance(again, np.ndarray) == isinstance(rows, np.ndarray)
    held = open_dataset(stored["fractions, in memory"][1])
    assert isinstance(held.train.inputs["x"], np.memmap)


def test_raw_rows_that_inputs_are_computed_from_lie_there_once(
    stored: dict[str, tuple[Dataset, Path]],
) -> None:
    folder = stored["fractions, streamed"][1]
    assert len([*folder.glob("*.npy")]) == 3 * 2  # of each part the rows and labels
    assert isinstance(open_dataset(folder).train.raw["x"], FileRows)


def test_what_is_stored_already_is_not_written_again(tmp_path: Path) -> None:
    data = load_dataset((REALS, Y))
    store_dataset(data, tmp_path / "data")
    before = {file: file.stat().st_ino for file in (tmp_path / "data").iterdir()}
    store_dataset(data, tmp_path / "data")
    assert before == {
        file: file.stat().st_ino for file in (tmp_path / "data").iterdir()
    }


def test_another_data_set_takes_the_place_of_one(tmp_path: Path) -> None:
    first, second = load_dataset((REALS, Y)), load_dataset((REALS + 1, Y))
    store_dataset(first, tmp_path)
    opened = open_dataset(tmp_path)
    store_dataset(second, tmp_path)
    assert facts(opened) == facts(first)  # who opened it before still reads it
    assert facts(open_dataset(tmp_path)) == facts(second)


def test_a_folder_that_is_not_complete_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no stored data set"):
        open_dataset(tmp_path)
    store_dataset(load_dataset((REALS, Y)), tmp_path)
    (tmp_path / "train-0.npy").unlink()
    with pytest.raises(DataError, match="cannot be opened: .*train-0.npy"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text('{"format": 99}')
    with pytest.raises(DataError, match="its format is 99, not 1"):
        open_dataset(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be stored in .*file/data"):
        store_dataset(load_dataset((REALS, Y)), tmp_path / "file" / "data")
    with (
        pytest.raises(DataError, match="cannot be stored in .*file/data"),
        data_folder(tmp_path / "file" / "data"),
    ):
        pass


@pytest.mark.parametrize("existed", [False, True])
def test_a_data_folder_is_for_its_owner_alone_and_goes_however_it_ends(
    tmp_path: Path, existed: bool
) -> None:
    if existed:  # of a process that was killed
        (tmp_path / "data").mkdir(0o755)
    with pytest.raises(KeyboardInterrupt), data_folder(tmp_path / "data") as data:
        store_dataset(load_dataset((REALS, Y)), data)
        assert data.stat().st_mode & 0o777 == 0o700
        raise KeyboardInterrupt
    assert not data.exists() and tmp_path.exists()
