"""Classes and labels that differ by spaces or case only are named, in every source."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.made_tables import write_csv, write_text

from kscale.data.loading import load_dataset
from kscale.errors import DataError

X = np.arange(120.0).reshape(60, 2)


def csv_of(folder: Path, cells: list[str], name: str = "a.csv") -> Path:
    rows = [[i % 7, cell] for i, cell in enumerate(cells)]
    return write_csv(folder / name, ["x", "y"], *rows)


def folder_of(folder: Path, classes: list[str]) -> Path:
    for i, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        write_text(folder / name / f"{i}.txt", f"some words of text {i}")
    return folder


def columns_of(folder: Path) -> Path:
    rows = [[i % 7, i % 2, i % 3 % 2] for i in range(60)]
    return write_csv(folder / "b.csv", ["x", "Red", "red"], *rows)


SOURCES: dict[str, Any] = {
    "csv": lambda folder: (csv_of(folder, ["yes", "Yes", "no"] * 20), {}),
    "cells of labels": lambda f: (csv_of(f, ["red|old", "Red", "red"] * 20), {}),
    "columns": lambda folder: (columns_of(folder), {"label": "Red,red:labels"}),
    "folders": lambda folder: (folder_of(folder / "d", ["yes", "YES", "no"] * 20), {}),
    "text": lambda folder: ((X, np.array([" yes", "yes", "no"] * 20)), {}),
    "bytes": lambda folder: ((X, np.array([b"new york", b"New  York", b"b"] * 20)), {}),
    "letters": lambda folder: ((X, np.array(["ﬁn", "fin", "no"] * 20)), {}),
}


@pytest.mark.parametrize("case", SOURCES)
def test_classes_that_look_alike_are_named(case: str, tmp_path: Path) -> None:
    source, options = SOURCES[case](tmp_path)
    data = load_dataset(source, **options)
    (warning,) = [each for each in data.warnings if "differ by spaces or case" in each]
    alike = [name for name in data.task.targets[0].class_names if repr(name) in warning]
    assert len(alike) == 2 and f"of {data.task.targets[0].name} " in warning
    assert "write them alike if they are one" in warning


def test_categories_that_look_alike_are_named(tmp_path: Path) -> None:
    rows = [[("New York", "new york", "Rome")[i % 3], i % 2] for i in range(60)]
    data = load_dataset(write_csv(tmp_path / "a.csv", ["city", "y"], *rows))
    assert (
        "The categories 'New York' and 'new york' of city differ by spaces or case "
        "only: write them alike if they are one."
    ) in data.warnings


def test_other_classes_are_not_named() -> None:
    data = load_dataset((X, np.array(["a1", "a-1", "b", "ä", "a"] * 12)))
    assert not [each for each in data.warnings if "differ" in each]


@pytest.mark.parametrize("form", ["csv", "labels", "folders", "arrays"])
def test_a_class_of_another_part_is_told_apart(form: str, tmp_path: Path) -> None:
    y = np.array(["yes", "no"] * 30)
    source: Any = tmp_path
    if form == "csv":
        csv_of(tmp_path, ["yes", "no"] * 30, "train.csv")
        csv_of(tmp_path, ["Yes", "no"] * 10, "test.csv")
    elif form == "labels":
        csv_of(tmp_path, ["yes|no", "no"] * 30, "train.csv")
        csv_of(tmp_path, ["Yes|no", "no"] * 10, "test.csv")
    elif form == "folders":
        folder_of(tmp_path / "train", ["yes", "no"] * 10)
        folder_of(tmp_path / "test", ["Yes", "no"] * 4)
    else:
        source = {"x_train": X, "y_train": y, "x_test": X, "y_test": np.char.title(y)}
    with pytest.raises(DataError, match="'(yes|no)' differs by spaces or case only"):
        load_dataset(source)


def test_a_rare_class_that_looks_like_another_is_told_apart() -> None:
    y = np.array(["yes", "no"] * 29 + ["Yes", "no"])
    with pytest.raises(DataError, match="'Yes' has 1. .* 'yes' differs by spaces"):
        load_dataset((X, y))
