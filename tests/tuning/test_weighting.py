"""Class weights: what they are, and that the loss counts them."""

import numpy as np
import pytest
from tuning.made_data import digits, small_spec

from kscale.building.models import build_model
from kscale.data.class_weights import class_counts, class_weights_of
from kscale.data.dataset import Dataset
from kscale.data.loading import load_dataset
from kscale.engine.base import Network
from kscale.engine.engines import make_engine
from kscale.engine.recipe import Recipe
from kscale.errors import DataError, SpecError
from kscale.networks.families import find_family
from kscale.task.heads.classes import softmax
from kscale.tuning.fit_model import fit_model


def uneven() -> Dataset:
    """Digits, told apart from the rare 3."""
    data = digits()
    x, y = data.train.inputs["x"], data.train.targets["label"]
    kept = (y != 3) | (np.arange(len(y)) % 4 == 0)
    return load_dataset((x[kept], y[kept] == 3), name="threes")


def test_the_mean_weight_of_an_example_is_1_and_classes_count_the_same() -> None:
    data = uneven()
    (weights,) = class_weights_of(data, "balanced").values()
    (counts,) = class_counts(data).values()
    assert np.dot(weights, counts) == pytest.approx(len(data.train))
    assert weights[0] * counts[0] == pytest.approx(weights[1] * counts[1])
    assert class_weights_of(data, "none") == {}


def test_the_loss_is_the_mean_of_weighted_losses() -> None:
    data = uneven()
    spec = small_spec()
    blueprint = find_family("mlp").blueprint(spec, data.task)
    model = build_model(blueprint, seed=3)
    weights = class_weights_of(data, "balanced")
    network = Network(lambda _: model, find_family("mlp").size(spec, data.task))
    engine = make_engine("none")
    placed = engine.place(data, "balanced")
    program = engine.program([network], placed, Recipe(1, 10))
    program.start([3], [0.0])
    # Ten examples in one step, with the outputs that training mode gives.
    order = np.arange(10, dtype=np.int32)
    wanted = data.train.targets["label"][order]
    logits = model(data.train.inputs["x"][order], training=True).numpy()
    chosen = softmax(logits)[np.arange(10), wanted]
    expected = np.mean(weights["label"][wanted] * -np.log(chosen))
    assert program.run_epoch([order[None]])[0] == pytest.approx(expected, rel=1e-4)


def test_a_weighted_training_finds_more_of_the_rare_class() -> None:
    data = uneven()
    found = []
    for name in ("none", "balanced"):
        blueprint = find_family("linear").blueprint(
            find_family("linear").spec(), data.task
        )
        model = build_model(blueprint, seed=0)
        how = {"learning_rate": 0.01, "epochs": 2, "objective": "recall"}
        found.append(fit_model(model, data, class_weights=name, **how)[-1])
    assert found[1] > found[0]


def test_weights_that_cannot_be_are_refused() -> None:
    with pytest.raises(SpecError, match="class weights 'balancd'. Did you mean"):
        class_weights_of(digits(), "balancd")
    with pytest.raises(DataError, match="class_weights=balanced.*real values only"):
        class_weights_of(load_dataset("diabetes"), "balanced")
