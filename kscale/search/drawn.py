"""Specs that can only be drawn: the space of a user's models.

Nothing is known of such a space but what a draw gives, so it is drawn from as long as
something new that fits comes out.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kscale.errors import BudgetError, SpecError
from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.search.draws import Draw
from kscale.search.pool import limits_and_excess
from kscale.text import counted
from kscale.units import format_value

MOST_MISSES = 200
"""Draws in a row without a new spec that fits, after which there is none."""

_RARE = 20  # draws that are too large for each that fits, from which they are shrunk
_MOST_STEPS = 30  # in a row that do not shrink a draw, after which shrinking ends
_FAILED_SHRINKING = 60  # misses
_OCTAVES = 4  # below the limit, to which draws are shrunk in turn
_MOST_ERRORS = 20  # first draws that all make no model
_UNKNOWN = ("max_flops", "max_memory")


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

    def unknown_limits(self, budget: Budget) -> list[str]:
        """Limits on what is not known of it."""
        return [name for name in _UNKNOWN if self.unknown and name in budget.limits]


class Source(Protocol):
    """What draws come from."""

    @property
    def name(self) -> str:
        """Name in specs and reports."""

    def draw(
        self, seed: int, index: int, near: Spec | None = None, to: Spec | None = None
    ) -> Drawn:
        """A draw; equal arguments give an equal one.

        Near a spec, one of its values is moved, in the direction of another spec.
        """


class DrawnPool:
    """The specs of a source that fit a budget, each once, in the order of their draws.

    Where few draws fit, those that are too large are shrunk: values are moved one at a
    time in the direction of the smallest model, and what makes a smaller model is kept,
    until it fits the limit, or half, a quarter or an eighth of it, in turn.

    Args:
        source: What is drawn from.
        budget: What a model may cost.
        seed: Decides the draws.
        seconds: Most seconds that `some` draws.

    Attributes:
        left_out: Reasons of draws that made no model, with their numbers.
        fitting, too_large: Number of draws that were so, none of them shrunk.
        tell: Called after each draw.
    """

    most_refused = 30

    def __init__(
        self,
        source: Source,
        budget: Budget,
        seed: int = 0,
        seconds: float = math.inf,
    ) -> None:
        self.source = source
        self.budget = budget
        self.seed = seed
        self.seconds = seconds
        self.draws = 0
        self.is_exhausted = False
        self.left_out: Counter[str] = Counter()
        self.fitting = self.too_large = 0
        self.tell: Callable[[DrawnPool], None] | None = None
        self._found: list[Drawn] = []
        self._seen: set[Spec] = set()
        self._misses = 0
        self._shrinking: Drawn | None = None
        self._steps = 0
        self._moved = self._made = 0  # draws near another one; specs found by them
        self._octaves = _OCTAVES
        self._smallest: Drawn | None = None
        self._unknown: Drawn | None = None

    def __len__(self) -> int:
        """Specs found so far."""
        return len(self._found)

    @property
    def found(self) -> str:
        """What of it fits, in a few words."""
        known = "" if self.is_exhausted else " so far"
        fit = "fit" if self.budget.max_latency_ms is None else "may fit"
        larger = f", and {self._made:,} made smaller" if self._made else ""
        number, draws = len(self) - self._made, self.draws - self._moved
        return f"{number:,} of {draws:,} draws{known} {fit} {self.budget}{larger}"

    def notes(self) -> list[str]:
        """A sentence where few draws fit and others were made smaller."""
        if not self._made:
            return []
        return [
            f"Only {self.found}: one hyperparameter at a time, until they use the "
            "limit, or half, a quarter or an eighth of it."
        ]

    def specs(self) -> list[Spec]:
        """Those found so far."""
        return [drawn.spec for drawn in self._found]

    def some(self, first: int, number: int) -> Sequence[Draw]:
        """What fits from a place on; fewer where drawing takes longer than `seconds`,
        but one where there is one at all.

        Raises:
            BudgetError, SpecError: As `at`.
        """
        until = time.monotonic() + self.seconds
        found: list[Draw] = []
        for position in range(first, first + number):
            drawn = self.at(position, until if found else math.inf)
            if drawn is None:
                break
            assert drawn.size is not None  # the draw fits
            size = drawn.size
            work = int(size.training_work)
            found.append(Draw(drawn.spec, None, work, int(size.params)))
        return found

    def at(self, position: int, until: float = math.inf) -> Drawn | None:
        """What fits, by its position; None where nothing more is found.

        Args:
            position: From 0 on, in the order of the draws.
            until: `time.monotonic()` from which nothing is drawn any more.

        Raises:
            BudgetError: Nothing fits at all; the text names the smallest.
            SpecError: No draw makes a model.
        """
        while len(self._found) <= position and not self.is_exhausted:
            if time.monotonic() >= until:
                return None
            self._draw()
        return self._found[position] if position < len(self._found) else None

    @property
    def is_rare(self) -> bool:
        """Whether so few draws fit that the others are shrunk."""
        return self.too_large >= _RARE * max(self.fitting, 1)

    def _draw(self) -> None:
        near = self._shrinking
        specs = [each.spec for each in (near, self._smallest) if near and each]
        drawn = self.source.draw(self.seed, self.draws, *specs)
        self.draws += 1
        if drawn.spec not in self._seen:
            self._seen.add(drawn.spec)
            self._note(drawn)
        found = self._plain(drawn) if near is None else self._shrunk(near, drawn)
        self._misses += near is None
        self._moved += near is not None
        if found is not None:
            self._found.append(found)
            self._made += near is not None
            self._misses = 0
        if self._misses >= MOST_MISSES or self._is_hopeless():
            self.is_exhausted = True
            self._refuse_empty()
        if self.tell is not None:
            self.tell(self)

    def _plain(self, drawn: Drawn) -> Drawn | None:
        """A draw, if it fits; where that is rare, one that is too large is shrunk."""
        if drawn.fits(self.budget):
            self.fitting += 1
            return None if drawn in self._found else drawn
        if self._share(drawn) < math.inf:
            self.too_large += 1
            self._shrinking, self._steps = drawn if self.is_rare else None, 0
        return None

    def _shrunk(self, near: Drawn, drawn: Drawn) -> Drawn | None:
        """What shrinking ends with, if this draw ends it, and if it fits."""
        self._steps += 1
        if self._share(drawn) < self._share(near):
            self._shrinking, self._steps = drawn, 0
            near = drawn
        octave = len(self._found) % self._octaves
        if self._share(near) > 0.5**octave and self._steps < _MOST_STEPS:
            return None
        self._shrinking = None
        if near.fits(self.budget) and near not in self._found:
            return near
        self._octaves = octave or 1  # there is nothing new as small as that
        self._misses += 0 if octave else _FAILED_SHRINKING
        return None

    def _share(self, drawn: Drawn) -> float:
        """The part of the budget that a draw uses; infinite if it is not known."""
        if drawn.size is None or drawn.unknown_limits(self.budget):
            return math.inf
        return self.budget.share(drawn.size)

    def _note(self, drawn: Drawn) -> None:
        """Keep the smallest, and what to say of a spec that is left out."""
        if drawn.size is None:
            self.left_out[drawn.reason] += 1
        elif drawn.unknown_limits(self.budget):
            self._unknown = drawn
        elif self._smallest is None or self._share(drawn) < self._share(self._smallest):
            self._smallest = drawn

    def _is_hopeless(self) -> bool:
        """Whether all draws so far made no model."""
        counted = self._found or self._smallest or self._unknown
        return not counted and self.draws >= _MOST_ERRORS

    def _refuse_empty(self) -> None:
        if self._found:
            return
        name = self.source.name
        if self._smallest is not None:
            raise BudgetError(self._too_large(self._smallest))
        if self._unknown is not None:
            limit = " and ".join(self._unknown.unknown_limits(self.budget))
            raise BudgetError(
                f"{limit} cannot be kept: what {self._unknown.unknown[0]} of {name} "
                "computes is unknown. Limit max_params or max_bytes instead."
            )
        reason = self.left_out.most_common(1)[0][0].rstrip(".")
        raise SpecError(
            f"{name} made no model in {counted(self.draws, 'draw')}: {reason}."
        )

    def _too_large(self, drawn: Drawn) -> str:
        assert drawn.size is not None
        point = ", ".join(f"{n}={format_value(value)}" for n, value in drawn.spec.knobs)
        limits, over = limits_and_excess(self.budget, drawn.size)
        return (
            f"No {self.source.name} fits {limits}: the smallest of "
            f"{counted(self.draws, 'draw')} "
            f"({point}) has {over}. Raise the limit or allow smaller hyperparameters."
        )
