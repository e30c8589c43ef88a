"""The contract of an engine; see `kscale.engine.base`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kscale.data.dataset import Dataset
from kscale.engine.base import Engine, Network, Program, Teacher
from kscale.engine.progress import Progress, progress_in
from kscale.engine.recipe import Recipe

RECIPE = Recipe(epochs=4, batch_size=128)


def check_engine(
    engine: Engine, network: Network, dataset: Dataset, folder: Path
) -> None:
    """Whether an engine keeps its promises, with a network without random layers."""
    placed = engine.place(dataset)

    def started(seed: int = 11, rate: float = 0.01) -> Program:
        program = engine.program([network], placed, RECIPE)
        program.start([seed], [rate])
        return program

    def epoch(program: Program, number: int) -> float:
        (loss,) = program.run_epoch([RECIPE.order(len(dataset.train), 11, number)])
        return loss

    def outputs(program: Program) -> np.ndarray[Any, Any]:
        (found,) = program.predict(dataset.validation.inputs)
        assert found.keys() == {target.name for target in dataset.task.targets}
        (target,), count = dataset.task.targets, len(dataset.validation)
        assert found[target.name].shape == (count, target.outputs)
        return found[target.name]

    # Seeds decide the weights, learning rates how far they move.
    whole, same, other = started(), started(), started(seed=12)
    np.testing.assert_array_equal(outputs(whole), outputs(same))
    assert np.abs(outputs(whole) - outputs(other)).max() > 1e-3
    before = whole.score()
    losses = [epoch(whole, number) for number in range(3)]
    assert whole.score() > before  # of an accuracy
    assert losses == sorted(losses, reverse=True)
    still = started(rate=0.0)
    before = outputs(still)
    epoch(still, 0)
    np.testing.assert_array_equal(outputs(still), before)

    # A checkpoint holds all that a training needs to go on.
    path, progress = folder / "weights.npz", Progress(1, {"loss": [losses[0]]})
    assert epoch(same, 0) == pytest.approx(losses[0], rel=1e-5)
    same.save(path, progress)
    assert progress_in(path) == progress
    assert other.load(path) == progress
    rest = [epoch(other, number) for number in (1, 2)]
    assert rest == pytest.approx(losses[1:], rel=1e-4)

    # A new training may begin with weights that were trained, at its full rate.
    epoch(other, 3)
    before = outputs(other)
    other.save(path, progress)
    fresh = started(rate=0.03)
    assert fresh.load(path, only_weights=True) == progress
    np.testing.assert_array_equal(outputs(fresh), before)
    epoch(fresh, 0)
    assert np.abs(outputs(fresh) - before).max() > 1e-2

    # An unusable checkpoint changes nothing.
    (folder / "damaged.npz").write_bytes(path.read_bytes()[:-200])
    before = outputs(other)
    for name in ("damaged.npz", "none.npz"):
        assert other.load(folder / name) is None
    np.testing.assert_array_equal(outputs(other), before)

    # A program that was closed trains as a new one does, whatever it trained before.
    other.close()
    again = started()
    np.testing.assert_array_equal(outputs(again), outputs(started()))
    assert epoch(again, 0) == pytest.approx(losses[0], rel=1e-5)

    # Weights are held at 0 while others are trained, until the next start.
    seen: list[dict[str, Any]] = []

    def look(weights: Mapping[str, Any]) -> dict[str, Any]:
        seen.append(dict(weights))
        return {}

    held = started()
    name = "held by nobody"

    def hold_half(weights: Mapping[str, Any]) -> dict[str, Any]:
        nonlocal name
        name = max(weights, key=lambda each: weights[each].size)
        return {name: np.arange(weights[name].size).reshape(weights[name].shape) % 2}

    epoch(held, 0)
    held.hold(hold_half)
    epoch(held, 1)
    held.hold(look)
    np.testing.assert_array_equal(seen[-1][name].ravel()[::2], 0)
    assert np.all(seen[-1][name].ravel()[1::2] != 0)
    held.close()
    again = started()
    assert epoch(again, 0) == pytest.approx(losses[0], rel=1e-5)

    # A teacher is learned from beside the labels, or instead of them.
    (target,), labels = dataset.task.targets, dataset.train.targets
    wrong = (labels[target.name][:] + 1) % target.outputs
    logits = 10 * np.eye(target.outputs, dtype="float32")[wrong]
    taught = engine.place(dataset, teacher=Teacher({target.name: logits}, 1.0))
    pupil = engine.program([network], taught, RECIPE)
    pupil.start([11], [0.03])
    for number in range(RECIPE.epochs):
        epoch(pupil, number)
    answers = outputs(pupil).argmax(axis=1)
    right = (dataset.validation.targets[target.name][:] + 1) % target.outputs
    assert np.mean(answers == right) > 0.7

    # Several members train as each alone, and their checkpoints are those of each.
    several = engine.program([network, network], placed, RECIPE)
    several.start([12, 11], [0.03, 0.01])
    orders = [RECIPE.order(len(dataset.train), 11, 0)] * 2
    assert several.run_epoch(orders)[1] == pytest.approx(losses[0], rel=1e-5)
    several.save(path, progress, member=1)
    assert several.load(path, member=0) == again.load(path) == progress
    for part in several.predict(dataset.validation.inputs):
        (found,) = part.values()
        np.testing.assert_allclose(found, outputs(again), atol=1e-4)
    assert several.score() == pytest.approx([again.score()[0]] * 2)
    assert engine.are_trained_at_once([network] * 10**6, RECIPE) is False
