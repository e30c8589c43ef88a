"""Epochs of a user's training: heard, scored, and kept to go on from."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from kscale.building.models import Schedule
from kscale.engine.base import Outputs
from kscale.engine.progress import Progress, progress_in
from kscale.engine.tensorflow.checkpoints import load_checkpoint, save_checkpoint
from kscale.tuning.trainer import RunningTraining


class Watch(keras.callbacks.Callback):
    """Follows a training through the callbacks that a user's `fit` passes on.

    A checkpoint holds weights, optimizer and curve. A training goes on from there: the
    calls of `model.fit` that had ended train no epoch, and the interrupted call starts
    at the epoch that follows, by the attribute that Keras' BackupAndRestore sets too.
    (That callback writes weights and epoch one after the other and in place, so that a
    kill in between repeats an epoch or leaves an unreadable file, and it knows nothing
    of a second call.) So a training has as many epochs as one that was not interrupted;
    the order of the examples and the memory of other callbacks (the patience of an
    early stopping) begin anew.

    Args:
        training: Keeps scores, time and files.
        outputs: What the model gives for the validation part.
        asked: Learning rate that the model should begin with.

    Attributes:
        calls: How often `model.fit` was called with this callback.
        rate: The learning rate of the first step; None as long as nothing is heard.
        start: The checkpoint to go on from, if any.
    """

    def __init__(
        self,
        training: RunningTraining,
        outputs: Callable[[keras.Model], Outputs],
        asked: float,
    ) -> None:
        super().__init__()
        self.training = training
        self.outputs = outputs
        self.asked = asked
        self.calls = 0
        self.rate: float | None = None
        self.start = training.assignment.start or Path()
        training.begin(progress_in)  # the weights wait for the optimizer
        self._kept = len(training.progress.fits)  # calls that are on disk
        self._first = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Go on where the training was."""
        self.calls += 1
        if self.calls == 1:
            self.rate = first_rate(self.model.optimizer, self.asked)
        self._first = self._next_epoch()
        if self._kept:
            self.model._initial_epoch = self._first or None

    def _next_epoch(self) -> int:
        """The first epoch that this call of `model.fit` has to train."""
        fits = self.training.progress.fits
        if self.calls < self._kept:
            return int(self.params["epochs"])
        if self.calls > self._kept:
            fits.append(0)
            return 0
        optimizer = self.model.optimizer
        if optimizer is not None and not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        if load_checkpoint(self.start, self.model, optimizer) is None:
            raise RuntimeError(f"{self.start} is damaged or of another model")
        return fits[-1]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Score the epoch; end a training without a finite loss, or without time."""
        if epoch < self._first or self.calls < self._kept:
            raise RuntimeError(f"the training went back to epoch {epoch + 1}")
        loss = (logs or {}).get("loss")
        outputs = self.outputs(self.model)
        self.training.add_epoch(None if loss is None else float(loss), outputs)
        if self.calls:
            self.training.progress.fits[-1] = epoch + 1
            is_last = epoch + 1 >= (self.params or {}).get("epochs", 0)
            self.training.keep(self._write, is_last)

    def _write(self, path: Path, progress: Progress) -> None:
        save_checkpoint(path, self.model, self.model.optimizer, progress)


def first_rate(optimizer: Any, asked: float) -> float:
    """The learning rate of an optimizer before its first step.

    Args:
        optimizer: Any optimizer.
        asked: The rate asked for. This rate is returned where the optimizer has the
            same in 32 bits, or none that is a number, and for a schedule of kscale's,
            whose first rate is not its largest.
    """
    if isinstance(getattr(optimizer, "_learning_rate", None), Schedule):
        return asked
    try:
        rate = float(f"{float(optimizer.learning_rate):.6g}")
    except (AttributeError, TypeError, ValueError):
        return asked
    is_other = 0 < rate < math.inf and not math.isclose(rate, asked, rel_tol=1e-5)
    return rate if is_other else asked
