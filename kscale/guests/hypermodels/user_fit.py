"""The call of a user's `fit`, as KerasTuner makes it."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras
import keras_tuner

from kscale.data.dataset import Dataset, Part
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.schedule import make_optimizer
from kscale.guests.hypermodels.draws import DrawingHyperParameters
from kscale.guests.hypermodels.outputs import Heads
from kscale.guests.hypermodels.user_models import OwnModels
from kscale.guests.hypermodels.watching import Watch
from kscale.naming import single_or_named
from kscale.task.tasks import Target

_REFUSED = re.compile(
    r"(?:multiple values for (?:keyword )?argument|unexpected keyword argument) "
    r"'(\w+)'"
)
_WEIGHT_DECAY = 0.004
_PROBED = 4  # examples
_BEFORE_TRAINING = ("build", "compile", "summary")


def compile_own(
    model: keras.Model,
    dataset: Dataset,
    recipe: Recipe,
    learning_rate: float,
    heads: Heads,
) -> None:
    """Compile a model that the user did not, with the recipe's optimizer.

    Args:
        model: The model, all of it built.
        dataset: What it will be trained on.
        recipe: Epochs, batches and schedule.
        learning_rate: Largest learning rate.
        heads: Which of its outputs is of which target.
    """
    are_logits = heads.are_logits(model)
    losses = {
        target.name: _loss_of(target, heads.sides[target.name], are_logits[target.name])
        for target in dataset.task.targets
    }
    optimizer = make_optimizer(recipe, len(dataset.train), learning_rate, _WEIGHT_DECAY)
    model.compile(optimizer, loss=heads.join(losses))


def _loss_of(target: Target, outputs: int, is_logits: bool) -> keras.Loss:
    if outputs == 1 and target.head.is_named:
        return keras.losses.BinaryCrossentropy(from_logits=is_logits)
    loss = target.head.loss
    logits = {"from_logits": is_logits} if target.head.is_named else {}
    made: keras.Loss = getattr(keras.losses, loss.name)(**{**loss.arguments, **logits})
    return made


def fit_own(
    models: OwnModels,
    hp: Any,
    model: Any,
    dataset: Dataset,
    recipe: Recipe,
    watch: Watch | None = None,
    class_weights: Mapping[str, Any] | None = None,
    most: int | None = None,
    heads: Heads | None = None,
) -> None:
    """Let the user's `fit` train a model: `fit(hp, model, x, y, **kwargs)`.

    What the user's code decides itself (`model.fit(*args, epochs=20, **kwargs)`), or
    does not take, is left out of the arguments.

    Args:
        models: The user's models.
        hp: Hyperparameters of the model.
        model: The compiled model.
        dataset: What it trains and validates on.
        recipe: Epochs and batches.
        watch: A callback to pass on.
        class_weights: As `class_weights_of` gives them.
        most: Most examples of each part.
        heads: Outputs of the model, whose form targets get.
    """

    def pair(part: Part) -> tuple[Any, Any]:
        """Inputs, an array or arrays by name, and what the model is to give."""
        targets = {name: rows[:most] for name, rows in part.targets.items()}
        inputs = {name: rows[:most] for name, rows in part.inputs.items()}
        wanted = (
            single_or_named(targets) if heads is None else heads.wanted(model, targets)
        )
        return single_or_named(inputs), wanted

    weights = list((class_weights or {}).values())
    given: dict[str, Any] = {
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "validation_data": pair(dataset.validation),
        "callbacks": [watch] if watch is not None else [],
        "verbose": 0,
    }
    if weights:
        given["class_weight"] = dict(enumerate(weights[0].tolist()))
    given = _named(models.hypermodel.fit, given)
    _call(models, given, watch, hp, model, *pair(dataset.train))


def _named(fit: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Without what a `fit` has no name for."""
    known = inspect.signature(fit).parameters
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return given
    return {name: value for name, value in given.items() if name in known}


def _call(
    models: OwnModels,
    given: dict[str, Any],
    watch: Watch | None,
    hp: Any,
    model: Any,
    *data: Any,
) -> None:
    """Call `fit` with what it does not refuse.

    It refuses before anything is trained: an error of the same words that comes later
    is one of the training.
    """
    while True:
        taken = {name: v for name, v in given.items() if name not in models.refused}
        try:
            with models.importable():
                models.hypermodel.fit(hp, model, *data, **taken)
        except TypeError as error:
            refused = _REFUSED.search(str(error))
            if refused is None or refused[1] not in taken or _is_begun(model, watch):
                raise
            models.refused.add(refused[1])
        else:
            return


def _is_begun(model: Any, watch: Watch | None) -> bool:
    """Whether a training was heard of, or its optimizer has made a step."""
    steps = getattr(getattr(model, "optimizer", None), "iterations", 0)
    return (watch is not None and watch.calls > 0) or int(steps) > 0


class _Stopped(Exception):
    """A user's `fit` came to the model, which is none."""


class _NoModel:
    """Stands where a model is, for a `fit` that is to name its hyperparameters.

    It may be compiled and the like before `fit` asks for more.
    """

    trainable = True

    def __getattr__(self, name: str) -> Any:
        return _pass if name in _BEFORE_TRAINING else _stop


def _pass(*args: Any, **kwargs: Any) -> None:
    """Nothing is done."""


def _stop(*args: Any, **kwargs: Any) -> None:
    raise _Stopped


def is_usual_fit(models: OwnModels) -> bool:
    """Whether the user left `fit` as KerasTuner has it."""
    return type(models.hypermodel).fit is keras_tuner.HyperModel.fit


def probe_fit(
    models: OwnModels, dataset: Dataset, recipe: Recipe
) -> Callable[[DrawingHyperParameters], None] | None:
    """What asks a user's `fit` for its hyperparameters; None where it has no own.

    It is called as far as it comes without a model, so that what it asks for is part of
    what is drawn.
    """
    if is_usual_fit(models):
        return None

    def probe(hp: DrawingHyperParameters) -> None:
        try:
            fit_own(models, hp, _NoModel(), dataset, recipe, most=_PROBED)
        except Exception:  # noqa: S110  # what a training would raise is told by it
            return

    return probe
