"""Writes the weights of a narrower network, cut from the checkpoint of a wider one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kscale.building.models import build_model
from kscale.engine.progress import Progress
from kscale.engine.tensorflow.checkpoints import save_checkpoint
from kscale.errors import SpecError, unknown_name
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.ship.compressing.channels import Importance, narrowed
from kscale.ship.packaging import trained_network
from kscale.task.tasks import Task


def _l1(rng: np.random.Generator) -> Importance:
    return lambda kernel: np.asarray(np.abs(kernel).sum(axis=0), np.float64)


def _random(rng: np.random.Generator) -> Importance:
    return lambda kernel: np.asarray(rng.random(kernel.shape[1]))


CRITERIA: dict[str, Callable[[np.random.Generator], Importance]] = {
    "l1": _l1,
    "random": _random,
}
"""What decides which channels remain, by name; the first is the usual one."""


def narrow_weights(
    spec: Spec,
    narrow: Spec,
    task: Task,
    weights: Path,
    target: Path,
    criterion: str = "l1",
    seed: int = 0,
) -> None:
    """Write the weights of a narrow spec, copied from those of a wider one.

    Args:
        spec: The spec that the weights are of.
        narrow: The spec that is wanted.
        task: What both are for.
        weights: Checkpoint of the spec.
        target: Where the checkpoint of the narrow spec is written.
        criterion: One of `CRITERIA`.
        seed: Decides what is drawn at random.

    Raises:
        ExportError: The weights are missing or damaged.
        SpecError: The criterion is unknown, or the specs differ in more than widths.
    """
    if criterion not in CRITERIA:
        raise SpecError(unknown_name("criterion", criterion, CRITERIA))
    family = find_family(spec.family)
    wide, slim = (family.blueprint(each, task) for each in (spec, narrow))
    before, after = trained_network(wide, weights), build_model(slim)
    importance = CRITERIA[criterion](np.random.default_rng(seed))
    found = narrowed(wide, slim, weights_by_layer(before), importance)
    for name, arrays in found.items():
        layer = after.get_layer(name)
        shaped = zip(arrays, layer.weights, strict=True)
        layer.set_weights([array.reshape(weight.shape) for array, weight in shaped])
    save_checkpoint(target, after, None, Progress())


def weights_by_layer(model: keras.Model) -> dict[str, list[NDArray[Any]]]:
    """Weights of each layer that has some, by its name."""
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
