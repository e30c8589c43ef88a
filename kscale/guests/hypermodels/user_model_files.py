"""The file of a user's model, with preprocessing and names around the model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from kscale.data.dataset import Dataset
from kscale.errors import ExportError, reason_of
from kscale.guests.hypermodels.user_outputs import UserOutputs
from kscale.guests.network_outputs import probabilities_of
from kscale.naming import single_or_named
from kscale.ship.formats.base import write_whole
from kscale.ship.opening import what_opening_needs
from kscale.ship.packaging import with_preprocessing


def save_user_model(
    model: keras.Model, user_outputs: UserOutputs, dataset: Dataset, path: Path
) -> str:
    """Write a user's model with its preprocessing around it.

    A model of other than stock layers opens only where the user's code is imported. Of
    a model that Keras cannot save the weights are written.

    Returns:
        What the user must know of the file; empty where there is nothing.

    Raises:
        ExportError: Nothing could be written.
    """
    try:
        write_whole(path, _packaged(model, user_outputs, dataset).save)
        return what_opening_needs(path)
    except Exception as error:  # a user's layers may fail in any way
        reason = reason_of(error)
    weights = path.with_suffix(".weights.h5")
    try:
        model.save_weights(weights)
    except Exception as error:
        raise ExportError(
            f"{weights} could not be written: {reason_of(error)}."
        ) from error
    return f"{path.name} could not be written ({reason}); {weights} has its weights."


def _forget_training(model: keras.Model) -> None:
    """Undo `compile`: Keras would save the optimizer of a nested model, but could not
    read it back, nor a loss or metric of the user."""
    model.compiled = False
    for name in ("optimizer", "_compile_loss", "_compile_metrics"):
        setattr(model, name, None)


def _packaged(
    model: keras.Model, user_outputs: UserOutputs, dataset: Dataset
) -> keras.Model:
    """A model with preprocessing before it, and with probabilities after it."""
    are_logits = user_outputs.are_logits(model)
    _forget_training(model)

    def network(read: Mapping[str, Any]) -> dict[str, Any]:
        given = user_outputs.split(model(single_or_named(read)))
        named = [each for each in dataset.task.targets if each.head.is_named]
        return given | {
            each.name: probabilities_of(each, given[each.name], are_logits[each.name])
            for each in named
        }

    return with_preprocessing(
        "packaged",
        network,
        dataset.task,
        dataset.preprocessing,
        user_outputs.scalings,
        is_activated=True,
    )
