"""The description of a data set is true."""

import json

import numpy as np
import pytest

from kscale.data.assembling import dataset_of
from kscale.data.dataset import Dataset
from kscale.data.describing import dataset_text
from kscale.data.load_options import Options
from kscale.data.loading import load_dataset
from kscale.data.raw import RawArray, RawData, RawPart

Y = np.array(["common"] * 180 + ["rare"] * 12 + ["other"] * 60)
X = np.random.default_rng(0).normal(size=(len(Y), 2)).astype(np.float32)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset((X, Y))


def test_classes_are_counted_in_each_part(data: Dataset) -> None:
    found = data.describe()
    json.dumps(found, allow_nan=False)
    rows = {row["name"]: row for row in found["targets"][0]["classes"]}
    for name, count in (("common", 180), ("rare", 12), ("other", 60)):
        assert sum(rows[name][part] for part in data.parts) == count
    assert found["examples"] == len(Y)
    assert {name: part["cut"] for name, part in found["parts"].items()} == {
        "train": False,
        "validation": True,
        "test": True,
    }


def test_the_baseline_is_the_score_of_the_majority(data: Dataset) -> None:
    baseline = data.describe()["targets"][0]["baseline"]
    ids = data.test.targets["label"]
    assert baseline["answer"] == "common"
    assert baseline["test"] == (ids == 0).mean()


def test_the_baseline_of_values_is_the_error_of_the_mean() -> None:
    data = load_dataset((X, X[:, 0] * 50 + 1))
    found = data.describe()["targets"][0]
    train, test = (part.targets["value"] for part in (data.train, data.test))
    wanted = np.sqrt(((test - train.mean()) ** 2).mean())
    assert found["baseline"]["test"] == pytest.approx(wanted, rel=1e-5)
    assert found["values"][0]["most"] == train.max()


def test_cautions_name_what_is_unbalanced_rare_or_uncertain(data: Dataset) -> None:
    unbalanced, rare, uncertain = data.describe()["warnings"]
    assert "126 training examples of 'common', 8 of 'rare'" in unbalanced
    assert "1 class of label has fewer than 20" in rare
    assert "38 examples" in uncertain and "4.9 points" in uncertain
    plenty = load_dataset((np.tile(X, (16, 1)), np.tile(Y[::-1] == "common", 16)))
    assert not [w for w in plenty.describe()["warnings"] if "also in" not in w]


def test_data_on_disk_and_groups_are_reported() -> None:
    people = RawArray.of("Column 'person'", np.arange(len(Y)) // 9)
    part = RawPart.of(X, (Y == "common").astype(int))
    raw = RawData({"train": part}, groups={"train": people})
    data = dataset_of("made", raw, Options(memory=1), 0)
    found = data.describe()
    assert found["memory"] == {"bytes": X.nbytes, "streamed": True}
    assert found["cut_by"] == "Column 'person'"
    text = " ".join(str(data).split())
    assert "in whole groups of column 'person'" in text
    assert "streamed from disk" in text


def test_of_many_notes_the_first_are_shown(data: Dataset) -> None:
    found = {**data.describe(), "notes": [f"Note {i}." for i in range(50)]}
    lines = dataset_text(found).splitlines()
    assert "Note: Note 19." in lines and "Note: Note 20." not in lines
    assert "Note: 30 further sentences; --json has all." in lines
