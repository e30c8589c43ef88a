"""Losses of Keras, made of what heads say of them."""

from typing import Any

import keras

from kscale.task.heads import Head
from kscale.task.tasks import Target


def example_losses(target: Target, labels: Any, outputs: Any, smoothing: float) -> Any:
    """The loss of each example, `(examples,)`.

    Args:
        target: What is learned.
        labels: Labels as a data set holds them.
        outputs: What a network gives, `(examples, outputs)`.
        smoothing: Share of a label spread over all outputs, where the loss takes it.
    """
    if target.head.one_hot_loss is not None:
        labels = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), target.outputs)
    return _loss(target.head, smoothing).call(labels, outputs)


def _loss(head: Head, smoothing: float) -> keras.Loss:
    """The loss that `example_losses` takes."""
    call = head.one_hot_loss or head.loss
    smoothed = {"label_smoothing": smoothing} if head.is_named else {}
    made: keras.Loss = getattr(keras.losses, call.name)(**call.arguments, **smoothed)
    return made


def loss_for_fit(target: Target, smoothing: float) -> Any:
    """The loss that Keras compiles a network with."""
    if smoothing and target.head.one_hot_loss is not None:

        def smoothed(labels: Any, outputs: Any) -> Any:
            """Keras takes label smoothing with one-hot rows only."""
            return example_losses(target, labels, outputs, smoothing)

        return smoothed
    if smoothing and target.head.is_named:
        return _loss(target.head, smoothing)
    return getattr(keras.losses, target.head.loss.name)(**target.head.loss.arguments)


def metric_for_fit(target: Target) -> keras.Metric:
    """The metric that Keras shows while it trains a network."""
    call = target.head.watched
    made: keras.Metric = getattr(keras.metrics, call.name)(**call.arguments)
    return made
