"""Data that cannot be read or trained on gives an error of one line."""

from pathlib import Path

import numpy as np
import pytest

from kscale.data.dataset import Dataset
from kscale.data.loading import dataset_name, load_dataset, peek_task
from kscale.data.parts import Part
from kscale.data.preprocessing.scaled import Scaling
from kscale.errors import DataError
from kscale.task.tasks import Task

X = np.arange(60.0).reshape(30, 2)
Y = np.arange(30) % 3


def with_value(array, row: int, value: float):
    changed = np.array(array, dtype=np.float64)
    changed[row] = value
    return changed


def renamed(row: int, label: str):
    labels = np.array(["ant", "bee", "cow"])[Y].astype("U9")
    labels[row] = label
    return labels


PAIRS = {
    "lengths": (X, Y[:29], "x and y must have one length, but got 30 and 29"),
    "nan": (with_value(X, 17, np.nan), Y, r"x has 2 missing values .NaN., .* row 17 "),
    "infinity": (with_value(X, 3, np.inf), Y, "x has 2 infinite values .* row 3 "),
    "overflow": (with_value(X, 3, 1e300), Y, "x has 2 infinite values in float32"),
    "nan label": (X, with_value(Y, 5, np.nan), "y has 1 missing value .* row 5 "),
    "one class": (X, Y * 0, "y has only the class '0'; at least two"),
    "one value": (X, np.full(30, 0.5), "All values of y are the same"),
    "rare class": (X, renamed(4, "dog"), "at least 3 examples, .* 'dog' has 1."),
    "few": (X[:9], Y[:9], "At least 10 examples are needed, but x has 9"),
    "empty": (X[:0], Y[:0], r"x is empty: its shape is \(0, 2\)"),
    "scalar": (3.0, Y, "x must be an array or a list, and is of type float"),
    "objects": (np.array([{}] * 30), Y, "x holds Python objects"),
    "mixed labels": (X, [*"ab" * 14, 3, None], "y holds texts, but 3 in row 28 "),
    "ragged": ([[1.0], [2.0, 3.0]], [0, 1], "x has rows of different length"),
    "complex": (X + 1j, Y, "x must hold whole or real numbers, .* complex128"),
    "complex label": (X, Y + 1j, "y must hold numbers or text, .* complex128"),
    "text": (X.astype(str), Y, r"one text an example, but it .* shape \(30, 2\)"),
    "table": (np.array([[1, "a"]] * 30, object), Y, "or save a table of both as a CSV"),
    "missing text": ([*"ab" * 14, "c", None], Y, "x holds texts, but None in row 29 "),
    "rank": (np.zeros((30, 1, 1, 1, 1)), Y, "x must have at most 4 dimensions"),
    "deep labels": (X, np.zeros((30, 2, 2)), r"y must have the shape \(examples,\)"),
    "whole rows": (X, np.full((30, 2), 7), "neither one-hot nor real"),
    "no arrays": ({}, Y, "x is empty: it is a dict without arrays"),
}


@pytest.mark.parametrize("case", PAIRS)
def test_a_bad_pair_gives_an_error(case: str) -> None:
    x, y, match = PAIRS[case]
    with pytest.raises(DataError, match=match) as caught:
        load_dataset((x, y))
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


IDS = np.arange(60).reshape(30, 2)
ASKED = {
    "small vocabulary": (
        IDS,
        {"vocabulary": 59},
        "`vocabulary > 59`, .* got vocabulary=59",
    ),
    "negative ids": (-IDS, {"kind": "tokens"}, "must not be negative, but x has -59"),
    "huge ids": (IDS + 2**40, {}, "must be below 2,147,483,647"),
    "real ids": (X, {"kind": "tokens"}, "whole numbers, but x is of type float64"),
    "image rank": (X, {"kind": "image"}, r"Inputs of kind image .* \(30, 2\)"),
    "token rank": (IDS[:, 0], {"kind": "tokens"}, "Inputs of kind tokens"),
    "unknown kind": (X, {"kind": "imgae"}, "Did you mean 'image'"),
    "vocabulary of vectors": (X, {"vocabulary": 9}, "is for token ids, but x holds"),
}


@pytest.mark.parametrize("case", ASKED)
def test_data_that_does_not_suit_what_was_asked_is_an_error(case: str) -> None:
    x, asked, match = ASKED[case]
    with pytest.raises(DataError, match=match):
        load_dataset((x, Y), **asked)
    with pytest.raises(DataError, match=match):
        peek_task((x, Y), **asked)


