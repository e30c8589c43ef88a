"""Training a user's model as its own code trains it, scored as every other network."""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from kscale.building.models import alone
from kscale.data.class_weights import class_weights_of
from kscale.data.dataset import Part
from kscale.data.decoding import answers_of
from kscale.engine.tensorflow.checkpoints import (
    Attempts,
    Progress,
    epochs_in,
    load_checkpoint,
    save_checkpoint,
)
from kscale.errors import ResultsError, TrialError
from kscale.guests.hypermodels.outputs import Heads
from kscale.guests.hypermodels.saving import save_own
from kscale.guests.hypermodels.user_fit import (
    compile_own,
    first_rate,
    fit_own,
    is_usual_fit,
)
from kscale.guests.hypermodels.user_models import OwnModels
from kscale.guests.hypermodels.watching import Watch
from kscale.networks.families.base import is_own
from kscale.networks.sizing import Size
from kscale.runs.records import Training
from kscale.search.contract import Job
from kscale.task.evaluation import Evaluation, evaluate_test
from kscale.tuning.trainer import TimeUp, Trainer

logger = logging.getLogger(__name__)

_PREDICT_BATCH = 512


@dataclass
class OwnTrainer(Trainer):
    """Trains a user's models by their own `fit`, and baselines as ever.

    Its data set is the one that the models take. An interrupted training goes on as
    `Watch` has it.

    Args:
        usual: Trains everything else.
        models: The user's models.
    """

    usual: Trainer = field(kw_only=True)
    models: OwnModels = field(kw_only=True)

    def train(self, job: Job, member: int) -> Training:
        """As `Trainer.train`."""
        trains = super().train if is_own(job.spec.family) else self.usual.train
        return trains(job, member)

    def evaluate(self, job: Job, member: int, part: Part) -> Evaluation:
        """As `Trainer.evaluate`; the part is one of the usual data set."""
        if not is_own(job.spec.family):
            return self.usual.evaluate(job, member, part)
        usual = self.usual.dataset.parts
        name = next(name for name, known in usual.items() if known is part)
        raw = self.dataset.parts[name]
        model, heads = self._loaded(job)
        answers = answers_of(self.dataset, raw, self.predict(model, raw, heads))
        return evaluate_test(self.objective, self.dataset.task, answers)

    def ship(self, job: Job, path: Path) -> str:
        """As `Trainer.ship`; where a model cannot be saved, its weights are."""
        if not is_own(job.spec.family):
            return self.usual.ship(job, path)
        model, heads = self._loaded(job)
        return save_own(model, heads, self.dataset, path)

    def describe(self, job: Job, member: int) -> Training:
        """As `Trainer.describe`."""
        result = super().describe(job, member)
        unknown = self.models.unknown.get(job.spec, ())
        return structs.replace(result, unknown_flops=len(unknown))

    def size_of(self, job: Job) -> Size:
        """Exact size of what a job trains."""
        if not is_own(job.spec.family):
            return self.usual.size_of(job)
        return self.models.size(job.spec)

    def _epochs_done(self, job: Job, member: int) -> int:
        part = self.part_path(job, member)
        return super()._epochs_done(job, member) or epochs_in(part)

    def part_path(self, job: Job, member: int) -> Path:
        """Where an unfinished training is, whose epochs the user's code decides."""
        return self._path(job, member, ".part.npz")

    def _train(
        self, job: Job, member: int, result: Training, attempts: Attempts, start: float
    ) -> Training:
        """Train, or go on; what cannot go on begins again, once."""
        part = self.part_path(job, member)
        is_continued = part.exists()
        try:
            return self._fitted(job, member, result, attempts, start)
        except (TimeUp, ResultsError):
            raise
        except Exception as error:
            part.unlink(missing_ok=True)
            if not is_continued or isinstance(error, TrialError):
                raise
            logger.info("A training could not go on and begins again: %r", error)
        return self._fitted(job, member, result, attempts, start)

    def _fitted(
        self, job: Job, member: int, result: Training, attempts: Attempts, start: float
    ) -> Training:
        asked = job.learning_rates[member]
        with self.strategy.scope():
            model, hp, heads = self._built(job, member, result)
            if not model.compiled:
                compile_own(model, self.dataset, self.recipe, asked, heads)
        rate = first_rate(model.optimizer, asked)
        path = self.checkpoint_path(job, member)
        progress = load_checkpoint(path, model, None)
        if progress is None:
            watch = Watch(self, job, member, attempts, start, heads)
            progress = self._watched(watch, model, hp, heads)
            rate = watch.rate or rate
            self._check_count(model, result)
        given = self.predict(model, self.dataset.validation, heads)
        is_heard = "loss" in progress.curve
        if not is_heard:
            self._note_epoch(job, member, progress, given)
        self.save(path, model, None, progress)
        self.part_path(job, member).unlink(missing_ok=True)
        done = self._finished(result, progress, given)
        undertrained = done.undertrained and is_heard
        return structs.replace(done, undertrained=undertrained, learning_rate=rate)

    def _watched(
        self, watch: Watch, model: keras.Model, hp: Any, heads: Heads
    ) -> Progress:
        """Let the user's code train, which may compile anew."""
        data, recipe = self.dataset, self.recipe
        weights = class_weights_of(data, self.class_weights)
        with self.strategy.scope():
            fit_own(self.models, hp, model, data, recipe, watch, weights, heads=heads)
        progress = watch.ended()
        progress.epochs = watch.job.epochs_to
        return progress

    def save(
        self, path: Path, model: keras.Model, optimizer: Any, progress: Progress
    ) -> None:
        """Write a checkpoint.

        Raises:
            ResultsError: It cannot be written.
        """
        try:
            save_checkpoint(path, model, optimizer, progress)
        except OSError as error:
            raise ResultsError(f"{path} cannot be written: {error}.") from error

    def _built(
        self, job: Job, member: int, result: Training
    ) -> tuple[keras.Model, Any, Heads]:
        """A model with all its weights that is what was counted, its hyperparameters
        and its outputs.

        Values are scaled for a model of which kscale decides all of its training.

        Raises:
            TrialError: It is another, or gives outputs of another shape.
        """
        model, hp = self.models.build(job.spec, job.seeds[member])
        first = {n: rows[:2] for n, rows in self.dataset.train.inputs.items()}
        with self.models.importable():
            given = model(alone(first))
        heads = Heads.of(model, given, self.dataset.task)
        if not model.compiled and is_usual_fit(self.models):
            heads = replace(heads, scalings=self.usual.dataset.target_scaling)
        self._check_count(model, result)
        return model, hp, heads

    def _check_count(self, model: keras.Model, result: Training) -> None:
        """Raise unless a model is of the size that the budget allowed."""
        if model.count_params() != result.params:
            raise TrialError(
                f"the model has {model.count_params():,} parameters with these inputs, "
                f"but {result.params:,} were counted"
            )

    def _loaded(self, job: Job) -> tuple[keras.Model, Heads]:
        model, _, heads = self._built(job, 0, self.describe(job, 0))
        path = self.checkpoint_path(job, 0)
        if load_checkpoint(path, model, None) is None:
            raise TrialError(f"{path} is missing or damaged: nothing to evaluate.")
        return model, heads

    def predict(
        self, model: keras.Model, part: Part, heads: Heads
    ) -> dict[str, NDArray[np.float32]]:
        """Outputs by target name as `answers_of` takes them."""
        batch = min(_PREDICT_BATCH, len(part))
        given = model.predict(alone(dict(part.inputs)), batch, verbose=0)
        return heads.read(model, given)
