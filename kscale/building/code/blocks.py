"""Bodies that a network repeats with other numbers, to be written once as functions."""

import re
from dataclasses import dataclass, replace
from typing import Any

from kscale.building.code.layout import Code
from kscale.networks.blueprint import (
    BODY_INPUT,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Layer,
    Recurrent,
    Repeat,
)

_FREE: dict[type[Layer], tuple[str, ...]] = {
    Dense: ("units",),
    Conv2D: ("filters", "strides"),
    DepthwiseConv2D: ("strides",),
    Recurrent: ("units",),
}
"""Fields of records that may become arguments of a function."""


@dataclass(frozen=True)
class Block:
    """A function that writes one copy of a body.

    Args:
        name: Wish for the function's name.
        body: The layers, with `Code` where a number differs between uses.
        arguments: Names of those variables.
        values: Values of the arguments for each `Repeat` that uses it, by its name.
    """

    name: str
    body: tuple[Layer, ...]
    arguments: tuple[str, ...]
    values: dict[str, tuple[Any, ...]]


def blocks_of(layers: tuple[Layer, ...]) -> list[Block]:
    """Functions for the bodies that two or more layers of a network repeat."""
    groups: dict[Any, list[Repeat]] = {}
    for layer in layers:
        if isinstance(layer, Repeat) and _stands_alone(layer):
            form = tuple(map(_fixed, layer.body))
            groups.setdefault(form, []).append(layer)
    return [_block(group) for group in groups.values() if len(group) > 1]


def _stands_alone(repeat: Repeat) -> bool:
    """Whether a function can be the body: nothing around it is read or made once."""
    inside = {BODY_INPUT}
    for layer in repeat.body:
        if isinstance(layer, Repeat) or not inside.issuperset(layer.inputs):
            return False
        inside.add(layer.name)
    return repeat.times == 1 or not repeat.shared


def _fixed(layer: Layer) -> Any:
    """What must be equal in two bodies that one function writes."""
    free = _FREE.get(type(layer), ())
    fixed = {name: value for name, value in vars(layer).items() if name not in free}
    return (type(layer), tuple(fixed.items()))


def _block(group: list[Repeat]) -> Block:
    body, arguments = [], dict[str, tuple[Any, ...]]()
    for index, layer in enumerate(group[0].body):
        changed = {}
        for field in _FREE.get(type(layer), ()):
            values = tuple(getattr(repeat.body[index], field) for repeat in group)
            if len(set(values)) > 1:
                changed[field] = _argument(arguments, layer.name, field, values)
        body.append(replace(layer, **changed))
    values_of = {
        repeat.name: tuple(values[index] for values in arguments.values())
        for index, repeat in enumerate(group)
    }
    return Block(_name(group), tuple(body), tuple(arguments), values_of)


def _argument(
    arguments: dict[str, tuple[Any, ...]],
    layer: str,
    field: str,
    values: tuple[Any, ...],
) -> Any:
    """The argument that has the values, a new one unless there is one."""
    longer = re.sub(r"\W", "_", f"{layer}_{field}")
    for name in (field, *arguments):
        if arguments.get(name) == values and name.endswith(field):
            return Code(name)
    name = longer if field in arguments else field
    arguments[name] = values
    return Code(name)


def _name(group: list[Repeat]) -> str:
    """`block`, or `first_block` where each use is the first block of a stage."""
    base = re.sub(r"\d+$", "", group[0].name.split("/")[-1])
    is_first = all(item.times == 1 and item.name.endswith("1") for item in group)
    return f"first_{base}" if is_first else base
