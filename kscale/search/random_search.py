"""Random search inside the budget: the baseline that is hard to beat."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kscale.families.base import Spec
from kscale.results import Result
from kscale.search.base import DONE, Job, Signal, derived_seed
from kscale.search.pool import Pool

_SHELLS = ((1 / 2, 1.0), (1 / 8, 1 / 2), (0.0, 1 / 8))
_SHELL_WEIGHTS = (0.60, 0.25, 0.15)
_NEAR = 0.15  # of a natural logarithm: sizes within 15 % of the target are equal
_ROUND = 20
_CHEAP_FIRST = 3


class RandomSearcher:
    """Specs drawn without replacement, most of them near the budget.

    A shell of the budget is drawn first (60 % of the proposals use more than half of
    it, 25 % between an eighth and a half, 15 % less), then a size in it, evenly in its
    logarithm, then one of the specs of about that size. Every spec is proposed once
    before any is proposed again with another learning rate; when all pairs of spec and
    learning rate have been proposed the space is exhausted.

    Jobs are drawn in rounds of 20. The three of the least work (`Size.training_work`)
    come first, so that a search soon has an answer and knows what a training costs; the
    others as drawn.

    Args:
        pool: Specs that fit the budget.
        trials: Most jobs to propose.
        epochs: Epochs to train each.
        seed: Decides everything.
        seeds_per_spec: Trainings a spec, each from another seed.
        admits: Whether a spec may be proposed, where that is known only of the spec
            itself; what it refuses costs no trial, and wider specs are not asked of.
    """

    def __init__(
        self,
        pool: Pool,
        trials: int,
        epochs: int,
        seed: int = 0,
        seeds_per_spec: int = 1,
        admits: Callable[[Spec], bool] | None = None,
    ) -> None:
        self.pool = pool
        self.trials = trials
        self.epochs = epochs
        self.seed = seed
        self.seeds_per_spec = seeds_per_spec
        self.admits = admits
        self._drawn = 0
        self._round: list[Job] = []
        self._times = np.zeros(len(pool), np.int64)
        self._size = np.log(pool.share)
        counts = {
            f.name: len(pool.space.learning_rates(f)) for f in pool.space.families
        }
        self._most_times = pool.by_family(counts)

    def ask(self) -> Job | Signal:
        """The next job; `DONE` after `trials` jobs or when the space is exhausted."""
        self._draw_round()
        return self._round.pop(0) if self._round else DONE

    def planned(self) -> Sequence[Job]:
        """What is left of this round."""
        self._draw_round()
        return tuple(self._round)

    def prefer(self, job: Job) -> None:
        """Ask for a job of this round next."""
        self._round.remove(job)
        self._round.insert(0, job)

    def _draw_round(self) -> None:
        """Draw the jobs of a round if none is left of the last one."""
        if self._round:
            return
        costs = {}
        for index in range(self._drawn, min(self._drawn + _ROUND, self.trials)):
            rng = np.random.default_rng([self.seed, 2, index])
            drawn = self._draw(rng)
            if drawn is None:
                break
            chosen, spec = drawn
            costs[self._job(index, chosen, spec)] = int(self.pool.work[chosen])
        self._drawn += len(costs)
        cheap = sorted(costs, key=lambda job: costs[job])[:_CHEAP_FIRST]
        self._round = list(dict.fromkeys([*cheap, *costs]))

    def _draw(self, rng: np.random.Generator) -> tuple[int, Spec] | None:
        """A position in the pool and the spec there, or None if nothing is left."""
        while True:
            chosen = self._choose(rng)
            if chosen is None:
                return None
            spec = self._draw_knobs(chosen, rng)
            if self.admits is None or self.admits(spec):
                return chosen, spec
            refused = self.pool.at_least(chosen)
            self._times[refused] = self._most_times[refused]

    def _job(self, index: int, chosen: int, spec: Spec) -> Job:
        rate = self._learning_rate(chosen)
        self._times[chosen] += 1
        return Job(
            "search",
            index,
            spec,
            seeds=tuple(
                derived_seed(self.seed, "search", index, member)
                for member in range(self.seeds_per_spec)
            ),
            learning_rates=(rate,) * self.seeds_per_spec,
            epochs_to=self.epochs,
        )

    def tell(self, job: Job, results: Sequence[Result]) -> None:
        """Random search does not learn."""

    def _choose(self, rng: np.random.Generator) -> int | None:
        """A spec proposed least often so far, in the shell and near the size drawn."""
        open_ = self._times < self._most_times
        if not open_.any():
            return None
        fresh = np.flatnonzero(open_ & (self._times == self._times[open_].min()))
        shell = self._shell(fresh, rng)
        sizes = self._size[shell]
        target = rng.uniform(sizes.min(), sizes.max())
        distance = np.abs(sizes - target)
        near = shell[distance <= max(_NEAR, distance.min())]
        return int(rng.choice(near))

    def _shell(
        self, among: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        share = self.pool.share[among] / max(1.0, float(self.pool.share.max()))
        shells = [among[(low < share) & (share <= high)] for low, high in _SHELLS]
        weights = np.array(_SHELL_WEIGHTS) * [len(shell) > 0 for shell in shells]
        return shells[rng.choice(len(shells), p=weights / weights.sum())]

    def _learning_rate(self, chosen: int) -> float:
        """The spec's learning rates in a random order of its own, one each time."""
        rates = self.pool.space.learning_rates(self.pool.family(chosen))
        order = np.random.default_rng([self.seed, 3, chosen]).permutation(len(rates))
        return rates[int(order[self._times[chosen]])]

    def _draw_knobs(self, chosen: int, rng: np.random.Generator) -> Spec:
        spec, family = self.pool.spec(chosen), self.pool.family(chosen)
        drawn = {
            knob.name: knob.values[rng.integers(len(knob.values))]
            for knob in self.pool.space.drawn_knobs(family)
        }
        return Spec(spec.family, tuple(sorted({**dict(spec.knobs), **drawn}.items())))
