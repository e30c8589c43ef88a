"""Searchers that choose the next network by a model of the scores so far."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from statistics import fmean, median

import numpy as np

from kscale.runs.records import Training
from kscale.search.begun import Begun, RungJobs, State
from kscale.search.contract import (
    DONE,
    WAIT,
    Allowance,
    Belief,
    Beliefs,
    Job,
    Outlook,
    Signal,
    keys_of,
)
from kscale.search.draws import Settings
from kscale.search.features import Features, unlike
from kscale.search.halving import rungs_of
from kscale.search.model import Expected, ScoreModel
from kscale.search.process import Places, Values
from kscale.units import octave_of

MOST_CANDIDATES = 2000
"""Draws that are weighed against one another."""

_LARGE = 4  # of the first networks, drawn from those of the most work
_OF_MOST_WORK = 0.9  # quantile
_OTHERS = 2  # more of the first networks
_OTHERS_SHORT = 5  # where the first training is short
_CONTENDERS = 20  # random networks for a place among the first
_DEAR = 3.0  # times the middle cost, above which a network is not among the first
_COST_POWER = 0.5  # of the cost, by which an expected improvement is divided
_SHORTLIST = 40  # candidates whose exact cost is asked for
_NO_LONGER = 2.0  # times the cost of the next rung, up to which a training goes further
_DOUBT = 0.5  # deviations below its expectation, at which a short one is ranked
_OF_SMALLER = 0.1  # of the seconds, to finish the best of smaller sizes


class ModelSearcher:
    """Expected improvement of a model of scores, by its cost.

    The first networks are drawn: four of the tenth with the most work, as the best ones
    are mostly among them, then others, all with different knobs. Those that cost more
    than three times the middle candidate are replaced by ones of the most parameters:
    wide networks of one layer have the most work of a family. From then on a
    Gaussian process (`ScoreModel`) predicts each network's score at full length. Jobs
    train a new or a begun network to some rung; the next job has the largest expected
    improvement on the best score, divided by a power of the job's cost. Sizes and costs
    are exact. The best network of each octave of smaller sizes is trained at full
    length too, within a tenth of the time. Before any other network has its full
    length, and before time runs out, the network of the best expected score has it: a
    search that is ended at any moment then has a good answer.

    Args:
        settings: What to try.
        rungs: Epochs at which a training may pause, the last of them all.
    """

    def __init__(self, settings: Settings, rungs: Sequence[int]) -> None:
        self.settings = settings
        self.rungs = tuple(rungs)
        self.candidates = RungJobs(settings, rungs, MOST_CANDIDATES)
        self.refused: set[int] = set()  # what `admits` answered; never changes

    @classmethod
    def auto(cls, settings: Settings) -> "ModelSearcher":
        """With rungs, so that poor networks are trained for a ninth of the epochs."""
        return cls(settings, rungs_of(settings.epochs))

    @classmethod
    def bayesian(cls, settings: Settings) -> "ModelSearcher":
        """Trainings of full length only."""
        return cls(settings, (settings.epochs,))

    def propose(
        self, history: Sequence[Training], pending: Sequence[Job], allowance: Allowance
    ) -> Job | Signal:
        """The next job; `DONE` where nothing is left that time and trials allow."""
        state = self.candidates.state(history, pending)
        view = _View(self, state, allowance)
        for share in sorted({allowance.share, 1.0}):
            for job in view.jobs():
                is_affordable = allowance.cost(job) <= share * allowance.seconds
                if is_affordable and self._admits(job):
                    return job
        return WAIT if any(each.is_out for each in state.begun.values()) else DONE

    def outlook(self, history: Sequence[Training], pending: Sequence[Job]) -> Outlook:
        """What all trials take at full length; a limit mostly ends a search before."""
        state, draws = self.candidates.state(history, pending), self.candidates.draws
        last, members = self.rungs[-1], self.settings.seeds_per_spec
        new = max(min(self.settings.trials, len(draws)) - len(state.begun), 0)
        work = new * last * fmean(draw.work for draw in draws) if new else 0.0
        for place, each in state.begun.items():
            if each.epochs < last and not each.has_failed:
                new += 1
                work += (last - each.epochs) * draws[place].work
        return Outlook((), new * members, work * members)

    def notes(self, history: Sequence[Training]) -> Sequence[str]:
        """None."""
        return ()

    def beliefs(self, history: Sequence[Training]) -> Beliefs | None:
        """Expected scores by the model, once there is a known score."""
        state = self.candidates.state(history)
        return _View(self, state, Allowance()).beliefs()

    def needed(self, history: Sequence[Training], pending: Sequence[Job]) -> set[str]:
        """The last weights of every network that may go on."""
        found: set[str] = set()
        for each in self.candidates.state(history, pending).begun.values():
            if not each.has_failed:
                going_on = [*each.jobs.values()][-2:] if each.is_out else [each.last]
                found.update(
                    *(j.keys for j in going_on if j.epochs_to < self.rungs[-1])
                )
        return found & keys_of(history)

    @cached_property
    def features(self) -> Features:
        """The candidates in numbers."""
        return Features(self.candidates.draws)

    @cached_property
    def model(self) -> ScoreModel:
        """What scores are expected by."""
        longest = self.candidates.left(self.rungs[0])
        values, groups = self.features.values, self.features.groups
        seed = self.settings.seed
        return ScoreModel(values, groups, self.features.networks, longest, seed)

    @cached_property
    def first(self) -> Sequence[int]:
        """Networks to begin with, each unlike those before: large ones, and a ladder of
        sizes, evenly in the logarithm, of which the middle one comes second; families
        take turns."""
        rng = np.random.default_rng([self.settings.seed, 23])
        draws = self.candidates.draws
        work = np.array([draw.work for draw in draws], np.float64)
        logs = np.log(np.maximum(work, 1.0)) + rng.uniform(0, 1e-9, len(work))
        names = np.array([draw.spec.family for draw in draws])
        families = [np.flatnonzero(names == name) for name in np.unique(names)]
        number = _OTHERS if len(self.rungs) == 1 else _OTHERS_SHORT
        steps = np.linspace(0.0, 1.0, number + 2)[1:-1].tolist()
        inwards = sorted(steps, key=lambda step: abs(step - 0.5))
        parts, first = self.features.parts, list[int]()
        order = (None, inwards[0], *[None] * (_LARGE - 1), *inwards[1:])
        for turn, step in enumerate(order):
            family = families[turn % len(families)]
            sizes = logs[family]
            if step is None:
                among = family[sizes >= np.quantile(sizes, _OF_MOST_WORK)]
            else:
                size = sizes.min() + step * (sizes.max() - sizes.min())
                among = family[np.argsort(abs(sizes - size))[:_CONTENDERS]]
            first += unlike(parts, np.setdiff1d(among, first), first, rng)
        return first

    @cached_property
    def spare(self) -> Sequence[int]:
        """Networks of the most parameters, for those of the most work that are dear."""
        rng = np.random.default_rng([self.settings.seed, 29])
        params = np.array([draw.params for draw in self.candidates.draws])
        most = np.flatnonzero(params >= np.quantile(params, _OF_MOST_WORK))
        found = [*self.first]
        for _ in range(_LARGE):
            found += unlike(self.features.parts, np.setdiff1d(most, found), found, rng)
        return found[len(self.first) :]

    def _admits(self, job: Job) -> bool:
        """Whether a spec may be trained."""
        admits = self.settings.admits
        if admits is None or admits(job.spec):
            return True
        draws = enumerate(self.candidates.draws)
        self.refused.update(place for place, draw in draws if draw.spec == job.spec)
        return False


class _View:
    """A state as a searcher looks at it, to choose the next job."""

    def __init__(
        self, searcher: ModelSearcher, state: State, allowance: Allowance
    ) -> None:
        self.searcher = searcher
        self.candidates = searcher.candidates
        self.state = state
        self.allowance = allowance
        self.last = searcher.rungs[-1]
        self.may_begin = len(state.begun) < searcher.settings.trials

    @cached_property
    def expected(self) -> Expected | None:
        """What the candidates are expected to score; None while nothing is known."""
        rows = self.state.rows
        known = sum(row.score is not None for row in rows)
        return self.searcher.model.expect(rows) if known else None

    @cached_property
    def ranked(self) -> Sequence[int]:
        """Scored candidates, the best first: by the score at full length, and by a
        cautious expectation of what has not had its full length."""
        begun = self.state.begun
        scored = [at for at, each in begun.items() if each.scores]
        if self.expected is None:
            return scored
        cautious = self.expected.mean - _DOUBT * self.expected.deviation
        ranks = {at: begun[at].scores.get(self.last, cautious[at]) for at in scored}
        return sorted(scored, key=ranks.__getitem__, reverse=True)

    @cached_property
    def gains(self) -> Values:
        """Expected improvement of each candidate on the best; -1 for what is over."""
        assert self.expected is not None
        best = float(self.expected.mean[self.ranked].max())
        improvement = self.expected.improvement(best)
        begun = self.state.begun
        over = [at for at, each in begun.items() if not self._is_open(each)]
        gains = improvement if self.may_begin else np.full(len(improvement), -1.0)
        gains[[*begun]] = improvement[[*begun]]
        gains[[*over, *self.searcher.refused]] = -1.0
        return gains

    def jobs(self) -> Iterator[Job]:
        """Jobs that may come next, the best choice first."""
        yield from self.state.interrupted
        best, smaller = self._unfinished()
        due = [job for job in smaller if self._is_within_share(job)]
        for job in self._exploring():
            costs = self.cost(job) + sum(map(self.cost, best))
            if best and costs > self.allowance.seconds:
                break
            for each in (*due, job):  # the best has its full length before others
                yield from best if each.epochs_to == self.last and best else (each,)
            due = []
        yield from (*best, *smaller)

    def cost(self, job: Job) -> float:
        """What a job costs, in seconds, or else in work."""
        epochs = job.epochs_to - job.epochs_from
        place = self.candidates.place(job.spec, job.learning_rates[0])
        work = 1 if place is None else self.candidates.draws[place].work
        return self.allowance.cost(job) or float(max(work * epochs, 1))

    def beliefs(self) -> Beliefs | None:
        """As `Searcher.beliefs`."""
        if self.expected is None:
            return None
        octaves: dict[int, int] = {}
        for place in np.argsort(-self.expected.mean, kind="stable").tolist():
            if place not in self.state.begun:
                octaves.setdefault(self._octave(place), place)
        return Beliefs(
            tuple(map(self._belief, self.ranked)),
            tuple(self._belief(octaves[octave]) for octave in sorted(octaves)),
            float(self.gains.max(initial=0.0)),
        )

    def _belief(self, place: int) -> Belief:
        assert self.expected is not None
        draw = self.candidates.draws[place]
        score = self.candidates.sign * float(self.expected.mean[place])
        deviation = float(self.expected.deviation[place])
        return Belief(draw.spec, draw.learning_rate, draw.params, score, deviation)

    def _exploring(self) -> Iterator[Job]:
        """New candidates and next rungs, the most promising first."""
        closed = {*self.state.begun, *self.searcher.refused}
        if self.may_begin:
            are_missing = len(self.state.begun) < len(self.searcher.first)
            first = self._first if are_missing else ()
            others = range(len(self.candidates)) if self.expected is None else ()
            places = (at for at in chain(first, others) if at not in closed)
            yield from map(self._next, places)
        if self.expected is None:
            return
        gains = self.gains
        order = np.argsort(-gains, kind="stable")[: int((gains > -1.0).sum())].tolist()
        yield from self._by_worth(np.array(order[:_SHORTLIST], np.int64))
        yield from map(self._next, order[_SHORTLIST:])

    @cached_property
    def _first(self) -> Sequence[int]:
        """The first networks, with others in place of dear ones."""

        def cost(place: int) -> float:
            return self.cost(self.candidates.job(0, place, self.searcher.rungs[0]))

        number = len(self.candidates)
        most = _DEAR * median(map(cost, range(0, number, -(-number // _CONTENDERS))))
        spare = (place for place in self.searcher.spare if cost(place) <= most)
        # One for each that is dear, while there are any.
        instead = (
            at if cost(at) <= most else next(spare, None) for at in self.searcher.first
        )
        return [at for at in instead if at is not None]

    def _by_worth(self, places: Places) -> Iterator[Job]:
        """Jobs of candidates up to any of their rungs, by what they are expected to
        gain, divided by a power of their cost."""
        assert self.expected is not None
        rungs = self.searcher.rungs
        lefts = np.array([self.candidates.left(rung) for rung in rungs])
        steps = self.searcher.model.steps(places, lefts)
        best = float(self.expected.mean[self.ranked].max())
        gains = dict(zip(rungs, self.expected.gain(best, places, steps), strict=True))
        worths = [
            (float(gains[job.epochs_to][at]) / self.cost(job) ** _COST_POWER, job)
            for at, place in enumerate(places.tolist())
            for job in self._ways(place)
        ]
        yield from (job for _, job in sorted(worths, key=lambda each: -each[0]))

    def _unfinished(self) -> tuple[list[Job], list[Job]]:
        """Jobs that give networks their full length: of the best one, and of the best
        of each octave of smaller sizes, from the cheapest up; none of whole ones, and
        of what there is no time to finish."""
        octaves: dict[int, Job | None] = {}
        for place in self.ranked:
            each = self.state.begun[place]
            if each.epochs >= self.last:
                octaves.setdefault(self._octave(place), None)
            elif self._is_open(each):
                job = self.candidates.job(each.number, place, self.last, each.epochs)
                if self.cost(job) <= self.allowance.seconds:
                    octaves.setdefault(self._octave(place), job)
        jobs = [*octaves.items()]
        best = [job for _, job in jobs[:1] if job]
        smaller = [job for octave, job in jobs[1:] if job and octave < jobs[0][0]]
        return best, sorted(smaller, key=self.cost)

    def _is_within_share(self, job: Job) -> bool:
        """Whether finishing smaller networks has its share of the seconds yet."""
        best = self._octave(self.ranked[0])
        begun, cost = self.state.begun, self.allowance.cost(job)
        spent = sum(each.seconds for each in begun.values())
        smaller = sum(
            each.seconds
            for place, each in begun.items()
            if each.epochs >= self.last and self._octave(place) < best
        )
        return smaller + cost <= _OF_SMALLER * (spent + cost)

    def _is_open(self, each: Begun) -> bool:
        """Whether a candidate may go on."""
        is_over = each.is_out or each.has_failed
        return not is_over and each.epochs < self.last

    def _octave(self, place: int) -> int:
        return octave_of(self.candidates.draws[place].params)

    def _next(self, place: int) -> Job:
        """The next job of a candidate: to the next rung, or further where that costs
        little more."""
        jobs = self._ways(place)
        most = _NO_LONGER * self.cost(jobs[0])
        return [job for job in jobs if self.cost(job) <= most or job is jobs[0]][-1]

    def _ways(self, place: int) -> list[Job]:
        """The jobs of a candidate to each of its next rungs."""
        each = self.state.begun.get(place)
        number = self.state.number if each is None else each.number
        begun = 0 if each is None else each.epochs
        rungs = (rung for rung in self.searcher.rungs if rung > begun)
        return [self.candidates.job(number, place, rung, begun) for rung in rungs]
