"""What one operation of `keras.ops` computes, from the shapes that it reads and gives.

Only the operations listed here and in `costless.json` are known. The shape of a
constant that an operation reads is whole, for a constant has no batch.
"""

import json
from collections.abc import Callable
from importlib.resources import files
from math import prod
from typing import Any, NamedTuple

Shape = tuple[Any, ...]
"""Sides of a tensor without the batch; None is a side that depends on the values."""


COSTLESS: dict[str, list[str]] = json.loads(
    files("kscale.guests.sizes").joinpath("costless.json").read_text("utf-8")
)
"""Layers and operations that only move, compare, sum or change values one by one,
look values up, or are made to train: `kscale.networks.sizing` counts nothing of them.
"""


class Work(NamedTuple):
    """FLOPs of one call, and bytes that it needs only while it runs."""

    flops: int = 0
    inner: int = 0


def work_of_operation(
    operation: Any, read: list[Shape], made: list[Shape]
) -> Work | None:
    """What an operation computes for one example; None if unknown."""
    kind = type(operation).__name__
    is_open = any(None in shape for shape in (*read, *made))
    if kind in _PRODUCTS and not is_open:
        return _PRODUCTS[kind](operation, read, made)
    return Work() if kind in COSTLESS["operations"] else None


def _product(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    is_usual = len(read) == 2 and read[0] and read[1]
    return Work(2 * prod(made[0]) * read[0][-1]) if is_usual else None


def _tensordot(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    axes = operation.axes
    summed = range(-axes, 0) if isinstance(axes, int) else axes[0]
    if len(read) != 2 or 0 in summed:  # a sum over the batch
        return None
    sides = [read[0][axis - (axis > 0)] for axis in summed]
    return Work(2 * prod(made[0]) * prod(sides) if sides else 0)


def _convolution(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    return Work(2 * prod(made[0]) * prod(read[1][:-1])) if len(read) == 2 else None


def _einsum(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    inputs, _, given = operation.subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not given or len(terms) > 2 or len(terms) != len(read):
        return None
    sides: dict[str, int] = {}
    for term, shape in zip(terms, read, strict=True):
        # The batch is the first letter, or among those that the dots stand for.
        letters = term.removeprefix("...")
        has_batch = letters != term or len(term) == len(shape) + 1
        is_clear = has_batch or len(term) == len(shape)
        if "." in letters or not is_clear or (has_batch and term[0] != given[0]):
            return None
        sides.update(zip(reversed(letters), reversed(shape), strict=False))
    summed = [side for letter, side in sides.items() if letter not in given]
    is_product = len(terms) == 2 and bool(summed)
    return Work(2 * prod(made[0]) * prod(summed) if is_product else 0)


def _attention(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    if len(read) < 3:
        return None
    length, heads, features = read[0]
    scores = length * heads * read[1][0]
    return Work(2 * scores * (features + read[2][-1]), 4 * scores)


_PRODUCTS: dict[str, Callable[[Any, list[Shape], list[Shape]], Work | None]] = {
    "Matmul": _product,
    "Dot": _product,
    "Inner": _product,
    "Tensordot": _tensordot,
    "Conv": _convolution,
    "Einsum": _einsum,
    "DotProductAttention": _attention,
}
