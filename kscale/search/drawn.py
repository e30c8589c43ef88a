"""Specs that can only be drawn: the space of a user's models.

Nothing is known of such a space but what a draw gives, so it is drawn from as long as
something new that fits comes out.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import numpy as np

from kscale.errors import BudgetError, SpecError
from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec, Value
from kscale.networks.sizing import Size
from kscale.search.draws import Draw
from kscale.search.pool import limits_and_excess
from kscale.text import counted
from kscale.units import format_value

MOST_MISSES = 200
"""Draws in a row without a new spec that fits, after which there is none."""

_RARE = 8  # draws that are too large for each that fits, from which they are shrunk
_FAILED_SHRINKING = 5  # misses
_MOST_SWEEPS = 6  # over the hyperparameters of one model, in a descent
_MOST_STEPS = 14  # along one line
_FIRST_REACH = 0.05  # of a line
_NEAR = 1.03  # times as far, where a line ends
_FARTHEST = 1000.0  # all hyperparameters are as drawn
_OCTAVES = 4  # below the limit, to which draws are shrunk in turn
_MOST_ERRORS = 20  # first draws that all make no model
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

    def unknown_limits(self, budget: Budget) -> list[str]:
        """Limits on what is not known of it."""
        return [name for name in _UNKNOWN if self.unknown and name in budget.limits]


class Source(Protocol):
    """What draws come from."""

    @property
    def name(self) -> str:
        """Name in specs and reports."""

    def draw(self, seed: int, index: int, aim: Aim | None = None) -> Drawn:
        """A draw, by default from all there is; equal arguments give an equal one."""


class DrawnPool:
    """The specs of a source that fit a budget, each once, in the order of their draws.

    Where few draws fit, those that are too large are shrunk. At first each
    hyperparameter of the smallest model is moved, alone, to what makes a smaller model:
    a descent, which also tells the hyperparameters that sizes do not depend on. From
    then on a draw is shrunk along the line to the smallest values known, until the
    model is within the limit, or half, a quarter or an eighth of it, in turn.

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
        self._found: dict[Spec, Drawn] = {}
        self._shares: set[float] = set()  # of the budget, which they use
        self._spare: dict[Spec, Drawn] = {}  # fit, and were passed on the way
        self._seen: set[Spec] = set()
        self._misses = 0
        self._moved = self._made = 0  # draws with an aim; specs found by them
        self._smallest: Drawn | None = None
        self._unknown: Drawn | None = None
        self._low: dict[str, tuple[float, Value]] = {}  # of the smallest that has it
        self._descents: Counter[frozenset[str]] = Counter()  # by names
        self._probed: set[str] = set()  # moved alone
        self._decisive: set[str] = set()  # and that changed the size
        self._reach: dict[int, float] = {}  # by octave, where the last line ended
        self._walk = self._steps()
        self._aim = next(self._walk)

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
            f"Only {self.found}: moved to the values of the smallest models, until "
            "they use the limit, or half, a quarter or an eighth of it."
        ]

    def specs(self) -> list[Spec]:
        """Those found so far."""
        return [*self._found]

    def some(self, first: int, number: int) -> Sequence[Draw]:
        """What fits from a place on; fewer once drawing took `seconds`, but one where
        there is one at all.

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
        """One draw, with all that follows from what came out."""
        aim = self._aim
        drawn = self.source.draw(self.seed, self.draws, aim)
        self.draws += 1
        self._moved += aim is not None
        self._misses += aim is None
        self._note(drawn)
        if self.tell is not None:
            self.tell(self)
        self._aim = self._walk.send(drawn)
        if self._misses >= MOST_MISSES or self._is_hopeless():
            self.is_exhausted = True
            self._refuse_empty()

    def _steps(self) -> Generator[Aim | None, Drawn, None]:
        """What to draw next, from what the last one gave."""
        while True:
            drawn = yield None
            if drawn.fits(self.budget):
                self.fitting += 1
                self._take(drawn)
            elif self._share(drawn) < math.inf:
                self.too_large += 1
                if self.is_rare:
                    yield from self._shrunk(self.draws - 1, drawn)

    def _shrunk(self, draw: int, drawn: Drawn) -> Generator[Aim, Drawn, None]:
        """Shrink a draw that is too large.

        The first one is the smallest so far. As long as nothing fits, the next ones are
        those with other hyperparameters than were shrunk before, which may be other
        parts of the user's code.
        """
        if not self._descents or not (self._found or self._spare):
            begin = drawn if self._descents else self._smallest or drawn
            names = frozenset(name for name, _ in begin.spec.knobs)
            if self._descents[names] > min(self._descents.values(), default=0):
                return
            self._descents[names] += 1
            yield from self._descent(draw, begin)
        before, ended = len(self._found), None
        if self._found or self._spare:
            ended = yield from self._line(draw)
            if not self._spare and ended and ended.spec in self._found:
                yield from self._steps_aside(draw)
        for each in filter(None, (ended, *reversed([*self._spare.values()]))):
            if len(self._found) == before:
                self._take(each)
        self._made += len(self._found) - before
        self._misses += _FAILED_SHRINKING * (len(self._found) == before)

    def _descent(self, draw: int, best: Drawn) -> Generator[Aim, Drawn, None]:
        """Move one hyperparameter at a time, as long as that makes smaller models."""
        rng = np.random.default_rng([self.seed, draw])
        for _ in range(_MOST_SWEEPS):
            begin = best
            names = [name for name, _ in best.spec.knobs if name not in self._free]
            for place in rng.permutation(len(names)):
                best = yield from self._probe(draw, best, names[place], rng.random())
            if best is begin:
                return

    def _probe(
        self, draw: int, best: Drawn, name: str, between: float
    ) -> Generator[Aim, Drawn, Drawn]:
        """Move one hyperparameter to the ends of its range, or between; the model that
        is smaller, or else the one there was."""
        known = dict(best.spec.knobs)
        for place in (0.0, 1.0, between) if name in known else ():
            drawn = yield Aim(draw, known, places={name: place})
            self._probed.add(name)
            if self._share(drawn) != self._share(best):
                self._decisive.add(name)
            if self._share(drawn) < self._share(best):
                return drawn
        return best

    def _line(self, draw: int) -> Generator[Aim, Drawn, Drawn | None]:
        """The largest within a part of the limit, between the smallest and a draw."""
        known = {n: v for n, (_, v) in self._low.items() if n not in self._free}
        octave = len(self._found) % _OCTAVES
        if self._smallest and 0.5**octave < self._share(self._smallest):
            octave = 0
        reach, low, high = self._reach.get(octave, _FIRST_REACH), 0.0, math.inf
        ended: Drawn | None = None
        for _ in range(_MOST_STEPS):
            drawn = yield Aim(draw, known, reach)
            share = self._share(drawn) / 0.5**octave
            if share <= 1:
                low, ended = reach, drawn
            else:
                high = reach
            is_new = self._share(drawn) not in self._shares
            is_near = 0.5 < share <= 1 and is_new
            if is_near or high < _NEAR * low or low > _FARTHEST:
                break
            is_between = 0 < low < high < math.inf
            reach = math.sqrt(low * high) if is_between else 3 * low or high / 3
        self._reach[octave] = reach
        return ended

    def _steps_aside(self, draw: int) -> Generator[Aim, Drawn, None]:
        """Go from specs that fit a little in the direction of draws."""
        rng, specs = np.random.default_rng([self.seed, draw]), [*self._found]
        for _ in range(_MOST_STEPS):
            near = dict(specs[rng.integers(len(specs))].knobs)
            yield Aim(self.draws, near, 10 ** rng.uniform(-3, 0))
            if self._spare:
                return

    @property
    def _free(self) -> set[str]:
        """Hyperparameters that sizes do not depend on."""
        return self._probed - self._decisive

    def _take(self, drawn: Drawn) -> None:
        """Keep a spec that fits, unless it was kept before."""
        self._spare.pop(drawn.spec, None)
        if drawn.spec not in self._found:
            self._found[drawn.spec] = drawn
            self._shares.add(self._share(drawn))
            self._misses = 0

    def _share(self, drawn: Drawn) -> float:
        """The part of the budget that a draw uses; infinite if it is not known."""
        if drawn.size is None or drawn.unknown_limits(self.budget):
            return math.inf
        return self.budget.share(drawn.size)

    def _note(self, drawn: Drawn) -> None:
        """Keep what is new: what fits, the smallest, or what to say of the spec."""
        if drawn.spec in self._seen:
            return
        self._seen.add(drawn.spec)
        share = self._share(drawn)
        if drawn.size is None:
            self.left_out[drawn.reason] += 1
        elif share == math.inf:
            self._unknown = drawn
        else:
            if self._smallest is None or share < self._share(self._smallest):
                self._smallest = drawn
            for name, value in drawn.spec.knobs:
                if name not in self._low or share < self._low[name][0]:
                    self._low[name] = (share, value)
            if drawn.fits(self.budget):
                self._spare[drawn.spec] = drawn

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
