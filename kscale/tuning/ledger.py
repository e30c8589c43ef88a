"""KerasTuner's Oracle as the ledger of a search: every job is a KerasTuner trial.

What KerasTuner writes is never read back: the files are not written atomically, and a
run is rebuilt from results.jsonl.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import keras_tuner

from kscale.errors import writing
from kscale.runs.records import Training
from kscale.search.contract import DONE, WAIT, Job, Signal
from kscale.task.objectives import Objective

_NEVER = 10**9  # failures in a row after which KerasTuner would end a search


class JobOracle(keras_tuner.Oracle):
    """An Oracle whose trials are jobs.

    Args:
        propose: Gives the next job.
        objective: What is reported to KerasTuner.
        folder: Folder of KerasTuner's files, emptied first.

    Attributes:
        jobs: By trial, the job of each trial that is out.
    """

    def __init__(
        self, propose: Callable[[], Job | Signal], objective: Objective, folder: Path
    ) -> None:
        direction = "max" if objective.higher_is_better else "min"
        super().__init__(
            objective=keras_tuner.Objective(objective.name, direction),
            max_consecutive_failed_trials=_NEVER,
            seed=1,  # not used: every random choice is the searcher's
        )
        self.hyperparameters.Fixed("spec", "")
        self.verbose = 0
        self.jobs: dict[str, Job] = {}
        self._propose = propose
        shutil.rmtree(folder, ignore_errors=True)
        with writing(folder):
            folder.mkdir(parents=True)
        self._set_project_dir(str(folder.parent), folder.name)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The next job as KerasTuner wants a trial: a status, and values if it runs."""
        job = self._propose()
        if job is WAIT:
            return {"status": "IDLE"}
        if job is DONE:
            return {"status": "STOPPED"}
        assert isinstance(job, Job)
        self.jobs[trial_id] = job
        spec = json.dumps({"job": job.index, **job.spec.to_json()})
        return {"status": "RUNNING", "values": {"spec": spec}}

    def save(self) -> None:
        """Write the state of the search."""
        self._write("oracle.json", self.get_state())

    def _save_trial(self, trial: Any) -> None:
        self._write(f"trial_{trial.trial_id}/trial.json", trial.get_state())

    def _write(self, name: str, state: Any) -> None:
        """Write a file as KerasTuner does, whose errors would be TensorFlow's."""
        path = Path(self._project_dir, name)
        with writing(path):
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(state))

    def begin(self, slot: str) -> str | Signal:
        """Create the next trial for a free slot: its identifier, `WAIT` or `DONE`."""
        trial = self.create_trial(slot)
        waiting = {"IDLE": WAIT, "STOPPED": DONE}
        return waiting.get(trial.status) or str(trial.trial_id)

    def finish(self, trial_id: str, trainings: Sequence[Training]) -> None:
        """End a trial with the mean score of the job, or as failed with the reason."""
        del self.jobs[trial_id]
        trial = self.get_trial(trial_id)
        scores = [t.score for t in trainings if t.is_scored and t.score is not None]
        if scores:
            self.update_trial(trial_id, {self.objective.name: fmean(scores)})
            trial.status = "COMPLETED"
        else:
            trial.status = "FAILED"
            trial.message = "; ".join(t.reason for t in trainings) or "no training"
        self.end_trial(trial)
