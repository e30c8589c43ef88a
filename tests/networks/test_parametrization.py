"""The width decides learning rates and initial values as the paper's table says."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from contracts.family import TASKS, task_for
from tuning.made_data import digits

from kscale.building.models import build_model, factor_of
from kscale.engine.family_network import family_network
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.epochs import EpochProgram
from kscale.engine.tensorflow.placing import PlacedData
from kscale.errors import SpecError
from kscale.guests.family_hypermodel import as_hypermodel
from kscale.networks.families import FAMILIES, find_family
from kscale.networks.families.base import Family
from kscale.networks.parametrization import factors_of
from kscale.searches import plan_search

WITH_WIDTH = [family for family in FAMILIES.values() if "width" in family.all_knobs]


def rows_of(weight: Any) -> int:
    """What a unit of the layer reads."""
    is_split = weight.path.split("/")[-2] in ("query", "key", "value")
    return int(weight.shape[0] if is_split else np.prod(weight.shape[:-1]))


def pairs(
    family: Family, width: int, **knobs: Any
) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """Weights of the default width and of a width, with the factors of the latter."""
    task, base = task_for(family, family.kinds[0]), family.knob("width").default
    depth = 2 if family.name in ("mlp", "cnn") else 1
    specs = [family.spec(depth=depth, width=n, **knobs) for n in (base, width)]
    factors = factors_of(specs[1], task, "mup")
    models = [
        build_model(family.blueprint(spec, task), seed=1, factors=made)
        for spec, made in zip(specs, ((), factors), strict=True)
    ]
    named = {factor.weight: factor for factor in factors}
    paths = [weight.path.split("/") for weight in models[1].weights]
    assert named.keys() <= {f"{path[0]}/{path[-1]}" for path in paths}
    for narrow, wide in zip(*(m.trainable_variables for m in models), strict=True):
        yield narrow, wide, {n: f.rate for n, f in named.items()}


@pytest.mark.parametrize("family", WITH_WIDTH, ids=lambda family: family.name)
@pytest.mark.parametrize("times", [4, 0.5])
def test_weights_start_and_train_by_how_they_grow(family: Family, times: float) -> None:
    """Which weights grow is read from the shapes of Keras here."""
    width = int(times * float(family.knob("width").default))
    knobs: dict[str, Any] = {
        "rnn": {"bidirectional": True},
        "gpt": {"tied": False},
        "seq2seq": {"shared_embeddings": "none"},
    }.get(family.name, {})
    kinds = set()
    for narrow, wide, rates in pairs(family, width, **knobs):
        is_matrix = len(wide.shape) > 1 and "bias" not in wide.name
        if not is_matrix or "depthwise" in wide.path or "embed" in wide.path:
            assert factor_of(wide, rates) == 1
            continue
        grown = rows_of(wide) / rows_of(narrow), wide.shape[-1] / narrow.shape[-1]
        is_hidden = grown[1] != 1 or "attention/" in wide.path or "memory/" in wide.path
        spread = 1.0 if grown[0] == 1 else times ** -(0.5 if is_hidden else 1.0)
        assert factor_of(wide, rates) == (1 if grown[0] == 1 else 1 / times), wide.path
        stds = [float(np.std(weight)) for weight in (narrow, wide)]
        if stds[0]:
            assert stds[1] / stds[0] == pytest.approx(spread, rel=0.25), wide.path
        kinds.add((grown[0] != 1, is_hidden))
    assert {(True, True), (True, False)} <= kinds


def test_a_table_that_the_output_reads_trains_as_an_output_and_starts_as_ever() -> None:
    for name, table in (("gpt", "embeddings"), ("seq2seq", "encoder_embeddings")):
        family = find_family(name)
        spec = family.spec(depth=1, width=512)
        factors = {it.weight: it for it in factors_of(spec, family.usual, "mup")}
        assert factors[f"{table}/embeddings"][1:] == (0.25, 1.0)


def test_the_default_width_trains_as_ever() -> None:
    for family in FAMILIES.values():
        task = task_for(family, family.kinds[0])
        assert factors_of(family.spec(), task, "mup") == ()
        assert factors_of(family.spec(), task, "standard") == ()


def test_what_is_read_by_fewer_units_than_wide_is_an_output() -> None:
    """VGG's dense layers have a width of their own."""
    spec = find_family("cnn").spec(width=128, head_units=64, norm="none", depth=1)
    found = {it.weight: it for it in factors_of(spec, TASKS["image"], "mup")}
    assert found.keys() == {"hidden1.dense/kernel"}
    assert found["hidden1.dense/kernel"][1:] == (0.25, 0.5)


