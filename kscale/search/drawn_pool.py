"""Specs that can only be drawn: the space of a user's models.

Nothing is known of such a space but what a draw gives, so it is drawn from as long as
something new that fits comes out.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from itertools import islice

from kscale.errors import BudgetError, SpecError
from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec
from kscale.search.drawn import Aim, Drawn, Source
from kscale.search.draws import Draw
from kscale.search.pool import limits_and_excess
from kscale.search.shrinking import Shrinking
from kscale.text import counted
from kscale.units import format_value

MOST_MISSES = 200
"""Draws in a row without a new spec that fits, after which there is none."""

_RARE = 8  # draws that are too large for each that fits, from which they are shrunk
_FAILED_SHRINKING = 5  # misses
_MOST_ERRORS = 20  # first draws that all make no model


class DrawnPool:
    """The specs of a source that fit a budget, each once, in the order of their draws.

    Where few draws fit, those that are too large are shrunk.

    Args:
        source: What is drawn from.
        budget: What a model may cost.
        seed: Decides the draws.
        seconds: Most seconds that all calls of `some` draw.

    Attributes:
        left_out: Reasons of draws that made no model, with their numbers.
        fitting, too_large: Number of draws that were so, none of them shrunk.
        tell: Called after each draw.
    """

    most_refused = 30

    def __init__(
        self, source: Source, budget: Budget, seed: int = 0, seconds: float = math.inf
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
        self._found: dict[Spec, Drawn] = {}
        self._seen: set[Spec] = set()
        self._misses = 0
        self._moved = self._made = 0  # draws with an aim; specs found by them
        self._unknown: Drawn | None = None
        self._shrinking = Shrinking(budget, seed, self._found)
        self._walk = self._steps()
        self._aim = next(self._walk)

    def __len__(self) -> int:
        """Number of specs found so far."""
        return len(self._found)

    @property
    def found(self) -> str:
        """Number of fitting draws, in a few words."""
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
            f"Only {self.found}: moved to the values of the smallest models, until "
            "they use the limit, or half, a quarter or an eighth of it."
        ]

    def specs(self) -> list[Spec]:
        """Specs found so far."""
        return [*self._found]

    def some(self, first: int, number: int) -> Sequence[Draw]:
        """Fitting draws from a place on; fewer once drawing took `seconds`, but one if
        any fits.

        Raises:
            BudgetError, SpecError: As `at`.
        """
        began = time.monotonic()
        found: list[Draw] = []
        for position in range(first, first + number):
            drawn = self.at(position, began + self.seconds if found else math.inf)
            if drawn is None:
                break
            assert drawn.size is not None  # the draw fits
            size = drawn.size
            work = int(size.training_work)
            found.append(Draw(drawn.spec, None, work, int(size.params)))
        self.seconds = max(self.seconds - (time.monotonic() - began), 0.0)
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
        return next(islice(self._found.values(), position, None), None)

    @property
    def is_rare(self) -> bool:
        """Whether so few draws fit that the others are shrunk."""
        return self.too_large >= _RARE * max(self.fitting, 1)

    def _draw(self) -> None:
        """Draw once, keep the spec if it fits, and decide the aim of the next draw."""
        aim = self._aim
        drawn = self.source.draw(self.seed, self.draws, aim)
        self.draws += 1
        self._moved += aim is not None
        self._misses += aim is None
        self._see(drawn)
        if self.tell is not None:
            self.tell(self)
        self._aim = self._walk.send(drawn)
        if self._misses >= MOST_MISSES or self._is_hopeless():
            self.is_exhausted = True
            self._refuse_empty()

    def _steps(self) -> Generator[Aim | None, Drawn, None]:
        """Aims of further draws; the result of each draw is sent in."""
        while True:
            drawn = yield None
            if drawn.fits(self.budget):
                self.fitting += 1
                self._take(drawn)
            elif drawn.share(self.budget) < math.inf:
                self.too_large += 1
                if self.is_rare:
                    made = yield from self._shrinking.shrunk(self.draws - 1, drawn)
                    self._misses += _FAILED_SHRINKING
                    if made is not None:
                        self._made += 1
                        self._take(made)

    def _take(self, drawn: Drawn) -> None:
        """Keep a spec that fits, unless it was kept before."""
        if drawn.spec not in self._found:
            self._found[drawn.spec] = drawn
            self._shrinking.take(drawn)
            self._misses = 0

    def _see(self, drawn: Drawn) -> None:
        """Keep a new spec, or the sentence on a spec that is left out."""
        if drawn.spec in self._seen:
            return
        self._seen.add(drawn.spec)
        if drawn.size is None:
            self.left_out[drawn.reason] += 1
        elif drawn.unknown_limits(self.budget):
            self._unknown = drawn
        else:
            self._shrinking.see(drawn)

    def _is_hopeless(self) -> bool:
        """Whether all draws so far made no model."""
        counted = self._found or self._shrinking.smallest or self._unknown
        return not counted and self.draws >= _MOST_ERRORS

    def _refuse_empty(self) -> None:
        if self._found:
            return
        name = self.source.name
        if self._shrinking.smallest is not None:
            raise BudgetError(self._too_large(self._shrinking.smallest))
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
