"""KerasTuner around a searcher: its Oracle asks and tells, its Tuner trains a Job.

One KerasTuner trial runs one Job. What KerasTuner writes is never read back: a run is
rebuilt from results.jsonl, by asking the searcher again and telling it what is there.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner import synchronized

from kscale.errors import ResultsError
from kscale.runs.records import Record, Training
from kscale.search.contract import WAIT, Job, Searcher
from kscale.task.objectives import Objective
from kscale.tuning.trainer import TimeUp

_NEVER = 10**9
_WORST = 1e30
_IDLE_SECONDS = 0.05

TrainMember = Callable[[Job, int], Training]


class SearcherOracle(keras_tuner.Oracle):
    """KerasTuner's view of a searcher.

    Args:
        searcher: Proposes the jobs.
        objective: What is reported to KerasTuner.
        recorded: Results of earlier sessions; their trainings are not run again.
        before_ask: Called before each new job is asked for.
    """

    def __init__(
        self,
        searcher: Searcher,
        objective: Objective,
        recorded: Sequence[Record] = (),
        before_ask: Callable[[], None] | None = None,
    ) -> None:
        direction = "max" if objective.higher_is_better else "min"
        super().__init__(
            objective=keras_tuner.Objective(objective.name, direction),
            max_consecutive_failed_trials=_NEVER,
            seed=1,  # unused: every random choice is the searcher's
        )
        self.hyperparameters.Fixed("spec", "")
        self.searcher = searcher
        trainings = [item for item in recorded if isinstance(item, Training)]
        self.recorded = {training.key: training for training in trainings}
        self.jobs: dict[str, Job] = {}
        self.results: dict[str, list[Training]] = {}
        self._before_ask = before_ask

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The next job that is not recorded as a whole, as KerasTuner wants it."""
        while True:
            if self._before_ask is not None:
                self._before_ask()
            job = self.searcher.ask()
            if job is WAIT:
                time.sleep(_IDLE_SECONDS)
                return {"status": "IDLE"}
            if not isinstance(job, Job):
                return {"status": "STOPPED"}
            known = self.recorded_of(job)
            if len(known) < len(job.seeds):
                self.jobs[trial_id] = job
                spec = json.dumps({"job": job.index, **job.spec.to_json()})
                return {"status": "RUNNING", "values": {"spec": spec}}
            self.searcher.tell(job, [known[member] for member in range(len(job.seeds))])

    def recorded_of(self, job: Job) -> dict[int, Training]:
        """Members of a job that earlier sessions trained."""
        found = {
            member: self.recorded.get(job.member_key(member))
            for member in range(len(job.seeds))
        }
        return {member: result for member, result in found.items() if result}

    @synchronized
    def end_trial(self, trial: Any) -> None:
        """Tell the searcher what the trial's job gave."""
        super().end_trial(trial)
        job = self.jobs.pop(trial.trial_id, None)
        if job is not None:
            self.searcher.tell(job, self.results.pop(trial.trial_id))
        self.save()


class JobTuner(keras_tuner.Tuner):
    """Runs jobs as KerasTuner trials.

    Args:
        oracle: Where the jobs come from.
        train: Trains one member of a job and returns its result.
        record: Called with each new result before anything else happens.
        folder: Folder for KerasTuner's own files, emptied first.
        strategy: Where networks are trained.
    """

    oracle: SearcherOracle

    def __init__(
        self,
        oracle: SearcherOracle,
        train: TrainMember,
        record: Callable[[Job, Training], None],
        folder: Path,
        strategy: Any = None,
    ) -> None:
        self._train = train
        self._record = record
        super().__init__(
            oracle,
            hypermodel=None,
            directory=str(folder.parent),
            project_name=folder.name,
            overwrite=True,
            distribution_strategy=strategy,
        )

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Mapping[str, float]:
        """Train the members of the trial's job that are not recorded yet.

        Where all of them failed, each has a result with its reason; KerasTuner, which
        would print a traceback for it, is told the worst score there is.
        """
        job = self.oracle.jobs[trial.trial_id]
        known = self.oracle.recorded_of(job)
        results = self.oracle.results[trial.trial_id] = []
        for member in range(len(job.seeds)):
            result = known.get(member)
            if result is None:
                result = self._run_member(job, member)
            results.append(result)
        scores = [result.score for result in results if result.score is not None]
        worst = -_WORST if self.oracle.objective.direction == "max" else _WORST
        score = sum(scores) / len(scores) if scores else worst
        return {self.oracle.objective.name: score}

    def _run_member(self, job: Job, member: int) -> Training:
        try:
            result = self._train(job, member)
            self._record(job, result)
        except (TimeUp, ResultsError) as error:
            raise StopSearch from error
        return result


class StopSearch(keras_tuner.errors.FatalError):
    """Ends `Tuner.search` at once; KerasTuner lets only fatal errors through."""
