"""Random search inside the budget: the baseline that is hard to beat."""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray

from kscale.networks.families.base import Spec
from kscale.runs.entries import Entry
from kscale.runs.records import Training
from kscale.search.climbing import Climb, Reach, Reached
from kscale.search.contract import (
    DONE,
    WAIT,
    Allowance,
    Job,
    Signal,
    is_known,
    keys_of,
)
from kscale.search.draws import Draw, FirstJobs, Settings
from kscale.search.pool import Pool

_SHELLS = ((1 / 2, 1.0), (1 / 8, 1 / 2), (0.0, 1 / 8))
_SHELL_WEIGHTS = (0.60, 0.25, 0.15)
_NEAR = 0.15  # of a natural logarithm: sizes within 15 % of the target are equal


class RandomSearcher(FirstJobs):
    """Every draw is trained once, at full length; learned is only how large to draw.

    The sizes of a pool are climbed, as `Climb` says. Specs that can only be drawn are
    trained as they come.

    Args:
        settings: What to try.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.epochs)
        self._climbed: list[_Round] = []
        self._places: dict[Job, int] = {}  # in the pool
        self._tops: dict[str, int] = {}  # as in `Climb`
        self._allowance: Allowance | None = None  # without one nothing is drawn
        self._recorded: Mapping[int, Training] = {}  # by number

    def propose(
        self, history: Sequence[Training], pending: Sequence[Job], allowance: Allowance
    ) -> Job | Signal:
        """The next job; `WAIT` where a pending one may decide the next size."""
        self._recorded = {t.job: t for t in history if t.stage == "search"}
        self._allowance = allowance
        proposed = super().propose(history, pending, allowance)
        self._allowance = None
        is_out = any(job.stage == "search" for job in pending)
        return WAIT if proposed is DONE and is_out else proposed

    def needed(self, history: Sequence[Training], pending: Sequence[Job]) -> set[str]:
        """No training goes on from another."""
        return set()

    def notes(self, history: Sequence[Training]) -> Sequence[str]:
        """Up to which size each family was climbed, and why no further."""
        draws, known = self.settings.draws, keys_of(history)
        if not isinstance(draws, PoolDraws):
            return ()
        for _ in self._all_rounds(history, known):
            pass  # until what is not known yet
        by_key = {training.key: training for training in history}
        notes = []
        for family, top in self._tops.items():
            tried, scored = [], []
            for job, place in self._places.items():
                if job.spec.family == family and is_known(job, known):
                    tried.append((int(draws.pool.params[place]), draws.octave(place)))
                    found = [t for key in job.keys if (t := by_key[key]).is_scored]
                    if found:
                        scored.append((Entry((*found,)), draws.octave(place)))
            reached = self._reached(scored, top)
            if reached is None or max(top, reached[1]) == 0:
                continue
            params, octave = reached[0].params, max(top, reached[1])
            is_above = any(each > octave for _, each in tried)
            larger = [each for each, _ in tried if each > params] if is_above else []
            largest = max(each for each, _ in tried)
            notes.append(_note(family, params if is_above else largest, larger))
        return notes

    def _reached(
        self, scored: Sequence[tuple[Entry, int]], top: int
    ) -> tuple[Entry, int] | None:
        """The best entry up to an octave, or one that is proved better, if any is.

        Looks above are compared with the best of all before, which chance may raise; so
        a slow rise shows only where the first and the last are compared.
        """
        better = [(entry, octave) for entry, octave in scored if octave <= top]
        reached = None
        while better:
            reached = min(better, key=lambda each: self._rank(each[0]))
            entry = reached[0]
            better = [
                (other, octave)
                for other, octave in scored
                if other.params > entry.params
                and self.settings.objective.gain(other.score, entry.score)
                > math.hypot(other.stderr, entry.stderr)
            ]
        return reached

    def _rank(self, entry: Entry) -> tuple[float, int]:
        return -self.settings.objective.gain(entry.score, 0.0), entry.params

    def _all_rounds(
        self, history: Sequence[Training], known: set[str]
    ) -> Iterator[Sequence[Job]]:
        draws = self.settings.draws
        if not isinstance(draws, PoolDraws):
            yield from super()._all_rounds(history, known)
            return
        by_key = {training.key: training for training in history}
        climb = Climb(draws.lowest, self.settings.objective)
        self._tops, rounds = climb.tops, climb.rounds()
        asked = next(rounds)
        for number in count():
            round_ = self._round(number, asked)
            self._draw(round_, draws, known)
            yield round_.jobs
            while self._draw(round_, draws, known):  # some were refused
                yield round_.jobs
            jobs = [job for job in round_.jobs if job not in self._refused]
            is_over = all(key in by_key for job in jobs for key in job.keys)
            if not round_.jobs or round_.drawn < len(asked) or not is_over:
                return  # nothing is left, or it is not known yet what comes next
            reached = []
            for job in jobs:
                scored = [t for key in job.keys if (t := by_key[key]).is_scored]
                if scored:
                    entry, octave = Entry((*scored,)), draws.octave(self._places[job])
                    found = Reached(entry.family, octave, entry.score, entry.stderr)
                    reached.append(found)
            asked = rounds.send(reached)

    def _round(self, number: int, asked: Sequence[Reach]) -> "_Round":
        """A round by its number; other results than before lead to another one."""
        if len(self._climbed) == number or self._climbed[number].asked != asked:
            for job in chain(*(round_.jobs for round_ in self._climbed[number:])):
                del self._work[job], self._places[job]
            self._climbed[number:] = [_Round(asked)]
        return self._climbed[number]

    def _draw(self, round_: "_Round", draws: "PoolDraws", known: set[str]) -> bool:
        """Draw as much of a round as trials are left; whether there is any.

        What is recorded under a number stands, however an older version drew it.
        """
        if self._allowance is None or round_.drawn == len(round_.asked):
            return False
        times, before = draws.times(self._places.values()), round_.drawn
        most_work = draws.most_work(self._is_cheap)
        for reach in round_.asked[before : before + self._left(known)]:
            round_.drawn += 1
            index = len(self._work)
            old = self._recorded.get(index)
            found = draws.recorded(old) if old is not None else None
            found = found or draws.reach(index, reach, times, most_work)
            if found is not None:
                place, draw = found
                times[place] += 1
                job = self._job(index, draw)
                self._work[job], self._places[job] = draw.work, place
                round_.jobs.append(job)
        return round_.drawn > before

    def _is_cheap(self, spec: Spec) -> bool:
        """Whether a training takes no more than a job's share of the time left."""
        if self._allowance is None or not self._allowance.is_limited:
            return True
        seconds = self._allowance.cost(self._job(0, Draw(spec, None, 0, 0)))
        return seconds <= self._allowance.share * self._allowance.seconds


