"""Training one model by hand, in the way of a search."""

from collections.abc import Callable
from typing import Any

import keras

from kscale.data.loading import load_dataset
from kscale.engine.base import Network
from kscale.engine.engines import make_engine
from kscale.engine.recipe import Recipe
from kscale.errors import SpecError
from kscale.networks.sizing import Size
from kscale.task.objectives import task_objective

EpochScored = Callable[[int, float], None]
"""Called after each epoch with the number of epochs done and the validation score."""


def fit_model(
    model: keras.Model,
    data: Any,
    *,
    learning_rate: float,
    weight_decay: float = 0.004,
    label_smoothing: float = 0.0,
    class_weights: str = "none",
    objective: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    epochs_from: int = 0,
    epochs_to: int | None = None,
    on_epoch: EpochScored | None = None,
) -> list[float]:
    """Train a model as `kscale.tune` trains every network, and score each epoch.

    The same loop, optimizer, schedule and order of examples, without a run folder: for
    the `fit` of a `keras_tuner.HyperModel`, or to train a blueprint by hand. How the
    model was compiled does not matter.

    Args:
        model: Takes the task's inputs and gives its targets, classes as logits; its
            weights are changed.
        data: What to train and validate on, anything `kscale.load_dataset` takes; the
            test part is not touched.
        learning_rate: Largest learning rate.
        weight_decay, label_smoothing: As the knobs of these names.
        class_weights: `balanced` for every class to count the same, or `none`.
        objective: As `kscale.tune`.
        epochs: Epochs of a whole training, which the schedule is made for.
        batch_size: Examples a step.
        seed: Decides the order of examples.
        epochs_from: Epochs that the weights have been trained already; the optimizer
            starts anew, the schedule goes on.
        epochs_to: Epochs after which to stop; without it all.
        on_epoch: Called after each epoch.

    Returns:
        Score on the validation part after each epoch.

    Raises:
        DataError: The data cannot be read, or the metric is unknown.
        SpecError: A number makes no sense.
    """
    _check("epochs", epochs, int, 1, 10**9)
    _check("batch_size", batch_size, int, 1, 10**9)
    for name, value, high in (
        ("learning_rate", learning_rate, 10.0),
        ("weight_decay", weight_decay, 10.0),
        ("label_smoothing", label_smoothing, 0.95),
    ):
        _check(name, value, int | float, 0, high)
    dataset = load_dataset(data)
    recipe = Recipe.for_examples(len(dataset.train), epochs, batch_size)
    last = recipe.epochs if epochs_to is None else epochs_to
    if not 0 <= epochs_from < last <= recipe.epochs:
        raise SpecError(
            f"`0 <= epochs_from < epochs_to <= epochs` must hold, but got "
            f"epochs_from={epochs_from}, epochs_to={last}, epochs={recipe.epochs}."
        )
    wanted_metric = task_objective(objective, dataset.task)
    engine = make_engine("none")
    network = Network(
        lambda _: model,
        Size(0, 0, 0, 0, 0),
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
    )
    placed = engine.place(dataset, class_weights, wanted_metric)
    program = engine.program([network], placed, recipe)
    program.start([seed], [learning_rate], epochs_from)
    scores = []
    for epoch in range(epochs_from, last):
        order = recipe.order(len(dataset.train), seed, epoch, dataset.lengths)
        program.run_epoch([order])
        scores += program.score()
        if on_epoch is not None:
            on_epoch(epoch + 1, scores[-1])
    return scores


def _check(name: str, value: Any, kind: Any, low: float, high: float) -> None:
    """Raise a SpecError unless a value is a number in range; None is in any range."""
    is_number = isinstance(value, kind) and not isinstance(value, bool)
    if value is not None and not (is_number and low <= value <= high):
        raise SpecError(f"`{low} <= {name} <= {high:g}` must hold, but got {value!r}.")
