"""Trainer: trains one member of a job and says what came of it."""

import gc
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from msgspec.structs import replace

from kscale.building.models import build_model
from kscale.data.class_weights import class_weights_of
from kscale.data.dataset import Dataset, Part
from kscale.data.decoding import answers_of
from kscale.data.memory import free_bytes
from kscale.engine.recipe import Recipe, is_undertrained
from kscale.engine.tensorflow.checkpoints import (
    Attempts,
    Progress,
    epochs_in,
    load_checkpoint,
    save_checkpoint,
)
from kscale.engine.tensorflow.epochs import (
    DeviceData,
    EpochLoop,
    is_worth_compiling,
    make_optimizer,
    predict_batch_for,
)
from kscale.errors import ResultsError, TrialError, reason_of
from kscale.networks.families import find_family
from kscale.networks.sizing import Size
from kscale.runs.records import Training
from kscale.search.contract import Job
from kscale.ship.packaging import package_model, save_model
from kscale.task.evaluation import (
    Evaluation,
    evaluate,
    evaluate_test,
    mean_score,
    short,
)
from kscale.task.objectives import Objective
from kscale.units import format_bytes

logger = logging.getLogger(__name__)

_MOST_ATTEMPTS = 2
_COLLECT_EVERY = 8

EpochSeen = Callable[[Job, int, int, float], None]
"""Called after each epoch with the job, the member, the epochs done and the score."""


class TimeUp(Exception):
    """The time limit ended a training; its checkpoint is on disk."""


