"""A prediction as a line and as plain data, for every kind of target."""

from kscale.ship.prediction import Prediction

SHOWN = Prediction(
    "a.csv:3",
    {"animal": (("cat", 0.75), ("dog", 0.25))},
    {"age": (2.5, 1e6)},
    labels={"tags": (("old", 0.9), ("wet", 0.6))},
)


def test_a_line_has_the_likeliest_class_all_labels_and_all_values() -> None:
    tags = "old (90.0 %), wet (60.0 %)"
    assert str(SHOWN) == f"a.csv:3: cat (75.0 %), {tags}, 2.5 1e+06"
    assert str(Prediction("a", labels={"tags": ()})) == "a: no label"


def test_plain_data_has_every_target_under_its_name() -> None:
    targets = SHOWN.to_json()["targets"]
    ranking = targets["animal"].pop("ranking")
    assert targets["animal"] == {"class": "cat", "probability": 0.75} == ranking[0]
    assert [each["label"] for each in targets["tags"]["labels"]] == ["old", "wet"]
    assert targets["age"] == {"values": [2.5, 1e6]}
    failed = Prediction("b", error="b is damaged")
    assert failed.to_json() == {"source": "b", "targets": None, "error": failed.error}
    assert str(failed) == "b: b is damaged"
