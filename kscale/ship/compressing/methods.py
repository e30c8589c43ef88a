"""The table of methods that compress, and how several are joined: `narrow:50%+int8`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from kscale.errors import SpecError, unknown_name
from kscale.ship.compressing.contract import Method
from kscale.ship.compressing.narrowing import (
    distill,
    narrow,
    narrowed_spec,
    scratch,
    taught_spec,
)
from kscale.ship.compressing.pruning import prune
from kscale.ship.compressing.quantizing import quantize_file
from kscale.ship.compressing.training import fine_tune


@dataclass(frozen=True)
class Step:
    """A method with its share; the share is 0 where a method takes none."""

    method: Method
    share: float = 0.0

    def __str__(self) -> str:
        of = self.method.share is not None
        return f"{self.method.name}:{100 * self.share:g}%" if of else self.method.name


@dataclass(frozen=True)
class Chain:
    """Steps in their order; without any, the network stays as it is, in float32."""

    steps: tuple[Step, ...] = ()

    @property
    def trained(self) -> tuple[Step, ...]:
        """The steps that train."""
        return tuple(step for step in self.steps if step.method.train)

    @property
    def quantized(self) -> Step | None:
        """The step that stores weights in fewer bits; None if they stay float32."""
        return self.steps[-1] if self.steps and self.steps[-1].method.quantize else None

    @property
    def bits(self) -> int:
        """Bits of a weight in the file."""
        return self.quantized.method.bits if self.quantized else 32

    @property
    def baselines(self) -> Iterator["Chain"]:
        """The chains that the chain is compared with."""
        if self.trained:
            last = self.trained[-1]
            for name in last.method.baselines:
                beside = METHODS[name]
                share = last.share if beside.share is not None else 0.0
                steps = [Step(beside, share) if s is last else s for s in self.steps]
                yield Chain(tuple(steps))

    def __str__(self) -> str:
        return "+".join(map(str, self.steps)) or "float32"


def _table(*methods: Method) -> dict[str, Method]:
    return {method.name: method for method in methods}


def _stored(name: str, bits: int, purpose: str) -> Method:
    """A method that stores weights in so many bits."""
    return Method(name, purpose, quantize=partial(quantize_file, name), bits=bits)


METHODS: dict[str, Method] = _table(
    Method(
        "prune",
        "the smallest weights become 0: a smaller file in gzip, no faster one",
        train=prune,
        share=0.8,
        baselines=("fine-tune",),
    ),
    Method(
        "prune-layers",
        "as prune, the same share of every layer",
        train=partial(prune, is_by_layer=True),
        share=0.8,
        baselines=("fine-tune",),
    ),
    Method(
        "narrow",
        "the least channels of every layer go: a smaller and faster network",
        train=narrow,
        share=0.5,
        check=narrowed_spec,
        baselines=("fine-tune", "narrow-random", "scratch"),
    ),
    Method(
        "distill",
        "a new network of less width learns from a larger one beside the labels",
        train=distill,
        share=0.5,
        check=taught_spec,
        baselines=("scratch",),
    ),
    Method(
        "fine-tune", "the network trained on, beside prune and narrow", train=fine_tune
    ),
    Method(
        "narrow-random",
        "as narrow, of channels drawn at random, beside narrow",
        train=partial(narrow, criterion="random"),
        share=0.5,
        check=narrowed_spec,
    ),
    Method(
        "scratch",
        "a new network of less width for as many epochs, beside narrow and distill",
        train=scratch,
        share=0.5,
        check=narrowed_spec,
    ),
    _stored(
        "int8",
        8,
        "weights and what flows between layers in 8 bits, calibrated on examples",
    ),
    _stored(
        "int8-dynamic",
        8,
        "weights in 8 bits, what flows between layers too while it is multiplied",
    ),
    _stored("int8-weights", 8, "weights in 8 bits, computed in float32"),
    _stored("int4", 4, "weights in 4 bits, computed in float32"),
    _stored("float16", 16, "weights in 16 bits, computed in float32"),
)
"""All methods by name: a new one is a file and a row here."""

_STEP = re.compile(r"([a-z0-9-]+)(?::(\d+(?:\.\d+)?)%)?")


def parse_chain(text: str) -> Chain:
    """The chain of a text: `int8`, `prune:80%`, `narrow:50%+int8`; or `float32`.

    Raises:
        SpecError: A method is unknown, a share is impossible, or the steps have an
            impossible order.

    Example:

    >>> parse_chain("int8").bits
    8
    """
    if text == str(Chain()):
        return Chain()
    steps = tuple(map(_parse_step, text.strip().split("+")))
    if any(step.method.quantize for step in steps[:-1]):
        raise SpecError(
            f"{text!r} must store weights in fewer bits last and once: what trains "
            "stands before, as in prune:80%+int8."
        )
    return Chain(steps)


def _parse_step(text: str) -> Step:
    found = _STEP.fullmatch(text.strip().lower())
    name = text.partition(":")[0]
    if name.strip().lower() not in METHODS:
        raise SpecError(unknown_name("method", name, METHODS))
    method = METHODS[name.strip().lower()]
    share = float(found[2]) / 100 if found and found[2] else method.share
    takes_one = method.share is not None
    if not found or (found[2] and not takes_one) or not 0 <= (share or 0.0) < 1:
        form = f"{name}:50% or {name}:12.5%" if takes_one else name
        form += ", at least 0% and below 100%, with a decimal point" * takes_one
        raise SpecError(f"The method {name} is written {form}, but got {text!r}.")
    return Step(method, share or 0.0)
