"""The call of a user's `fit`, as KerasTuner makes it."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras
import keras_tuner

from kscale.data.dataset import Dataset
from kscale.data.parts import Part
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.schedule import make_optimizer
from kscale.guests.hypermodels.drawn_hyperparameters import DrawnHyperParameters
from kscale.guests.hypermodels.user_models import UserModels
from kscale.guests.hypermodels.user_outputs import UserOutputs
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


def compile_user_model(
    model: keras.Model,
    dataset: Dataset,
    recipe: Recipe,
    learning_rate: float,
    outputs: UserOutputs,
) -> None:
    """Compile a built model that the user did not compile, with the recipe's optimizer.

    The learning rate is the largest of the schedule.
    """
    are_logits = outputs.are_logits(model)
    losses = {
        target.name: _loss_of(
            target, outputs.numbers[target.name], are_logits[target.name]
        )
        for target in dataset.task.targets
    }
    optimizer = make_optimizer(recipe, len(dataset.train), learning_rate, _WEIGHT_DECAY)
    model.compile(optimizer, loss=outputs.join(losses))


def _loss_of(target: Target, numbers: int, is_logit: bool) -> keras.Loss:
    if numbers == 1 and target.head.is_named:
        return keras.losses.BinaryCrossentropy(from_logits=is_logit)
    loss = target.head.loss
    logits = {"from_logits": is_logit} if target.head.is_named else {}
    made: keras.Loss = getattr(keras.losses, loss.name)(**{**loss.arguments, **logits})
    return made


def call_fit(
    models: UserModels,
    hp: Any,
    model: Any,
    dataset: Dataset,
    recipe: Recipe,
    watch: Watch | None = None,
    class_weights: Mapping[str, Any] | None = None,
    most: int | None = None,
    outputs: UserOutputs | None = None,
) -> None:
    """Let the user's `fit` train a model: `fit(hp, model, x, y, **kwargs)`.

    Arguments that the user's code decides (`model.fit(*args, epochs=20, **kwargs)`), or
    does not take, are left out.

    Args:
        models, hp, model: The compiled model, and what it was built from.
        dataset, recipe: What the model trains and validates on, epochs and batches.
        watch: A callback to pass on.
        class_weights: As `class_weights_of` gives them.
        most: Most examples of each part.
        outputs: Outputs of the model, in whose form targets are given.
    """

    def pair(part: Part) -> tuple[Any, Any]:
        """Inputs and labels of a part: an array, or arrays by name."""
        labels = {name: rows[:most] for name, rows in part.targets.items()}
        inputs = {name: rows[:most] for name, rows in part.inputs.items()}
        wanted = (
            single_or_named(labels)
            if outputs is None
            else outputs.labels(model, labels)
        )
        return single_or_named(inputs), wanted

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
    _call(models, given, watch, hp, model, *pair(dataset.train))


def _call(
    models: UserModels,
    given: dict[str, Any],
    watch: Watch | None,
    hp: Any,
    model: Any,
    *data: Any,
) -> None:
    """Call `fit` with the arguments that it does not refuse.

    An argument is refused before anything is trained: an error of the same words that
    comes later is an error of the training.
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


def has_default_fit(models: UserModels) -> bool:
    """Whether the user left `fit` as KerasTuner has it."""
    return type(models.hypermodel).fit is keras_tuner.HyperModel.fit


def probe_fit(
    models: UserModels, dataset: Dataset, recipe: Recipe
) -> Callable[[DrawnHyperParameters], None] | None:
    """A function that asks a user's `fit` for its hyperparameters, so that they are
    drawn too; None for the `fit` of KerasTuner.

    `fit` is called as far as it comes without a model.
    """
    if has_default_fit(models):
        return None

    def probe(hp: DrawnHyperParameters) -> None:
        try:
            call_fit(models, hp, _NoModel(), dataset, recipe, most=_PROBED)
        except Exception:  # noqa: S110  # a training raises the error again
            return

    return probe
