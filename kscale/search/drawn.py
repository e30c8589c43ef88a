"""What is drawn from a space of which nothing else is known: a user's models."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec, Value
from kscale.networks.sizing import Size

_UNKNOWN = ("max_flops", "max_memory")


@dataclass(frozen=True)
class Aim:
    """Where to draw: between known values and those that a draw would have.

    Args:
        draw: Index of the draw that is meant.
        known: Known values, by knob; other hyperparameters are as drawn.
        reach: How far from the known values: 0 is none of the way, infinity all of it,
            and in between some hyperparameters go further than others.
        places: Hyperparameters that are set, by knob, each to a place in its range: 0
            is one end, 1 the other.
    """

    draw: int
    known: Mapping[str, Value]
    reach: float = 0.0
    places: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawn:
    """One draw.

    Args:
        spec: What was drawn, as far as it decides the model.
        size: Exact size; None where there is no model.
        reason: Why there is no model, in one line.
        unknown: Layers of unknown FLOPs and activations, which `size` lacks.
    """

    spec: Spec
    size: Size | None
    reason: str = ""
    unknown: tuple[str, ...] = ()

    def fits(self, budget: Budget) -> bool:
        """Whether there is a model, known to be within every limit."""
        if self.size is None or self.unknown_limits(budget):
            return False
        return bool(budget.allows(self.size))

    def share(self, budget: Budget) -> float:
        """The part of a budget that the model uses; infinite if it is not known."""
        if self.size is None or self.unknown_limits(budget):
            return math.inf
        return budget.share(self.size)

    def unknown_limits(self, budget: Budget) -> list[str]:
        """Limits of the budget on figures that are unknown for the draw."""
        return [name for name in _UNKNOWN if self.unknown and name in budget.limits]


class Source(Protocol):
    """What draws come from."""

    @property
    def name(self) -> str:
        """Name in specs and reports."""

    def draw(self, seed: int, index: int, aim: Aim | None = None) -> Drawn:
        """A draw, by default from all there is; equal arguments give an equal one."""
