"""Law: how error depends on size, and what a size that was not trained would reach.

How sure the law is follows from all curves that what was trained leaves possible, each
as often as it is likely. Forms of curves are weighed by how well they tell the errors
of the largest sizes from those of the others, never by how near they come to all.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kscale.errors import LawError
from kscale.runs.law.fits import Curves, Fit, Trained
from kscale.runs.law.forms import Form, Values, bounded, flat, power
from kscale.runs.law.points import Point
from kscale.text import listed
from kscale.units import format_count

TRUSTED = 4
"""A law is trusted up to so many times the largest size trained."""

_DRAWN = 4000  # curves
_LEAST_SIZES = 4
_LEAST_RANGE = 3  # largest size over smallest
_TURNING = 5  # sizes from which a curve may turn up
_QUANTILES = (0.05, 0.5, 0.95)
_FARTHEST = 1e6  # times the largest size, where curves count as ended
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

    Attributes:
        points: What was trained.
        largest: Parameters of the largest network trained.
        trusted: Parameters up to which the law is trusted.
        form: The likeliest form: `power`, `bounded` (turns up), or `flat`.
    """

    def __init__(self, points: Sequence[Point], curves: Sequence[Curves]) -> None:
        self.points = tuple(points)
        self.largest = points[-1].size
        self.trusted = TRUSTED * self.largest
        self._curves = [each for each in curves if len(each.levels)]
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
                    f"the largest size trained, {format_count(self.largest)}; beyond "
                    f"{TRUSTED} times a law is a guess that its form goes on."
                )
        errors = self._errors(np.array(asked, float), np.exp(self._deviations))
        return [
            Predicted(size, middle, low, high)
            for size, (low, middle, high) in zip(asked, _quantiles(errors), strict=True)
        ]

    @cached_property
    def limit(self) -> Predicted:
        """The least error that any size would reach."""
        ((low, middle, high),) = _quantiles(self._far.min(axis=1, keepdims=True))
        return Predicted(math.inf, middle, low, high)

    def reach(self, error: float) -> Reached:
        """The least size that reaches an error.

        Raises:
            LawError: It is not likely that any size does.
        """
        is_reached = self._far <= error
        first = np.where(
            is_reached.any(axis=1), self._far_sizes[is_reached.argmax(axis=1)], math.inf
        )
        low, middle, high = np.quantile(first, _QUANTILES, method="nearest")
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
        """The least size whose double would lower the error by less than the noise of
        one training; None where there is none that the law is trusted at."""
        sizes = np.geomspace(self.points[0].size, self.trusted, 200)
        errors, doubled = (
            np.median(self._errors(each), axis=0) for each in (sizes, 2 * sizes)
        )
        pays = errors - doubled > self.noise * errors
        if pays[-1]:
            return None
        return round(sizes[np.flatnonzero(pays)[-1] + 1] if pays.any() else sizes[0])

    @cached_property
    def formula(self) -> str:
        """The law in one line, of its middle curve."""
        knobs = {name: np.median(each) for name, each in self._main.knobs.items()}
        level = math.exp(float(np.median(self._main.levels)))
        if self.form == "flat":
            return f"{level:.3g} at all sizes"
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
            decades = math.log10(self.largest / self.points[0].size)
            found.append(
                f"{sizes} sizes over {decades:.1f} decades: at {TRUSTED} times the "
                f"largest, the interval is {100 * width:.0f} % of the error."
            )
        if self.form == "flat":
            found.append(
                "The error is the same at all sizes, as far as the noise lets one see: "
                "more parameters would buy nothing."
            )
        return tuple(found)

    @cached_property
    def _deviations(self) -> Values:
        return np.concatenate([each.deviations for each in self._curves])

    def _errors(self, sizes: Values, factor: Values | None = None) -> Values:
        """Errors on all curves, `(curves, sizes)`."""
        relative = sizes / self.largest
        errors = np.concatenate([each.errors(relative) for each in self._curves])
        return errors if factor is None else errors * factor[:, None]

    @cached_property
    def _far_sizes(self) -> Values:
        return np.geomspace(self.points[0].size, _FARTHEST * self.largest, 400)

    @cached_property
    def _far(self) -> Values:
        return self._errors(self._far_sizes)


def _quantiles(errors: Values) -> list[tuple[float, float, float]]:
    """Low, middle and high of each column."""
    rows = np.quantile(errors, _QUANTILES, axis=0)
    return [(float(low), float(middle), float(high)) for low, middle, high in rows.T]


def fit_law(points: Iterable[Point], *, seed: int = 0) -> Law:
    """The law of sizes that were trained.

    Args:
        points: Sizes and their errors.
        seed: Of the curves that are drawn.

    Raises:
        LawError: There are too few sizes, they are too near to each other, or no error
            is above 0.
    """
    chosen = sorted(points, key=lambda point: point.size)
    _check(chosen)
    trained = _trained(chosen)
    forms = _forms(trained)
    weights = _weights(forms, trained)
    curves = [
        Fit(form, trained).draw(round(_DRAWN * weight), seed + place)
        for place, (form, weight) in enumerate(zip(forms, weights, strict=True))
        if round(_DRAWN * weight)
    ]
    return Law(chosen, curves)


def _check(points: Sequence[Point]) -> None:
    sizes = sorted({point.size for point in points})
    if len(sizes) < _LEAST_SIZES:
        shown = listed([format_count(size) for size in sizes], 4) or "none"
        raise LawError(
            f"A law needs the errors of {_LEAST_SIZES} sizes or more; there are "
            f"{len(sizes)}: {shown}."
        )
    if sizes[-1] < _LEAST_RANGE * sizes[0]:
        raise LawError(
            f"A law needs sizes that differ by a factor of {_LEAST_RANGE} or more; "
            f"these are from {format_count(sizes[0])} to {format_count(sizes[-1])}."
        )
    if not any(point.error > 0 for point in points):
        raise LawError("All errors are 0: there is nothing that a law could explain.")


def _trained(points: Sequence[Point]) -> Trained:
    """Errors below their standard error, or 0, are taken as half of the least above."""
    errors = np.array([point.error for point in points], float)
    known = np.array([point.stderr or 0.0 for point in points])
    errors = np.maximum(errors, np.maximum(errors[errors > 0].min() / 2, known / 2))
    sizes = np.array([point.size for point in points], float)
    noise = np.minimum(known / errors, 1.0)
    return Trained(sizes / sizes[-1], np.log(errors), noise)


def _forms(trained: Trained) -> list[Form]:
    forms = [power(), flat()]
    if len(np.unique(trained.sizes)) >= _TURNING:
        forms.append(bounded(trained.sizes[0]))
    return forms


def _weights(forms: Sequence[Form], trained: Trained) -> Values:
    """How likely each form is, by the errors of the largest third of the sizes."""
    sizes = np.unique(trained.sizes)
    held = trained.sizes >= sizes[-max(len(sizes) // 3, 1)]
    known, asked = trained.where(~held), trained.where(held)
    logs = np.array([Fit(form, known).log_density(asked) for form in forms])
    weights = np.exp(logs - logs.max())
    found: Values = weights / weights.sum()
    return found
