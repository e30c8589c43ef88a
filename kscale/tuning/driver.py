"""One start of a search in its folder: search, finalists, test scores, models."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from kscale.errors import BudgetError, ResultsError, TrialError
from kscale.guests.hypermodels.user_trainer import UserTrainer
from kscale.guests.present_model.retraining import retrained_results
from kscale.guests.present_model.scoring import Present, present_results
from kscale.networks.families.base import Spec
from kscale.reports.board_logs import LogWriter
from kscale.runs.entries import (
    Entry,
    answers_of,
    best_of,
    entries_of,
    front_of,
    names_one,
    recommended_of,
)
from kscale.runs.folder import RecordsWriter, read_records
from kscale.runs.recorded import RecordedRun
from kscale.runs.records import MAJORITY, Evaluation, Record, Reference, Training
from kscale.search.contract import Job
from kscale.task.evaluation import evaluate, evaluate_test
from kscale.tuning.attempts import MemberWeights, train_member
from kscale.tuning.costs import CostModel
from kscale.tuning.family_trainer import FamilyTrainer
from kscale.tuning.keras_tuner_host import JobTuner, SearcherOracle, StopSearch
from kscale.tuning.latency_limit import LatencyGate
from kscale.tuning.listeners import Listener
from kscale.tuning.majority import majority_answers
from kscale.tuning.plan import AnyPool, Plan
from kscale.tuning.trainer import TimeUp, Trainer, TrainingSetup

_MOST_OF_TIME = 0.25  # of the time left for searching, for one training


def _no_page(folder: Path, results: Sequence[Record]) -> None:
    """A search that nobody reads a page of."""


class Session:
    """One start of a search in a folder that is open for writing.

    Args:
        plan: What to do.
        folder: Folder of the run.
        writer: The open folder's writer.
        strategy: Where to train.
        listener: Hears of progress.
        deadline: `time.monotonic()` at which trainings stop.
        checkpoint_seconds: Least time between two checkpoints of one training.
        gate: Measures latencies, where they are limited.
        pool: Specs to search, if not all of the plan's.
        present: The user's present model, where there is one to compare with.
        write_page: Writes the report of a folder, when all else is done.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        writer: RecordsWriter,
        strategy: Any,
        listener: Listener,
        deadline: float = math.inf,
        checkpoint_seconds: float = 15.0,
        gate: LatencyGate | None = None,
        pool: AnyPool | None = None,
        present: Present | None = None,
        write_page: Callable[[Path, Sequence[Record]], None] = _no_page,
    ) -> None:
        self.plan = plan
        self.write_page = write_page
        self.folder = folder
        self.writer = writer
        self.listener = listener
        self.deadline = deadline
        self.recorded = read_records(folder)
        self.logs = LogWriter(RecordedRun(folder, self.recorded))
        self.gate = gate
        self.pool = pool or plan.pool
        self.searcher = plan.searcher(self.pool, gate.admits if gate else None)
        self.present = present
        self.strategy = strategy
        self.setup = training_setup(plan, checkpoint_seconds)
        self.family_trainer = FamilyTrainer(self.setup)
        self.trainer = make_trainer(plan, self.setup)
        self.costs = CostModel(
            plan.dataset.task,
            len(plan.dataset.train),
            plan.recipe.batch_size,
            plan.size,
        )
        for result in self.recorded:
            self.costs.see(result)
        self._announced = False

    def run(self) -> None:
        """Search, then answer; what was finished stays whatever happens."""
        self.listener.started(self.plan, self.folder, tuple(self.recorded))
        if self.gate is not None:
            self.gate.record = self._append
        try:
            self._record_majority()
            self._record_present()
            self._search()
            self._raise_if_all_failed()
            self._answer()
        finally:
            self.listener.ended()

    def _search(self) -> None:
        oracle = SearcherOracle(
            self.searcher, self.plan.objective, self.recorded, self._before_ask
        )
        tuner = JobTuner(
            oracle,
            self._train,
            self._record,
            self.folder / "tuner",
            self.strategy,
        )
        try:
            tuner.search(verbose=0)
        except StopSearch as stop:
            if isinstance(stop.__cause__, ResultsError):
                raise stop.__cause__ from stop
            self.listener.note(
                "The time limit ended a training; the same command goes on with it."
            )
        except TimeUp:
            self.listener.note(
                "The time limit came before the next latency could be measured; the "
                "same command goes on with it."
            )
        else:
            self._raise_if_all_slow()

    def _raise_if_all_slow(self) -> None:
        """Own models are measured one by one, so this is known at the end only."""
        if self.plan.own is not None and self.gate is not None and not self._searched:
            raise BudgetError(self.gate.nothing_fits())

    @property
    def _searched(self) -> list[Training]:
        """Trainings of the search, without baselines and finalists."""
        return [
            item
            for item in self.recorded
            if isinstance(item, Training) and item.stage == "search"
        ]

    def _record(self, job: Job, result: Training) -> None:
        if self.gate is not None and result.status == "ok":
            result = self.gate.with_latency(result)
        self._append(result)
        self.costs.see(result)
        self.listener.time_left(self._seconds_left(job, result.member))
        self.listener.result_recorded(result)
        if not job.keep:
            self._drop_weights()

    def _append(self, record: Record) -> None:
        """Every record goes to disk first, then to whatever is made of it."""
        self.writer.append(record)
        self.recorded.append(record)
        self.logs.record(record)

    def _seconds_left(self, job: Job, member: int) -> float:
        """Seconds after a member of a job: its others, what is planned, finalists."""
        others = replace(job, seeds=job.seeds[member + 1 :])
        planned = self.searcher.planned()
        seconds = self.costs.seconds([others, *planned])
        if not self.searcher.is_final:
            search = [job for job in planned if job.stage == "search"]
            unplanned = self._trials_left() - len(search)
            if search and unplanned > 0:
                seconds += unplanned * self.costs.seconds(search) / len(search)
            seconds += self.costs.seconds(self.searcher.finals())
        return min(seconds, max(self.deadline - time.monotonic(), 0.0))

    def _trials_left(self) -> int:
        tried = {training.job for training in self._searched}
        return self.plan.trials_of(self.pool) - len(tried)

    def _drop_weights(self) -> None:
        """Keep the weights of the front, of baselines and of finalists only."""
        done = self._searched
        front = {
            training.key
            for entry in front_of(entries_of(done), self.plan.objective)
            for training in entry.results
        }
        for training in done:
            if training.key not in front:
                weights = self.folder / "models" / f"{training.key}.npz"
                weights.unlink(missing_ok=True)

    def _before_ask(self) -> None:
        """With a time limit: propose what it allows, and keep time for finalists.

        Finalists get at most half of the limit; where two of them would take longer,
        all of it is searched.
        """
        limit = self.plan.request.time_limit
        if limit is None or self.searcher.is_final:
            return
        left = self.deadline - time.monotonic()
        jobs = self.searcher.finals()
        number = self._affordable(jobs, min(left, limit / 2))
        reserved = self.costs.seconds(jobs[:number]) if number > 1 else 0.0
        planned = self.searcher.planned()
        search = [job for job in planned if job.stage == "search"]
        if search:
            following = self._within(search, (left - reserved) * _MOST_OF_TIME)
            self.searcher.prefer(following)
            if self.costs.seconds([following]) + reserved <= left:
                return
        elif planned:
            return
        self.searcher.stop_search(number)
        if jobs and not self.searcher.finals():
            self.listener.note(
                "The time limit leaves no time for finalists; every score is of the "
                "search alone."
            )

    def _affordable(self, jobs: Sequence[Job], seconds: float) -> int:
        """How many of the jobs, in their order, the seconds are enough for."""
        ends = range(1, len(jobs) + 1)
        return sum(self.costs.seconds(jobs[:end]) <= seconds for end in ends)

    def _within(self, jobs: Sequence[Job], seconds: float) -> Job:
        """The first job that takes no longer, or else the cheapest."""
        costs = [self.costs.seconds([job]) for job in jobs]
        fits = (job for job, cost in zip(jobs, costs, strict=True) if cost <= seconds)
        return next(fits, jobs[costs.index(min(costs))])

    def _train(self, job: Job, member: int) -> Training:
        """Train a member; before the first finalist, say what they will cost."""
        if job.stage == "finalist" and not self._announced:
            self._announced = True
            jobs = self.searcher.planned_finals
            self.listener.finalists_planned(jobs, self.costs.seconds(jobs))
        return self._attempt(job, member)

    def _attempt(self, job: Job, member: int) -> Training:
        return train_member(
            self._trainer_of(job.stage).train,
            self.setup,
            self.plan.size(job.spec),
            MemberWeights(self.folder / "models", job, member),
            self.deadline - time.monotonic(),
            partial(self.listener.epoch_done, job, member),
        )

    def _trainer_of(self, stage: str) -> Trainer:
        """Baselines are families, whatever is searched."""
        return self.family_trainer if stage == "baseline" else self.trainer

    def _raise_if_all_failed(self) -> None:
        tried = self._searched
        if tried and all(result.status == "failed" for result in tried):
            reasons = [result.reason for result in tried]
            most = max(set(reasons), key=reasons.count)
            raise TrialError(f"All {len(tried)} trainings failed, mostly so: {most}.")

    def _answer(self) -> None:
        """Score the answers on the test part, once, and write their models."""
        entries = answers_of(
            entries_of(self.recorded),
            self.plan.space.budget,
            names_one(self.plan.identity),
        )
        best = best_of(entries, self.plan.objective)
        recommended = recommended_of(entries, self.plan.objective)
        if best is None or recommended is None:
            return
        for name, entry in (("best", best), ("recommended", recommended)):
            shipped = self._shipped(entry)
            self._test(shipped)
            self._write_model(name, shipped)
        trainings = [item for item in self.recorded if isinstance(item, Training)]
        for training in trainings:
            is_due = training.stage == "baseline" and training.status == "ok"
            if is_due and not self._is_tested(training.spec):
                self._test(training)
        self.write_page(self.folder, self.recorded)

    def _shipped(self, entry: Entry) -> Training:
        """The training of an entry that is shipped: its best on validation."""
        gain = self.plan.objective.gain
        return max(entry.results, key=lambda result: gain(result.score or 0.0, 0.0))

    def _test(self, training: Training) -> None:
        tests = [item for item in self.recorded if isinstance(item, Evaluation)]
        if any(test.is_of(training) for test in tests):
            return
        weights = self._weights_of(training)
        trainer = self._trainer_of(training.stage)
        found = trainer.evaluate(training, weights, "test")
        evaluation = Evaluation(
            spec=training.spec,
            learning_rate=training.learning_rate,
            seed=training.seed,
            epochs=training.epochs,
            **vars(found),
        )
        self._append(evaluation)

    def _weights_of(self, result: Training) -> Path:
        """The weights of one training, trained again if they were deleted."""
        job = Job(
            result.stage,
            result.job,
            result.spec,
            (result.seed,),
            (result.learning_rate or 0.0,),
            result.epochs,
        )
        weights = MemberWeights(self.folder / "models", job, 0)
        if not weights.are_finished:
            self.listener.note(
                f"The weights of a {result.stage} training are gone; it is repeated."
            )
            again = self._attempt(job, 0)
            if again.status == "failed":
                raise TrialError(f"A training to answer with failed: {again.reason}.")
        return weights.path

    def _is_tested(self, spec: Spec) -> bool:
        tests = [item for item in self.recorded if isinstance(item, Evaluation)]
        return any(test.spec == spec for test in tests)

    def _write_model(self, name: str, result: Training) -> None:
        path = self.folder / "models" / f"{name}.keras"
        trainer = self._trainer_of(result.stage)
        said = trainer.ship(result, self._weights_of(result), path)
        if said:
            self.listener.note(said)

    def _record_majority(self) -> None:
        known = [item for item in self.recorded if isinstance(item, Reference)]
        there = {item.part for item in known if item.name == MAJORITY}
        data, objective = self.plan.dataset, self.plan.objective
        nothing: dict[str, Any] = {"params": 0, "trainable": 0, "flops": 0, "bytes": 0}
        if "validation" not in there:
            answers = majority_answers(data, data.validation)
            found = vars(evaluate(objective, data.task, answers))
            self._append(Reference(name=MAJORITY, **nothing, **found))
        if "test" not in there:
            answers = majority_answers(data, data.test)
            found = vars(evaluate_test(objective, data.task, answers))
            self._append(Reference(name=MAJORITY, part="test", **nothing, **found))

    def _record_present(self) -> None:
        """The user's model as it is, and trained anew where that was asked for."""
        for result in present_results(self.present, self.plan, self.recorded):
            self._append(result)
        if self.present is None or not self.plan.request.retrain_baseline:
            return
        try:
            for result in retrained_results(
                self.present,
                self.plan,
                self.recorded,
                self.setup,
                self.folder / "models",
                self.deadline - time.monotonic(),
                self.listener.epoch_done,
            ):
                self._append(result)
                if result.part != "test":
                    self.listener.result_recorded(result)
        except TimeUp:
            self.listener.note(
                "The time limit ended the training of the present model; the same "
                "command goes on with it."
            )


def training_setup(plan: Plan, checkpoint_seconds: float = 15.0) -> TrainingSetup:
    """What all trainings of a plan share."""
    return TrainingSetup(
        plan.dataset,
        plan.objective,
        plan.recipe,
        plan.request.strategy,
        plan.request.class_weights,
        checkpoint_seconds,
    )


def make_trainer(plan: Plan, setup: TrainingSetup) -> Trainer:
    """What trains the networks that a plan searches."""
    if plan.own is None:
        return FamilyTrainer(setup)
    return UserTrainer(setup, plan.own.models, plan.own.dataset)