@dataclass
class Trainer:
    """Trains members of jobs, each in a checkpoint file of its own.

    Args:
        dataset: What to train and validate on; the test part is not touched.
        objective: What the score is.
        recipe: Epochs, batches and schedule.
        strategy: Where to train.
        folder: Folder of the checkpoints.
        checkpoint_seconds: Least time between two checkpoints of one training.
        deadline: `time.monotonic()` at which a training stops with `TimeUp`.
        on_epoch: Called after each epoch.
        class_weights: One of `kscale.data.class_weights.CLASS_WEIGHTS`.
    """

    dataset: Dataset
    objective: Objective
    recipe: Recipe
    strategy: Any
    folder: Path
    checkpoint_seconds: float = 15.0
    deadline: float = math.inf
    on_epoch: EpochSeen | None = None
    class_weights: str = "none"
    _data: DeviceData | None = None
    _trained: int = field(default=0, init=False)

    def train(self, job: Job, member: int) -> Training:
        """Train one member; a failure is a result with its reason, not an error.

        Raises:
            ResultsError: A checkpoint cannot be written: no training could end well.
            TimeUp: The deadline came first.
        """
        start = time.monotonic()
        result = self.describe(job, member)
        attempts = Attempts(self._path(job, member, ".attempts.json"))
        done = self._epochs_done(job, member)
        is_due = not self.has_weights(job, member)
        if is_due and attempts.begin(done) >= _MOST_ATTEMPTS:
            attempts.end()
            return _failed(result, "the process died twice while training it", start)
        try:
            self._check_memory(job)
            return self._train(job, member, result, attempts, start)
        except (TimeUp, ResultsError):
            raise
        except Exception as error:
            logger.debug("a training failed", exc_info=True)
            return _failed(result, reason_of(error), start)
        finally:
            attempts.end()
            self._tidy()

    def describe(self, job: Job, member: int) -> Training:
        """The result of a member as far as it is known before training."""
        size = self.size_of(job)
        return Training(
            key=job.member_key(member),
            stage=job.stage,
            job=job.index,
            member=member,
            spec=job.spec,
            params=size.params,
            trainable=size.trainable,
            flops=size.flops,
            bytes=size.weight_bytes(),
            seed=job.seeds[member],
            learning_rate=job.learning_rates[member],
            epochs_from=job.epochs_from,
            epochs=job.epochs_to,
            full_epochs=self.recipe.epochs,
            parent=job.parent,
            memory=size.training_bytes(self.recipe.batch_size),
        )

    def has_weights(self, job: Job, member: int) -> bool:
        """Whether the weights of a finished training are there."""
        return epochs_in(self.checkpoint_path(job, member)) == job.epochs_to

    def checkpoint_path(self, job: Job, member: int) -> Path:
        """Where the weights of a member are."""
        return self._path(job, member, ".npz")

    def _epochs_done(self, job: Job, member: int) -> int:
        """Epochs that are on disk, from which a training goes on."""
        return epochs_in(self.checkpoint_path(job, member))

    def _train(
        self, job: Job, member: int, result: Training, attempts: Attempts, start: float
    ) -> Training:
        loop = self._loop(job, member)
        progress = self._resume(job, member, loop)
        before = progress.seconds
        saved = time.monotonic()
        outputs: dict[str, Any] = {}
        while progress.epochs < job.epochs_to or not outputs:
            if progress.epochs < job.epochs_to:
                self._run_epoch(job, member, loop, progress)
            outputs = loop.predict(self.dataset.validation.inputs)
            self._note_epoch(job, member, progress, outputs)
            progress.seconds = before + time.monotonic() - start
            done = progress.epochs >= job.epochs_to
            late = time.monotonic() >= self.deadline
            if done or late or time.monotonic() - saved >= self.checkpoint_seconds:
                path = self.checkpoint_path(job, member)
                try:
                    save_checkpoint(path, loop.model, loop.optimizer, progress)
                    attempts.begin(progress.epochs)
                except OSError as error:
                    raise ResultsError(f"{path} cannot be written: {error}.") from error
                saved = time.monotonic()
            if late and not done:
                raise TimeUp
        return self._finished(result, progress, outputs)

    def _loop(self, job: Job, member: int) -> EpochLoop:
        knobs = dict(job.spec.knobs)
        blueprint = find_family(job.spec.family).blueprint(job.spec, self.dataset.task)
        self._data = self._data or DeviceData(self.dataset)
        steps = job.epochs_to * self.recipe.steps_per_epoch(self._data.examples)
        size = self.size_of(job)
        with self.strategy.scope():
            model = build_model(
                blueprint,
                seed=job.seeds[member],
                synchronized=self.strategy.num_replicas_in_sync > 1,
            )
            decay = float(knobs.get("weight_decay", 0.0))
            optimizer = self._optimizer(job, member, decay)
        return EpochLoop(
            model,
            optimizer,
            self.dataset.task,
            self._data,
            self.strategy,
            float(knobs.get("label_smoothing", 0.0)),
            is_worth_compiling(blueprint, size.params, steps, self.strategy),
            class_weights_of(self.dataset, self.class_weights),
            predict_batch_for(size.activation_bytes),
        )

    def _optimizer(self, job: Job, member: int, weight_decay: float) -> Any:
        """Of the recipe, at the learning rate of a member."""
        examples, rate = len(self.dataset.train), job.learning_rates[member]
        return make_optimizer(self.recipe, examples, rate, weight_decay)

    def _resume(self, job: Job, member: int, loop: EpochLoop) -> Progress:
        """Its own checkpoint, its parent's, or nothing: then all epochs are trained."""
        paths = [self.checkpoint_path(job, member)]
        if job.epochs_from:
            parent = job.member_key(member, job.epochs_from)
            paths.append(self.folder / f"{parent}.npz")
        for path in paths:
            progress = load_checkpoint(path, loop.model, loop.optimizer)
            if progress is not None and progress.epochs <= job.epochs_to:
                return progress
        return Progress()

    def _run_epoch(
        self, job: Job, member: int, loop: EpochLoop, progress: Progress
    ) -> None:
        order = self.recipe.order(
            len(self.dataset.train), job.seeds[member], progress.epochs
        )
        loss = loop.run_epoch(order)
        progress.epochs += 1
        if not math.isfinite(loss):
            raise TrialError(f"the loss became {loss} in epoch {progress.epochs}")
        progress.curve.setdefault("loss", []).append(short(loss))

    def _note_epoch(
        self, job: Job, member: int, progress: Progress, outputs: dict[str, Any]
    ) -> None:
        if len(progress.curve.get("score", [])) >= progress.epochs:
            return
        answers = answers_of(self.dataset, self.dataset.validation, outputs)
        score = mean_score(self.objective, self.dataset.task, answers)
        if not math.isfinite(score):
            raise TrialError(f"the score became {score} in epoch {progress.epochs}")
        progress.curve.setdefault("score", []).append(short(score))
        if self.on_epoch is not None:
            self.on_epoch(job, member, progress.epochs, score)

    def _finished(
        self, result: Training, progress: Progress, outputs: dict[str, Any]
    ) -> Training:
        answers = answers_of(self.dataset, self.dataset.validation, outputs)
        done = evaluate(self.objective, self.dataset.task, answers)
        sign = 1.0 if self.objective.higher_is_better else -1.0
        gains = [sign * value for value in progress.curve["score"]]
        steady = self.recipe.steady_epochs()
        return replace(
            result,
            score=done.score,
            stderr=done.stderr,
            examples=done.examples,
            metrics=dict(done.metrics),
            undertrained=is_undertrained(gains, steady, done.stderr),
            seconds=round(progress.seconds, 3),
            curve=progress.curve,
        )

    def evaluate(self, job: Job, member: int, part: Part) -> Evaluation:
        """What a finished training reaches on a part, with all that is tested.

        Raises:
            TrialError: Its weights are not on disk any more.
        """
        loop = self._loop(job, member)
        path = self.checkpoint_path(job, member)
        if load_checkpoint(path, loop.model, None) is None:
            raise TrialError(f"{path} is missing or damaged: nothing to evaluate.")
        answers = answers_of(self.dataset, part, loop.predict(part.inputs))
        return evaluate_test(self.objective, self.dataset.task, answers)

    def ship(self, job: Job, path: Path) -> str:
        """Write the model of a finished training, with its preprocessing.

        Returns:
            What the user must know of the file; empty where there is nothing.

        Raises:
            ExportError: The weights are damaged, or the file cannot be written.
        """
        data = self.dataset
        model = package_model(
            job.spec,
            data.task,
            self.checkpoint_path(job, 0),
            data.preprocessing,
            data.target_scaling,
        )
        save_model(model, path)
        return ""

    def _check_memory(self, job: Job) -> None:
        """Refuse what would not fit before it takes the process down."""
        if tf.config.list_physical_devices("GPU"):
            return  # the device raises an error of its own, which fails one trial only
        needed = self.size_of(job).training_bytes(self.recipe.batch_size)
        free = free_bytes()
        if needed > free:
            raise TrialError(
                f"training would hold about {format_bytes(needed)} and "
                f"{format_bytes(free)} of memory are free"
            )

    def size_of(self, job: Job) -> Size:
        """Exact size of what a job trains."""
        return find_family(job.spec.family).size(job.spec, self.dataset.task)

    def _path(self, job: Job, member: int, suffix: str) -> Path:
        return self.folder / f"{job.member_key(member)}{suffix}"

    def _tidy(self) -> None:
        """Free what Keras and TensorFlow keep of the last network, not every time."""
        self._trained += 1
        if self._trained % _COLLECT_EVERY == 0:
            keras.utils.clear_session(free_memory=False)
            gc.collect()


def _failed(result: Training, reason: str, start: float) -> Training:
    seconds = round(time.monotonic() - start, 3)
    return replace(result, status="failed", reason=reason, seconds=seconds)
