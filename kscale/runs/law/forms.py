"""Forms of a scaling law: how error may depend on size.

A form is a list of candidate curves. Each gives the error relative to that of the
largest size trained, so that one factor, the level, remains to be found.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Range = tuple[float, float]

_EXPONENT = 0.5  # the middle of `a`, by the logarithm, with a deviation of 1
_NUMBER = 30  # values of each knob of a power law
_EXPONENTS: Range = (0.03, 3.0)  # of sizes, least and most
_ROOTS: Range = (0.235, 1.0)  # of the part of the error that more size could remove
_ENDLESS = 0.03  # how likely it is that size can remove all of the error
_UNLIKELY = 1e-4  # of the likeliest curve, for others to be left out
_ODDS = {"power": 0.0, "bounded": -4.0}  # logarithms, of each form


@dataclass(frozen=True, eq=False)
class Form:
    """Candidate curves of one form.

    Args:
        name: `power` or `bounded`.
        knobs: By name, one value for each curve: arrays `(curves,)`.
        log_prior: Logarithm of how likely each curve is before anything was trained, up
            to a constant, `(curves,)`.
        log_odds: Logarithm of how likely the form is beside the others.
        curve: Gives the relative error from relative sizes and the knobs, all of which
            it takes as arrays that broadcast.
        finer: Gives a form of closer curves from how likely each of these is; None
            where there is none.
    """

    name: str
    knobs: dict[str, Values]
    log_prior: Values
    log_odds: float
    curve: Callable[..., Values]
    finer: Callable[[Values], "Form"] | None = None

    def log_errors(self, sizes: Values) -> Values:
        """Logarithms of relative errors, `(curves, sizes)`, at relative sizes."""
        knobs = {name: values[:, None] for name, values in self.knobs.items()}
        found: Values = np.log(self.curve(sizes[None, :], **knobs))
        return found


def power(exponents: Range = _EXPONENTS, roots: Range = _ROOTS) -> Form:
    """`E + A N^-a`: at the largest size trained, `floor` is the part of `E`.

    The prior is normal in the logarithm of `a`, and even in the fourth root of the part
    of the error that size can remove: many curves have nearly levelled off, and some
    are far from that. That size can remove all of the error is likely by itself.

    Args:
        exponents: Least and most of `a`.
        roots: Least and most of the fourth root of the part that size can remove.
    """
    logs, places = (
        np.linspace(low, high, _NUMBER)
        for low, high in (map(math.log, exponents), roots)
    )
    step = (roots[1] - roots[0]) / (_NUMBER - 1)
    log_a, root = (each.ravel() for each in np.meshgrid(logs, places, indexing="ij"))
    prior = -((log_a - np.log(_EXPONENT)) ** 2) / 2
    prior += np.log(np.where(root == 1, step + _ENDLESS, step))

    def finer(likely: Values) -> Form:
        """The same with closer curves, around those that are likely."""
        chosen = likely > _UNLIKELY * likely.max()
        low, high = _around(log_a[chosen], logs, np.log(_EXPONENTS))
        ends = math.exp(low), math.exp(high)
        return power(ends, _around(root[chosen], places, np.array(_ROOTS)))

    knobs = {"a": np.exp(log_a), "floor": 1 - root**4}
    return Form("power", knobs, prior, _ODDS["power"], _power, finer)


def _around(chosen: Values, grid: Values, ends: Values) -> Range:
    """From the least to the most of the values chosen, and three steps of the grid
    farther, as far as the ends."""
    margin = 3 * (grid[1] - grid[0])
    low, high = chosen.min() - margin, chosen.max() + margin
    return float(max(low, ends[0])), float(min(high, ends[1]))


def _power(size: Values, a: Values, floor: Values) -> Values:
    return floor + (1 - floor) * size**-a


def bounded(smallest: float) -> Form:
    """Error that falls to a least value and rises again, as networks overfit.

    In `E + (L - E) h / (1 + h)`, with `h = N^-a + c N^b` and N relative to the size of
    least error, `L` is the error of a network that learned nothing (arXiv 2605.09189).

    Args:
        smallest: Smallest relative size trained; the turn lies between it and 1.
    """
    turns = np.geomspace(max(smallest, 1e-9), 1.0, 11)[1:]
    grid = (
        np.geomspace(0.1, 2.0, 6),
        np.geomspace(0.05, 1.0, 5),
        turns,
        np.array([0.02, 0.2, 0.5, 0.75, 0.9]),
        np.array([0.02, 0.08, 0.3]),
    )
    names = ("a", "b", "turn", "floor", "share")
    knobs = [each.ravel() for each in np.meshgrid(*grid, indexing="ij")]
    prior = np.zeros(len(knobs[0]))
    by_name = dict(zip(names, knobs, strict=True))
    return Form("bounded", by_name, prior, _ODDS["bounded"], _bounded)


def _bounded(
    size: Values, a: Values, b: Values, turn: Values, floor: Values, share: Values
) -> Values:
    """Relative to the error at the turn: there `h` is `share / (1 - share)` of what an
    uninformed network loses."""
    at_turn = share / (1 - share)
    place = size / turn
    h = at_turn * (b * place**-a + a * place**b) / (a + b)
    return floor + (1 - floor) * (h / (1 + h)) / share
