"""From baselines over a search to finalists: the order of a whole run."""

from collections.abc import Sequence

from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec
from kscale.runs.entries import Entry, best_of, entries_of, front_of, is_answer, is_tied
from kscale.runs.records import Stage, Training
from kscale.search.contract import DONE, WAIT, Job, Searcher, Signal, derived_seed
from kscale.task.objectives import Objective


class StagedSearcher:
    """Baselines first, then another searcher's jobs, then the finalists.

    Finalists are the specs within one standard error of the best, at least two and at
    most `most_finalists`: the best first, then those on the front from the smallest up,
    because one of them will be recommended if it holds. Each is trained again from
    `finalist_seeds` new seeds, so that no lucky seed wins. Where none of them keeps up
    with the next best, that one becomes a finalist too.

    Args:
        baselines: Specs and learning rates to train before the search.
        searcher: Proposes the jobs of the search.
        objective: What is better.
        budget: Finalists must fit it; a baseline need not.
        epochs: Epochs to train baselines and finalists.
        seed: Decides the seeds of baselines and finalists.
        finalist_seeds: New seeds a finalist; 0 leaves the finalists out.
        most_finalists: Most finalists.
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
    ) -> None:
        self.searcher = searcher
        self.objective = objective
        self.budget = budget
        self.epochs = epochs
        self.seed = seed
        self.finalist_seeds = finalist_seeds
        self.most_finalists = most_finalists
        self.results: list[Training] = []
        self._waiting: set[tuple[str, int]] = set()
        self._queue = [
            self._job("baseline", index, spec, rate, count=1)
            for index, (spec, rate) in enumerate(baselines)
        ]
        self._finals: list[Job] | None = None
        self._stopped = False

    def ask(self) -> Job | Signal:
        """The next job of the run."""
        if self._queue:
            return self._hand_out(self._queue.pop(0))
        if self._finals is None:
            job = DONE if self._stopped else self.searcher.ask()
            if isinstance(job, Job):
                return self._hand_out(job)
            if job is WAIT or self._waiting:
                return WAIT
            self._finals = self.finals()
            self._queue = list(self._finals)
            return self.ask()
        if self._waiting:
            return WAIT
        return self._another_final() or DONE

    def _another_final(self) -> Job | None:
        """A finalist more, where a score of one seed is above all the finalists' means.

        Retraining lowers scores that were chosen for being high; the next in line may
        then stand above them, and must be retrained before it can be believed or not.
        """
        if not self._finals or len(self._finals) >= self.most_finalists:
            return None
        entries = self._answers(self.results)
        best = best_of(entries, self.objective)
        others = [entry for entry in entries if entry.stage != "finalist"]
        next_best = best_of(others, self.objective)
        if best is None or next_best is None:
            return None
        if not self.objective.better(next_best.score, best.score):
            return None
        job = self._final(len(self._finals), next_best)
        self._finals.append(job)
        return self._hand_out(job)

    def planned(self) -> Sequence[Job]:
        """What is sure to come: baselines and jobs of the search, or finalists."""
        if self._finals is not None or self._stopped:
            return tuple(self._queue)
        return (*self._queue, *self.searcher.planned())

    def prefer(self, job: Job) -> None:
        """Ask for a planned job of the search next."""
        self.searcher.prefer(job)

    @property
    def is_final(self) -> bool:
        """Whether the finalists are decided."""
        return self._finals is not None

    @property
    def planned_finals(self) -> list[Job]:
        """Jobs of the finalists, once they are decided; empty before."""
        return list(self._finals or [])

    def tell(self, job: Job, results: Sequence[Training]) -> None:
        """Take the results of a job."""
        self._waiting.discard((job.stage, job.index))
        self.results += results
        if job.stage == "search":
            self.searcher.tell(job, results)

    def stop_search(self, most_finalists: int | None = None) -> None:
        """Ask the searcher for nothing more; finalists come next.

        Args:
            most_finalists: A new limit on them where time is short; fewer than two
                leave the finalists out.
        """
        self._stopped = True
        if most_finalists is not None:
            self.most_finalists = min(most_finalists, self.most_finalists)
            self.finalist_seeds *= self.most_finalists > 1

    def finals(self) -> list[Job]:
        """Jobs of the finalists that the results so far would give."""
        if not self.finalist_seeds:
            return []
        return [self._final(i, entry) for i, entry in enumerate(self.finalists())]

    def finalists(self) -> list[Entry]:
        """Entries that would be retrained, the best first."""
        told = [result for result in self.results if result.stage != "finalist"]
        entries = self._answers(told)
        best = best_of(entries, self.objective)
        if best is None:
            return []
        ranked = sorted(entries, key=lambda e: -self.objective.gain(e.score, 0.0))
        tied = [entry for entry in ranked if is_tied(entry, best, self.objective)]
        tied = tied if len(tied) > 1 else ranked[:2]
        front = front_of(tied, self.objective)
        order = [best, *front, *tied]
        return list(dict.fromkeys(order))[: self.most_finalists]

    def _answers(self, results: Sequence[Training]) -> list[Entry]:
        return [e for e in entries_of(results) if is_answer(e, self.budget)]

    def _final(self, index: int, entry: Entry) -> Job:
        rate = entry.learning_rate or 0.0
        return self._job("finalist", index, entry.spec, rate, self.finalist_seeds)

    def _hand_out(self, job: Job) -> Job:
        self._waiting.add((job.stage, job.index))
        return job

    def _job(
        self, stage: Stage, index: int, spec: Spec, rate: float, count: int
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
