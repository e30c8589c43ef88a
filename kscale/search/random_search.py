"""Random search inside the budget: the baseline that is hard to beat."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kscale.search.draws import Draw, FirstJobs, Settings
from kscale.search.pool import Pool

_SHELLS = ((1 / 2, 1.0), (1 / 8, 1 / 2), (0.0, 1 / 8))
_SHELL_WEIGHTS = (0.60, 0.25, 0.15)
_NEAR = 0.15  # of a natural logarithm: sizes within 15 % of the target are equal


class RandomSearcher(FirstJobs):
    """Every draw is trained once, at full length, whatever the others scored.

    Args:
        settings: What to try.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.epochs)


class PoolDraws:
    """Specs of a pool drawn without replacement, most of them near the largest.

    A shell of the sizes is drawn first (60 % of the draws use more than half of the
    largest, 25 % between an eighth and a half, 15 % less), then a size in the shell,
    evenly in its logarithm, then one of the specs of about that size. Every spec is
    drawn once before any is drawn again with another learning rate; the sequence ends
    when all pairs of spec and learning rate have been drawn. Several families take
    turns, in an order drawn anew each time, until one is exhausted: each gets an equal
    share of the draws, however many specs it has.

    Args:
        pool: Specs that fit the budget.
        seed: Decides everything.
    """

    most_refused = None

    def __init__(self, pool: Pool, seed: int = 0) -> None:
        self.pool = pool
        self.seed = seed
        self._drawn: list[Draw] = []
        self._times = np.zeros(len(pool), np.int64)  # how often each was drawn
        families = {family.name: family for family in pool.space.families}
        self._most_times = pool.by_family(
            {n: len(pool.space.learning_rates(f)) for n, f in families.items()}
        )
        self._families = {n: pool.by_family({n: 1}) > 0 for n in families}
        self._share = pool.share.copy()  # of the largest of the family
        for inside in self._families.values():
            self._share[inside] /= self._share[inside].max(initial=1e-12)

    def some(self, first: int, number: int) -> Sequence[Draw]:
        """Draws from a place in the sequence on; fewer where the sequence ends."""
        while len(self._drawn) < first + number:
            index = len(self._drawn)
            turn, at = divmod(index, len(self._families))
            rng = np.random.default_rng([self.seed, 5, turn])
            order = np.roll(rng.permutation([*self._families]), -at).tolist()
            drawn = (self._next(index, family) for family in order)
            found = next(filter(None, drawn), None)
            if found is None:
                break
            self._drawn.append(found)
        return self._drawn[first : first + number]

    def _next(self, index: int, family: str) -> Draw | None:
        """A spec of a family that was drawn least often; None where all are drawn."""
        rng = np.random.default_rng([self.seed, 2, index])
        times = self._times
        open_ = self._families[family] & (times < self._most_times)
        if not open_.any():
            return None
        fresh = np.flatnonzero(open_ & (times == times[open_].min()))
        shell = self._shell(fresh, rng)
        sizes = np.log(self._share[shell])
        target = rng.uniform(sizes.min(), sizes.max())
        distance = np.abs(sizes - target)
        place = int(rng.choice(shell[distance <= max(_NEAR, distance.min())]))
        draw = self._draw(place, int(times[place]), rng)
        times[place] += 1
        return draw

    def _shell(
        self, among: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        share = self._share[among]
        shells = [among[(low < share) & (share <= high)] for low, high in _SHELLS]
        weights = np.array(_SHELL_WEIGHTS) * [len(shell) > 0 for shell in shells]
        return shells[rng.choice(len(shells), p=weights / weights.sum())]

    def _draw(self, place: int, before: int, rng: np.random.Generator) -> Draw:
        """A spec with the next of its learning rates, which come in a random order."""
        space, family = self.pool.space, self.pool.family(place)
        rates = space.learning_rates(family)
        order = np.random.default_rng([self.seed, 3, place]).permutation(len(rates))
        knobs = {}
        for knob in space.drawn_knobs(family):
            values = space.values(family, knob)
            knobs[knob.name] = values[rng.integers(len(values))]
        spec = self.pool.spec(place).with_knobs(**knobs)
        rate, work = rates[int(order[before])], int(self.pool.work[place])
        return Draw(spec, rate, work, int(self.pool.params[place]))
