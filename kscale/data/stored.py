"""A data set laid in a folder, from which another process can open it."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from kscale.data.dataset import Dataset
from kscale.data.example_rows import TEXT, ComputedRows, FileRows, Rows, chunks_of
from kscale.data.parts import Part, PartName
from kscale.data.preprocessing import preprocessings_from_json
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.scaled import scalings_from_json
from kscale.data.readers import reader_from_json
from kscale.errors import DataError, ResultsError
from kscale.runs.folder import write_atomically
from kscale.task.tasks import Input, Task

_DESCRIPTION = "dataset.json"
_FORMAT = 1
_PLAIN = ("name", "fingerprint", "warnings", "notes", "cut", "cut_by")

Place = dict[str, Any]
"""Where rows lie: the `file`, and its `form`; or what they are `computed` from."""


@contextmanager
def data_folder(folder: Path) -> Iterator[Path]:
    """Give an absolute path of a folder for data that other processes open.

    The folder is for the user alone. The folder is deleted at the end, whatever ends
    the block; after a SIGKILL or SIGTERM, the end of the next use deletes the folder.

    Raises:
        DataError: The folder cannot be made.
    """
    folder = folder.absolute()
    try:
        try:
            folder.mkdir(0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        except OSError as error:
            raise DataError(_not_stored(folder, error)) from error
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def store_dataset(dataset: Dataset, folder: Path) -> None:
    """Lay a data set in a folder, once; another data set in it is replaced.

    Arrays become NPY files, texts JSON lists, all else a description in JSON, which is
    written last: a folder with a description is complete. Nothing is written where the
    same data set lies already; several processes may store it at the same time. What
    lies on disk is copied a piece at a time.
    """
    files: dict[str, Rows] = {}
    described = {
        "format": _FORMAT,
        **{key: getattr(dataset, key) for key in _PLAIN},
        "task": dataset.task.to_json(),
        "preprocessing": {n: p.to_json() for n, p in dataset.preprocessing.items()},
        "labelling": {n: p.to_json() for n, p in dataset.labelling.items()},
        "target_scaling": {n: vars(s) for n, s in dataset.target_scaling.items()},
        "reader": dataset.reader.to_json(),
        "parts": {
            name: _described_part(name, part, dataset.preprocessing, files)
            for name, part in dataset.parts.items()
        },
    }
    text = json.dumps(described, indent=1) + "\n"
    path = folder / _DESCRIPTION
    try:
        if path.is_file() and path.read_text("utf-8") == text:
            return
        path.unlink(missing_ok=True)
        for name, rows in files.items():
            write_atomically(folder / name, _bytes_of(rows))
        write_atomically(path, text.encode())
    except OSError as error:
        raise DataError(_not_stored(folder, error)) from error


def _not_stored(folder: Path, error: OSError) -> str:
    return f"The data cannot be stored in {folder}: {error.strerror or error}."


def open_dataset(folder: Path) -> Dataset:
    """The data set that `store_dataset` laid in a folder.

    Arrays that were in memory are mapped, so that processes of one machine share the
    memory; rows that were on disk are read when needed.
    """
    path = folder / _DESCRIPTION
    if not path.is_file():
        raise DataError(f"{folder} holds no stored data set: {path} does not exist.")
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["format"] != _FORMAT:
            raise ValueError(f"its format is {data['format']}, not {_FORMAT}")
        return _opened(folder, data)
    except (OSError, ValueError, KeyError, TypeError, ResultsError) as error:
        raise DataError(
            f"The data set stored in {folder} cannot be opened: {error}."
        ) from error


def _described_part(
    name: PartName,
    part: Part,
    preprocessing: Mapping[str, Preprocessing],
    files: dict[str, Rows],
) -> dict[str, dict[str, Place]]:
    """Places of a part's rows; for computed rows, the places of their sources.

    Raw rows that are kept beside such inputs are the same rows, and lie there once.
    """

    def placed(rows: Rows) -> Place:
        is_text, is_array = rows.dtype.kind == "T", isinstance(rows, np.ndarray)
        file = f"{name}-{len(files)}.{'json' if is_text else 'npy'}"
        files[file] = rows
        return {"form": "array" if is_array and not is_text else "rows", "file": file}

    inputs: dict[str, Place] = {}
    sources: dict[str, Place] = {}
    for key, rows in part.inputs.items():
        if isinstance(rows, ComputedRows) and preprocessing[key].is_cheap:
            read = {raw: placed(each) for raw, each in rows.raw.items()}
            inputs[key] = {"form": "computed", "computed": read}
            sources |= read
        else:
            inputs[key] = placed(rows)
    return {
        "inputs": inputs,
        "targets": {key: placed(rows) for key, rows in part.targets.items()},
        "raw": {k: sources.get(k) or placed(rows) for k, rows in part.raw.items()},
    }


def _bytes_of(rows: Rows) -> Iterator[bytes]:
    """The file of some rows in pieces."""
    if rows.dtype.kind == "T":
        yield json.dumps(rows[:].tolist()).encode()
        return
    form = {"descr": npy.dtype_to_descr(rows.dtype), "fortran_order": False}
    header = BytesIO()
    npy.write_array_header_1_0(header, {**form, "shape": rows.shape})
    yield header.getvalue()
    for chunk in chunks_of(rows):
        yield np.ascontiguousarray(chunk).tobytes()


def _opened(folder: Path, data: Mapping[str, Any]) -> Dataset:
    task = Task.from_json(data["task"])
    preprocessing = preprocessings_from_json(data["preprocessing"])
    others: dict[str, Any] = {
        key: tuple(data[key]) if isinstance(data[key], list) else data[key]
        for key in _PLAIN
    }
    for name, places in data["parts"].items():
        others[name] = _opened_part(folder, places, task.inputs, preprocessing)
    return Dataset(
        task=task,
        preprocessing=preprocessing,
        target_scaling=scalings_from_json(data["target_scaling"]),
        reader=reader_from_json(data["reader"]),
        labelling=preprocessings_from_json(data.get("labelling", {})),
        **others,
    )


def _opened_part(
    folder: Path,
    places: Mapping[str, Mapping[str, Place]],
    inputs: tuple[Input, ...],
    preprocessing: Mapping[str, Preprocessing],
) -> Part:
    def opened(place: Place) -> Any:
        path = folder / place["file"]
        if path.suffix == ".json":
            return np.array(json.loads(path.read_text("utf-8")), TEXT)
        if place["form"] == "array":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        return FileRows.of_npy(path)

    read: dict[str, Rows] = {}
    for item in inputs:
        place = places["inputs"][item.name]
        if place["form"] == "computed":
            raw = {name: opened(each) for name, each in place["computed"].items()}
            make = preprocessing[item.name].apply
            read[item.name] = ComputedRows(make, raw, item.shape, item.dtype)
        else:
            read[item.name] = opened(place)
    targets, raw = (
        {name: opened(place) for name, place in places[role].items()}
        for role in ("targets", "raw")
    )
    return Part(read, targets, raw)
