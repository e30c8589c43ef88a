"""Structured pruning: the same spec with a smaller width, and copied weights.

Removed are the channels whose kernels are smallest in the sum of absolute values (Li et
al. 2017, arXiv 1608.08710), or channels drawn at random: the baseline of any such
choice. The network that is left is a network of the family, and costs what such a
network costs.
"""

from dataclasses import replace
from pathlib import Path

from kscale.errors import SpecError
from kscale.networks import blueprint as bp
from kscale.networks.blueprint import flat_layers
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.ship.compressing.contract import Subject, Trained
from kscale.ship.compressing.training import fine_tuned, from_scratch
from kscale.task.tasks import Task


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


def narrowed_spec(subject: Subject, share: float) -> Spec:
    """The spec of a subject without a share of the width.

    Raises:
        SpecError: The family has no width, or nothing is left.
    """
    return narrower_spec(subject.network.spec, subject.dataset.task, 1 - share)


def taught_spec(subject: Subject, share: float) -> Spec:
    """As `narrowed_spec`, of a network that is taught.

    Raises:
        SpecError: No network is larger than the one that is wanted, and better.
    """
    if subject.teacher is None and not share:
        raise SpecError(
            "No network of the run is larger and better: give distill a share, as "
            "distill:50%, to make one that is smaller."
        )
    return narrowed_spec(subject, share)


def narrow(
    subject: Subject, share: float, path: Path, criterion: str = "l1"
) -> Trained:
    """The method `narrow`: a share of the width is removed, and the rest is tuned.

    Where nothing is removed there is nothing to repair: the weights are the same.
    """
    # Methods are listed without Keras, which takes seconds to import.
    from kscale.ship.compressing.cutting import narrow_weights

    network, task = subject.network, subject.dataset.task
    spec = narrowed_spec(subject, share)
    narrow_weights(
        network.spec, spec, task, network.weights, path, criterion, subject.seed
    )
    cut = replace(network, spec=spec, weights=path)
    return fine_tuned(subject, path, cut) if share else cut


def scratch(subject: Subject, share: float, path: Path) -> Trained:
    """The method `scratch`: a network without a share of the width, newly trained."""
    return from_scratch(subject, narrowed_spec(subject, share), path)


def distill(subject: Subject, share: float, path: Path) -> Trained:
    """The method `distill`: as `scratch`, taught by a larger network.

    The teacher is the best network of the run, if that is larger than the network which
    is compressed, else the network itself.
    """
    teacher = subject.teacher or subject.network
    return from_scratch(subject, taught_spec(subject, share), path, teacher)
