"""The end of a search: its answers are scored on the test part and written."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from kscale.errors import TrialError, writing
from kscale.networks.budget import stored_bytes
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.runs.entries import (
    Entry,
    answers_by_name,
    answers_of,
    entries_of,
    shipped_of,
)
from kscale.runs.records import Compression, Evaluation, Record, Training
from kscale.runs.stored_bits import METHOD_OF_BITS
from kscale.search.contract import Job
from kscale.tuning.attempts import MemberWeights
from kscale.tuning.device_limit import DeviceCheck
from kscale.tuning.plan import Plan
from kscale.tuning.trainer import Trainer

Scored = Literal["validation", "test"]


@dataclass(frozen=True)
class Answering:
    """Scores and ships the best and the recommended network; scores the baselines.
    With limits of a microcontroller, possible answers are measured before.

    What is recorded already is not scored again: the test part is used once.

    Args:
        plan: The search.
        folder: Folder of the models.
        trainer_of: Gives what evaluates and ships a spec.
        recorded: Records of the folder, to which `append` adds.
        append: Takes a new record.
        note: Takes a sentence for the user.
        seconds_left: Seconds until the time limit.
    """

    plan: Plan
    folder: Path
    trainer_of: Callable[[Spec], Trainer]
    recorded: Sequence[Record]
    append: Callable[[Record], None]
    note: Callable[[str], None]
    seconds_left: Callable[[], float]

    def run(self) -> None:
        """Score and write all that is missing."""
        plan, about = self.plan, (self.recorded, self.append, self.note)
        DeviceCheck(plan, *about, self._weights_of, self.seconds_left).run()
        for entry in self._contenders():
            for training in entry.results:
                for bits in plan.budget.bits_for(training.bytes):
                    self._score_rounded(training, bits, "validation")
        entries = answers_of(self.recorded, plan.budget, plan.identity)
        for name, entry in answers_by_name(entries, plan.objective).items():
            self._answer(name, entry)
        trainings = [item for item in self.recorded if isinstance(item, Training)]
        for training in trainings:
            is_baseline = training.stage == "baseline" and training.status == "ok"
            tested = {test.spec for test in self._tests()}
            if is_baseline and training.spec not in tested:
                self._test(training)

    def _answer(self, name: str, entry: Entry) -> None:
        """Score an answer on the test part, and write the model."""
        training = shipped_of(entry, self.plan.objective)
        path, weights = self.folder / f"{name}.keras", self._weights_of(training)
        trainer = self.trainer_of(training.spec)
        if entry.bits == 32:
            self._test(training)
            with writing(path):
                note = trainer.ship(training, weights, path)
        else:
            self._score_rounded(training, entry.bits, "test")
            with self._rounded(training, entry.bits) as stored, writing(path):
                note = trainer.ship(training, stored, path)
        if note:
            self.note(note)

    def _contenders(self) -> list[Entry]:
        """Networks to score in all bits in which they fit: finalists, or else those
        that would be and whose weights were kept, and baselines."""
        if not self.plan.budget.are_bits_open:
            return []
        trainings = [item for item in self.recorded if isinstance(item, Training)]
        entries = entries_of(trainings)
        chosen = [entry for entry in entries if entry.stage == "finalist"]
        if not chosen:
            likely = self.plan.searcher().finalists(trainings)
            chosen = [entry for entry in likely if entry.is_full and self._has(entry)]
        chosen += [entry for entry in entries if entry.is_baseline]
        return list({entry.results: entry for entry in chosen}.values())

    def _has(self, entry: Entry) -> bool:
        """Whether the weights of all trainings of an entry were kept."""
        return all((self.folder / f"{t.key}.npz").exists() for t in entry.results)

    def _score_rounded(self, training: Training, bits: int, part: Scored) -> None:
        """Record what a training with weights rounded to bits reaches on a part."""
        is_known = any(
            isinstance(item, Compression)
            and item.is_rounded
            and (item.training, item.bits, item.part) == (training.key, bits, part)
            for item in self.recorded
        )
        if is_known:
            return
        with self._rounded(training, bits) as weights:
            found = self.trainer_of(training.spec).evaluate(training, weights, part)
        record = Compression(
            training=training.key,
            method=METHOD_OF_BITS[bits],
            spec=training.spec,
            bits=bits,
            seed=training.seed,
            part=part,
            params=training.params,
            bytes=stored_bytes(training.bytes, bits),
            **vars(found),
        )
        self.append(record)

    @contextmanager
    def _rounded(self, training: Training, bits: int) -> Iterator[Path]:
        """The weights of a finished training, rounded to bits, in a temporary file."""
        from kscale.engine.tensorflow.checkpoints import round_checkpoint

        weights, spec = self._weights_of(training), training.spec
        blueprint = find_family(spec.family).blueprint(spec, self.plan.dataset.task)
        with TemporaryDirectory() as folder:
            stored = Path(folder, weights.name)
            with writing(stored):
                round_checkpoint(weights, stored, blueprint, bits)
            yield stored

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
