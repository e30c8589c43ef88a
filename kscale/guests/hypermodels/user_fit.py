"""A user's training: compiled, called as KerasTuner calls `fit`, and followed."""

import inspect
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from kscale.building.models import Schedule
from kscale.data.dataset import Dataset
from kscale.data.parts import Part
from kscale.engine.base import Outputs
from kscale.engine.progress import Progress, progress_in
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.checkpoints import load_checkpoint, save_checkpoint
from kscale.engine.tensorflow.compiling import make_optimizer
from kscale.guests.hypermodels.drawn_hyperparameters import DrawnHyperParameters
from kscale.guests.hypermodels.user_models import UserModels
from kscale.guests.hypermodels.user_outputs import UserOutputs
from kscale.naming import single_or_named
from kscale.task.tasks import Target
from kscale.tuning.trainer import RunningTraining

_REFUSED = re.compile(
    r"(?:multiple values for (?:keyword )?argument|unexpected keyword argument) "
    r"'(\w+)'"
)
_WEIGHT_DECAY = 0.004
_PROBED = 4  # examples
_BEFORE_TRAINING = ("build", "compile", "summary")


def compile_user_model(
    model: keras.Model,
    dataset: Dataset,
    recipe: Recipe,
    learning_rate: float,
    outputs: UserOutputs,
) -> None:
    """Compile a built model that the user did not compile, as the recipe says."""
    are_logits = outputs.are_logits(model)

    def loss_of(target: Target) -> Any:
        name, arguments = target.head.loss.name, dict(target.head.loss.arguments)
        if target.head.is_named:
            is_single = outputs.numbers[target.name] == 1
            name = "BinaryCrossentropy" if is_single else name
            arguments["from_logits"] = are_logits[target.name]
        return getattr(keras.losses, name)(**arguments)

    losses = {target.name: loss_of(target) for target in dataset.task.targets}
    optimizer = make_optimizer(recipe, len(dataset.train), learning_rate, _WEIGHT_DECAY)
    model.compile(optimizer, loss=outputs.join(losses))


class Watch(keras.callbacks.Callback):
    """Follows a training through the callbacks that a user's `fit` passes on.

    A training goes on from a checkpoint: the calls of `model.fit` that had ended train
    no epoch, and the interrupted call starts at the epoch that follows, by an attribute
    that Keras' BackupAndRestore sets too. (That callback knows of one call only, and a
    kill while it writes repeats an epoch or leaves an unreadable file.) The order of
    the examples and the memory of other callbacks begin anew.

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
        self.load(self.model, optimizer)
        return fits[-1]

    def load(self, model: keras.Model, optimizer: Any = None) -> None:
        """Set the variables of the checkpoint to go on from."""
        if load_checkpoint(self.start, model, optimizer) is None:
            raise RuntimeError(f"{self.start} is damaged or of another model")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Score the epoch; end a training without a finite loss, or without time."""
        if epoch < self._first or self.calls < self._kept:
            raise RuntimeError(f"the training went back to epoch {epoch + 1}")
        loss = (logs or {}).get("loss")
        score = self.training.score(self.outputs(self.model))
        self.training.add_epoch(None if loss is None else float(loss), score)
        if self.calls:
            self.training.progress.fits[-1] = epoch + 1
            is_last = epoch + 1 >= (self.params or {}).get("epochs", 0)
            self.training.keep(self.write, is_last)

    def write(self, path: Path, progress: Progress) -> None:
        """Write a checkpoint of the model as it is now."""
        save_checkpoint(path, self.model, self.model.optimizer, progress)


def first_rate(optimizer: Any, asked: float) -> float:
    """The learning rate of an optimizer before its first step.

    It is the rate asked for where the optimizer has the same in 32 bits, or none that
    is a number, and for a schedule of kscale's, whose first rate is not its largest.
    """
    if isinstance(getattr(optimizer, "_learning_rate", None), Schedule):
        return asked
    try:
        rate = float(f"{float(optimizer.learning_rate):.6g}")
    except (AttributeError, TypeError, ValueError):
        return asked
    is_other = 0 < rate < math.inf and not math.isclose(rate, asked, rel_tol=1e-5)
    return rate if is_other else asked


def call_fit(
    models: UserModels,
    hp: Any,
    model: Any,
    dataset: Dataset,
    recipe: Recipe,
    labels: Callable[[Mapping[str, Any]], Any] = single_or_named,
    watch: Watch | None = None,
    class_weights: Mapping[str, Any] | None = None,
    most: int | None = None,
) -> None:
    """Let the user's `fit` train a model: `fit(hp, model, x, y, **kwargs)`.

    Arguments that the user's code decides (`model.fit(*args, epochs=20, **kwargs)`), or
    does not take, are left out. An argument is refused before anything is trained: an
    error of the same words that comes later is an error of the training. `labels` gives
    the form in which the model takes targets by name.
    """

    def pair(part: Part) -> tuple[Any, Any]:
        inputs = {name: rows[:most] for name, rows in part.inputs.items()}
        targets = {name: rows[:most] for name, rows in part.targets.items()}
        return single_or_named(inputs), labels(targets)

    given: dict[str, Any] = {
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "validation_data": pair(dataset.validation),
        "callbacks": [watch] if watch is not None else [],
        "verbose": 0,
    }
    for weights in (class_weights or {}).values():
        given["class_weight"] = dict(enumerate(weights.tolist()))
    known = inspect.signature(models.hypermodel.fit).parameters
    if all(each.kind is not each.VAR_KEYWORD for each in known.values()):
        given = {name: value for name, value in given.items() if name in known}
    data = pair(dataset.train)
    while True:
        taken = {name: v for name, v in given.items() if name not in models.refused}
        try:
            with models.importable():
                models.hypermodel.fit(hp, model, *data, **taken)
            return
        except TypeError as error:
            refused = _REFUSED.search(str(error))
            if refused is None or refused[1] not in taken or _is_begun(model, watch):
                raise
            models.refused.add(refused[1])


def _is_begun(model: Any, watch: Watch | None) -> bool:
    """Whether a call of `model.fit` was heard, or the optimizer has made a step."""
    steps = getattr(getattr(model, "optimizer", None), "iterations", 0)
    return (watch is not None and watch.calls > 0) or int(steps) > 0


class _NoModel:
    """Stands where a model is, for a `fit` that is to name its hyperparameters.

    `fit` may compile it and the like; a call of anything else ends in an error, after
    the arguments of the call were asked for.
    """

    def __getattr__(self, name: str) -> Any:
        return (lambda *args, **kwargs: None) if name in _BEFORE_TRAINING else None


def probe_fit(
    models: UserModels, dataset: Dataset, recipe: Recipe
) -> Callable[[DrawnHyperParameters], None]:
    """A function that asks a user's `fit` for its hyperparameters, so that they are
    drawn too: `fit` is called as far as it comes without a model."""

    def probe(hp: DrawnHyperParameters) -> None:
        try:
            call_fit(models, hp, _NoModel(), dataset, recipe, most=_PROBED)
        except Exception:  # noqa: S110  # a training raises the error again
            return

    return probe
