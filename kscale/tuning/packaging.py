"""The model to take home: raw inputs in, probabilities or real values out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from kscale.augmentation import without_augmentation
from kscale.building import alone, build_model, layer_name
from kscale.errors import ExportError
from kscale.families import find_family
from kscale.families.base import Spec, head_names
from kscale.task import Task
from kscale.tuning.checkpoints import load_checkpoint

Scalings = Mapping[str, Mapping[str, Any]]
"""`scale` and `offset` by input or target name, as run.json holds them."""


def package_model(
    spec: Spec, task: Task, weights: Path, inputs: Scalings, targets: Scalings
) -> keras.Model:
    """A trained network with its preprocessing around it.

    It consists of stock Keras layers only, so its `.keras` file opens where kscale is
    not installed.

    Args:
        spec: What was trained.
        task: What it was trained for.
        weights: Checkpoint of the training.
        inputs: Scaling of raw inputs into network inputs.
        targets: Scaling of network outputs into values of the user's unit.

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
    raw = {
        item.name: keras.Input(item.shape, dtype=item.dtype, name=item.name)
        for item in task.inputs
    }
    scaled = {name: _scaled(raw[name], inputs.get(name), name) for name in raw}
    outputs = network(scaled if len(raw) > 1 else scaled[task.inputs[0].name])
    if len(task.targets) == 1:
        outputs = {layer_name(head_names(task)[0]): outputs}
    finished = {}
    for target, head in zip(task.targets, head_names(task), strict=True):
        tensor = outputs[layer_name(head)]
        if target.kind == "classes":
            tensor = keras.layers.Softmax(name=target.name)(tensor)
        else:
            tensor = _scaled(tensor, targets.get(target.name), target.name)
        finished[target.name] = tensor
    return keras.Model(alone(raw), alone(finished), name=spec.family)


def _scaled(tensor: Any, scaling: Mapping[str, Any] | None, name: str) -> Any:
    if scaling is None:
        return tensor
    scale, offset = list(scaling["scale"]), list(scaling["offset"])
    if len(scale) == 1:
        scale, offset = scale[0], offset[0]
    return keras.layers.Rescaling(scale, offset, name=f"{name}_scaling")(tensor)


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
        raise ExportError(f"{path} could not be written: {error}.") from error
    finally:
        partial.unlink(missing_ok=True)
