"""The end of a search: answers are scored on the test part, models written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kscale.errors import TrialError
from kscale.networks.families.base import Spec
from kscale.runs.entries import (
    answers_of,
    best_of,
    recommended_of,
    shipped_of,
)
from kscale.runs.records import Evaluation, Record, Training
from kscale.search.contract import Job
from kscale.tuning.attempts import MemberWeights
from kscale.tuning.device_limit import DeviceCheck
from kscale.tuning.plan import Plan
from kscale.tuning.trainer import Trainer


@dataclass(frozen=True)
class Answering:
    """Scores and ships the best and the recommended network; scores the baselines.
    Where a microcontroller limits them, only what was measured to fit is an answer.

    What is recorded already is not scored again: the test part is used once.

    Args:
        plan: The search.
        folder: Folder of the models.
        trainer_of: Gives what evaluates and ships a spec.
        recorded: What the folder holds; it grows.
        append: Takes a new record.
        note: Takes a sentence for the user.
    """

    plan: Plan
    folder: Path
    trainer_of: Callable[[Spec], Trainer]
    recorded: Sequence[Record]
    append: Callable[[Record], None]
    note: Callable[[str], None]

    def run(self) -> None:
        """Score and write all that is missing."""
        plan, objective = self.plan, self.plan.objective
        DeviceCheck(
            plan,
            self.recorded,
            self.append,
            self.note,
            lambda entry: self._weights_of(shipped_of(entry, objective)),
        ).run()
        entries = answers_of(self.recorded, plan.budget, plan.identity)
        best, small = best_of(entries, objective), recommended_of(entries, objective)
        if best is None or small is None:
            return
        for name, entry in (("best", best), ("recommended", small)):
            training = shipped_of(entry, objective)
            self._test(training)
            path, weights = self.folder / f"{name}.keras", self._weights_of(training)
            trainer = self.trainer_of(training.spec)
            if note := trainer.ship(training, weights, path):
                self.note(note)
        trainings = [item for item in self.recorded if isinstance(item, Training)]
        for training in trainings:
            is_baseline = training.stage == "baseline" and training.status == "ok"
            tested = {test.spec for test in self._tests()}
            if is_baseline and training.spec not in tested:
                self._test(training)

    def _tests(self) -> list[Evaluation]:
        return [item for item in self.recorded if isinstance(item, Evaluation)]

    def _test(self, training: Training) -> None:
        if any(test.is_of(training) for test in self._tests()):
            return
        trainer = self.trainer_of(training.spec)
        found = trainer.evaluate(training, self._weights_of(training), "test")
        evaluation = Evaluation(
            spec=training.spec,
            learning_rate=training.learning_rate,
            seed=training.seed,
            epochs=training.epochs,
            **vars(found),
        )
        self.append(evaluation)

    def _weights_of(self, training: Training) -> Path:
        """The weights of a finished training, which is repeated where they are gone."""
        plan = self.plan
        sets_rate = plan.candidates.sets_rates or not plan.is_candidate(training.spec)
        job = Job(
            training.stage,
            training.job,
            training.spec,
            (training.seed,),
            (training.learning_rate if sets_rate else None,),
            training.epochs,
        )
        weights = MemberWeights(self.folder, job, 0)
        if not weights.are_finished:
            self.note(
                f"The weights of a {training.stage} training are gone; it is repeated."
            )
            again = weights.train(self.trainer_of(job.spec))
            if again.status == "failed":
                raise TrialError(f"A training to answer with failed: {again.reason}.")
        return weights.path
