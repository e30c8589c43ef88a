"""Warnings name columns that hold the label or name groups, and no others."""

from pathlib import Path

import numpy as np
from data.made_tables import write_csv

from kscale.data.loading import load_dataset

RNG = np.random.default_rng(5)


def warned(folder: Path, columns: list[str], *cells, **options) -> list[str]:
    """Warnings of a leak in a table of columns, each given by its cells."""
    path = write_csv(folder / "a.csv", columns, *zip(*cells, strict=True))
    data = load_dataset(path, **options)
    return [w for w in data.warnings if "says the same" in w or "may name groups" in w]


def test_a_column_that_is_the_label_in_other_words_is_reported(tmp_path: Path) -> None:
    label = RNG.integers(0, 3, 200)
    noise = np.where(RNG.random(200) < 0.01, 0, label + 5)
    words = ["abc"[each] for each in label]
    found = warned(tmp_path, ["w", "n", "y"], words, noise, label)
    assert len(found) == 1
    assert found[0].startswith("Column 'w' says the same as the label y")
    assert "--ignore w" in found[0]
    assert not warned(tmp_path, ["w", "n", "y"], words, noise, label, ignore="w")


def test_a_column_that_is_a_number_to_predict_in_another_unit_is_reported(
    tmp_path: Path,
) -> None:
    price = RNG.normal(200.0, 50.0, 200).round(3)
    near = price + RNG.normal(0.0, 1.0, 200)
    found = warned(tmp_path, ["cents", "near", "y"], 100 * price + 7, near, price)
    assert [each[:14] for each in found] == ["Column 'cents'"]


def test_a_column_that_names_groups_of_one_label_is_reported(tmp_path: Path) -> None:
    person = RNG.permutation(np.repeat(np.arange(60), 5))
    label = RNG.integers(0, 2, 60)[person]
    codes = [f"P{each:03}" for each in person]
    columns, cells = ["patient_id", "userId", "y"], (person, codes, label)
    found = warned(tmp_path, columns, *cells)
    assert [each.split("'")[1] for each in found] == ["patient_id", "userId"]
    assert "rows of one of its 60 values mostly" in found[0]
    assert "--split-by patient_id" in found[0]
    assert not warned(tmp_path, columns, *cells, split_by="patient_id")


def test_a_column_that_is_one_of_several_labels_is_reported(tmp_path: Path) -> None:
    old, red = RNG.integers(0, 2, (2, 200))
    words, codes = np.where(old, "aged", "new"), 5 - 2 * red
    noise = RNG.integers(0, 2, 200)
    columns = ["w", "n", "z", "old", "red"]
    found = warned(
        tmp_path, columns, words, codes, noise, old, red, label="old,red:labels"
    )
    assert [each[:10] for each in found] == ["Column 'w'", "Column 'n'"]


def test_a_column_that_names_groups_of_like_values_is_reported(tmp_path: Path) -> None:
    person = RNG.permutation(np.repeat(np.arange(60), 5))
    price = (RNG.normal(0, 9, 60)[person] + RNG.normal(0, 1, 300)).round(3)
    other = RNG.permutation(person)
    found = warned(tmp_path, ["person", "user_id", "y"], person, other, price)
    assert len(found) == 1 and "--split-by person" in found[0]


def test_groups_of_few_rows_are_named_where_they_are_left_out(tmp_path: Path) -> None:
    codes = [f"P{each // 3 * 2 + each % 3 // 2}" for each in range(120)]
    rows = [[code, i % 7, i % 2] for i, code in enumerate(codes)]
    data = load_dataset(write_csv(tmp_path / "a.csv", ["patient", "x", "y"], *rows))
    (warning,) = [each for each in data.warnings if "'patient' is left out" in each]
    assert "split_by=patient (--split-by patient)" in warning


def test_other_columns_are_not_reported(tmp_path: Path) -> None:
    length = RNG.integers(
        10, 70, 300
    )  # as of petals: whole, and related to the classes
    label = length // 25
    visitor = RNG.integers(0, 60, 300)
    code = [f"C{each}" for each in RNG.integers(0, 60, 300)]
    columns = ["length", "visitor_id", "code_id", "y"]
    assert not warned(tmp_path, columns, length, visitor, code, label)
