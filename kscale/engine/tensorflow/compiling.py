"""Losses, metrics and the optimizer of a network, as Keras has them."""

from typing import Any

import keras

from kscale.building.models import Schedule
from kscale.engine.recipe import Recipe
from kscale.task.tasks import Target


def example_losses(target: Target, labels: Any, outputs: Any, smoothing: float) -> Any:
    """The loss of each example, `(examples,)`, for labels as a data set holds them.

    Smoothing spreads a share of a label over all outputs, where the loss takes it.
    """
    if target.head.one_hot_loss is not None:
        labels = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), target.outputs)
    return _loss(target, smoothing).call(labels, outputs)


def _loss(target: Target, smoothing: float) -> keras.Loss:
    head = target.head
    call = head.one_hot_loss or head.loss
    smoothed = {"label_smoothing": smoothing} if head.is_named else {}
    made: keras.Loss = getattr(keras.losses, call.name)(**call.arguments, **smoothed)
    return made


def loss_for_fit(target: Target, smoothing: float) -> Any:
    """The loss that Keras compiles a network with."""
    if not smoothing or not target.head.is_named:
        loss = target.head.loss
        return getattr(keras.losses, loss.name)(**loss.arguments)
    if target.head.one_hot_loss is None:
        return _loss(target, smoothing)

    def smoothed(labels: Any, outputs: Any) -> Any:
        """Keras takes label smoothing with one-hot rows only."""
        return example_losses(target, labels, outputs, smoothing)

    return smoothed


def make_optimizer(
    recipe: Recipe, examples: int | None, learning_rate: float, weight_decay: float
) -> keras.Optimizer:
    """AdamW; biases, norms and embeddings do not decay.

    The learning rate follows the recipe's schedule for a number of training examples,
    and stays where none is given.
    """
    rate: Any = learning_rate
    if examples is not None:
        steps = max(1, recipe.steps_per_epoch(examples)) * recipe.epochs
        make: Any = Schedule  # has no types, as the code of a network prints it
        rate = make(steps, learning_rate, recipe.warmup, recipe.cooldown)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=weight_decay)
    optimizer.exclude_from_weight_decay(
        var_names=["bias", "gamma", "beta", "embeddings"]
    )
    return optimizer