def test_families_without_a_width_are_refused() -> None:
    asked: dict[str, Any] = {"max_params": 9_000, "parametrization": "mup"}
    for families in ("linear", ("mlp", "linear")):
        with pytest.raises(SpecError, match="family linear has none; choose standard"):
            plan_search(digits(), family=families, **asked)


def changes(model: keras.Model, train: Callable[[], Any]) -> dict[str, float]:
    """By how much a training changes what each layer before the output gives."""
    kinds = (keras.layers.Dense, keras.layers.Conv2D)
    made = [it for it in model.layers if isinstance(it, kinds)][:-1]
    probe = keras.Model(model.input, [layer.output for layer in made])
    images = digits().validation.inputs["x"][:64]
    before = probe(images)
    train()
    moved = [float(np.std(b - a)) for a, b in zip(before, probe(images), strict=True)]
    return dict(zip([layer.name for layer in made], moved, strict=True))


def slopes(found: dict[int, dict[str, float]]) -> list[float]:
    """Slope of the logarithm of each change against that of the width."""
    widths = np.log(list(found))
    return [
        float(np.polyfit(widths, np.log([it[name] for it in found.values()]), 1)[0])
        for name in next(iter(found.values()))
    ]


@pytest.mark.parametrize("parametrization", ["standard", "mup"])
def test_steps_of_keras_change_wide_layers_as_narrow_ones(parametrization: str) -> None:
    """By `fit`, of two widths and one seed: the margins are wide."""
    found = {}
    train = digits().train
    for width in (64, 512):
        knobs = {"width": width, "depth": 3, "norm": "none", "learning_rate": 3e-3}
        hypermodel = as_hypermodel(
            "mlp", digits().task, settings=knobs, parametrization=parametrization
        )
        model = hypermodel.build(keras_tuner.HyperParameters())
        model.run_eagerly = True

        def fit(model: keras.Model = model) -> None:
            for step in range(5):
                rows = slice(32 * step, 32 * step + 32)
                model.train_on_batch(
                    train.inputs["x"][rows], train.targets["label"][rows]
                )

        found[width] = changes(model, fit)
    first, *hidden = slopes(found)
    assert abs(first) < 0.2
    if parametrization == "mup":
        assert np.abs(hidden).max() < 0.2
    else:
        assert min(hidden) > 0.3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "widths"),
    [("mlp", (64, 128, 256, 512, 1024)), ("cnn", (16, 32, 64, 128))],
)
def test_steps_change_layers_alike_at_all_widths(
    family: str, widths: tuple[int, ...]
) -> None:
    """The mean of three seeds, by a search's loop."""
    recipe, placed = Recipe(1, 32, warmup=0.0, cooldown=0.0), PlacedData(digits())
    worst = {}
    for parametrization in ("standard", "mup"):
        found = {}
        for width in widths:
            spec = find_family(family).spec(width=width, depth=3, norm="none")
            network = family_network(spec, digits().task, parametrization)
            program = EpochProgram(
                network, placed, recipe, tf.distribute.get_strategy(), compiled=False
            )
            logs = []
            for seed in (1, 2, 3):
                order = recipe.order(len(digits().train), seed, 0)[:5]
                program.start([seed], [1e-3])
                moved = changes(program.model, partial(program.run_epoch, [order]))
                logs.append({name: np.log(it) for name, it in moved.items()})
            found[width] = {
                name: float(np.exp(np.mean([log[name] for log in logs])))
                for name in logs[0]
            }
        worst[parametrization] = slopes(found)
    assert np.abs(worst["mup"]).max() < 0.15
    assert max(worst["standard"]) > 0.3
