"""A law of parameters and training examples: what more of either would buy."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kscale.errors import LawError
from kscale.runs.law.fits import DRAWN, Curves, Fit, Trained, quantiles
from kscale.runs.law.forms import Form, Values
from kscale.runs.law.law import TRUSTED
from kscale.runs.law.points import Point
from kscale.text import counted

PARAMS = (1, 2, 4)
"""Sizes of a table, by the largest on all examples."""

SHARES = (0.25, 0.5, 1.0)
"""Examples of a table, by all there are; what was asked for comes after these."""

_EXPONENT = 0.4  # the middle of `a` and `b`, by the logarithm, with a deviation of 1
_CURVES = 16_000  # that are possible before anything was trained
_FEWEST_SIZES, _FEWEST_EXAMPLES = 3, 3
_SURE = 0.9  # how likely one must be better than another to be named


@dataclass(frozen=True)
class Cell:
    """What a network of some size, trained on some examples, would reach.

    Args:
        params, examples: The size, and the number of examples.
        predicted: Error, as likely too high as too low.
        low, high: The truth is between them 9 times of 10.
    """

    params: int
    examples: int
    predicted: float
    low: float
    high: float


@dataclass(frozen=True)
class Gain:
    """The part of the error that more would take away, with its 90 % interval."""

    predicted: float
    low: float
    high: float


class ExamplesTable(NamedTuple):
    """Errors by parameters and examples.

    Args:
        rows: For each size the cells, the fewest examples first.
        times: How many times the examples there are the last column is of.
        by_params: What as many times the parameters would take away.
        by_examples: What as many times the examples would.
        better: `params`, `examples`, or empty where neither is clearly better.
    """

    rows: tuple[tuple[Cell, ...], ...]
    times: float
    by_params: Gain
    by_examples: Gain
    better: str


def on_most_examples(points: Iterable[Point]) -> list[Point]:
    """Points on as many examples as any; those of an unknown number are so."""
    known = [*points]
    most = max((point.examples or 0 for point in known), default=0)
    return [point for point in known if point.examples in (None, most)]


def examples_table(
    points: Iterable[Point], times: float = 2.0, *, beyond: bool = False, seed: int = 0
) -> ExamplesTable:
    """What more examples and more parameters would buy.

    Error is `E + A N^-a + B D^-b`, of parameters and examples. All curves are weighed
    by how likely they make what was trained, as in a law of sizes.

    Args:
        points: Sizes and their errors, each with the number of examples.
        times: How many times the examples there are.
        beyond: Whether more than four times the examples are answered, too.
        seed: Of the curves that are drawn.

    Raises:
        LawError: Too few sizes or numbers of examples were trained, or the answer is
            not to be trusted.
    """
    chosen = [point for point in points if point.examples and point.error > 0]
    params, examples = _checked(chosen, times, beyond)
    curves = _possible(chosen, params, examples, seed)
    columns = (*SHARES, times)
    cells = [(step, share) for step in PARAMS for share in columns]
    errors = curves.errors(np.array(cells)) * np.exp(curves.deviations)[:, None]
    found = [
        Cell(step * params, round(share * examples), middle, low, high)
        for (step, share), (low, middle, high) in zip(
            cells, quantiles(errors), strict=True
        )
    ]
    width = len(columns)
    now, larger, more = curves.errors(np.array([(1, 1), (times, 1), (1, times)])).T
    likely = float(np.mean(more < larger))
    return ExamplesTable(
        tuple(tuple(found[at : at + width]) for at in range(0, len(found), width)),
        times,
        _gain(now, larger),
        _gain(now, more),
        "examples" if likely > _SURE else "params" if likely < 1 - _SURE else "",
    )


def _checked(points: Sequence[Point], times: float, beyond: bool) -> tuple[int, int]:
    """The largest size on all examples, and the number of these."""
    numbers = {point.examples or 0 for point in points}
    examples = max(numbers, default=0)
    sizes = {point.size for point in points if point.examples == examples}
    if len(numbers) < _FEWEST_EXAMPLES or len(sizes) < _FEWEST_SIZES:
        raise LawError(
            "What more examples would buy takes trainings on "
            f"{_FEWEST_EXAMPLES} numbers of examples or more, and on all of them "
            f"{_FEWEST_SIZES} sizes or more, but there are "
            f"{counted(len(numbers), 'number')} and {counted(len(sizes), 'size')}: "
            "kscale tune --for-law --examples-ladder trains them."
        )
    if not 1 < times < math.inf:
        raise LawError(f"More examples are more than 1x, not {times:g}x.")
    if times > TRUSTED and not beyond:
        raise LawError(
            f"Beyond {TRUSTED} times the {examples:,} examples there are, nothing "
            f"trained tells whether error falls on; {times:g}x takes --beyond."
        )
    return max(sizes), examples


def _possible(points: Sequence[Point], params: int, examples: int, seed: int) -> Curves:
    """Curves as often as they are likely, at sizes and examples relative to most."""
    relative = [(p.size / params, (p.examples or 0) / examples) for p in points]
    errors = np.array([point.error for point in points])
    stderrs = np.array([point.stderr or 0.0 for point in points])
    trained = Trained(np.array(relative), np.log(errors), stderrs / errors)
    return Fit(_form(seed), trained).draw(DRAWN, seed)


def _form(seed: int) -> Form:
    """`E + A N^-a + B D^-b`: at the most of both, `removable` is the part of `A` and
    `B`, of which `by_size` is that of `A`."""
    rng = np.random.default_rng([seed, 41])
    a, b = np.exp(rng.normal(math.log(_EXPONENT), 1.0, (2, _CURVES)))
    removable, by_size = rng.uniform(0, 1, _CURVES) ** 2, rng.uniform(0, 1, _CURVES)
    knobs = {"a": a, "b": b, "removable": removable, "by_size": by_size}
    return Form("examples", knobs, np.zeros(_CURVES), 0.0, _error)


def _error(
    sizes: Values, a: Values, b: Values, removable: Values, by_size: Values
) -> Values:
    """Relative errors, at pairs of relative size and examples."""
    by_params = by_size * sizes[..., 0] ** -a
    by_examples = (1 - by_size) * sizes[..., 1] ** -b
    found: Values = 1 - removable + removable * (by_params + by_examples)
    return found


def _gain(before: Values, after: Values) -> Gain:
    ((low, middle, high),) = quantiles((1 - after / before)[:, None])
    return Gain(middle, low, high)
