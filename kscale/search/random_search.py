"""Random search inside the budget: the baseline that is hard to beat."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kscale.networks.families.base import Spec
from kscale.runs.records import Training
from kscale.search.contract import Job
from kscale.search.draws import Draw, FirstJobs, Settings
from kscale.search.pool import Pool

_SHELLS = ((1 / 2, 1.0), (1 / 8, 1 / 2), (0.0, 1 / 8))
_SHELL_WEIGHTS = (0.60, 0.25, 0.15)
_NEAR = 0.15  # of a natural logarithm: sizes within 15 % of the target are equal


class RandomSearcher(FirstJobs):
    """Every draw is trained once, at full length; nothing is learned.

    Args:
        settings: What to try.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.epochs)

    def needed(self, history: Sequence[Training], pending: Sequence[Job]) -> set[str]:
        """No training goes on from another."""
        return set()


class PoolDraws:
    """Specs of a pool drawn without replacement, most of them near the budget.

    A shell of the budget is drawn first (60 % of the draws use more than half of the
    budget, 25 % between an eighth and a half, 15 % less), then a size in the shell,
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
        self._times = np.zeros(len(pool), np.int64)
        self._size = np.log(pool.share)
        families = pool.space.families
        self._most_times = pool.by_family(
            {family.name: len(pool.space.learning_rates(family)) for family in families}
        )
        self._families = [pool.by_family({family.name: 1}) > 0 for family in families]

    def some(self, first: int, number: int) -> Sequence[Draw]:
        """Draws from a place in the sequence on; fewer where the sequence ends."""
        while len(self._drawn) < first + number:
            draw = self._draw(len(self._drawn))
            if draw is None:
                break
            self._drawn.append(draw)
        return self._drawn[first : first + number]

    def _draw(self, index: int) -> Draw | None:
        rng = np.random.default_rng([self.seed, 2, index])
        chosen = self._choose(self._times, rng, index)
        if chosen is None:
            return None
        rate = self._learning_rate(chosen, int(self._times[chosen]))
        self._times[chosen] += 1
        spec = self._draw_knobs(chosen, rng)
        return Draw(spec, rate, int(self.pool.work[chosen]))

    def _choose(
        self, times: NDArray[np.int64], rng: np.random.Generator, index: int
    ) -> int | None:
        """A spec of the family whose turn it is, drawn least often so far, in the shell
        and near the size drawn."""
        open_ = self._in_turn(times < self._most_times, index)
        if not open_.any():
            return None
        fresh = np.flatnonzero(open_ & (times == times[open_].min()))
        shell = self._shell(fresh, rng)
        sizes = self._size[shell]
        target = rng.uniform(sizes.min(), sizes.max())
        distance = np.abs(sizes - target)
        near = shell[distance <= max(_NEAR, distance.min())]
        return int(rng.choice(near))

    def _in_turn(self, open_: NDArray[np.bool_], index: int) -> NDArray[np.bool_]:
        """What of these is of the family whose turn a job is, or of the next one."""
        turn, place = divmod(index, len(self._families))
        order = np.random.default_rng([self.seed, 5, turn]).permutation(
            len(self._families)
        )
        for number in np.roll(order, -place).tolist():
            those: NDArray[np.bool_] = open_ & self._families[number]
            if those.any():
                return those
        return open_

    def _shell(
        self, among: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        share = self.pool.share[among] / max(1.0, float(self.pool.share.max()))
        shells = [among[(low < share) & (share <= high)] for low, high in _SHELLS]
        weights = np.array(_SHELL_WEIGHTS) * [len(shell) > 0 for shell in shells]
        return shells[rng.choice(len(shells), p=weights / weights.sum())]

    def _learning_rate(self, chosen: int, before: int) -> float:
        """The learning rates of a spec in a random order, one each time."""
        rates = self.pool.space.learning_rates(self.pool.family(chosen))
        order = np.random.default_rng([self.seed, 3, chosen]).permutation(len(rates))
        return rates[int(order[before])]

    def _draw_knobs(self, chosen: int, rng: np.random.Generator) -> Spec:
        space, family = self.pool.space, self.pool.family(chosen)
        choices = {k.name: space.values(family, k) for k in space.drawn_knobs(family)}
        drawn = {
            name: values[rng.integers(len(values))] for name, values in choices.items()
        }
        return self.pool.spec(chosen).with_knobs(**drawn)
