"""From baselines over a search to finalists: the order of a whole run."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count

from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec
from kscale.runs.entries import (
    Entry,
    best_of,
    entries_of,
    front_of,
    is_answer,
    is_tied,
    recommended_of,
    stored_entry,
)
from kscale.runs.records import Stage, Training
from kscale.search.affording import (
    affordable,
    elapsed,
    have_time_after,
    of_seeds,
    queued,
)
from kscale.search.contract import (
    DONE,
    WAIT,
    Allowance,
    Beliefs,
    Job,
    Outlook,
    Searcher,
    Signal,
    derived_seed,
    is_known,
    keys_of,
)
from kscale.search.effort import Effort, Flat, flat_of, promising_of
from kscale.task.objectives import Objective

_MOST_BELIEVED = 10  # histories of which beliefs are kept


class StagedSearcher:
    """Baselines first, then the jobs of another searcher, then the finalists.

    Finalists are the specs within one standard error of the best, at least two and at
    most `most_finalists`: the best first, then those on the front from the smallest up,
    because one of them will be recommended if the score holds. Each is trained again
    from `finalist_seeds` new seeds, so that no lucky seed wins. Their means may fall.
    Then specs above the best mean become finalists too, and tied specs smaller than the
    recommended network, while there are fewer than `most_finalists`.

    Under a limit one rule decides: the search goes on while the next job leaves time
    for the finalists that are due, before finalists as after them. As many are due as
    half of the limit is enough for; where that is fewer than two, each is given fewer
    seeds. Where not even two finalists of one seed fit, all of the time is for the
    search. The last jobs of the search are waited for only where the finalists have
    time after them. Time in which no job of the search and no finalist fits is for
    further seeds of the finalists.

    An effort is a limit of the same kind on the seconds of all trainings, but keeps two
    finalists, and need not be used up. The winner that an effort is measured by is the
    network that the searcher finds most promising, or else the best so far; while
    nothing larger was tried, the largest. While a baseline is better than every
    network of full length, the dearest network of the search takes that place.

    Args:
        baselines: Specs and learning rates to train before the search.
        searcher: Proposes the jobs of the search.
        objective: What is better.
        budget: Finalists must fit it; a baseline need not.
        epochs: Epochs to train baselines and finalists.
        seed: Decides the seeds of baselines and finalists.
        finalist_seeds: New seeds of a finalist; 0 leaves the finalists out.
        most_finalists: Most finalists.
        sets_rates: Whether finalists are given the learning rate of the search; if not,
            the code of a user's model decides.
        effort: How much may be trained in all; None for no such limit.
        largest: The largest network that fits; needed for an effort.
        unit: What an effort is measured by in place of the winner.
        stop_when_flat: Whether finalists begin where further jobs promise too little.
    """

    def __init__(
        self,
        baselines: Sequence[tuple[Spec, float]],
        searcher: Searcher,
        objective: Objective,
        budget: Budget,
        epochs: int,
        seed: int = 0,
        finalist_seeds: int = 3,
        most_finalists: int = 5,
        sets_rates: bool = True,
        effort: Effort | None = None,
        largest: Spec | None = None,
        stop_when_flat: bool = False,
        unit: Spec | None = None,
    ) -> None:
        self.searcher = searcher
        self.objective = objective
        self.budget = budget
        self.epochs = epochs
        self.seed = seed
        self.finalist_seeds = finalist_seeds
        self.most_finalists = most_finalists
        self.sets_rates = sets_rates
        self.effort = effort
        self.largest = largest
        self.stop_when_flat = stop_when_flat
        self.unit = unit
        self._believed: dict[tuple[str, ...], Beliefs | None] = {}
        self.baselines = [
            self._job("baseline", index, spec, rate, count=1)
            for index, (spec, rate) in enumerate(baselines)
        ]

    def propose(
        self, history: Sequence[Training], pending: Sequence[Job], allowance: Allowance
    ) -> Job | Signal:
        """The next job of the run."""
        keys = keys_of(history, pending)
        for job in self.baselines:
            if not is_known(job, keys):
                return job
        free = allowance.less(queued(pending, allowance, keys_of(history)))
        within = self.within(history, pending, free)
        stages = {job.stage for job in pending}
        if "finalist" not in stages and self.flat(history) is None:
            left = within.less(self._reserved(history, pending, free, within))
            proposed = self.searcher.propose(history, pending, left)
            if isinstance(proposed, Job):
                return proposed
        finals = self.finals(history, pending, free)
        due = [job for job in finals if not is_known(job, keys)]
        others = [job for job in pending if job.stage != "finalist"]
        if others and have_time_after(others, due, allowance, keys_of(history)):
            return WAIT
        if due:
            is_affordable = elapsed(due[:1], free, keys) <= free.seconds
            return due[0] if is_affordable else WAIT if others else DONE
        if pending:
            return WAIT
        return self._further(history, within) or DONE

    def outlook(self, history: Sequence[Training], pending: Sequence[Job]) -> Outlook:
        """Baselines, what the search expects, and the finalists of now."""
        keys = keys_of(history, pending)
        inner = self.searcher.outlook(history, pending)
        jobs = (*self.baselines, *inner.jobs, *self.finals(history, pending))
        due = tuple(job for job in jobs if not is_known(job, keys))
        return Outlook(due, inner.trainings, inner.work)

    def notes(self, history: Sequence[Training]) -> Sequence[str]:
        """Sentences of the searcher for the user."""
        return self.searcher.notes(history)

    def beliefs(self, history: Sequence[Training]) -> Beliefs | None:
        """Expected scores by the searcher; None where it has none."""
        keys = tuple(t.key for t in history if t.stage == "search")
        if keys not in self._believed:
            for old in [*self._believed][:-_MOST_BELIEVED]:
                del self._believed[old]
            self._believed[keys] = self.searcher.beliefs(history)
        return self._believed[keys]

    def flat(self, history: Sequence[Training]) -> Flat | None:
        """Why the search stops by itself; None where it goes on."""
        searched = [training for training in history if training.stage == "search"]
        return flat_of(searched, self.beliefs) if self.stop_when_flat else None

    def needed(self, history: Sequence[Training], pending: Sequence[Job]) -> set[str]:
        """Keys of trainings whose checkpoints the searcher needs."""
        return self.searcher.needed(history, pending)

    def finals(
        self,
        history: Sequence[Training],
        pending: Sequence[Job] = (),
        allowance: Allowance | None = None,
    ) -> list[Job]:
        """Jobs of the finalists that the scores of the search give time for."""
        chosen = self.finalists(history) if self.finalist_seeds else []
        jobs = self._numbered(map(self._final, chosen), history, pending)
        if allowance is None:
            return jobs
        within = self.within(history, pending, allowance)
        keys = keys_of(history, pending)
        return list(affordable(jobs, allowance, within, keys))

    def within(
        self, history: Sequence[Training], pending: Sequence[Job], allowance: Allowance
    ) -> Allowance:
        """What the effort leaves of an allowance."""
        if self.effort is None:
            return allowance
        winner = self._winner(history, allowance)
        return self.effort.within(winner, history, pending, allowance)

    def _winner(self, history: Sequence[Training], allowance: Allowance) -> Job:
        """The full training that is the unit of an effort."""
        searched = [training for training in history if training.stage == "search"]
        beliefs = self.beliefs(searched)
        best = best_of(self._entries(searched), self.objective)
        if self.unit is not None:
            spec = self.unit
        elif beliefs is not None and beliefs.trained:
            spec = beliefs.trained[0].spec
            if self._is_behind(history):
                specs = dict.fromkeys(t.spec for t in searched if t.status == "ok")
                spec = max(specs, key=lambda each: allowance.alone(self._full(each)))
        elif best is None or best.params >= max(t.params for t in searched):
            assert self.largest is not None
            spec = self.largest
        else:
            spec = best.spec
        return self._full(spec)

    def _is_behind(self, history: Sequence[Training]) -> bool:
        """Whether a baseline is better than every network of the search."""
        tried = [training for training in history if training.stage != "finalist"]
        best = best_of(self._entries(tried), self.objective)
        return best is not None and best.is_baseline

    def _full(self, spec: Spec) -> Job:
        """One training of full length."""
        return self._job("search", 0, spec, None, 1)

    def _numbered(
        self,
        finals: Iterable[Job],
        history: Sequence[Training],
        pending: Sequence[Job] = (),
    ) -> list[Job]:
        """Jobs of finalists, numbered as before; new finalists get free numbers."""
        numbers = {t.key: t.job for t in history if t.stage == "finalist"}
        numbers |= {
            k: j.index for j in pending if j.stage == "finalist" for k in j.keys
        }
        free = (number for number in count() if number not in numbers.values())
        jobs = []
        for job in finals:
            had = [numbers[key] for key in job.keys if key in numbers]
            jobs.append(replace(job, index=had[0] if had else next(free)))
        return jobs

    def finalists(self, history: Sequence[Training]) -> list[Entry]:
        """Entries to be retrained, the best first."""
        searched = [training for training in history if training.stage != "finalist"]
        entries = self._entries(searched)
        best = best_of(entries, self.objective)
        number = 1 if any(entry.stage == "search" for entry in entries) else 2
        trained = promising_of(searched, self.beliefs(searched))[:number]
        promising = [stored_entry(e, self.budget) for e in trained if not e.is_full]
        if best is None:
            return promising
        ranked = sorted(entries, key=lambda e: -self.objective.gain(e.score, 0.0))
        tied = [entry for entry in ranked if is_tied(entry, best, self.objective)]
        tied = tied if len(tied) > 1 else ranked[:2]
        front = front_of(tied, self.objective)
        # A network in float32 competes with wider ones in fewer bits.
        of_bits = list({entry.bits: entry for entry in ranked[::-1]}.values())
        of_bits = of_bits if self.budget.are_bits_open else []
        order = [*promising, best, *of_bits, *front, *tied]
        return list(dict.fromkeys(order))[: self.most_finalists]

    def _reserved(
        self,
        history: Sequence[Training],
        pending: Sequence[Job],
        allowance: Allowance,
        within: Allowance,
    ) -> float:
        """Seconds that a search leaves for the finalists that are due, or for one more
        training of the best network if that takes longer."""
        if not (self.finalist_seeds and within.is_limited):
            return 0.0
        finals = self.finals(history, pending)
        if not finals[1:]:
            finals = self._likely_finals(history, pending, within)
        keys = keys_of(history, pending)
        if not affordable(finals, allowance, within, keys):
            return 0.0
        # Whatever is left: else a search would take the time of one seed after another.
        coming = affordable(finals, allowance.half(), within.half(), keys)
        due = elapsed(coming, within, keys)
        another = within.total(of_seeds(job, 1) for job in coming[:1])
        if self.effort is not None:
            retrained = {t.spec for t in history if t.stage == "finalist"}
            number = max(2 - len(retrained), 0)
            due = max(
                due, elapsed([self._winner(history, within)] * number, within, set())
            )
        return max(due, another)

    def _likely_finals(
        self, history: Sequence[Training], pending: Sequence[Job], allowance: Allowance
    ) -> list[Job]:
        """Two finalists of middling cost, while no score says which they will be."""
        coming = self.searcher.outlook(history, pending).jobs
        searched = [t.spec for t in history if t.stage == "search"]
        specs = dict.fromkeys([*searched, *(job.spec for job in coming)])
        jobs = [
            self._job("finalist", index, spec, None, self.finalist_seeds)
            for index, spec in enumerate(specs)
        ]
        jobs.sort(key=allowance.cost)
        middle = max(len(jobs) // 2 - 1, 0)
        return jobs[middle : middle + 2]

    def _further(self, history: Sequence[Training], within: Allowance) -> Job | None:
        """A finalist that was not foreseen, or one more seed in time left over."""
        finals = [training for training in history if training.stage == "finalist"]
        proved = [e for e in self._entries(history) if e.stage == "finalist"]
        jobs: list[Job] = []
        if len({(t.spec, t.learning_rate) for t in finals}) < self.most_finalists:
            jobs += map(self._final, self._doubted(history)[:1])
        if proved and self._is_cut(history, within):
            proved.sort(key=lambda e: (e.seeds, -self.objective.gain(e.score, 0.0)))
            jobs += (self._another(entry, history) for entry in proved)
        fits = [job for job in jobs if elapsed([job], within, set()) <= within.seconds]
        return next(iter(self._numbered(fits[:1], history)), None)

    def _is_cut(self, history: Sequence[Training], within: Allowance) -> bool:
        """Whether a time limit alone keeps the search from going on."""
        if self.effort is not None or not within.is_limited or self.flat(history):
            return False
        return self.searcher.propose(history, (), Allowance()) is not DONE

    def _another(self, entry: Entry, history: Sequence[Training]) -> Job:
        """The job of the next seed of a finalist."""
        keys = keys_of(history)
        jobs = (self._final(entry, seeds) for seeds in count(1))
        job = next(job for job in jobs if not is_known(job, keys))
        rates = job.learning_rates[-1:]
        return replace(job, seeds=job.seeds[-1:], learning_rates=rates)

    def _doubted(self, history: Sequence[Training]) -> list[Entry]:
        """Entries that must be retrained before they can be believed or not.

        Retraining lowers scores that were chosen for being high. Scores of one seed may
        then stand above the best mean: these come first, the best before others. Then
        come entries that are tied with the best mean and smaller than the recommended
        network, from the smallest up.
        """
        entries, objective = self._entries(history), self.objective
        proved = [entry for entry in entries if entry.stage == "finalist"]
        best, small = best_of(proved, objective), recommended_of(proved, objective)
        if best is None or small is None:
            return []
        keys = keys_of(history)
        others = [entry for entry in entries if entry.stage != "finalist"]
        others = [entry for entry in others if not is_known(self._final(entry), keys)]
        others.sort(key=lambda entry: entry.params)
        tied = [e for e in others if is_tied(e, best, objective)]
        smaller = [entry for entry in tied if entry.params < small.params]
        above = [e for e in tied if objective.better(e.score, best.score)]
        above.sort(key=lambda entry: -objective.gain(entry.score, 0.0))
        return list(dict.fromkeys([*above, *smaller]))

    def _entries(self, history: Sequence[Training]) -> list[Entry]:
        entries = (stored_entry(e, self.budget) for e in entries_of(history))
        return [entry for entry in entries if is_answer(entry, self.budget)]

    def _final(self, entry: Entry, seeds: int = 0) -> Job:
        """The job of a finalist, numbered later; by default of the usual seeds."""
        sets_rate = self.sets_rates or entry.is_baseline
        rate = entry.learning_rate if sets_rate else None
        number = seeds or self.finalist_seeds
        return self._job("finalist", 0, entry.spec, rate, number)

    def _job(
        self, stage: Stage, index: int, spec: Spec, rate: float | None, count: int
    ) -> Job:
        what = (self.seed, stage, spec.family, spec.knobs, rate)
        return Job(
            stage,
            index,
            spec,
            seeds=tuple(derived_seed(*what, member) for member in range(count)),
            learning_rates=(rate,) * count,
            epochs_to=self.epochs,
            keep=stage == "finalist",
        )
