"""Shrinking: draws that are too large are made into models that fit a budget."""

import math
from collections import Counter
from collections.abc import Generator, Mapping

import numpy as np

from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec, Value
from kscale.search.drawn import Aim, Drawn

_MOST_SWEEPS = 6  # over the hyperparameters of one model, in a descent
_MOST_STEPS = 14  # along one line, or aside
_OCTAVES = 4  # below the limit, to which draws are shrunk in turn
_FIRST_REACH = 0.05  # of a line
_NEAR = 1.03  # times as far, where a line ends
_FARTHEST = 1000.0  # all hyperparameters are as drawn


class Shrinking:
    """Makes draws smaller, by further draws that it asks for.

    At first each hyperparameter of the smallest model is moved, alone, to what makes a
    smaller model: a descent, which also tells the hyperparameters that sizes do not
    depend on. From then on a draw is shrunk along the line to the smallest values
    known, until the model is within the limit, or half, a quarter or an eighth of it,
    in turn.

    Args:
        budget: What a model may cost.
        seed: Decides the order of what is moved.
        found: What fits and is kept already; the caller adds to it.

    Attributes:
        smallest: The smallest model seen.
    """

    def __init__(self, budget: Budget, seed: int, found: Mapping[Spec, Drawn]) -> None:
        self.budget = budget
        self.seed = seed
        self.found = found
        self.smallest: Drawn | None = None
        self._spare: dict[Spec, Drawn] = {}  # fits, and was passed on the way
        self._low: dict[str, tuple[float, Value]] = {}  # of the smallest that has it
        self._descents: Counter[frozenset[str]] = Counter()  # by names
        self._probed: set[str] = set()  # moved alone
        self._decisive: set[str] = set()  # and that changed the size
        self._shares: set[float] = set()  # of the budget, that those found use
        self._reach: dict[int, float] = {}  # by octave, where the last line ended

    def see(self, drawn: Drawn) -> None:
        """Learn from a spec of known size."""
        share = self._share(drawn)
        if self.smallest is None or share < self._share(self.smallest):
            self.smallest = drawn
        for name, value in drawn.spec.knobs:
            if name not in self._low or share < self._low[name][0]:
                self._low[name] = (share, value)
        if drawn.fits(self.budget):
            self._spare[drawn.spec] = drawn

    def take(self, drawn: Drawn) -> None:
        """Learn that a spec is kept."""
        self._spare.pop(drawn.spec, None)
        self._shares.add(self._share(drawn))

    def shrunk(self, draw: int, drawn: Drawn) -> Generator[Aim, Drawn, Drawn | None]:
        """A new spec that fits, from a draw that is too large; None without one.

        As long as nothing fits, draws are shrunk that have other hyperparameters than
        those before, which may be other parts of the user's code.
        """
        if not self._descents or not (self.found or self._spare):
            begin = drawn if self._descents else self.smallest or drawn
            names = frozenset(name for name, _ in begin.spec.knobs)
            if self._descents[names] > min(self._descents.values(), default=0):
                return None
            self._descents[names] += 1
            yield from self._descent(draw, begin)
        if not (self.found or self._spare):
            return None
        ended = yield from self._line(draw)
        if ended is not None and ended.spec not in self.found:
            return ended
        if not self._spare:
            yield from self._steps_aside(draw)
        return next(reversed(self._spare.values()), None)

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
        """The smaller of a model and of that with one hyperparameter moved to the ends
        of its range, or between."""
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
        octave = len(self.found) % _OCTAVES
        if self.smallest and 0.5**octave < self._share(self.smallest):
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
        rng, specs = np.random.default_rng([self.seed, draw]), [*self.found]
        for _ in range(_MOST_STEPS):
            near = dict(specs[rng.integers(len(specs))].knobs)
            other = int(rng.integers(1, 2**31))
            yield Aim(other, near, 10 ** rng.uniform(-3, 0))
            if self._spare:
                return

    @property
    def _free(self) -> set[str]:
        """Hyperparameters that sizes do not depend on."""
        return self._probed - self._decisive

    def _share(self, drawn: Drawn) -> float:
        return drawn.share(self.budget)
