"""The whole path of one search: from data and a budget to a run with an answer."""

import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kscale.answers import (
    Entry,
    best_of,
    entries_of,
    front_of,
    is_answer,
    recommended_of,
)
from kscale.data.base import Dataset, Part
from kscale.errors import TrialError
from kscale.families.base import Spec
from kscale.objectives import Objective
from kscale.results import Result, ResultsWriter, read_results
from kscale.run import Run
from kscale.search.base import Job, result_key
from kscale.tuning.listeners import Listener
from kscale.tuning.packaging import package_model, save_model
from kscale.tuning.plans import Plan, plan_search
from kscale.tuning.scoring import score_of, stderr_of
from kscale.tuning.strategies import make_strategy, replicas_of
from kscale.tuning.tensorboard import LogWriter
from kscale.tuning.trainer import Trainer
from kscale.tuning.tuner import JobTuner, SearcherOracle, StopSearch

logger = logging.getLogger(__name__)


class SearchInterrupted(KeyboardInterrupt):
    """Ctrl-C during a search; what was finished is in `run`."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run


def tune(
    data: Any = "digits",
    *,
    max_params: float | None = None,
    max_flops: float | None = None,
    max_bytes: float | None = None,
    family: str | Sequence[str] = "auto",
    search: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    objective: str | None = None,
    trials: int = 20,
    time_limit: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    seeds: int = 1,
    finalist_seeds: int = 3,
    most_finalists: int = 5,
    strategy: str = "auto",
    run: str | Path | None = None,
    checkpoint_seconds: float = 15.0,
    listener: Listener | None = None,
) -> Run:
    """Search how deep and how wide a network should be within a budget.

    Called again with the same arguments it goes on where it was stopped; nothing that
    was finished is trained again.

    Args:
        data: Anything `kscale.load_dataset` takes.
        max_params: Most weights.
        max_flops: Most FLOPs of one example forward.
        max_bytes: Most bytes of the float32 weights.
        family: Name of a family or several; `auto` takes what suits the data.
        search: Knobs to vary besides depth, width and learning rate.
        settings: Values of knobs that are not to be varied, `learning_rate` included.
        objective: A metric by its Keras name; accuracy, or the root mean squared error.
        trials: Most specs to try, before the finalists.
        time_limit: Most seconds; the finalists are part of it.
        epochs: Epochs of each training; without it enough for about 1,600 steps.
        batch_size: Examples a step.
        seed: Decides every proposal and every training.
        seeds: Trainings of each spec tried.
        finalist_seeds: New trainings of each finalist; 0 leaves finalists out.
        most_finalists: Most finalists.
        strategy: `auto`, `one`, `mirrored` or `none`; see `make_strategy`.
        run: Folder of the run; without it `runs/` and a name made from the arguments.
        checkpoint_seconds: Least time between two checkpoints of one training.
        listener: Hears of progress.

    Returns:
        The run, with all results, the front and the trained models.

    Raises:
        BudgetError: There is no limit, or nothing fits it.
        DataError: The data cannot be read, or cannot be trained on.
        SpecError: A family, knob, value or strategy is unknown or impossible.
        ResultsError: The folder holds another search or is in use.
        TrialError: Every training failed.
        SearchInterrupted: Ctrl-C; a `KeyboardInterrupt`.
    """
    started = time.monotonic()
    devices = make_strategy(strategy)
    plan = plan_search(
        data,
        max_params=max_params,
        max_flops=max_flops,
        max_bytes=max_bytes,
        family=family,
        search=tuple(search),
        settings=settings,
        objective=objective,
        trials=trials,
        time_limit=time_limit,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        seeds=seeds,
        finalist_seeds=finalist_seeds,
        most_finalists=most_finalists,
        strategy=strategy,
        replicas=replicas_of(devices),
    )
    folder = Path(run) if run is not None else Path("runs") / plan.name
    listener = listener or Listener()
    with ResultsWriter(folder, plan.description()) as writer:
        writer.add_session(plan.session())
        clock = _Clock(started, time_limit)
        session = _Session(plan, folder, writer, devices, listener, clock)
        session.trainer.checkpoint_seconds = checkpoint_seconds
        session.run()
    return Run(folder, session.recorded)


class _Clock:
    """How much of the time limit is left."""

    def __init__(self, started: float, limit: float | None) -> None:
        self.deadline = math.inf if limit is None else started + limit

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()


class _Session:
    """One start of a search in a folder that is open for writing."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        writer: ResultsWriter,
        strategy: Any,
        listener: Listener,
        clock: _Clock,
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.writer = writer
        self.listener = listener
        self.clock = clock
        self.recorded = read_results(folder)
        self.logs = LogWriter(Run(folder, self.recorded))
        self.searcher = plan.searcher()
        self.strategy = strategy
        self.trainer = Trainer(
            plan.dataset,
            plan.objective,
            plan.recipe,
            strategy,
            folder / "models",
            deadline=clock.deadline,
            on_epoch=listener.epoch_done,
        )
        self._announced = False

    def run(self) -> None:
        """Search, then answer; what was finished stays whatever happens."""
        self.listener.started(self.plan, self.folder, tuple(self.recorded))
        try:
            self._record_majority()
            self._search()
            self._raise_if_all_failed()
            self._answer()
        except KeyboardInterrupt as error:
            raise SearchInterrupted(Run(self.folder, self.recorded)) from error
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
        except StopSearch:
            self.listener.note(
                "The time limit ended a training; the same command goes on with it."
            )

    def _keep(self, result: Result) -> None:
        """Every result goes to disk first, then to whatever is made of it."""
        self.writer.append(result)
        self.recorded.append(result)
        self.logs.record(result)

    def _record(self, job: Job, result: Result) -> None:
        self._keep(result)
        self.listener.result_recorded(result)
        if not job.keep:
            self._drop_weights()

    def _drop_weights(self) -> None:
        """Keep the weights of the front, of baselines and of finalists only."""
        done = [r for r in self.recorded if r.stage == "search"]
        front = {
            result_key(result)
            for entry in front_of(entries_of(done), self.plan.objective)
            for result in entry.results
        }
        for result in done:
            key = result_key(result)
            if key not in front:
                (self.folder / "models" / f"{key}.npz").unlink(missing_ok=True)

    def _before_ask(self) -> None:
        """Keep enough of the time limit for the finalists."""
        if math.isinf(self.clock.left) or self.searcher.is_final:
            return
        seconds = _seconds_by_spec(self.recorded)
        jobs = self.searcher.finals()
        another = _mean(seconds.values())
        if _cost(jobs, seconds) > self.clock.left - another:
            fit = _affordable(jobs, seconds, self.clock.left)
            self.searcher.stop_search(fit)
            if jobs and fit < 2:
                self.listener.note(
                    "The time limit leaves no time for finalists; every score is of "
                    "the search alone."
                )

    def _train(self, job: Job, member: int) -> Result:
        """Train a member; before the first finalist, say what they will cost."""
        if job.stage == "finalist" and not self._announced:
            self._announced = True
            jobs = self.searcher.planned_finals
            seconds = _cost(jobs, _seconds_by_spec(self.recorded))
            self.listener.finalists_planned(jobs, seconds)
        return self.trainer.train(job, member)

    def _raise_if_all_failed(self) -> None:
        tried = [result for result in self.recorded if result.stage == "search"]
        if tried and all(result.status == "failed" for result in tried):
            reasons = [result.reason for result in tried]
            most = max(set(reasons), key=reasons.count)
            raise TrialError(f"All {len(tried)} trainings failed, mostly so: {most}.")

    def _answer(self) -> None:
        """Score the answers on the test part, once, and write their models."""
        entries = [
            entry
            for entry in entries_of(self.recorded)
            if is_answer(entry, self.plan.space.budget)
        ]
        best = best_of(entries, self.plan.objective)
        recommended = recommended_of(entries, self.plan.objective)
        if best is None or recommended is None:
            return
        for name, entry in (("best", best), ("recommended", recommended)):
            shipped = self._shipped(entry)
            self._test(shipped)
            self._write_model(name, shipped)
        for result in [r for r in self.recorded if r.stage == "baseline"]:
            if result.status == "ok" and not self._is_tested(result.spec):
                self._test(result)
        Run(self.folder, self.recorded).write(self.folder / "report.html")

    def _shipped(self, entry: Entry) -> Result:
        """The training of an entry that is shipped: its best on validation."""
        gain = self.plan.objective.gain
        return max(entry.results, key=lambda result: gain(result.score or 0.0, 0.0))

    def _test(self, result: Result) -> None:
        if any(_is_test_of(other, result) for other in self.recorded):
            return
        job = Job(
            result.stage,
            result.job,
            result.spec,
            (result.seed,),
            (result.learning_rate or 0.0,),
            result.epochs,
        )
        score = self.trainer.evaluate(job, 0, self.plan.dataset.test)
        self._append_test(result, score)

    def _is_tested(self, spec: Spec) -> bool:
        return any(r.stage == "test" and r.spec == spec for r in self.recorded)

    def _append_test(self, result: Result, score: tuple[float, float, int]) -> None:
        changes = {"stage": "test", "curve": {}, "seconds": 0.0, "undertrained": False}
        changes |= dict(zip(("score", "stderr", "examples"), score, strict=True))
        tested = Result(**{**vars(result), **changes})
        self._keep(tested)

    def _write_model(self, name: str, result: Result) -> None:
        path = self.folder / "models" / f"{name}.keras"
        weights = self.folder / "models" / f"{result_key(result)}.npz"
        data = self.plan.description()
        model = package_model(
            result.spec,
            self.plan.dataset.task,
            weights,
            data["input_scaling"],
            data["target_scaling"],
        )
        save_model(model, path)

    def _record_majority(self) -> None:
        """The row that any answer must beat: the majority class, or the mean."""
        if any(result.learning_rate is None for result in self.recorded):
            return
        data, objective = self.plan.dataset, self.plan.objective
        spec = Spec("majority", ())
        result = Result("baseline", 0, spec, 0, 0, 0, 0)
        for part, stage in ((data.validation, "baseline"), (data.test, "test")):
            score, stderr, examples = majority_score(objective, data, part)
            scored = Result(
                **{
                    **vars(result),
                    "stage": stage,
                    "score": score,
                    "stderr": stderr,
                    "examples": examples,
                }
            )
            self._keep(scored)


