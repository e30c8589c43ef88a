"""The end of a search: answers are scored on the test part, models written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kscale.runs.entries import (
    Entry,
    answers_of,
    best_of,
    recommended_of,
)
from kscale.runs.records import Evaluation, Record, Training
from kscale.tuning.plan import Plan, Trainers


@dataclass(frozen=True)
class Answering:
    """Scores and ships the best and the recommended network; scores the baselines.

    What is recorded already is not scored again: the test part is used once.

    Args:
        plan: The search.
        folder: Folder of the models.
        trainers: What evaluates and ships.
        recorded: What the folder holds; it grows.
        append: Takes a new record.
        weights_of: Gives the weights of a finished training, trained again where they
            are gone.
        note: Takes a sentence for the user.
    """

    plan: Plan
    folder: Path
    trainers: Trainers
    recorded: Sequence[Record]
    append: Callable[[Record], None]
    weights_of: Callable[[Training], Path]
    note: Callable[[str], None]

    def run(self) -> None:
        """Score and write all that is missing."""
        plan, objective = self.plan, self.plan.objective
        entries = answers_of(self.recorded, plan.budget, plan.identity)
        best, small = best_of(entries, objective), recommended_of(entries, objective)
        if best is None or small is None:
            return
        for name, entry in (("best", best), ("recommended", small)):
            training = self._shipped(entry)
            self._test(training)
            self._ship(training, self.folder / f"{name}.keras")
        for training in self._baselines():
            if not any(test.spec == training.spec for test in self._tests()):
                self._test(training)

    def _shipped(self, entry: Entry) -> Training:
        """The training of an entry that is shipped: the best on validation."""
        gain = self.plan.objective.gain
        return max(entry.results, key=lambda training: gain(training.score or 0.0, 0.0))

    def _baselines(self) -> list[Training]:
        trainings = [item for item in self.recorded if isinstance(item, Training)]
        return [t for t in trainings if t.stage == "baseline" and t.status == "ok"]

    def _tests(self) -> list[Evaluation]:
        return [item for item in self.recorded if isinstance(item, Evaluation)]

    def _test(self, training: Training) -> None:
        if any(test.is_of(training) for test in self._tests()):
            return
        trainer = self.trainers.of_spec(training.spec)
        found = trainer.evaluate(training, self.weights_of(training), "test")
        evaluation = Evaluation(
            spec=training.spec,
            learning_rate=training.learning_rate,
            seed=training.seed,
            epochs=training.epochs,
            **vars(found),
        )
        self.append(evaluation)

    def _ship(self, training: Training, path: Path) -> None:
        trainer = self.trainers.of_spec(training.spec)
        note = trainer.ship(training, self.weights_of(training), path)
        if note:
            self.note(note)
