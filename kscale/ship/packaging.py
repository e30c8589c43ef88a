"""The model to take home: raw inputs in, class names and probabilities out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kscale.building.models import alone, build_model
from kscale.data.preprocessing import Preprocessing, raw_inputs_of
from kscale.data.scaling import Scaling
from kscale.engine.tensorflow.checkpoints import load_checkpoint
from kscale.errors import ExportError, sentence_of
from kscale.naming import input_names, layer_name
from kscale.networks.augmentation import without_augmentation
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec, head_names
from kscale.ship.preprocessing_layers import apply_layers, rescaled
from kscale.task.heads.labels import THRESHOLD
from kscale.task.tasks import Target, Task


def package_model(
    spec: Spec,
    task: Task,
    weights: Path,
    preprocessing: Mapping[str, Preprocessing],
    target_scaling: Mapping[str, Scaling],
) -> keras.Model:
    """A trained network with its preprocessing around it.

    It consists of stock Keras layers only, so its `.keras` file opens where kscale is
    not installed. A single raw input is taken as it is, several as a dict by name, in
    which a slash is a dot. For classes it gives a dict: `<target>` are the
    probabilities `(batch, classes)`, and `<target>_class` the names of the likeliest,
    `(batch,)`. For labels `<target>_labels` are the names of those with a probability
    of at least a half, `(batch, labels)`, and empty texts for others. A single real
    target comes as it is, `(batch, values)`, in the user's unit.

    Args:
        spec: What was trained.
        task: What it was trained for.
        weights: Checkpoint of the training.
        preprocessing: By input, from raw inputs to the network's.
        target_scaling: By real target, from the network's output to the user's unit.

    Raises:
        ExportError: The checkpoint is missing or damaged.
    """
    blueprint = find_family(spec.family).blueprint(spec, task)
    network = build_model(blueprint)
    if load_checkpoint(weights, network, None) is None:
        raise ExportError(f"{weights} is missing or damaged; run the search again.")
    shipped = without_augmentation(blueprint)
    if shipped != blueprint:
        trained, network = network, build_model(shipped)
        network.set_weights(trained.get_weights())
    raw = raw_tensors(preprocessing)
    read = {
        item.name: apply_layers(preprocessing[item.name], raw, layer_name(item.name))
        for item in task.inputs
    }
    outputs = network(alone(read))
    if len(task.targets) == 1:
        outputs = {layer_name(head_names(task)[0]): outputs}
    finished: dict[str, Any] = {}
    for target, head in zip(task.targets, head_names(task), strict=True):
        given = outputs[layer_name(head)]
        finished |= _finished(target, given, target_scaling.get(target.name))
    taken = {tensor.name: tensor for tensor in raw.values()}
    return keras.Model(alone(taken), alone(finished), name=spec.family)


def raw_tensors(preprocessing: Mapping[str, Preprocessing]) -> dict[str, Any]:
    """Keras inputs for everything that preprocessings read, by name."""
    found = raw_inputs_of(preprocessing)
    names = input_names(raw.name for raw in found)
    return {
        raw.name: keras.Input(raw.shape, dtype=raw.dtype, name=names[raw.name])
        for raw in found
    }


def _finished(target: Target, given: Any, scaling: Scaling | None) -> dict[str, Any]:
    """What the model gives for a target, by name."""
    # Layers of one name are refused, and an input may be called like a target.
    name, layer = target.name, layer_name(target.name)
    if not target.head.is_named:
        if scaling is None:
            return {name: given}
        return {name: rescaled(given, scaling, f"{layer}.value")}
    activation = target.head.activation
    shares = keras.layers.Activation(activation, name=f"{layer}.probabilities")(given)
    return named_answers(target, shares, given)


def named_answers(target: Target, shares: Any, scores: Any) -> dict[str, Any]:
    """Probabilities with the name of the likeliest class, or of each likely label.

    Args:
        target: A target with names.
        shares: Probabilities `(batch, outputs)`.
        scores: What is largest for the likeliest class, of the same shape.
    """
    names, layer = list(target.class_names), layer_name(target.name)
    if target.head.is_exclusive:
        lookup = keras.layers.StringLookup(
            vocabulary=names, num_oov_indices=0, invert=True, name=f"{layer}.class"
        )
        likeliest = lookup(keras.ops.argmax(scores, axis=-1))
        return {target.name: shares, f"{target.name}_class": likeliest}
    lookup = keras.layers.StringLookup(
        vocabulary=names, oov_token="", invert=True, name=f"{layer}.labels"
    )
    is_likely = keras.ops.cast(shares >= THRESHOLD, "int32")
    places = np.arange(1, len(names) + 1, dtype=np.int32)  # 0 is no label
    return {target.name: shares, f"{target.name}_labels": lookup(is_likely * places)}


def save_model(model: keras.Model, path: Path) -> None:
    """Write a `.keras` file so that a reader sees all of it or none.

    Raises:
        ExportError: It could not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{path.name}")
    try:
        model.save(partial)
        partial.replace(path)
    except (OSError, ValueError) as error:
        raise ExportError(
            f"{path} could not be written: {sentence_of(error)}."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
