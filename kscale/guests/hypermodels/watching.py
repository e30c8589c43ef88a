"""What is heard of a user's training: its epochs, scored, and kept to go on from."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from kscale.engine.base import Outputs
from kscale.engine.progress import Progress, progress_in
from kscale.engine.tensorflow.checkpoints import load_checkpoint, save_checkpoint
from kscale.engine.tensorflow.schedule import WarmupSteadyCooldown
from kscale.tuning.trainer import RunningTraining


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
        training: Keeps scores, time and files.
        outputs: What the model gives for the validation part.

    Attributes:
        calls: How often `model.fit` was called with it.
        rate: The learning rate of the first step; None as long as nothing is heard.
        start: The checkpoint it goes on from, if any.
    """

    def __init__(
        self, training: RunningTraining, outputs: Callable[[keras.Model], Outputs]
    ) -> None:
        super().__init__()
        self.training = training
        self.outputs = outputs
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
            self.rate = first_rate(self.model.optimizer, self.training.learning_rate)
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
        """Score it; end the training where the loss is lost or the time is up."""
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

    It is the one that was asked for where it is that in 32 bits, where it cannot be
    told, and of a schedule of kscale's, which does not start with its largest.
    """
    if isinstance(getattr(optimizer, "_learning_rate", None), WarmupSteadyCooldown):
        return asked
    try:
        rate = float(f"{float(optimizer.learning_rate):.6g}")
    except (AttributeError, TypeError, ValueError):
        return asked
    is_other = 0 < rate < math.inf and not math.isclose(rate, asked, rel_tol=1e-5)
    return rate if is_other else asked
