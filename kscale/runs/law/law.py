"""Law: how error depends on size, and what a size that was not trained would reach.

How sure the law is follows from all curves that what was trained leaves possible, each
as often as it is likely.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kscale.errors import LawError
from kscale.runs.law.fits import QUANTILES, Curves, quantiles
from kscale.runs.law.forms import Values
from kscale.runs.law.points import Point
from kscale.runs.law.possible import best_depth, check_points, possible_curves
from kscale.units import format_count

TRUSTED = 4
"""A law is trusted up to so many times the largest size trained."""

_FARTHEST = 1e6  # times the largest size, that are looked for
_FLAT = 0.02  # of the error: changes that are none
_WIDE = 0.15  # of the error: an interval to warn of, at the edge of trust


@dataclass(frozen=True)
class Predicted:
    """What a network of some size would reach.

    Args:
        size: Parameters; infinite for the limit of a law.
        predicted: Error, as likely too high as too low.
        low, high: The truth is between them 9 times of 10.
    """

    size: float
    predicted: float
    low: float
    high: float


@dataclass(frozen=True)
class Reached:
    """The size from which an error is reached.

    Args:
        size: Parameters, as likely too many as too few.
        low, high: The truth is between them 9 times of 10; `high` is infinite where it
            may be that no size reaches the error.
    """

    size: float
    low: float
    high: float


class Law:
    """How the error depends on the number of parameters.

    Args:
        points: What was trained, the smallest first.
        curves: Curves of each form that are possible, as many as it is likely.
        depth: Depth of all points, where each depth has a law of its own.

    Attributes:
        points: What was trained.
        depth: Depth of all points, where each depth has a law of its own.
        largest: Parameters of the largest network trained.
        trusted: Parameters up to which the law is trusted.
        form: The likeliest form: `power`, or `bounded`, which turns up.
    """

    def __init__(
        self, points: Sequence[Point], curves: Sequence[Curves], depth: int | None
    ) -> None:
        self.points = tuple(points)
        self.depth = depth
        self.largest = points[-1].size
        self.trusted = TRUSTED * self.largest
        self._curves = [*curves]
        self._main = max(self._curves, key=lambda each: len(each.levels))
        self.form = self._main.form.name

    def predict(
        self, sizes: Iterable[float], *, beyond: bool = False
    ) -> list[Predicted]:
        """The error that a network of each size would reach, with a 90 % interval.

        Args:
            sizes: Parameters.
            beyond: Whether sizes that the law is not trusted at are answered, too.

        Raises:
            LawError: A size is none, or too large to be trusted.
        """
        asked = [*sizes]
        for size in asked:
            if not 0 < size < math.inf:
                raise LawError(f"A size is a number of parameters, not {size:g}.")
            if size > self.trusted and not beyond:
                raise LawError(
                    f"{format_count(size)} params are {size / self.largest:.3g} times "
                    f"the largest size trained, {format_count(self.largest)}. Beyond "
                    f"{TRUSTED} times, nothing trained tells whether error falls on: "
                    "train larger sizes, or ask with --beyond."
                )
        errors = self._errors(np.array(asked, float), np.exp(self._deviations))
        return [
            Predicted(size, middle, low, high)
            for size, (low, middle, high) in zip(asked, quantiles(errors), strict=True)
        ]

    @cached_property
    def limit(self) -> Predicted:
        """The least error that any size would reach."""
        least = np.concatenate([curves.limits for curves in self._curves])
        ((low, middle, high),) = quantiles(least[:, None])
        return Predicted(math.inf, middle, low, high)

    def reach(self, error: float) -> Reached:
        """The least size that reaches an error.

        Raises:
            LawError: It is not likely that any size does.
        """
        sizes = np.geomspace(self._range[0], _FARTHEST * self.largest, 400)
        first = _first_at(error, np.log(sizes), self._errors(sizes))
        first = np.maximum(first, self._range[0])
        low, middle, high = np.quantile(first, QUANTILES, method="nearest")
        if middle == math.inf:
            limit = self.limit
            raise LawError(
                f"An error of {error:.4g} is not likely reached at any size: the least "
                f"is {limit.predicted:.4g}, between {limit.low:.4g} and "
                f"{limit.high:.4g} 9 times of 10."
            )
        return Reached(*(float(each) for each in (middle, low, high)))

    @cached_property
    def noise(self) -> float:
        """Standard deviation of the error of a single training, relative to it."""
        known = [
            each.stderr * math.sqrt(each.seeds) / each.error
            for each in self.points
            if each.stderr and each.error
        ]
        if known:
            return float(np.median(known))
        return float(np.median(np.abs(self._deviations)) / 0.6745)

    @cached_property
    def stops_paying(self) -> int | None:
        """The least size whose double, and the largest size trained, would lower the
        error by less than the noise of one training; None where there is none that the
        law is trusted at."""
        sizes = np.geomspace(self._range[0], self.trusted, 200)
        errors, others = (
            np.median(self._errors(each), axis=0)
            for each in (sizes, np.maximum(2 * sizes, self.largest))
        )
        pays = errors - others > self.noise * errors
        if pays[-1]:
            return None
        first = int(np.flatnonzero(pays)[-1]) + 1 if pays.any() else 0
        return round(float(sizes[first]))

    @cached_property
    def formula(self) -> str:
        """The law in one line, of its middle curve."""
        knobs = {name: np.median(each) for name, each in self._main.knobs.items()}
        level = math.exp(float(np.median(self._main.levels)))
        if self.form == "bounded":
            turn = format_count(knobs["turn"] * self.largest)
            return f"least at {turn} params, and rising beyond"
        factor = level * (1 - knobs["floor"])
        return (
            f"{level * knobs['floor']:.3g} + {factor:.3g} "
            f"(N / {format_count(self.largest)})^-{knobs['a']:.2g}"
        )

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What weakens the law, a line each."""
        found = []
        (edge,) = self.predict([self.trusted])
        width = (edge.high - edge.low) / edge.predicted
        if width > _WIDE:
            sizes = len({each.size for each in self.points})
            decades = math.log10(self.largest / self._range[0])
            found.append(
                f"{sizes} sizes over {decades:.1f} decades: at {TRUSTED} times the "
                f"largest, the interval is {100 * width:.0f} % of the error."
            )
        if self.depth is not None:
            found.append(
                f"Depths differ: the law is of depth {self.depth}, the best one at "
                "large sizes."
            )
        first, last = np.median(self._errors(np.array(self._range)), axis=0)
        change = abs(first - last) / last
        if change < max(self.noise, _FLAT):
            found.append(
                f"From the smallest size to the largest, the error changes by "
                f"{100 * change:.1f} %: too little for a law to be seen."
            )
        return tuple(found)

    @property
    def _range(self) -> tuple[int, int]:
        """The smallest and the largest size trained."""
        return self.points[0].size, self.largest

    @cached_property
    def _deviations(self) -> Values:
        return np.concatenate([each.deviations for each in self._curves])

    def _errors(self, sizes: Values, factor: Values | None = None) -> Values:
        """Errors on all curves, `(curves, sizes)`."""
        relative = sizes / self.largest
        errors = np.concatenate([each.errors(relative) for each in self._curves])
        return errors if factor is None else errors * factor[:, None]


