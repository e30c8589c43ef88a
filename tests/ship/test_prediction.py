"""A prediction as a line and as plain data, for every kind of target."""

from kscale.ship.prediction import Prediction

SHOWN = Prediction(
    "a.csv:3",
    {"animal": (("cat", 0.75), ("dog", 0.25)), "tags": (("old", 0.9), ("wet", 0.6))},
    {"age": (2.5, 1e6)},
    several=["tags"],
)


def test_a_line_has_the_likeliest_class_all_labels_and_all_values() -> None:
    tags = "old (90.0 %) and wet (60.0 %)"
    assert str(SHOWN) == f"a.csv:3: cat (75.0 %), {tags}, 2.5 1e+06"
    nothing = Prediction("a", {"tags": ()}, several=["tags"])
    assert str(nothing) == "a: none"


def test_plain_data_has_every_target_under_its_name() -> None:
    targets = SHOWN.to_json()["targets"]
    assert (targets["animal"]["class"], targets["animal"]["probability"]) == (
        "cat",
        0.75,
    )
    assert targets["tags"]["classes"] == ["old", "wet"]
    assert [len(targets[name]["ranking"]) for name in ("animal", "tags")] == [2, 2]
    assert targets["age"] == {"values": [2.5, 1e6]}
    failed = Prediction("b", error="b is damaged")
    assert failed.to_json() == {"source": "b", "targets": None, "error": failed.error}
    assert str(failed) == "b: b is damaged"
