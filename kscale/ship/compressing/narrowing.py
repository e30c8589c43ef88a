"""Structured pruning: the same spec with a smaller width, and copied weights.

Removed are the channels whose kernels are smallest in the sum of absolute values (Li et
al. 2017, arXiv 1608.08710), or channels drawn at random: the baseline of any such
choice. The network that is left is a network of the family, and costs what such a
network costs.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kscale.building.models import build_model
from kscale.engine.progress import Progress
from kscale.engine.tensorflow.checkpoints import load_checkpoint, save_checkpoint
from kscale.errors import ExportError, SpecError, unknown_name
from kscale.networks import blueprint as bp
from kscale.networks.blueprint import flat_layers
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.ship.compressing.channels import Importance, narrowed
from kscale.task.tasks import Task


def _l1(rng: np.random.Generator) -> Importance:
    return lambda kernel: np.abs(kernel).sum(axis=0, dtype=np.float64)


def _random(rng: np.random.Generator) -> Importance:
    return lambda kernel: rng.random(kernel.shape[1])


CRITERIA: dict[str, Callable[[np.random.Generator], Importance]] = {
    "l1": _l1,
    "random": _random,
}
"""What decides which channels remain, by name; the first is the usual one."""


def narrower_spec(spec: Spec, task: Task, share: float) -> Spec:
    """The spec with a share of its width, all else equal.

    Attention keeps the number of its heads, which the width is a multiple of.

    Args:
        spec: The spec.
        task: What the network is for.
        share: Of the width, above 0 and at most 1.

    Raises:
        SpecError: The family has no width, or the share is none.

    Example:

    >>> task = Task.of("image", (8, 8, 1), classes=10)
    >>> spec = find_family("vit").spec(depth=1, width=64)
    >>> [narrower_spec(spec, task, share)[it] for share in (1, 0.4) for it in (
    ...     "width", "heads")]
    [64, 2, 26, 2]
    """
    if spec.width is None:
        raise SpecError(f"Family {spec.family} has no width that could be smaller.")
    if not 0 < share <= 1:
        raise SpecError(f"`0 < share <= 1` must hold, but got share={share:g}.")
    blueprint = find_family(spec.family).blueprint(spec, task)
    heads = [
        int(record.heads)
        for record in flat_layers(blueprint)
        if isinstance(record, bp.Attention)
    ]
    step = max(heads, default=1)
    width = max(1, round(share * spec.width / step)) * step
    return spec.with_knobs(width=width, **({"heads": step} if heads else {}))


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
    before, after = build_model(wide), build_model(slim)
    if load_checkpoint(weights, before, None) is None:
        raise ExportError(f"{weights} is missing or damaged; run the search again.")
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