def _first_at(error: float, logs: Values, errors: Values) -> Values:
    """The first size at which each curve has an error, between sizes of known
    logarithms; infinite where none has."""
    is_reached = errors <= error
    place = is_reached.argmax(axis=1)
    curves, before = np.arange(len(errors)), np.maximum(place - 1, 0)
    high, low = errors[curves, before], errors[curves, place]
    part = np.where(high > low, (high - error) / np.maximum(high - low, 1e-300), 1.0)
    sizes = np.exp(logs[before] + part.clip(0, 1) * (logs[place] - logs[before]))
    found: Values = np.where(is_reached.any(axis=1), sizes, math.inf)
    return found


def fit_law(points: Iterable[Point], *, seed: int = 0) -> Law:
    """The law of sizes that were trained.

    Where networks of different depths follow laws of their own, the law is that of the
    depth which is best at the largest sizes.

    Args:
        points: Sizes and their errors.
        seed: Of the curves that are drawn.

    Raises:
        LawError: There are too few sizes, they are too near to each other, or no error
            is above 0.
    """
    chosen = sorted(points, key=lambda point: point.size)
    check_points(chosen)
    depth = best_depth(chosen)
    if depth is not None:
        chosen = [point for point in chosen if point.depth == depth]
    return Law(chosen, possible_curves(chosen, seed), depth)
