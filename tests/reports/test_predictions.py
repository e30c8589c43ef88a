"""Predictions as a table, CSV and JSON, written while they are made."""

import csv
import io
import json
from collections.abc import Iterator

import pytest

from kscale.reports.prediction_tables import FORMS, predictions_csv, predictions_text
from kscale.ship.prediction import Prediction
from kscale.task.tasks import Input, Target, Task

TASK = Task(
    (Input("x", "vector", (2,)),),
    (Target("kind", "classes", 3, ("a", "b", "-1")), Target("cost", "real", 1)),
)
MADE = [
    Prediction("one.npy:0", {"kind": (("b", 0.5), ("a", 0.25))}, {"cost": (1.5,)}),
    Prediction("=two.npy", error="=two.npy is damaged"),
    Prediction("3.npy:12", {"kind": (("-1", 0.875), ("b", 0.1))}, {"cost": (-2e6,)}),
]


def test_the_table_has_aligned_columns_of_what_could_be_read() -> None:
    assert "".join(predictions_text(MADE, TASK, 2)).splitlines() == [
        "source     kind  kind probability  kind 2  kind 2 probability  cost",
        "one.npy:0  b     0.5               a       0.25                1.5",
        "3.npy:12   -1    0.875             b       0.1                 -2000000",
    ]
    assert not "".join(predictions_text(MADE[1:2], TASK))


def test_csv_has_a_row_for_each_example_and_no_formulas() -> None:
    text = "".join(predictions_csv(MADE, TASK, 1))
    header, *rows = csv.reader(io.StringIO(text))
    assert header == ["source", "kind", "kind_probability", "cost", "error"]
    assert rows[0] == ["one.npy:0", "b", "0.5", "1.5", ""]
    assert rows[1] == ["'=two.npy", "", "", "", "'=two.npy is damaged"]
    assert rows[2] == ["3.npy:12", "-1", "0.875", "-2000000.0", ""]


@pytest.mark.parametrize("made", [MADE, []])
def test_json_is_one_document(made: list[Prediction]) -> None:
    found = json.loads("".join(FORMS["json"](made, TASK, 2)))
    assert len(found) == len(made)
    if made:
        kind = found[0]["targets"]["kind"]
        assert (kind["class"], kind["probability"], len(kind["ranking"])) == (
            "b",
            0.5,
            2,
        )
        assert found[0]["targets"]["cost"] == {"values": [1.5]}
        assert found[0]["error"] is None
        assert found[1] == {
            "source": "=two.npy",
            "targets": None,
            "error": "=two.npy is damaged",
            "notes": [],
        }


@pytest.mark.parametrize("form", FORMS)
def test_predictions_are_written_while_they_are_made(form: str) -> None:
    """An endless source is read no further than a page ahead."""
    asked = []

    def endless() -> Iterator[Prediction]:
        while True:
            asked.append(1)
            yield MADE[0]

    texts = FORMS[form](endless(), TASK, 1)
    assert "one.npy" in next(texts) + next(texts)
    assert len(asked) <= 512
