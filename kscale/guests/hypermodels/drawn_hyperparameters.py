"""Hyperparameters that are drawn when a model asks for them, as KerasTuner would."""

from collections.abc import Mapping
from typing import Any

import keras_tuner

from kscale.networks.families.base import Value
from kscale.search.contract import derived_seed

Values = tuple[tuple[str, Value], ...]
"""Names and values in the order in which they were asked for."""

RESERVED = ("family", "depth", "width")
"""Parts of a spec."""


class DrawnHyperParameters(keras_tuner.HyperParameters):
    """Hyperparameters of which each is drawn when a model first asks for it.

    The values are those that the model depends on, and no others: neither inactive
    conditional ones nor those of a layer that this model does not have. Each is drawn
    as KerasTuner samples it (`linear`, `log`, ...), from the seed and its name; without
    a seed it is the default. Given values are not drawn.

    Attributes:
        asked: Hyperparameters that were asked for, in order.
    """

    def __init__(
        self, seed: int | None = None, values: Mapping[str, Value] | None = None
    ) -> None:
        super().__init__()
        self.seed = seed
        self.values.update(values or {})
        self.asked: list[Any] = []

    def _register(self, hyperparameter: Any, overwrite: bool = False) -> Any:
        """Draw a value first; KerasTuner would take the default."""
        name = hyperparameter.name
        if self.is_active(hyperparameter):
            if name not in self.values:
                self.values[name] = self.drawn(hyperparameter)
            if all(name != other.name for other in self.asked):
                self.asked.append(hyperparameter)
        return super()._register(hyperparameter, overwrite)

    def drawn(self, hyperparameter: Any) -> Value:
        """The value of a hyperparameter that has none yet."""
        if self.seed is None:
            return plain(hyperparameter.default)
        seed = derived_seed(self.seed, "hyperparameter", hyperparameter.name)
        return plain(hyperparameter.random_sample(seed))

    @property
    def in_order(self) -> Values:
        """Names and values that were asked for."""
        return tuple((each.name, plain(self.values[each.name])) for each in self.asked)


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
    """The knob of a hyperparameter with any value: `depth` or `width` where it is shown
    as such and whole; one called like a part of a spec gets a `_`."""
    if name in shown and type(value) is int:
        return shown[name]
    return f"{name}_" if name in RESERVED else name
