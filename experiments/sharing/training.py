"""Trains the shared network by the sandwich rule, and scores every size from it."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import tensorflow as tf
from tables.grids import Grid

from kscale.data.dataset import Dataset
from kscale.engine.tensorflow.compiling import FusedAdamW, make_optimizer
from sharing.network import SharedNetwork

Sizes = tuple[int, int]
"""Depth and width."""

_RANDOM = 2  # networks of a step beside the largest and the smallest
_CALIBRATED = 1024  # examples that moments are taken from
_FORWARD = 1 / 3  # of the work of a training step


@dataclass(eq=False)
class SharedTraining:
    """The networks of a grid inside a limit, trained as parts of one.

    Args:
        grid: The grid, of whose recipe there is one training.
        dataset: What to train on.
        work: Of each size that may be drawn, `Size.training_work`.
        rate: Largest learning rate.
        seed: Decides weights, order and sizes.
        is_distilled: Whether all but the largest learn what the largest says (in-place
            distillation, Yu & Huang 2019) instead of the labels.
    """

    grid: Grid
    dataset: Dataset
    work: dict[Sizes, float]
    rate: float
    seed: int
    is_distilled: bool = False

    def __post_init__(self) -> None:
        self.recipe = self.grid.recipe(self.dataset)
        self.network = SharedNetwork(self.grid, self.dataset, self.seed)
        decay = self.grid.network(self.dataset, *next(self.grid.sizes())).weight_decay
        examples = len(self.dataset.train)
        self.optimizer = make_optimizer(
            self.recipe, examples, self.rate, decay, FusedAdamW
        )
        self.optimizer.build(self.network.variables)
        graph = partial(tf.function, autograph=False)
        self._slopes = [graph(self._slope(depth)) for depth in self.grid.depths]
        self._epoch = graph(self._run_epoch)

    @cached_property
    def _train(self) -> tuple[Any, Any]:
        return self._part("train")

    def _part(self, name: Any) -> tuple[Any, Any]:
        part = self.dataset.parts[name]
        (inputs,), (labels,) = part.inputs.values(), part.targets.values()
        return np.asarray(inputs[:]), np.asarray(labels).ravel()

    def train(self) -> float:
        """Train; what it cost, in `work` times the steps of one training."""
        inputs, labels = map(tf.constant, self._train)
        rng, recipe, sizes = (
            np.random.default_rng([self.seed, 1]),
            self.recipe,
            self.work,
        )
        ends = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
        spent, every = [], np.array([*sizes])
        for epoch in range(recipe.epochs):
            order = recipe.order(len(inputs), self.seed, epoch)
            drawn = every[rng.integers(len(every), size=(len(order), _RANDOM))]
            fixed = np.broadcast_to(ends, (len(order), 2, 2))
            steps = np.concatenate([fixed, drawn], axis=1).astype(np.int32)
            depths = np.searchsorted(self.grid.depths, steps[..., 0]).astype(np.int32)
            widths = steps[..., 1]
            self._epoch(order, depths, widths, inputs, labels)
            spent += [sum(sizes[d, w] for d, w in step) for step in steps.tolist()]
        return float(np.mean(spent))

    def _run_epoch(
        self, order: Any, depths: Any, widths: Any, inputs: Any, labels: Any
    ) -> None:
        """Steps of the largest network, which comes first, the smallest, and others."""

        def step(place: Any) -> Any:
            chosen = order[place]
            classes = self.dataset.task.targets[0].outputs
            batch = tf.gather(inputs, chosen)
            wanted = tf.one_hot(tf.gather(labels, chosen), classes)
            slopes = []
            for member in range(2 + _RANDOM):
                about = (batch, wanted, widths[place, member])
                branches = [partial(slope, *about) for slope in self._slopes]
                given, slope = tf.switch_case(depths[place, member], branches)
                slopes.append(slope)
                if self.is_distilled and member == 0:
                    wanted = given
            total = [tf.add_n(of_weight) for of_weight in zip(*slopes, strict=True)]
            self.optimizer.apply(total, self.network.variables)
            return place + 1

        count = tf.shape(order)[0]
        tf.while_loop(lambda place: place < count, step, [tf.constant(0)])

    def _slope(self, depth: int) -> Any:
        """What gives probabilities and gradients of networks of a depth."""
        variables = [variable.value for variable in self.network.variables]

        def slope(batch: Any, wanted: Any, width: Any) -> Any:
            with tf.GradientTape() as tape:
                logits, _ = self.network.logits(batch, depth, width)
                losses = tf.nn.softmax_cross_entropy_with_logits(wanted, logits)
                loss = tf.reduce_mean(losses)
            found = tape.gradient(
                loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            return tf.nn.softmax(logits), [tf.convert_to_tensor(each) for each in found]

        return slope

    def scores(self) -> dict[Sizes, float]:
        """Accuracy in per cent on validation of each size; the moments of its layers
        are taken from training examples."""
        some = tf.constant(self._train[0][:_CALIBRATED])
        inputs, labels = self._part("validation")
        found = {}
        for depth, width in self.work:
            moments = self.network.logits(some, depth, width)[1]
            given = self.network.logits(tf.constant(inputs), depth, width, moments)[0]
            right = np.argmax(given.numpy(), axis=1) == labels
            found[depth, width] = 100.0 * float(right.mean())
        return found

    def scoring_work(self) -> float:
        """What scores cost, in `work` times the steps of one training."""
        passed = min(_CALIBRATED, len(self.dataset.train)) + len(
            self.dataset.validation
        )
        trained = self.recipe.epochs * len(self.dataset.train)
        return _FORWARD * sum(self.work.values()) * passed / trained