@dataclass
class _Round:
    """A round of the climb: what was asked for, and what of it is drawn."""

    asked: Sequence[Reach]
    jobs: list[Job] = field(default_factory=list)
    drawn: int = 0


def _note(family: str, reached: int, above: Sequence[int]) -> str:
    if not above:
        return (
            f"No {family} of more than {reached:,} params was tried, although size "
            "may still help: more --trials or more --time go on."
        )
    tried = f"the larger one tried, of {above[0]:,} params, was not"
    if len(above) > 1:
        tried = f"none of the {len(above)} larger ones tried, up to {max(above):,}, was"
    return (
        f"In the search, size stopped helping {family} at {reached:,} params: {tried} "
        "better by more than a standard error of the difference. More --trials look at "
        "more of them."
    )


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

    Attributes:
        lowest: By family, the octave of its smallest spec; see `Reach`.
    """

    most_refused = None

    def __init__(self, pool: Pool, seed: int = 0) -> None:
        self.pool = pool
        self.seed = seed
        self._drawn: list[Draw] = []
        self._times = self.times(())
        self._by_work = np.argsort(pool.work, kind="stable")
        families = {family.name: family for family in pool.space.families}
        self._most_times = pool.by_family(
            {n: len(pool.space.learning_rates(f)) for n, f in families.items()}
        )
        self._families = {n: pool.by_family({n: 1}) > 0 for n in families}
        self._share = pool.share.copy()  # of the largest of the family
        for inside in self._families.values():
            self._share[inside] /= self._share[inside].max(initial=1e-12)
        self._octaves = np.ceil(np.log2(self._share)).astype(np.int64)
        lowest = {n: self._octaves[inside] for n, inside in self._families.items()}
        self.lowest = {n: int(found.min()) for n, found in lowest.items() if len(found)}

    def some(self, first: int, number: int) -> Sequence[Draw]:
        """Draws from a place in the sequence on; fewer where the sequence ends."""
        while len(self._drawn) < first + number:
            index = len(self._drawn)
            turn, at = divmod(index, len(self._families))
            order = np.random.default_rng([self.seed, 5, turn]).permutation(
                [*self._families]
            )
            reaches = (Reach(name, 0, True) for name in np.roll(order, -at).tolist())
            drawn = (self.reach(index, reach, self._times) for reach in reaches)
            found = next(filter(None, drawn), None)
            if found is None:
                break
            self._times[found[0]] += 1
            self._drawn.append(found[1])
        return self._drawn[first : first + number]

    def times(self, places: Iterable[int]) -> NDArray[np.int64]:
        """How often each spec is among positions in the pool."""
        return np.bincount(list(places), minlength=len(self.pool)).astype(np.int64)

    def octave(self, place: int) -> int:
        """The octave of the spec at a position in the pool."""
        return int(self._octaves[place])

    def recorded(self, training: Training) -> tuple[int, Draw] | None:
        """What was trained, and its position in the pool; None where it is not in."""
        spec, pool = training.spec, self.pool
        for place in np.flatnonzero(pool.params == training.params).tolist():
            family = pool.family(place)
            if family.name == spec.family:
                drawn = {
                    knob.name: spec[knob.name]
                    for knob in pool.space.drawn_knobs(family)
                }
                if pool.spec(place).with_knobs(**drawn) == spec:
                    rate, work = training.learning_rate, int(pool.work[place])
                    return place, Draw(spec, rate, work, training.params)
        return None

    def most_work(self, is_cheap: Callable[[Spec], bool]) -> float:
        """The largest work of a spec that is cheap, as all of less work are."""
        dear = bisect_left(
            self._by_work, True, key=lambda place: not is_cheap(self.pool.spec(place))
        )
        return float(self.pool.work[self._by_work[dear - 1]]) if dear else 0.0

    def reach(
        self,
        index: int,
        reach: Reach,
        times: NDArray[np.int64],
        most_work: float = math.inf,
    ) -> tuple[int, Draw] | None:
        """A spec of about the sizes asked for, and its position in the pool.

        Args:
            index: Number of the draw, which decides all that is random.
            reach: The sizes; the nearest ones where all of those are drawn.
            times: How often each spec was drawn.
            most_work: Most work of a spec; where all new ones have more, the least.
        """
        rng = np.random.default_rng([self.seed, 2, index])
        open_ = self._families[reach.family] & (times < self._most_times)
        if not open_.any():
            return None
        fresh = np.flatnonzero(open_ & (times == times[open_].min()))
        work = self.pool.work[fresh]
        fresh = fresh[work <= max(most_work, work.min())]
        above = self._octaves[fresh] - reach.octave
        distance = np.maximum(above, 0) if reach.and_below else np.abs(above)
        shell = self._shell(fresh[distance == distance.min()], reach.octave, rng)
        sizes = np.log(self._share[shell])
        target = rng.uniform(sizes.min(), sizes.max())
        distance = np.abs(sizes - target)
        place = int(rng.choice(shell[distance <= max(_NEAR, distance.min())]))
        return place, self._draw(place, int(times[place]), rng)

    def _shell(
        self, among: NDArray[np.int64], octave: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        share = np.minimum(self._share[among] / 2.0**octave, 1.0)
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
