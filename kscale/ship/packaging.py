"""A trained network with its preprocessing: raw inputs in, names and values out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kscale.building.models import build_model, named_outputs
from kscale.data.preprocessing import raw_inputs_of
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.scaled import Scaling
from kscale.engine.rounding import round_weights
from kscale.engine.tensorflow.checkpoints import load_checkpoint
from kscale.errors import ExportError
from kscale.naming import input_names, layer_name, single_or_named
from kscale.networks.blueprint import Blueprint, without_augmentation
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.networks.views import viewed
from kscale.ship.preprocessing_layers import LAYERS, apply_layers, rescaled
from kscale.task.heads.labels import THRESHOLD
from kscale.task.tasks import Target, Task


def package_model(
    spec: Spec,
    task: Task,
    weights: Path,
    preprocessing: Mapping[str, Preprocessing],
    target_scaling: Mapping[str, Scaling],
    bits: int = 32,
) -> keras.Model:
    """A trained network with its preprocessing around it.

    The model consists of stock Keras layers only, so its `.keras` file opens where
    kscale is not installed. A single raw input is taken as a tensor, several as a dict
    by name, in which a slash is a dot. A single output is given as a tensor, several
    are a dict by name: `<target>` are probabilities or values, `(batch, outputs)`;
    `<target>_class` is the name of the likeliest class, `(batch,)`; `<target>_labels`
    are the names of labels with a probability of at least a half, and empty texts for
    others, `(batch, outputs)`. Of sequences `<target>` are the probabilities at every
    position, `(batch, length, outputs)`; texts become ids outside of the model. Of
    sounds `<target>_characters` is what each frame writes, `(batch, frames)`: joined,
    these are the transcript.
    """
    network = _trained(spec, task, weights, bits)
    return with_preprocessing(spec.family, network, task, preprocessing, target_scaling)


def bare_model(
    spec: Spec,
    task: Task,
    weights: Path,
    preprocessing: Mapping[str, Preprocessing],
    target_scaling: Mapping[str, Scaling],
) -> keras.Model:
    """A trained network of numbers in and out, for formats that know no texts.

    Args:
        spec, task, weights, target_scaling: As of `package_model`.
        preprocessing: By input, what the model does itself. An input without takes what
            a network reads.

    Returns:
        A model like that of `package_model`, whose outputs are `<target>` alone.
    """
    network, seen = _trained(spec, task, weights), viewed(task, dict(spec.knobs))
    return with_preprocessing(
        spec.family, network, seen, preprocessing, target_scaling, with_names=False
    )


def trained_network(blueprint: Blueprint, weights: Path) -> keras.Model:
    """The model of a blueprint with the weights of a checkpoint.

    Raises:
        ExportError: The weights are missing or damaged.
    """
    network = build_model(blueprint)
    if load_checkpoint(weights, network, None) is None:
        raise ExportError(f"{weights} is missing or damaged; run the search again.")
    return network


_Network = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def _trained(spec: Spec, task: Task, weights: Path, bits: int = 32) -> _Network:
    """A network with its trained weights, rounded to so many bits, without what is
    random in training."""
    blueprint = find_family(spec.family).blueprint(spec, task)
    network = trained_network(blueprint, weights)
    round_weights(network, bits)
    shipped = without_augmentation(blueprint)
    if shipped != blueprint:
        trained, network = network, build_model(shipped)
        network.set_weights(trained.get_weights())
    return lambda read: named_outputs(network, task, read)


def with_preprocessing(
    name: str,
    network: _Network,
    task: Task,
    preprocessing: Mapping[str, Preprocessing],
    target_scaling: Mapping[str, Scaling],
    is_activated: bool = False,
    with_names: bool = True,
) -> keras.Model:
    """A model of raw inputs, named outputs and the user's unit around a network.

    The network gives outputs by target for inputs by name; `is_activated` tells whether
    they are probabilities already, `with_names` whether names of classes and labels are
    given beside them. The rest is as in `bare_model`.
    """
    inside = {n: item for n, item in preprocessing.items() if type(item) in LAYERS}
    raw = raw_tensors(inside)
    others = [item for item in task.inputs if item.name not in inside]
    names = input_names([*raw, *(item.name for item in others)])
    ready = {
        item.name: keras.Input(
            (None, *item.shape[1:]) if task.has_sequences else item.shape,
            dtype=item.dtype,
            name=names[item.name],
        )
        for item in others
    }
    read = ready | {
        name: apply_layers(item, raw, layer_name(name)) for name, item in inside.items()
    }
    outputs = network({item.name: read[item.name] for item in task.inputs})
    named: dict[str, Any] = {}
    for target in task.targets:
        given, scaling = outputs[target.name], target_scaling.get(target.name)
        found = _outputs(target, given, scaling, is_activated)
        named |= found if with_names else {target.name: found[target.name]}
    taken = {tensor.name: tensor for tensor in (*raw.values(), *ready.values())}
    return keras.Model(single_or_named(taken), single_or_named(named), name=name)


def raw_tensors(preprocessing: Mapping[str, Preprocessing]) -> dict[str, Any]:
    """Keras inputs for all raw inputs of preprocessings, by name."""
    found = raw_inputs_of(preprocessing)
    names = input_names(item.name for item in found)
    return {
        item.name: keras.Input(item.shape, dtype=item.dtype, name=names[item.name])
        for item in found
    }


def _outputs(
    target: Target, given: Any, scaling: Scaling | None, is_activated: bool
) -> dict[str, Any]:
    """What a model gives for a target, by name."""
    # Layers of one name are refused, and an input may be called like a target.
    name, layer, head = target.name, layer_name(target.name), target.head
    if not head.is_named:
        if scaling is not None:
            given = rescaled(given, scaling, f"{layer}.value")
        return {name: given}
    shares = given
    if not is_activated:
        shares = keras.layers.Activation(
            head.activation, name=f"{layer}.probabilities"
        )(given)
    if head.is_framed:
        return {name: shares, f"{name}_characters": _written(target, given)}
    if head.is_sequence:
        return {name: shares}
    words = list(target.class_names)
    if head.is_exclusive:
        lookup = keras.layers.StringLookup(
            vocabulary=words, num_oov_indices=0, invert=True, name=f"{layer}.class"
        )
        likeliest = lookup(keras.ops.argmax(given, axis=-1))
        return {name: shares, f"{name}_class": likeliest}
    lookup = keras.layers.StringLookup(
        vocabulary=words, oov_token="", invert=True, name=f"{layer}.labels"
    )
    is_likely = keras.ops.cast(shares >= THRESHOLD, "int32")
    places = np.arange(1, len(words) + 1, dtype=np.int32)  # 0 is no label
    return {name: shares, f"{name}_labels": lookup(is_likely * places)}


def _written(target: Target, logits: Any) -> Any:
    """The character that each frame begins, and an empty text where none begins."""
    path = keras.ops.argmax(logits, axis=-1)
    before = keras.ops.pad(path[:, :-1], ((0, 0), (1, 0)))
    begins = keras.ops.cast(keras.ops.not_equal(path, before), path.dtype)
    lookup = keras.layers.StringLookup(
        vocabulary=list(target.class_names[1:]),
        oov_token="",
        invert=True,
        name=f"{layer_name(target.name)}.characters",
    )
    return lookup(path * begins)
