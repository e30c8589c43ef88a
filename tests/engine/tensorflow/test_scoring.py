"""Scores worked out on the device are those of the same outputs in NumPy."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tuning.made_data import made_loop, small_spec

from kscale.data.loading import load_dataset
from kscale.data.preprocessing.scaled import Scaling
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.population import Population
from kscale.task.evaluation import mean_score
from kscale.task.heads import HEADS
from kscale.task.objectives import task_objective
from kscale.task.tasks import Target

EXAMPLES = 700
SCALING = Scaling((20.0,) * 7, (300.0,) * 7)
KINDS = [kind for kind, head in HEADS.items() if not head.is_sequence]
TARGETS = [*(Target(kind, kind, 7) for kind in KINDS), Target("two", "classes", 2)]


def made_answers(target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Labels, of which the last of several never occurs, and outputs of a network."""
    rng = np.random.default_rng(target.outputs)
    outputs = rng.normal(size=(EXAMPLES, target.outputs)).astype(np.float32)
    if not target.head.is_named:
        near = outputs + rng.normal(size=outputs.shape)
        return SCALING.apply(near), outputs
    if target.head.is_exclusive:
        labels = rng.integers(0, max(2, target.outputs - 1), EXAMPLES)
    else:
        labels = rng.integers(0, 2, outputs.shape)
        labels[:, -1] = 0
    return labels.astype(np.int32), outputs


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_sums_of_a_graph_give_every_metric_of_numpy(target: Target) -> None:
    labels, outputs = made_answers(target)
    scaling = None if target.head.is_named else SCALING
    metrics = {
        name: metric
        for name, metric in target.head.objectives.items()
        if target.outputs >= metric.least_outputs
    }
    specs = [tf.TensorSpec((None, *a.shape[1:]), a.dtype) for a in (labels, outputs)]

    @tf.function(autograph=False, input_signature=specs)
    def gathered(wanted: Any, numbers: Any) -> Any:
        given = getattr(keras.activations, target.head.activation)(numbers)
        if scaling is not None:
            given = given * scaling.scale + scaling.offset
        return {
            name: metric.gathered(keras.ops, wanted, given)
            for name, metric in metrics.items()
        }

    pieces = np.split(np.arange(EXAMPLES), [300, 600])
    parts = [gathered(labels[rows], outputs[rows]) for rows in pieces]
    given = target.head.activate(outputs)
    given = given if scaling is None else scaling.apply(given)
    for name, metric in metrics.items():
        score = metric.of(labels, [part[name].numpy() for part in parts])
        assert score == pytest.approx(metric.compute(labels, given), rel=1e-6), name


@pytest.mark.parametrize("memory", [None, 0], ids=["placed", "streamed"])
def test_a_network_is_scored_alike_on_the_device_and_on_the_host(
    memory: int | None,
) -> None:
    x = np.random.default_rng(0).normal(size=(4000, 3)).astype(np.float32)
    labels = {"sign": (x[:, 0] > 0).astype(int), "sum": 50 + 9 * x.sum(axis=1)}
    data = load_dataset((x, labels), memory=memory)
    # 600 examples: two batches, or nine chunks of which the last is smaller.
    chunk = 70 * 3 * 4 if memory == 0 else 2**26
    recipe = Recipe(epochs=4, batch_size=100)
    single = made_loop(small_spec(), recipe, data, chunk_bytes=chunk, on_device=True)
    several = Population(
        *(single.network, single.data, recipe, single.strategy), on_device=True
    )
    several.networks = [single.network] * 2
    several.start([1, 2], [0.01, 0.02])
    objective = task_objective(None, data.task)
    for program in (single, several):
        for epoch in range(2):
            order = recipe.order(len(data.train), 1, epoch)
            program.run_epoch([order] * len(program.networks))
            expected = [
                mean_score(objective, data.task, data.pairs("validation", outputs))
                for outputs in program.predict(data.validation.inputs)
            ]
            assert program.score() == pytest.approx(expected, rel=1e-6)
    assert len(set(expected)) == 2
    assert data.validation.inputs["x"].shape == (600, 3)
