"""A search whose networks have a trunk and two heads, from data to the model."""

from typing import Any

import numpy as np
import pytest
from tuning.made_data import digits

from kscale import Dataset, Run, load_dataset, tune
from kscale.building.models import build_model
from kscale.errors import DataError
from kscale.networks.families import find_family
from kscale.runs.folder import RESULTS_FILE
from kscale.searches import plan_search
from kscale.tuning.fit_model import fit_model

SMALL: dict[str, Any] = {
    "max_params": 1200,
    "trials": 2,
    "epochs": 2,
    "batch_size": 128,
    "finalist_seeds": 1,
    "most_finalists": 2,
    "max_latency_ms": 10_000,
    "class_weights": "balanced",
}


def two_labels() -> Dataset:
    """Digits with a second label: whether they are odd."""
    data = digits()
    x = np.concatenate([part.inputs["x"] for part in data.parts.values()])
    y = np.concatenate([part.targets["label"] for part in data.parts.values()])
    return load_dataset((x, {"digit": y, "odd": y % 2}), name="digits")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search that ended by itself."""
    return tune(two_labels(), run=tmp_path_factory.mktemp("runs") / "two", **SMALL)


def test_the_score_is_the_mean_over_both_heads(run: Run) -> None:
    assert run.objective.name == "accuracy"
    scored = [*run.trainings, *run.evaluations, *run.references]
    assert {r.stage for r in run.trainings} == {"baseline", "search", "finalist"}
    assert run.evaluations and run.references
    for result in scored:
        heads = [result.metrics[f"{name}/accuracy"] for name in ("digit", "odd")]
        assert result.score == pytest.approx(np.mean(heads), abs=1e-5)
        assert result.stderr is not None and result.stderr > 0


def test_the_majority_row_answers_both_targets(run: Run) -> None:
    majority = run.references[0]
    labels, known = (two_labels().parts[name] for name in ("validation", "train"))
    for name, wanted in labels.targets.items():
        most = np.bincount(known.targets[name]).argmax()
        expected = (wanted == most).mean()
        assert majority.metrics[f"{name}/accuracy"] == pytest.approx(expected, abs=1e-5)


def test_one_network_has_both_heads_and_counts_its_trunk_once(run: Run) -> None:
    entry = run.recommended()
    size = find_family(entry.spec.family).size(entry.spec, run.task)
    assert size.params == entry.params <= 1200
    model = run.load_model("recommended")
    assert model.count_params() == entry.params
    data = two_labels()
    raw = data.input_scaling["x"].invert(data.test.inputs["x"])
    given = model.predict(raw, verbose=0)
    assert given.keys() == {"digit", "digit_class", "odd", "odd_class"}
    row = run.report().recommended
    assert row is not None
    for name, wanted in data.test.targets.items():
        likeliest = given[name].argmax(axis=1)
        # The names of the classes are their numbers here.
        assert given[f"{name}_class"].tolist() == [b"%d" % c for c in likeliest]
        accuracy = (likeliest == wanted).mean()
        assert row.test_metrics[f"{name}/accuracy"] == pytest.approx(accuracy, abs=1e-5)


def test_the_report_shows_both_heads(run: Run) -> None:
    text = run.to_text()
    assert "accuracy (mean over digit and odd) on 270 validation examples" in text
    assert "on the test part, digit: accuracy" in text
    assert "on the test part, odd: accuracy" in text
    assert {item["target"] for item in run.to_json()["quality"]} == {"digit", "odd"}


def test_the_same_search_trains_nothing_again(run: Run) -> None:
    before = (run.folder / RESULTS_FILE).read_bytes()
    tune(two_labels(), run=run.folder, **SMALL)
    assert (run.folder / RESULTS_FILE).read_bytes() == before


def test_a_model_trained_by_hand_is_scored_by_the_mean() -> None:
    data = two_labels()
    family = find_family("linear")
    model = build_model(family.blueprint(family.spec(), data.task), seed=1)
    (score,) = fit_model(model, data, learning_rate=0.01, epochs=1)
    (other,) = fit_model(model, data, learning_rate=1e-9, epochs=1, objective="recall")
    assert 0.3 < score < 1 and 0.3 < other < 1


def test_options_of_each_training_are_part_of_what_a_search_is() -> None:
    plain = plan_search(two_labels(), max_params=1200)
    for option in ({"class_weights": "balanced"}, {"precision": "bfloat16"}):
        other = plan_search(two_labels(), max_params=1200, **option)
        assert not option.keys() & plain.identity.keys()
        assert other.identity == plain.identity | option
        assert plain.name != other.name


def test_weights_without_classes_are_refused_before_the_search() -> None:
    with pytest.raises(DataError, match="needs a target of classes"):
        plan_search("diabetes", max_params=1000, class_weights="balanced")
