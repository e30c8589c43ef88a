"""Labels of which several may be true, in every form in which people have them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kscale import Dataset, load_dataset
from kscale.data.class_weights import check_class_weights
from kscale.errors import DataError

CELLS = ["red|round", "round", "", "old|red", "red", "old | round"] * 10
ROWS = [("red" in cell, "round" in cell, "old" in cell) for cell in CELLS]


def csv_file(folder: Path, cells: Sequence[str], name: str = "tags") -> Path:
    lines = [f"{row % 7}.5,{cell}" for row, cell in enumerate(cells)]
    path = folder / "data.csv"
    path.write_text("\n".join([f"size,{name}", *lines, ""]))
    return path


def columns_file(folder: Path, rows: Sequence[Sequence[object]]) -> Path:
    lines = [f"{n % 7}.5,{','.join(map(str, row))}" for n, row in enumerate(rows)]
    path = folder / "columns.csv"
    path.write_text("\n".join(["size,red,round,old", *lines, ""]))
    return path


def rows_of(data: Dataset) -> list[frozenset[str]]:
    """The labels of all examples, in any order."""
    (target,) = data.task.targets
    arrays = [part.targets[target.name] for part in data.parts.values()]
    return sorted(
        (
            frozenset(np.array(target.class_names)[row > 0].tolist())
            for row in np.concatenate(arrays)
        ),
        key=sorted,
    )


WANTED = sorted(
    (frozenset(filter(None, map(str.strip, cell.split("|")))) for cell in CELLS),
    key=sorted,
)


@pytest.mark.parametrize("label", ["tags", "tags:labels"])
def test_cells_with_a_stroke_are_labels(tmp_path: Path, label: str) -> None:
    data = load_dataset(csv_file(tmp_path, CELLS), label=label)
    (target,) = data.task.targets
    assert (target.kind, target.name) == ("labels", "tags")
    assert target.class_names == ("old", "red", "round")
    assert data.train.targets["tags"].dtype == np.int32
    assert rows_of(data) == WANTED
    assert any(
        "3 labels" in note and "10 rows without any" in note for note in data.notes
    )


def test_cells_with_a_stroke_are_classes_if_asked(tmp_path: Path) -> None:
    cells = [cell or "none" for cell in CELLS]
    data = load_dataset(csv_file(tmp_path, cells), label="tags:classes")
    assert data.task.targets[0].kind == "classes"
    assert "red|round" in data.task.targets[0].class_names


@pytest.mark.parametrize("mark", [";", ", "])
def test_labels_with_another_mark_between_them_are_named(
    tmp_path: Path, mark: str
) -> None:
    cells = [f"old{mark}red", "red", f"old{mark}round", "round", "old"] * 9
    lines = [f'{row % 7}.5,"{cell}"' for row, cell in enumerate(cells)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["size,tags", *lines, ""]))
    notes = load_dataset(path, label="tags").notes
    (note,) = [each for each in notes if "write | between them" in each]
    assert f"cells such as 'old{mark}red'" in note
    asked = load_dataset(path, label="tags:classes").notes
    assert not [each for each in asked if "write |" in each]


def test_classes_whose_names_have_a_stroke_stay_classes(tmp_path: Path) -> None:
    data = load_dataset(csv_file(tmp_path, ["a|b", "c|d"] * 20), label="tags")
    assert data.task.targets[0].class_names == ("a|b", "c|d")


@pytest.mark.parametrize("words", [(0, 1), ("False", "true"), ("no", "yes")])
def test_columns_of_0_and_1_are_one_target(
    tmp_path: Path, words: tuple[object, object]
) -> None:
    rows = [[words[value] for value in row] for row in ROWS]
    path = columns_file(tmp_path, rows)
    data = load_dataset(path, label="red,round,old:labels")
    (target,) = data.task.targets
    assert (target.name, target.kind) == ("labels", "labels")
    assert target.class_names == ("red", "round", "old")
    assert rows_of(data) == WANTED


def test_columns_that_are_named_one_by_one_stay_several_targets(tmp_path: Path) -> None:
    path = columns_file(tmp_path, [[int(value) for value in row] for row in ROWS])
    data = load_dataset(path, label=("red", "round"), ignore=("old",))
    assert [target.kind for target in data.task.targets] == ["classes", "classes"]
    assert "With the label red,round:labels they are one target." in data.notes


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
def test_rows_of_0_and_1_are_labels(tmp_path: Path, dtype: type) -> None:
    x, y = np.arange(60.0)[:, None], np.array(ROWS).astype(dtype)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    for source in ((x, y), (x, {"labels": y}), tmp_path / "data.npz"):
        data = load_dataset(source)
        (target,) = data.task.targets
        assert (target.name, target.kind) == ("labels", "labels")
        assert target.class_names == ("0", "1", "2")
        taken = np.concatenate([p.targets["labels"] for p in data.parts.values()])
        assert taken.sum(axis=0).tolist() == y.sum(axis=0).tolist()


def test_one_hot_rows_are_classes_and_other_floats_are_values() -> None:
    x = np.arange(60.0)[:, None]
    one_hot = load_dataset((x, np.eye(3, dtype=int)[np.arange(60) % 3]))
    assert one_hot.task.targets[0].kind == "classes"
    floats = load_dataset((x, np.array(ROWS, np.float32)))
    assert floats.task.targets[0].kind == "labels"
    assert "y holds only 0 and 1, so each of its columns is a label" in str(floats)
    values = load_dataset((x, np.array(ROWS) + 0.5))
    assert values.task.targets[0].kind == "real"


def test_every_part_has_each_label() -> None:
    rows = np.zeros((200, 3), int)
    rows[:, 0] = np.arange(200) % 2
    rows[:4, 2] = 1
    rows[3:50, 1] = 1
    data = load_dataset((np.arange(200.0)[:, None], rows))
    for part in data.parts.values():
        assert part.targets["labels"].any(axis=0).all()


@pytest.mark.parametrize(
    ("cells", "label", "match"),
    [
        (["a"] * 20, "tags:labels", "must hold at least two labels, but it holds 1"),
        (["a|b", "b"] * 20 + ["c"], "tags", "Each label of .* but 'c' has 1"),
        (CELLS, "tags:words", "Unknown column 'tags:words'"),
        (CELLS, "tags,size,old:labels", "Unknown column 'old'"),
    ],
)
def test_labels_that_cannot_be_are_refused(
    tmp_path: Path, cells: list[str], label: str, match: str
) -> None:
    with pytest.raises(DataError, match=match):
        load_dataset(csv_file(tmp_path, cells), label=label)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ("red:labels", "red is one label .*=red:classes, or .* as red,OTHER:labels"),
        ("red,red:labels", "label red,red:labels names the column 'red' twice"),
        (("red,round:labels", "red,old:labels"), "Two targets .* called 'labels'"),
        (("red", "red"), "Two targets would be called 'red'"),
    ],
)
def test_groups_of_labels_that_cannot_be_are_refused(
    tmp_path: Path, labels: str | tuple[str, ...], match: str
) -> None:
    path = columns_file(tmp_path, [[int(value) for value in row] for row in ROWS])
    with pytest.raises(DataError, match=match):
        load_dataset(path, label=labels)


def test_parts_are_said_to_share_labels_as_they_do(tmp_path: Path) -> None:
    text = str(load_dataset(csv_file(tmp_path, CELLS), label="tags"))
    shared = "the same share of each label (an example counts for its rarest)"
    assert shared in " ".join(text.split())


def test_columns_of_other_numbers_are_no_labels(tmp_path: Path) -> None:
    path = columns_file(tmp_path, [(n % 3, n % 2, 0) for n in range(40)])
    with pytest.raises(DataError, match="csv:4 must hold 0 or 1 in red, but .*'2'"):
        load_dataset(path, label="red,round:labels")


def test_labels_that_training_lacks_are_refused(tmp_path: Path) -> None:
    csv_file(tmp_path, CELLS).rename(tmp_path / "train.csv")
    csv_file(tmp_path, ["red", "blue|old"] * 5).rename(tmp_path / "test.csv")
    with pytest.raises(DataError, match="test.csv:3: tags has the label 'blue', which"):
        load_dataset(tmp_path, label="tags")


def test_class_weights_of_labels_are_refused() -> None:
    data = load_dataset((np.arange(60.0)[:, None], np.array(ROWS).astype(int)))
    with pytest.raises(DataError, match="needs a target of classes, .* labels only"):
        check_class_weights("balanced", data.task)


def test_the_description_counts_each_label() -> None:
    data = load_dataset((np.arange(60.0)[:, None], np.array(ROWS).astype(int)))
    (target,) = data.describe()["targets"]
    counts = [sum(row[part] for part in data.parts) for row in target["labels"]]
    assert counts == np.sum(ROWS, axis=0).tolist()
    assert target["baseline"]["metric"] == "f1_score"
