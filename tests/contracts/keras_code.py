"""What the code of a network promises; `tests/building/code` asks it of families."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from contracts.family import SMALLEST

from kscale.building.code.network import network_code
from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.naming import input_names
from kscale.networks.blueprint import Blueprint
from kscale.networks.families.base import Family, Spec
from kscale.networks.sizing import size_of
from kscale.task.tasks import Task

START = "import keras\nfrom keras import layers\n\n\n"


def code_of(blueprint: Blueprint) -> str:
    """A module of the network alone."""
    return START + "\n\n\n".join(network_code(blueprint)) + "\n"


def run_code(code: str) -> dict[str, Any]:
    """What a module defines; it imports Keras alone."""
    imports = {line for line in code.splitlines() if "import" in line.split()}
    assert imports == {"import keras", "from keras import layers"}
    names: dict[str, Any] = {}
    exec(compile(code, "<code>", "exec"), names)
    return names


def check_code(blueprint: Blueprint) -> tuple[keras.Model, keras.Model]:
    """The code builds the network that kscale builds; gives kscale's and its own."""
    ours = build_model(blueprint)
    model: keras.Model = run_code(code_of(blueprint))["build_model"]()
    assert layers_of(model) == layers_of(ours)
    assert [w.shape for w in model.weights] == [w.shape for w in ours.weights]
    assert [w.trainable for w in model.weights] == [w.trainable for w in ours.weights]
    assert model.count_params() == size_of(blueprint).params
    assert specs_of(model.input) == specs_of(as_in_code(ours.input))
    assert specs_of(model.output) == specs_of(ours.output)
    return ours, model


def layers_of(model: keras.Model) -> list[tuple[str, str, Any]]:
    """Type, name and what matters of the configuration of each layer, in order.

    Operations without a layer are numbered by Keras, by all that was built before.
    """
    return [
        (
            type(layer).__name__,
            layer.name if isinstance(layer, keras.layers.Layer) else "",
            inside_of(layer),
        )
        for layer in model.layers
    ]


def inside_of(layer: Any) -> Any:
    """Settings of a layer, kinds of the layers of a model; operations have none."""
    if isinstance(layer, keras.Model):
        return [type(inner).__name__ for inner in layer.layers]
    if not isinstance(layer, keras.layers.Layer):
        return None
    return settings_of(layer.get_config())


def settings_of(config: Any) -> Any:
    """A configuration without seeds, and without names that Keras made."""
    if isinstance(config, list | tuple):
        return [settings_of(item) for item in config]
    if not isinstance(config, dict):
        return config
    left_out = {"seed", "build_config"}
    if "backward_layer" in config:
        left_out.add("backward_layer")
        config = {**config, "layer": {**config["layer"]["config"], "name": ""}}
    return {k: settings_of(v) for k, v in config.items() if k not in left_out}


def specs_of(tensors: Any) -> Any:
    """Shapes and types of tensors, by name where there are several."""
    if isinstance(tensors, dict):
        return {name: specs_of(tensor) for name, tensor in tensors.items()}
    return (tuple(tensors.shape), tensors.dtype)


def check_outputs(blueprint: Blueprint, x: Any) -> None:
    """With kscale's weights the code's network gives kscale's outputs."""
    ours, model = check_code(blueprint)
    rng = np.random.default_rng(0)
    # Far from their start, where branches may be nothing and statistics are plain.
    weights = [w + rng.uniform(0.1, 0.5, w.shape) for w in ours.get_weights()]
    ours.set_weights(weights)
    model.set_weights(weights)
    pairs = leaves(ours(x)), leaves(model(as_in_code(x)))
    for left, right in zip(*pairs, strict=True):
        assert np.isfinite(left).all() and np.ptp(left) > 0
        np.testing.assert_allclose(right, left, rtol=1e-6, atol=1e-6)


def as_in_code(inputs: Any) -> Any:
    """Inputs by the names that they have in the code, which are those of Keras."""
    if not isinstance(inputs, dict):
        return inputs
    return {name: inputs[key] for key, name in input_names(inputs).items()}


def leaves(outputs: Any) -> list[Any]:
    """Outputs as arrays."""
    values = outputs.values() if isinstance(outputs, dict) else [outputs]
    return [np.asarray(value) for value in values]


def settings(family: Family, task: Task) -> Iterator[Spec]:
    """Specs that together have every value of every knob which the task takes.

    The k-th takes the k-th value of each knob, as far as they go together.
    """
    small = {"depth": 1, "width": 8} if "depth" in family.all_knobs else {}
    small |= SMALLEST.get(family.name, {})
    knobs = [knob for knob in family.knobs if knob.name not in small]
    for k in range(max((len(knob.values) for knob in knobs), default=1)):
        chosen = dict(small)
        for knob in knobs:
            tried = {**chosen, knob.name: knob.values[k % len(knob.values)]}
            try:
                family.size(family.spec(**tried), task)
            except SpecError:
                continue
            chosen = tried
        yield family.spec(**chosen)
