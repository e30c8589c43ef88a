"""Hyperparameters that are drawn when a model asks for them, as KerasTuner would."""

from collections.abc import Mapping
from random import Random
from typing import Any

import keras_tuner

from kscale.networks.families.base import Value
from kscale.search.contract import derived_seed

Values = tuple[tuple[str, Value], ...]
"""Names and values in the order in which they were asked for."""

_SPREAD = 1.5  # orders of magnitude, by which hyperparameters go further than others
_LAST = 1 - 1e-12  # the end of a range, which is open

RESERVED = ("family", "depth", "width")
"""Parts of a spec."""


class DrawnHyperParameters(keras_tuner.HyperParameters):
    """Hyperparameters of which each is drawn when a model first asks for it.

    So only hyperparameters that the model depends on have values: no inactive
    conditional ones, and none of layers that this model does not have. Each is drawn
    as KerasTuner samples it (`linear`, `log`, ...), from the seed and its name; without
    a seed the default is taken. A known value is taken instead where the hyperparameter
    may have that value.

    Args:
        seed: Decides what is drawn.
        known: Known values by name.
        reach: How far to go from the known values to the drawn ones, as in `Aim`.
        places: Places in their ranges, from 0 to 1, of hyperparameters that are set.

    Attributes:
        asked: Hyperparameters that were asked for, in order.
    """

    def __init__(
        self,
        seed: int | None = None,
        known: Mapping[str, Value] | None = None,
        reach: float = 0.0,
        places: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.seed = seed
        self.known = known or {}
        self.reach = reach
        self.places = places or {}
        self.asked: list[Any] = []

    def _register(self, hyperparameter: Any, overwrite: bool = False) -> Any:
        """Draw a value first; KerasTuner would take the default."""
        name = hyperparameter.name
        if self.is_active(hyperparameter):
            if name not in self.values:
                self.values[name] = self.value_of(hyperparameter)
            if all(name != other.name for other in self.asked):
                self.asked.append(hyperparameter)
        return super()._register(hyperparameter, overwrite)

    def value_of(self, hyperparameter: Any) -> Value:
        """The value of a hyperparameter that has none yet."""
        name = hyperparameter.name
        if name in self.places:
            return _at(hyperparameter, self.places[name])
        known: Any = self.known.get(name)
        is_known = known is not None and may_have(hyperparameter, known)
        if is_known and not self.reach:
            return plain(known)
        if self.seed is None:
            return plain(hyperparameter.default)
        rng = Random(derived_seed(self.seed, "hyperparameter", name))
        place = rng.random()
        if is_known:
            begin = hyperparameter.value_to_prob(known)
            way = self.reach * 10 ** rng.uniform(-_SPREAD, _SPREAD)
            place = begin + min(way, 1.0) * (place - begin)
        return _at(hyperparameter, place)

    @property
    def in_order(self) -> Values:
        """Names and values that were asked for."""
        return tuple((each.name, plain(self.values[each.name])) for each in self.asked)


def _at(hyperparameter: Any, place: float) -> Value:
    """The value at a place in its range."""
    return plain(hyperparameter.prob_to_value(min(max(place, 0.0), _LAST)))


def may_have(hyperparameter: Any, value: Any) -> bool:
    """Whether a hyperparameter may have a value. A known value may be from another part
    of the code, where a hyperparameter of the same name has another range."""
    domain: list[Any] = domain_of(hyperparameter)
    if not hasattr(hyperparameter, "min_value"):
        return value in domain
    return not isinstance(value, str) and bool(domain[0] <= value <= domain[1])


def plain(value: Any) -> Value:
    """A value without NumPy's types, which JSON does not know."""
    found: Value = value.item() if hasattr(value, "item") else value
    return found


def domain_of(hyperparameter: Any) -> list[Value]:
    """Values that a hyperparameter may have: all, or both ends of a range."""
    ends = hyperparameter.get_config()
    if "min_value" in ends:
        return [plain(ends["min_value"]), plain(ends["max_value"])]
    return [plain(value) for value in hyperparameter.values]


def knob_name(name: str, value: Value, shown: Mapping[str, str]) -> str:
    """The knob of a hyperparameter: `depth` or `width` where the value is whole and
    `shown` says so. A name that is a part of a spec otherwise gets a `_`."""
    if name in shown and type(value) is int:
        return shown[name]
    return f"{name}_" if name in RESERVED else name
