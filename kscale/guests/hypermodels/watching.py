"""What is heard of a user's training: its epochs, scored, and kept to go on from."""

import math
import time
from typing import TYPE_CHECKING, Any

import keras

from kscale.engine.tensorflow.checkpoints import (
    Attempts,
    Progress,
    load_checkpoint,
    progress_in,
)
from kscale.errors import TrialError
from kscale.guests.hypermodels.outputs import Heads
from kscale.guests.hypermodels.user_fit import first_rate
from kscale.search.contract import Job
from kscale.task.evaluation import short
from kscale.tuning.trainer import TimeUp

if TYPE_CHECKING:
    from kscale.guests.hypermodels.training import OwnTrainer


class Watch(keras.callbacks.Callback):
    """Follows a training through the callbacks that a user's `fit` passes on.

    It keeps weights, optimizer and curve in one file that is replaced at once, at most
    every `checkpoint_seconds`. A training that was interrupted goes on from there: the
    calls of `model.fit` that had ended train no epoch, and the one that was interrupted
    starts at the epoch that follows, by the attribute that Keras' BackupAndRestore sets
    too. (That callback would not do: it writes weights and epoch one after the other
    and in place, so a kill in between repeats an epoch or leaves what cannot be read,
    and it knows nothing of a second call.) So a training has as many epochs as one that
    was not interrupted; the order of the examples and what other callbacks remember
    (the patience of an early stopping) begin anew.

    Args:
        trainer: Scores each epoch, writes the files and knows the deadline.
        job, member: What is trained.
        attempts: Is told how far the training has come.
        start: `time.monotonic()` at which this session began it.
        heads: Outputs of the model.

    Attributes:
        calls: How often `model.fit` was called with it.
        rate: The learning rate of the first step; None as long as nothing is heard.
    """

    def __init__(
        self,
        trainer: "OwnTrainer",
        job: Job,
        member: int,
        attempts: Attempts,
        start: float,
        heads: Heads,
    ) -> None:
        super().__init__()
        self.trainer = trainer
        self.job = job
        self.member = member
        self.attempts = attempts
        self.heads = heads
        self.path = trainer.part_path(job, member)
        self.progress = progress_in(self.path) or Progress()
        self.rate: float | None = None
        self._start = start - self.progress.seconds
        self._saved = time.monotonic()
        self._kept = len(self.progress.fits)  # calls that are on disk
        self.calls = 0
        self._first = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Go on where the training was."""
        self.calls += 1
        if self.calls == 1:
            asked = self.job.learning_rates[self.member]
            self.rate = first_rate(self.model.optimizer, asked)
        self._first = self._next_epoch()
        if self._kept:
            self.model._initial_epoch = self._first or None

    def _next_epoch(self) -> int:
        """The first epoch that this call of `model.fit` has to train."""
        fits = self.progress.fits
        if self.calls < self._kept:
            return int(self.params["epochs"])
        if self.calls > self._kept:
            fits.append(0)
            return 0
        optimizer = self.model.optimizer
        if optimizer is not None and not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        if load_checkpoint(self.path, self.model, optimizer) is None:
            raise RuntimeError(f"{self.path} is damaged or of another model")
        return fits[-1]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Score it; end the training where the loss is lost or the time is up."""
        if epoch < self._first or self.calls < self._kept:
            raise RuntimeError(f"the training went back to epoch {epoch + 1}")
        progress, trainer = self.progress, self.trainer
        progress.epochs += 1
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise TrialError(f"the loss became {loss} in epoch {progress.epochs}")
        shown = math.nan if loss is None else short(float(loss))
        progress.curve.setdefault("loss", []).append(shown)
        validation = trainer.dataset.validation
        outputs = trainer.predict(self.model, validation, self.heads)
        trainer._note_epoch(self.job, self.member, progress, outputs)
        if self.calls:
            progress.fits[-1] = epoch + 1
            self._keep(epoch + 1 >= (self.params or {}).get("epochs", 0))

    def _keep(self, is_last: bool) -> None:
        """Write the checkpoint where it is time to, and end what has no time left."""
        now = time.monotonic()
        is_late = now >= self.trainer.deadline and not is_last
        if is_late or now - self._saved >= self.trainer.checkpoint_seconds:
            progress = self.ended()
            self.trainer.save(self.path, self.model, self.model.optimizer, progress)
            self.attempts.begin(progress.epochs)
            self._saved = time.monotonic()
        if is_late:
            raise TimeUp

    def ended(self) -> Progress:
        """The progress, with the time that was spent until now."""
        self.progress.seconds = time.monotonic() - self._start
        return self.progress