def of_parts(**changes):
    arrays = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}
    return {key: value for key, value in {**arrays, **changes}.items() if len(value)}


PARTS = {
    "unknown class": ({"y_test": Y + 1}, "y_test has the class '3', .* y_train lacks"),
    "shapes": ({"x_test": X[:, :1]}, r"x_train and x_test .* got \(2,\) and \(1,\)"),
    "types": ({"x_test": X.astype(int)}, "one scale, but their types are float64 and"),
    "forms": ({"y_test": renamed(0, "ant")}, "y_train and y_test must be of one form"),
    "half": ({"y_test": []}, "must have the arrays y_test .*it has x_test, x_train, y"),
    "lengths": ({"y_test": Y[:9]}, "x_test and y_test must have one length"),
    "nan": ({"x_test": with_value(X, 2, np.nan)}, "x_test has 2 missing values"),
}


@pytest.mark.parametrize("case", PARTS)
def test_parts_that_do_not_go_together_are_an_error(case: str) -> None:
    changes, match = PARTS[case]
    with pytest.raises(DataError, match=match):
        load_dataset(of_parts(**changes))


def test_a_dict_without_a_training_part_lists_what_it_has() -> None:
    with pytest.raises(DataError, match="arrays x_train and y_train .* has a, b"):
        load_dataset({"a": X, "b": Y})


def test_parts_of_different_names_are_an_error() -> None:
    with pytest.raises(DataError, match="The test part must have the inputs"):
        load_dataset((({"a": X}, Y), ({"b": X}, Y)))


@pytest.mark.parametrize("load", [load_dataset, peek_task])
def test_an_unknown_name_brings_the_nearest_one(load) -> None:
    with pytest.raises(DataError, match="Unknown data set 'digit'. Did you mean 'dig"):
        load("digit")


@pytest.mark.parametrize("load", [load_dataset, peek_task])
def test_files_that_are_no_whole_npz_are_an_error(load, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(DataError, match="There is no file .*a.npz"):
        load(path)
    path.write_bytes(b"x,y\n1,2\n")
    with pytest.raises(DataError, match="a.npz is no NPZ file"):
        load(path)
    with pytest.raises(
        DataError, match="has no images .*: 1 .npz. Did you mean .*npz?"
    ):
        load(tmp_path)
    np.savez(path)
    with pytest.raises(DataError, match="a.npz holds no arrays; unpack it"):
        load(path)
    np.savez(path, a=X, b=Y)
    with pytest.raises(DataError, match="a.npz must have the arrays .* has a, b"):
        load(path)
    np.savez(path, x=X.astype(object), y=Y, allow_pickle=True)
    with pytest.raises(DataError, match="x holds Python objects"):
        load(path)


def test_a_damaged_npz_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=X, y=Y)
    content = bytearray(path.read_bytes())
    content[300] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match="a.npz is damaged: .*CRC"):
        load_dataset(path)


def test_something_else_is_no_data() -> None:
    with pytest.raises(DataError, match="not int"):
        load_dataset(7)


def test_names_suit_folders() -> None:
    assert dataset_name(Path("some/my data (1).npz")) == "my-data-1-"
    assert load_dataset((X, Y), name="mine").name == "mine"
    assert dataset_name(load_dataset((X, Y), name="mine")) == "mine"


def test_a_dataset_is_returned_as_it_is() -> None:
    data = load_dataset((X, Y))
    assert load_dataset(data) is data
    assert peek_task(data) is data.task


def test_a_scaling_that_cannot_be_inverted_is_an_error() -> None:
    with pytest.raises(DataError, match="finite and not 0"):
        Scaling((0.0,), (1.0,))
    with pytest.raises(DataError, match="2 factors and 1 offsets"):
        Scaling((1.0, 2.0), (1.0,))
    assert Scaling().is_identity and not Scaling((2.0,)).is_identity


def test_parts_that_do_not_suit_their_task_are_an_error() -> None:
    x, y = {"x": X.astype(np.float32)}, {"label": Y.astype(np.int32)}
    part, task = Part(x, y), Task.of("vector", (3,), classes=3)
    with pytest.raises(DataError, match="The train part must hold inputs of shape"):
        Dataset("a", task, part, part, part, {}, {}, "")
    task = Task.of("vector", (2,), values=1)
    with pytest.raises(DataError, match="The train part must hold targets of shape"):
        Dataset("a", task, part, part, part, {}, {}, "")
    with pytest.raises(DataError, match="must have one length"):
        Part(x, {"label": y["label"][:2]})
