"""Forms of a scaling law: how error may depend on size.

A form is a list of candidate curves. Each gives the error relative to that of the
largest size trained, so that one factor, the level, remains to be found.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_EXPONENTS = (0.03, 3.0)  # of sizes, least and most
_EXPONENT = 0.4  # in the middle, by the logarithm, with a deviation of 1
_LEAST_PART = 0.003  # of the error that more size could remove
_ENDLESS = 0.12  # how likely it is that size can remove all of the error
_ODDS = {"power": 0.0, "flat": -2.0, "bounded": -4.0}  # logarithms, of each form


@dataclass(frozen=True, eq=False)
class Form:
    """Candidate curves of one form.

    Args:
        name: `power`, `bounded` or `flat`.
        knobs: By name, one value for each curve: arrays `(curves,)`.
        log_prior: Logarithm of how likely each curve is before anything was trained, up
            to a constant, `(curves,)`.
        curve: Gives the relative error from relative sizes and the knobs, all of which
            it takes as arrays that broadcast.
    """

    name: str
    knobs: dict[str, Values]
    log_prior: Values
    curve: Callable[..., Values]

    def log_errors(self, sizes: Values) -> Values:
        """Logarithms of relative errors, `(curves, sizes)`, at relative sizes."""
        knobs = {name: values[:, None] for name, values in self.knobs.items()}
        found: Values = np.log(self.curve(sizes[None, :], **knobs))
        return found


def power(number: int = 40) -> Form:
    """`E + A N^-a`: at the largest size trained, `floor` is the part of `E`.

    The prior is normal in the logarithm of `a`, and even in the square root of the part
    of the error that size can remove: a curve may have levelled off, or may be far from
    that. That size can remove all of the error is likely by itself.

    Args:
        number: Values of `a`, and of `floor`.
    """
    exponents = np.geomspace(*_EXPONENTS, number)
    parts = np.linspace(_LEAST_PART**0.5, 1.0, number) ** 2
    a, part = (each.ravel() for each in np.meshgrid(exponents, parts, indexing="ij"))
    prior = -(np.log(a / _EXPONENT) ** 2) / 2
    prior += np.where(part == 1, np.log(_ENDLESS * number), 0.0)
    return _form("power", _power, prior, a=a, floor=1 - part)


def _power(size: Values, a: Values, floor: Values) -> Values:
    return floor + (1 - floor) * size**-a


def flat() -> Form:
    """One error at all sizes."""
    return _form("flat", _flat, np.zeros(1), floor=np.ones(1))


def _flat(size: Values, floor: Values) -> Values:
    return floor + 0 * size


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
    return _form("bounded", _bounded, prior, **dict(zip(names, knobs, strict=True)))


def _bounded(
    size: Values, a: Values, b: Values, turn: Values, floor: Values, share: Values
) -> Values:
    """Relative to the error at the turn: there `h` is `share / (1 - share)` of what an
    uninformed network loses."""
    at_turn = share / (1 - share)
    place = size / turn
    h = at_turn * (b * place**-a + a * place**b) / (a + b)
    return floor + (1 - floor) * (h / (1 + h)) / share


def _form(
    name: str, curve: Callable[..., Values], prior: Values, **knobs: Values
) -> Form:
    """A form with its odds in the prior of its curves, which then sum to them."""
    sums = prior.max() + np.log(np.exp(prior - prior.max()).sum())
    return Form(name, knobs, prior - sums + _ODDS[name], curve)
