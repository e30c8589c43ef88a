"""The exact size of one network, by the name of a family or of a published network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kscale.errors import SpecError
from kscale.networks.blueprint import Blueprint
from kscale.networks.families import FAMILIES, find_knob
from kscale.networks.named import find_named
from kscale.networks.sizing import size_of, size_rows
from kscale.reports.size_tables import ModelSize
from kscale.task.tasks import Input, InputKind, Target, Task

_KINDS: dict[int, InputKind] = {1: "vector", 2: "sequence", 3: "image"}


def count_network(
    name: str,
    task: Task | None = None,
    knobs: Mapping[str, Any] | None = None,
    limits: Mapping[str, int] | None = None,
) -> ModelSize:
    """Count one network exactly, without building it.

    Args:
        name: A family, or a published network in any spelling (`vgg16`, `BERT base`).
        task: What the network takes in and puts out; None for its usual task.
        knobs: Knobs that differ from the defaults, or from the published network's.
        limits: As of `ModelSize`.

    Raises:
        SpecError: The name or a knob is unknown, or the task does not suit the family.

    Example:

    >>> count_network("VGG16").size.params
    138357544
    """
    preset: dict[str, Any] = {}
    if name.lower() in FAMILIES:
        name = name.lower()
        family, source = FAMILIES[name], ""
        task = task or family.usual
        if task is None:
            raise SpecError(f"Family {name} needs a task: the input and the classes.")
    else:
        name, named = find_named(name, FAMILIES)
        family, preset = FAMILIES[named.family], dict(named.knobs)
        task, source = task or named.task, f" ({named.source})"
    for knob in knobs or {}:
        find_knob(family, knob)
    spec = family.spec(task, **{**preset, **(knobs or {})})
    if source and spec != family.spec(task, **preset):
        source = " changed"
    blueprint = family.blueprint(spec, task)
    shape = f", backbone {spec.backbone}" if spec.backbone else ""
    if spec.width is not None:
        shape = f", depth {spec.depth}, width {spec.width}"
    return ModelSize(
        f"{name}{source}: family {spec.family}{shape}, "
        f"{describe_task(task, blueprint)}",
        size_of(blueprint),
        tuple(size_rows(blueprint)),
        spec.depth,
        spec.width,
        about={"spec": spec.to_json(), "task": task.to_json(), **seen_by(blueprint)},
        limits=limits or {},
    )


def usual_task(name: str) -> Task | None:
    """The task that a network is counted for where none is given: that of a published
    network, or of a family that has one.

    Example:

    >>> usual_task("gpt").inputs[0].vocabulary, usual_task("mlp")
    (50257, None)
    """
    if name.lower() in FAMILIES:
        return FAMILIES[name.lower()].usual
    return find_named(name, FAMILIES)[1].task


def task_of_shape(
    shape: tuple[int, ...], classes: int | None = None, vocabulary: int | None = None
) -> Task:
    """A task of one input of shape `(features,)`, `(length, features)` or `(height,
    width, channels)`, or of token ids `(length,)`; of 10 classes unless given.

    Example:

    >>> task_of_shape((32, 32, 3)).inputs[0].kind
    'image'
    """
    if len(shape) not in _KINDS:
        raise SpecError(f"An input has 1 to 3 sides, but got {len(shape)}.")
    kind = "tokens" if vocabulary else _KINDS[len(shape)]
    return Task.of(kind, shape, classes=classes or 10, vocabulary=vocabulary or 0)


def change_task(
    task: Task,
    shape: tuple[int, ...] | None = None,
    classes: int | None = None,
    vocabulary: int | None = None,
) -> Task:
    """A task with another shape of every input, one target of other classes, or other
    token ids of the first input. Sequences that are predicted change with the inputs.

    Example:

    >>> change_task(usual_task("VGG16"), (32, 32, 3), classes=10).targets[0].outputs
    10
    """
    inputs = [replace(item, shape=shape or item.shape) for item in task.inputs]
    targets = task.targets
    if task.is_written:
        return _changed_sequences(task, inputs, classes, vocabulary)
    if vocabulary is not None:
        inputs[0] = replace(inputs[0], vocabulary=vocabulary)
    if classes is not None:
        targets = (Target("label", "classes", classes),)
    return Task(tuple(inputs), targets)


def _changed_sequences(
    task: Task, inputs: Sequence[Input], classes: int | None, vocabulary: int | None
) -> Task:
    if classes is not None:
        raise SpecError(
            "`classes` are of other targets: a sequence has as many outputs as its "
            "vocabulary has tokens."
        )
    changed = [
        replace(item, vocabulary=vocabulary or item.vocabulary) for item in inputs
    ]
    length = inputs[-1].shape[0]
    targets = [
        replace(target, outputs=vocabulary or target.outputs, length=length)
        for target in task.targets
    ]
    return Task(tuple(changed), tuple(targets))


def seen_by(blueprint: Blueprint | None) -> dict[str, Any]:
    """Shapes of the inputs as a network sees them, by name: a JSON item `seen`."""
    inputs = blueprint.inputs if blueprint else ()
    return {"seen": {item.name: [*item.shape] for item in inputs}}


def describe_task(task: Task, blueprint: Blueprint | None = None) -> str:
    """Inputs and outputs of a task in a few words: `image 8x8x1 to 10 classes`.

    Args:
        task: The task.
        blueprint: A network, which may see less: `image 8x8x1, seen as 4x4x1, to ...`.
    """
    seen = blueprint.inputs if blueprint else task.inputs
    inputs = " and ".join(
        f"{item.kind} {_sides(item)}"
        + (f" of {item.vocabulary:,} ids" if item.vocabulary else "")
        + (f", seen as {_sides(view)}," if view.shape != item.shape else "")
        for item, view in zip(task.inputs, seen, strict=True)
    )
    outputs = ", ".join(
        f"{target.outputs} {target.head.nouns[1]}" for target in task.targets
    )
    return f"{inputs} to {outputs or 'features'}"


def _sides(item: Input) -> str:
    return "x".join(map(str, item.shape))