def majority_score(
    objective: Objective, dataset: Dataset, part: Part
) -> tuple[float, float, int]:
    """Score, standard error and examples of always giving the training part's answer.

    That is the share of each class, or the mean value.
    """
    target = dataset.task.targets[0]
    known, wanted = dataset.train.targets[target.name], part.targets[target.name]
    if target.kind == "classes":
        constant = np.bincount(known, minlength=target.outputs) / len(known)
    else:
        constant = known.mean(axis=0)
    given = np.tile(constant.astype(np.float32), (len(wanted), 1))
    score = score_of(objective, target, wanted, given)
    error = stderr_of(objective, target, wanted, given, score)
    return score, error, len(wanted)


def _is_test_of(test: Result, result: Result) -> bool:
    same = ("spec", "learning_rate", "seed", "epochs")
    return test.stage == "test" and all(
        getattr(test, name) == getattr(result, name) for name in same
    )


def _seconds_by_spec(results: Sequence[Result]) -> dict[Spec, float]:
    return {r.spec: r.seconds for r in results if r.status == "ok" and r.seconds}


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0


def _cost(jobs: Sequence[Job], seconds: Mapping[Spec, float]) -> float:
    """Seconds that jobs will take, as their specs took before."""
    usual = _mean(seconds.values())
    return sum(len(job.seeds) * seconds.get(job.spec, usual) for job in jobs)


def _affordable(jobs: Sequence[Job], seconds: Mapping[Spec, float], left: float) -> int:
    """How many of the jobs, in their order, the time left is enough for."""
    return sum(_cost(jobs[: n + 1], seconds) <= left for n in range(len(jobs)))
