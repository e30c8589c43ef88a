"""A ladder of sizes: trainings that tell what larger networks would score."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, pairwise
from statistics import fmean

import numpy as np

from kscale.errors import BudgetError
from kscale.networks.families.base import Spec
from kscale.runs.law.law import TRUSTED
from kscale.runs.records import Stage, Training
from kscale.search.affording import elapsed
from kscale.search.contract import (
    DONE,
    WAIT,
    Allowance,
    Beliefs,
    Job,
    Outlook,
    Signal,
    derived_seed,
)
from kscale.search.draws import Draw, Settings
from kscale.search.features import Features, unlike
from kscale.search.model import Expected, Observation, ScoreModel
from kscale.search.model_search import MOST_CANDIDATES
from kscale.search.narrowing import narrowing
from kscale.search.size_steps import SIZES, size_steps
from kscale.search.stage_jobs import StageJobs
from kscale.text import counted
from kscale.units import format_count

SHARES = (0.5, 0.25)
"""Parts of the training examples that tell what more examples would buy."""

_FEWEST = 3  # sizes of any law
_TRIES = (4, 3, 3, 3, 2, 2, 2)  # shapes and rates, from the smallest size up
_OF_TRIES = 0.1  # of the time, that those at a size may take, but for the first two
_OF_TRIALS = 0.25  # the same, of all jobs
_FIRST = 3  # of them, before scores tell where to look
_REPEATED = 4  # sizes of the ladder that get a second seed, the smallest first
_MOST_OF_TIME = 0.35  # for one training of the largest size
_ALIKE = 4  # candidates, most like the best of the next smaller size, that are tried
_LUCK = 0.5  # of a seed, in standard errors over the examples, while none is known


@dataclass(eq=False)
class _Tried:
    """A network that was trained or is out: its scores, and how many there will be."""

    scores: list[float] = field(default_factory=list)
    number: int = 0
    has_failed: bool = False


class LadderSearcher:
    """Trainings that fix the law of score against size, rather than find the winner.

    Seven sizes first, evenly in the logarithm: the largest that a third of the time is
    enough for, and smaller ones down to a hundredth of it. At the small ones several
    shapes and learning rates are tried; a Gaussian process of all scores (`ScoreModel`)
    says which of those like the best there is tried at the next larger size. Then the
    smaller half gets a second seed, which tells the noise. Where shares of the
    examples were asked for, every second size and the largest is trained on these. What
    time is left is for seeds and for sizes between, each time for the one that narrows
    most, for its cost, what the law says at four times the largest (`narrowing`).

    All trainings have full length. A trial is a job here.

    Args:
        settings: What to try.

    Raises:
        BudgetError: Too few different sizes fit.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sign = 1.0 if settings.objective.higher_is_better else -1.0
        self.refused: set[int] = set()  # what `admits` answered; never changes
        drawn = settings.draws.some(0, MOST_CANDIDATES)
        self.largest = max((draw.params for draw in drawn), default=0)
        rungs = size_steps(np.log([max(draw.params, 1) for draw in drawn]))
        ends = np.cumsum([0, *map(len, rungs)]).tolist()
        self.draws: Sequence[Draw] = [drawn[at] for rung in rungs for at in rung]
        self.rungs = [range(*each) for each in pairwise(ends)]
        self._places = {
            (draw.spec, draw.learning_rate): at for at, draw in enumerate(self.draws)
        }
        number = len({draw.params for draw in self.draws})
        if number < _FEWEST:
            raise BudgetError(
                f"A law needs networks of {_FEWEST} sizes or more, but only "
                f"{counted(number, 'size')} can be tried. Set fewer knobs, or raise "
                "the limit."
            )

    def propose(
        self, history: Sequence[Training], pending: Sequence[Job], allowance: Allowance
    ) -> Job | Signal:
        """The next job; `DONE` where time or trials allow none."""
        view = _View(self, history, pending, allowance)
        for job in view.jobs():
            if allowance.cost(job) <= allowance.seconds and self._admits(job):
                return job
        return WAIT if pending else DONE

    def outlook(self, history: Sequence[Training], pending: Sequence[Job]) -> Outlook:
        """As many trainings as there may be; a limit mostly ends a search before."""
        view = _View(self, history, pending, Allowance())
        new = max(self.settings.trials - view.trials, 0)
        new *= self.settings.seeds_per_spec
        mean = fmean(draw.work for draw in self.draws)
        return Outlook((), new, new * self.settings.epochs * mean)

    def notes(self, history: Sequence[Training]) -> Sequence[str]:
        """Which sizes were trained, and what for."""
        searched = [t for t in history if t.stage == "search" and t.is_scored]
        if not searched:
            return ()
        sizes = sorted({training.params for training in searched})
        again = len(searched) - len({(t.spec, t.learning_rate) for t in searched})
        seeds = f", {counted(again, 'training')} of them from further seeds"
        return (
            "Trained for the law of error against size, not for the best network: "
            f"{counted(len(sizes), 'size')} from {sizes[0]:,} to {sizes[-1]:,} params"
            f"{seeds * (again > 0)}. What the law says is for up to "
            f"{format_count(TRUSTED * sizes[-1])}.",
        )

    def beliefs(self, history: Sequence[Training]) -> Beliefs | None:
        """None: the law says what is expected."""
        return None

    def needed(self, history: Sequence[Training], pending: Sequence[Job]) -> set[str]:
        """None: no training goes on from another."""
        return set()

    @cached_property
    def features(self) -> Features:
        """The candidates in numbers."""
        return Features(self.draws)

    @cached_property
    def model(self) -> ScoreModel:
        """What scores are expected by."""
        features = self.features
        about = (features.values, features.groups, features.networks)
        return ScoreModel(*about, seed=self.settings.seed)

    def place(self, spec: Spec, rate: float | None) -> int | None:
        """Position of a candidate; None where none is so."""
        return self._places.get((spec, rate), self._places.get((spec, None)))

    def job(self, index: int, place: int, share: float = 1.0) -> Job:
        """The job of a candidate; all but its spec and its rate is the same for all."""
        settings, draw = self.settings, self.draws[place]
        members = range(settings.seeds_per_spec)
        stage: Stage = "search" if share == 1 else "subset"
        seeds = tuple(derived_seed(settings.seed, stage, index, m) for m in members)
        rates = (draw.learning_rate,) * len(members)
        epochs = settings.epochs
        return Job(stage, index, draw.spec, seeds, rates, epochs, share=share)

    def _admits(self, job: Job) -> bool:
        """Whether a spec may be trained."""
        admits = self.settings.admits
        if admits is None or admits(job.spec):
            return True
        draws = enumerate(self.draws)
        self.refused.update(place for place, draw in draws if draw.spec == job.spec)
        return False


