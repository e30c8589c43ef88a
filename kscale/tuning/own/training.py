"""Training a user's model as its own code trains it, scored as every other network."""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from kscale.building import alone
from kscale.data.base import Part
from kscale.errors import ResultsError, TrialError
from kscale.families.base import is_own
from kscale.results import Result
from kscale.search.base import Job
from kscale.sizing import Size
from kscale.tuning.checkpoints import (
    Attempts,
    Progress,
    load_checkpoint,
    save_checkpoint,
)
from kscale.tuning.evaluation import Evaluation, answers_of, evaluate_test, short
from kscale.tuning.own.fitting import compile_own, fit_own
from kscale.tuning.own.models import OwnModels
from kscale.tuning.own.outputs import check_outputs, gives_logits, logits_of, only
from kscale.tuning.own.packaging import save_own
from kscale.tuning.trainer import TimeUp, Trainer
from kscale.tuning.weighting import class_weights_of

_PREDICT_BATCH = 512


@dataclass
class OwnTrainer(Trainer):
    """Trains a user's models by their own `fit`, and baselines as ever.

    Its data set is the one that the models take. Only finished trainings are on disk:
    an interrupted one begins again.

    Args:
        usual: Trains everything else.
        models: The user's models.
    """

    usual: Trainer = field(kw_only=True)
    models: OwnModels = field(kw_only=True)

    def train(self, job: Job, member: int) -> Result:
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
        answers = answers_of(self.dataset, raw, self._predict(self._loaded(job), raw))
        return evaluate_test(self.objective, self.dataset.task, answers)

    def ship(self, job: Job, path: Path) -> str:
        """As `Trainer.ship`; where a model cannot be saved, its weights are."""
        if not is_own(job.spec.family):
            return self.usual.ship(job, path)
        return save_own(self._loaded(job), self.dataset, path)

    def size_of(self, job: Job) -> Size:
        """Exact size of what a job trains."""
        if not is_own(job.spec.family):
            return self.usual.size_of(job)
        return self.models.size(job.spec)

    def _train(
        self, job: Job, member: int, result: Result, attempts: Attempts, start: float
    ) -> Result:
        with self.strategy.scope():
            model, hp, outputs = self._built(job, member, result)
            if not model.compiled:
                rate = job.learning_rates[member]
                compile_own(model, self.dataset, self.recipe, rate, outputs)
        watch = Watch(self, job, member, attempts)
        weights = class_weights_of(self.dataset, self.class_weights)
        fit_own(self.models, hp, model, self.dataset, self.recipe, watch, weights)
        progress = watch.progress
        progress.epochs = job.epochs_to
        given = self._predict(model, self.dataset.validation)
        if not watch.is_heard:
            self._note_epoch(job, member, progress, given)
        progress.seconds = time.monotonic() - start
        self._save(self.checkpoint_path(job, member), model, progress)
        done = self._finished(result, progress, given)
        return done if watch.is_heard else _replace(done, undertrained=False)

    def _save(self, path: Path, model: keras.Model, progress: Progress) -> None:
        try:
            save_checkpoint(path, model, None, progress)
        except OSError as error:
            raise ResultsError(f"{path} cannot be written: {error}.") from error

    def _built(
        self, job: Job, member: int, result: Result
    ) -> tuple[keras.Model, Any, int]:
        """A model with all its weights that is what was counted, its hyperparameters
        and the number of its outputs.

        Raises:
            TrialError: It is another, or gives outputs of another shape.
        """
        model, hp = self.models.build(job.spec, job.seeds[member])
        first = {n: rows[:2] for n, rows in self.dataset.train.inputs.items()}
        target = self.dataset.task.targets[0]
        given = only(model(alone(first)))
        if not (tuple(given.shape[1:]) in ((), (1,)) and target.outputs == 2):
            check_outputs(target, tuple(given.shape))
        if model.count_params() != result.params:
            raise TrialError(
                f"the model has {model.count_params():,} parameters with these inputs, "
                f"but {result.params:,} were counted"
            )
        return model, hp, int(given.shape[-1])

    def _loaded(self, job: Job) -> keras.Model:
        model, *_ = self._built(job, 0, self.describe(job, 0))
        path = self.checkpoint_path(job, 0)
        if load_checkpoint(path, model, None) is None:
            raise TrialError(f"{path} is missing or damaged: nothing to evaluate.")
        return model

    def _predict(self, model: keras.Model, part: Part) -> dict[str, Any]:
        """Outputs by target name as `answers_of` takes them."""
        target = self.dataset.task.targets[0]
        batch = min(_PREDICT_BATCH, len(part))
        given = only(model.predict(alone(dict(part.inputs)), batch, verbose=0))
        if target.kind == "classes":
            return {target.name: logits_of(target, given, gives_logits(model))}
        return {target.name: given.reshape(len(given), -1)}


class Watch(keras.callbacks.Callback):
    """Follows a training through the callbacks that a user's `fit` passes on.

    Args:
        trainer: Scores each epoch, and knows the deadline.
        job, member: What is trained.
        attempts: Is told how far the training has come.
    """

    def __init__(
        self, trainer: OwnTrainer, job: Job, member: int, attempts: Attempts
    ) -> None:
        super().__init__()
        self.trainer = trainer
        self.job = job
        self.member = member
        self.attempts = attempts
        self.progress = Progress()
        self.is_heard = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Score it; end the training where the loss is lost or the time is up."""
        self.is_heard = True
        progress, trainer = self.progress, self.trainer
        progress.epochs += 1
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise TrialError(f"the loss became {loss} in epoch {progress.epochs}")
        progress.curve.setdefault("loss", []).append(short(loss))
        outputs = trainer._predict(self.model, trainer.dataset.validation)
        trainer._note_epoch(self.job, self.member, progress, outputs)
        self.attempts.begin(progress.epochs)
        if time.monotonic() >= trainer.deadline:
            raise TimeUp


def _replace(result: Result, **changes: Any) -> Result:
    return Result(**{**vars(result), **changes})
