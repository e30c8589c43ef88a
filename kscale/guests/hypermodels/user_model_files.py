"""The file of a user's model, with preprocessing and names around the model."""

from pathlib import Path
from typing import Any

import keras

from kscale.data.dataset import Dataset
from kscale.errors import ExportError, reason_of
from kscale.guests.hypermodels.user_outputs import UserOutputs, probabilities_of
from kscale.naming import single_or_named
from kscale.ship.opening import what_opening_needs
from kscale.ship.packaging import raw_tensors, save_model, target_outputs
from kscale.ship.preprocessing_layers import apply_layers


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
        save_model(_packaged(model, user_outputs, dataset), path)
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
    """As `package_model` does it for a family."""
    raw = raw_tensors(dataset.preprocessing)
    read = {
        item.name: apply_layers(dataset.preprocessing[item.name], raw, item.name)
        for item in dataset.task.inputs
    }
    are_logits = user_outputs.are_logits(model)
    _forget_training(model)
    given = user_outputs.split(model(single_or_named(read)))
    outputs: dict[str, Any] = {}
    for target in dataset.task.targets:
        found = given[target.name]
        if target.head.is_named:
            found = probabilities_of(target, found, are_logits[target.name])
        scaling = user_outputs.scalings.get(target.name)
        outputs |= target_outputs(target, found, scaling, is_activated=True)
    return keras.Model(single_or_named(raw), single_or_named(outputs), name="packaged")