class _View:
    """A history as a ladder looks at it, to choose the next job.

    Attributes:
        seconds: Time of the whole search, of all devices together.
        search, subsets: Jobs on all examples, and on fewer.
        tried: What became of each candidate that was trained on all examples.
    """

    def __init__(
        self,
        searcher: LadderSearcher,
        history: Sequence[Training],
        pending: Sequence[Job],
        allowance: Allowance,
    ) -> None:
        self.searcher = searcher
        self.allowance = allowance
        spent = sum(training.seconds for training in history)
        self.seconds = allowance.seconds * allowance.devices + spent
        about = (history, pending, searcher.place)
        self.search = StageJobs("search", *about)
        self.subsets = StageJobs("subset", *about)
        self.tried: Mapping[int, _Tried] = self._tried()

    @property
    def trials(self) -> int:
        """Jobs that were begun."""
        return len(self.search.begun) + len(self.subsets.begun)

    def jobs(self) -> Iterator[Job]:
        """Jobs that may come next, the best choice first."""
        yield from self.search.interrupted(self.searcher.job)
        yield from self.subsets.interrupted(self.searcher.job)
        if self.trials >= self.searcher.settings.trials:
            return
        yield from map(self._job, chain(self._ladder(), self._repeats()))
        yield from self._on_fewer_examples()
        yield from map(self._job, self._narrowing())

    def _tried(self) -> dict[int, _Tried]:
        members, begun = self.searcher.settings.seeds_per_spec, self.search.begun
        tried: dict[int, _Tried] = {}
        for place, _ in begun.values():
            tried.setdefault(place, _Tried()).number += members
        for training in self.search.trainings:
            if training.job not in begun:
                continue
            each = tried[begun[training.job][0]]
            if training.is_scored and training.score is not None:
                each.scores.append(self.searcher.sign * training.score)
            else:
                each.has_failed = True
        return tried

    @cached_property
    def expected(self) -> Expected | None:
        """What the candidates are expected to score; None while nothing is known."""
        sign, begun = self.searcher.sign, self.search.begun
        rows = [
            Observation(begun[training.job][0], 0.0, sign * training.score)
            for training in self.search.trainings  # in this order the model saw them
            if training.job in begun
            and training.is_scored
            and training.score is not None
        ]
        pending = begun.keys() & self.search.pending
        out = [Observation(begun[index][0], 0.0, None) for index in sorted(pending)]
        return self.searcher.model.expect([*rows, *out]) if rows else None

    @cached_property
    def affordable(self) -> Sequence[Sequence[int]]:
        """Rungs up to the largest of the ladder that is affordable, of about seven
        sizes and those between."""
        rungs = self.searcher.rungs
        most = _MOST_OF_TIME * self.seconds / self.allowance.devices
        tops = range(len(rungs) - 1, 0, -2)
        costs = {top: self._elapsed([rungs[top][0]]) for top in tops if rungs[top]}
        top = next((top for top, cost in costs.items() if cost <= most), 0)
        return rungs[max(top - 2 * (SIZES - 1), 0) : top + 1]

    @property
    def ladder(self) -> Sequence[Sequence[int]]:
        """Every second of the affordable rungs, the largest included."""
        rungs = [rung for rung in self.affordable[::-2] if self._open(rung)]
        return rungs[::-1]

    def _ladder(self) -> Iterator[int]:
        """Candidates that are due at each size, from the smallest size up; several of
        a size only while there is time for one of each that is larger."""
        trials = self.searcher.settings.trials
        first = [rung for rung in self.ladder if not self.tried.keys() & {*rung}]
        reserved = [rung[0] for rung in first]
        for at, rung in enumerate(self.ladder):
            cost = self._seconds(rung[0])
            most = min(_OF_TRIES * self.seconds / (cost or 1e-9), _OF_TRIALS * trials)
            tries = min(_TRIES[at], max(most, 2)) if at < len(_TRIES) else 1
            seconds = self._elapsed([rung[0], *reserved])
            is_affordable = seconds <= self.allowance.seconds
            is_affordable &= self.trials + len(first) < trials
            number = sum(place in self.tried for place in rung)
            if not number or (number < tries and is_affordable):
                yield from self._untried(rung, at == 0)

    def _repeats(self) -> Iterator[int]:
        """Second seeds, from the smallest size up."""
        for rung in self.ladder[:_REPEATED]:
            chosen = self._chosen(rung)
            if chosen is not None and self.tried[chosen].number < 2:
                yield chosen

    def _on_fewer_examples(self) -> Iterator[Job]:
        """The chosen network of every second size on shares of the examples, from the
        smallest size up, and then of the largest."""
        rungs, begun = self.ladder, {*self.subsets.begun.values()}
        for rung in (*rungs[len(rungs) % 2 :: 2], *rungs[-1:]):
            chosen = self._chosen(rung)
            for share in self.searcher.settings.shares:
                is_begun = any((place, share) in begun for place in rung)
                if chosen is not None and not is_begun:
                    yield self.searcher.job(self.subsets.next_index, chosen, share)

    def _narrowing(self) -> Iterator[int]:
        """What narrows the law most, for its cost, before what narrows it less."""
        found = [
            place
            for rung in self.affordable
            if (place := next(self._due(rung), None)) is not None
        ]
        if self.expected is None or not found:
            return
        tried = [self.tried.get(place, _Tried()) for place in found]
        draws = self.searcher.draws
        sizes = np.array([max(draws[place].params, 1) for place in found], np.float64)
        stderrs = [t.stderr for t in self.search.trainings if t.stderr and t.is_scored]
        part = narrowing(
            sizes,
            [each.scores for each in tried],
            np.array([each.number for each in tried], np.float64),
            float(TRUSTED * self.searcher.largest),
            _LUCK * (fmean(stderrs) if stderrs else 0.0),
        )
        gains = part / [self._cost(place) for place in found]
        yield from (found[at] for at in np.argsort(-gains, kind="stable"))

    def _due(self, rung: Sequence[int]) -> Iterator[int]:
        """The network of a size to train next: the chosen one, or else a new one."""
        chosen = self._chosen(rung)
        if chosen is not None:
            yield chosen
        elif not self.tried.keys() & set(rung):
            yield from self._untried(rung, False)

    def _chosen(self, rung: Sequence[int]) -> int | None:
        """The network of a size that is best, as far as is known."""
        if self.expected is None:
            return None
        scored = [p for p in rung if p in self.tried and self.tried[p].scores]
        scored = [place for place in scored if not self.tried[place].has_failed]
        return max(scored, key=self.expected.mean.__getitem__, default=None)

    def _open(self, rung: Sequence[int]) -> list[int]:
        """Candidates of a rung that may be tried."""
        return [place for place in rung if place not in self.searcher.refused]

    def _untried(self, rung: Sequence[int], is_first: bool) -> Iterator[int]:
        """Candidates of a size, the most promising first: unlike one another at the
        smallest one, then by expectation, or by expected improvement on the best."""
        among = [place for place in self._open(rung) if place not in self.tried]
        before = [place for place in rung if place in self.tried]
        if self.expected is None or (is_first and len(before) < _FIRST):
            yield from unlike(
                self.searcher.features.parts,
                np.array(among, np.int64),
                before,
                self._rng(),
            )
            yield from among
            return
        below = self._below(rung)
        if below is not None:
            values = self.searcher.features.values
            distances = ((values[among] - values[below]) ** 2).sum(axis=1)
            among = [among[at] for at in np.argsort(distances, kind="stable")[:_ALIKE]]
        values = self.expected.mean
        chosen = self._chosen(rung)
        if chosen is not None:
            values = self.expected.improvement(float(self.expected.mean[chosen]))
        yield from sorted(among, key=lambda place: -values[place])

    def _below(self, rung: Sequence[int]) -> int | None:
        """The chosen network of the next smaller size that has one."""
        smaller = [each for each in self.affordable if each and each[-1] < rung[0]]
        found = (self._chosen(each) for each in reversed(smaller))
        return next((place for place in found if place is not None), None)

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(
            [self.searcher.settings.seed, 31, self.search.next_index]
        )

    def _job(self, place: int) -> Job:
        return self.searcher.job(self.search.next_index, place)

    def _cost(self, place: int) -> float:
        """What a job costs, in seconds, or else in work."""
        work = self.searcher.draws[place].work
        return self._seconds(place) or float(max(work, 1))

    def _seconds(self, place: int) -> float:
        return self.allowance.cost(self._job(place))

    def _elapsed(self, places: Sequence[int]) -> float:
        return elapsed([*map(self._job, places)], self.allowance, set())
