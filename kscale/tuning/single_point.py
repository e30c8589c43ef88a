"""A search whose space is one network: what training a single spec is."""

from collections.abc import Mapping
from typing import Any

from kscale.data.loading import load_dataset
from kscale.networks.families import find_family


def single_point(
    family: str, knobs: Mapping[str, Any] | None = None, data: Any = "digits"
) -> dict[str, Any]:
    """Arguments of `tune` for a search whose space is one spec, its size the budget.

    Args:
        family: Name of a family.
        knobs: Values of its knobs, `learning_rate` included; the others keep their
            defaults.
        data: Anything `kscale.load_dataset` takes.

    Raises:
        DataError: The data cannot be read, or cannot be trained on.
        SpecError: The family or a knob is unknown, or does not suit the data.
    """
    chosen = find_family(family)
    dataset = load_dataset(data)
    given = dict(knobs or {})
    rate = given.pop("learning_rate", chosen.learning_rate.default)
    spec = chosen.spec(**given)
    return {
        "data": dataset,
        "max_params": max(chosen.size(spec, dataset.task).params, 1),
        "family": family,
        "settings": {**dict(spec.knobs), "learning_rate": rate},
        "trials": 1,
        "finalist_seeds": 0,
    }
