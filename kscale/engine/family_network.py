"""The network of a spec, as an engine trains it."""

from kscale.engine.base import Network
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.networks.parametrization import factors_of
from kscale.task.tasks import Task


def family_network(
    spec: Spec, task: Task, parametrization: str = "standard"
) -> Network:
    """The network of a spec, with the knobs of its family that training needs."""
    family, knobs = find_family(spec.family), dict(spec.knobs)
    return Network(
        family.blueprint(spec, task),
        family.size(spec, task),
        weight_decay=float(knobs.get("weight_decay", 0.0)),
        label_smoothing=float(knobs.get("label_smoothing", 0.0)),
        factors=factors_of(spec, task, parametrization),
    )
