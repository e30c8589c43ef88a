"""Magnitude pruning: the smallest weights of kernels become 0 while a network is tuned.

The share of zeros rises by the cubic schedule of Zhu & Gupta 2017 (arXiv 1710.01878,
equation 1), once an epoch over the first two thirds of the epochs; a weight that was
removed stays 0. Kernels of all layers are pruned, biases, norms and embeddings are not.
Zeros make the file smaller in gzip; neither the file itself nor its run gains.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.engine.base import Program
from kscale.errors import SpecError
from kscale.ship.compressing.contract import Subject, Trained
from kscale.ship.compressing.training import fine_tuned, tuned_epochs

Arrays = Mapping[str, NDArray[Any]]

_PRUNED_SHARE = 2 / 3


def sparsity_at(share: float, epoch: int, epochs: int) -> float:
    """The share of zeros in an epoch, counted from 0.

    Example:

    >>> [round(sparsity_at(0.8, epoch, epochs=6), 3) for epoch in range(6)]
    [0.463, 0.7, 0.788, 0.8, 0.8, 0.8]
    """
    steps = max(1, math.floor(_PRUNED_SHARE * epochs))
    left = max(0.0, 1 - (epoch + 1) / steps)
    return share * (1 - left**3)


@dataclass
class Pruner:
    """Chooses weights to hold at 0, more from time to time.

    Args:
        is_by_layer: Whether each kernel loses the same share, or the smallest weights
            of all go first.
    """

    is_by_layer: bool = False
    masks: dict[str, NDArray[Any]] = field(default_factory=dict)

    def choose(self, share: float, weights: Arrays) -> Arrays:
        """Masks of the kernels among weights by name, with exactly a share of zeros."""
        kernels = {n: w for n, w in weights.items() if n.endswith("kernel")}
        if not kernels:
            raise SpecError("The network has no kernels whose weights could become 0.")
        names = [[name] for name in kernels] if self.is_by_layer else [list(kernels)]
        for group in names:
            self._prune(share, {name: kernels[name] for name in group})
        return self.masks

    def _prune(self, share: float, kernels: Arrays) -> None:
        # What is removed already is less than any weight.
        ranked = [
            np.where(self.masks.get(name, np.True_), np.abs(kernel), -1.0).ravel()
            for name, kernel in kernels.items()
        ]
        magnitudes = np.concatenate(ranked)
        stays = np.ones(len(magnitudes), np.float32)
        stays[np.argsort(magnitudes)[: round(share * len(magnitudes))]] = 0.0
        ends = np.cumsum([kernel.size for kernel in kernels.values()])
        parts = np.split(stays, ends[:-1])
        for (name, kernel), part in zip(kernels.items(), parts, strict=True):
            self.masks[name] = part.reshape(kernel.shape)


def prune(
    subject: Subject, share: float, path: Path, is_by_layer: bool = False
) -> Trained:
    """The method `prune`: a share of the weights becomes 0 while the rest is tuned."""
    pruner, epochs = Pruner(is_by_layer), tuned_epochs(subject.recipe)

    def before_epoch(program: Program, epoch: int) -> None:
        program.hold(partial(pruner.choose, sparsity_at(share, epoch, epochs)))

    return fine_tuned(subject, path, before_epoch=before_epoch)
