"""Random search inside the budget: the baseline that is hard to beat."""

from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from kscale.networks.families.base import Spec
from kscale.search.contract import DONE, Job, Signal
from kscale.search.pool import Pool
from kscale.search.rounds import ROUND, Rounds

_SHELLS = ((1 / 2, 1.0), (1 / 8, 1 / 2), (0.0, 1 / 8))
_SHELL_WEIGHTS = (0.60, 0.25, 0.15)
_NEAR = 0.15  # of a natural logarithm: sizes within 15 % of the target are equal

_Place = tuple[int, int]
"""A position in the pool, and how often its spec was drawn before."""


class RandomSearcher(Rounds):
    """Specs drawn without replacement, most of them near the budget.

    A shell of the budget is drawn first (60 % of the proposals use more than half of
    it, 25 % between an eighth and a half, 15 % less), then a size in it, evenly in its
    logarithm, then one of the specs of about that size. Every spec is proposed once
    before any is proposed again with another learning rate; when all pairs of spec and
    learning rate have been proposed the space is exhausted. Several families take
    turns, in an order drawn anew each time, until one is exhausted: each gets an equal
    share of the trials, however many specs it has.

    Jobs are drawn in rounds of 20, and the work of one is `Size.training_work`.

    Whether a spec is admitted is asked when its job's turn has come. A refused one
    costs no trial: another is drawn for the same job as if the later ones of its round
    had not been drawn, but none that was proposed already; a later job that so loses
    its spec is itself drawn again. More trials go on where fewer ended, in whole rounds
    always, and else but for a job whose other draw one of the three took first. A job
    is left out if nothing is left.

    Args:
        pool: Specs that fit the budget.
        trials: Most jobs to propose.
        epochs: Epochs to train each.
        seed: Decides everything.
        seeds_per_spec: Trainings a spec, each from another seed.
        admits: Whether a spec may be proposed, where that is known only of the spec
            itself; its answer for a spec never changes.
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
        super().__init__(trials, epochs, seed, seeds_per_spec, admits)
        self.pool = pool
        self._places: dict[int, _Place] = {}
        self._proposed: set[_Place] = set()
        self._refused = np.zeros(len(pool), bool)
        self._times = np.zeros(len(pool), np.int64)
        self._start = self._times
        self._size = np.log(pool.share)
        counts = {
            f.name: len(pool.space.learning_rates(f)) for f in pool.space.families
        }
        self._most_times = pool.by_family(counts)
        self._families = [pool.by_family({f.name: 1}) > 0 for f in pool.space.families]

    def ask(self) -> Job | Signal:
        """The next job; `DONE` after `trials` jobs or when the space is exhausted."""
        while self.planned():
            job = self._admitted(self._round.pop(0))
            if job is not None:
                return job
        return DONE

    def planned(self) -> Sequence[Job]:
        """What is left of this round; one that is refused will be another."""
        self._draw_round()
        return tuple(self._round)

    def _draw_round(self) -> None:
        """Draw the jobs of a round if none is left of the last one."""
        if self._round:
            return
        self._start = np.where(self._refused, self._most_times, self._times)
        self._places = {}
        times, costs = self._start.copy(), {}
        for index in range(self._drawn, min(self._drawn + ROUND, self.trials)):
            drawn = self._draw(times, index)
            if drawn is None:
                break
            job, (chosen, _) = drawn
            self._places[index] = drawn[1]
            times[chosen] += 1
            costs[job] = int(self.pool.work[chosen])
        self._begin_round(costs)

    def _draw(
        self, times: NDArray[np.int64], index: int, *attempt: int
    ) -> tuple[Job, _Place] | None:
        """A job, at each attempt another; None if nothing is left.

        Args:
            times: How often each spec was drawn before.
            index: Index of the job.
            attempt: Number of the attempt, after the first.
        """
        rng = np.random.default_rng([self.seed, 2, index, *attempt])
        chosen = self._choose(times, rng, index)
        if chosen is None:
            return None
        before = int(times[chosen])
        rate = self._learning_rate(chosen, before)
        job = self._job(index, self._draw_knobs(chosen, rng), rate)
        return job, (chosen, before)

    def _admitted(self, job: Job) -> Job | None:
        """A job of this round, or the first in its place that can be proposed."""
        place = self._places[job.index]
        times = self._start.copy()
        for index, (earlier, _) in self._places.items():
            times[earlier] += index < job.index
        for attempt in count(1):
            chosen, before = place
            if place in self._proposed:
                times[chosen] = before + 1
            elif self._refuses(chosen, job.spec):
                gone = self._refused & self.pool.at_least(chosen)
                times[gone] = self._most_times[gone]
            else:
                self._proposed.add(place)
                self._times[chosen] += 1
                return job
            drawn = self._draw(times, job.index, attempt)
            if drawn is None:
                return None
            job, place = drawn
        raise AssertionError("attempts never end by themselves")

    def _refuses(self, chosen: int, spec: Spec) -> bool:
        """Whether a spec is refused; takes it out then, and the wider ones that are.

        The widest is asked of first, and nothing below one that is admitted: whoever
        takes wider specs for slower ones answers this without measuring any.
        """
        if self.admits is None or self._refused[chosen]:
            return bool(self._refused[chosen])
        if self.admits(spec):
            return False
        self._refused[chosen] = True
        wider = np.flatnonzero(self.pool.at_least(chosen))
        for position in wider[np.argsort(-self.pool.flops[wider])].tolist():
            if position == chosen:
                continue
            if self.admits(self._with_drawn(position, spec)):
                break
            self._refused[position] = True
        return True

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
            own: NDArray[np.bool_] = open_ & self._families[number]
            if own.any():
                return own
        return open_

    def _shell(
        self, among: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        share = self.pool.share[among] / max(1.0, float(self.pool.share.max()))
        shells = [among[(low < share) & (share <= high)] for low, high in _SHELLS]
        weights = np.array(_SHELL_WEIGHTS) * [len(shell) > 0 for shell in shells]
        return shells[rng.choice(len(shells), p=weights / weights.sum())]

    def _learning_rate(self, chosen: int, before: int) -> float:
        """The spec's learning rates in a random order of its own, one each time."""
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

    def _with_drawn(self, position: int, like: Spec) -> Spec:
        """The spec at a position of the pool, with the drawn knobs of another."""
        drawn = self.pool.space.drawn_knobs(self.pool.family(position))
        return self.pool.spec(position).with_knobs(
            **{k.name: like[k.name] for k in drawn}
        )
