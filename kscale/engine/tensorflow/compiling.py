"""Losses, metrics and the optimizer of a network, as Keras has them."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kscale.building.models import ScaledAdamW, Schedule
from kscale.engine.recipe import Recipe
from kscale.networks.parametrization import Factor
from kscale.task.tasks import Target


def example_losses(
    target: Target,
    labels: Any,
    outputs: Any,
    smoothing: float,
    mean: Callable[[Any], Any] = keras.ops.mean,
) -> Any:
    """The loss of each example, `(examples,)`, for labels as a data set holds them.

    The mean of sequences' losses over a batch is that of a token or character.
    Smoothing spreads a share of a label over all outputs, where the loss takes it.

    Args:
        target, labels, outputs, smoothing: As of `Losses`.
        mean: What counts `(examples,)` are on average over the whole batch, of which
            the examples may be one device's share.
    """
    if target.head.losses is not None:
        of_all = target, labels, outputs, smoothing
        sums, counts = target.head.losses(keras.ops, *of_all)
        return sums / keras.ops.maximum(mean(counts), 1.0)
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
    head = target.head
    if head.losses is None and not (smoothing and head.is_named):
        return getattr(keras.losses, head.loss.name)(**head.loss.arguments)
    if head.losses is None and head.one_hot_loss is None:
        return _loss(target, smoothing)

    def smoothed(labels: Any, outputs: Any) -> Any:
        """Keras takes label smoothing with one-hot rows only."""
        return example_losses(target, labels, outputs, smoothing)

    return smoothed


class FusedAdamW(ScaledAdamW):
    """AdamW whose step is a single operation of TensorFlow for each weight.

    The numbers are those of Keras, and so is the order of the optimizer's variables.
    Keras makes the step of some 20 operations, each of which is traced, scheduled and
    passes over the weights (`experiments/training_speed.py`).
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        step = tf.cast(self.iterations.value + 1, tf.float32)
        self._powers = tf.pow(self.beta_1, step), tf.pow(self.beta_2, step)
        super().apply(grads, trainable_variables)

    def _apply_weight_decay(self, variables: Any) -> None:
        """Left to `update_step`, which is given the learning rate of the step."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        rate, dtype = tf.cast(learning_rate, variable.dtype), variable.dtype
        weight = self._trainable_variables[index]
        if self.weight_decay and self._use_weight_decay(weight):
            lost = variable * (rate * tf.cast(self.weight_decay, dtype))
            tf.raw_ops.AssignSubVariableOp(resource=variable.handle, value=lost)
        if (factor := self.factors[index]) != 1:
            rate *= tf.cast(factor, dtype)
        first, second = self._powers
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=first,
            beta2_power=second,
            lr=rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.convert_to_tensor(gradient),
        )


def make_optimizer(
    recipe: Recipe,
    examples: int | None,
    learning_rate: Any,
    weight_decay: float,
    kind: type[keras.Optimizer] | None = None,
    factors: Sequence[Factor] = (),
) -> keras.Optimizer:
    """AdamW; biases, norms and embeddings do not decay.

    The learning rate follows the recipe's schedule for a number of training examples,
    and stays where none is given.

    Args:
        recipe: Steps and schedule.
        examples: Training examples.
        learning_rate: A number, or a variable that holds one.
        weight_decay: Share of a weight that a step takes away.
        kind: Class of the optimizer, `ScaledAdamW` or a subclass; None for Keras'
            AdamW, or for `ScaledAdamW` where there are factors.
        factors: Factors of the learning rate of each weight, by the width.
    """
    rate: Any = learning_rate
    if examples is not None:
        steps = max(1, recipe.steps_per_epoch(examples)) * recipe.epochs
        make: Any = Schedule  # has no types, as the code of a network prints it
        rate = make(steps, learning_rate, recipe.warmup, recipe.cooldown)
    kind = kind or (ScaledAdamW if factors else None)
    rates = {"rates": {factor.weight: factor.rate for factor in factors}}
    optimizer: Any = (kind or keras.optimizers.AdamW)(
        rate, weight_decay=weight_decay, **(rates if kind else {})
    )
    optimizer.exclude_from_weight_decay(
        var_names=["bias", "gamma", "beta", "embeddings"]
    )
    return optimizer
