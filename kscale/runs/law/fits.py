"""Fits: how likely each curve of a form is, from sizes and their errors."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from kscale.runs.law.forms import Form, Values

_SPREADS = np.geomspace(0.003, 0.5, 12)
"""Relative deviations of trainings from a law."""

DRAWN = 4000
"""Curves that stand for all that are possible."""

QUANTILES = (0.05, 0.5, 0.95)
"""The ends of a 90 % interval, with the middle between them."""

_ROUNDS = 5  # of closer and closer curves
_ENOUGH = 100  # curves that are about as likely as each other

_PARTS = (1.0, 0.25, 0.0)
"""Of the known variances, that come on top: errors over the same examples are the same
for all sizes, in part, and then no deviation from a law."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What was trained, as a fit takes it.

    Args:
        sizes: Relative to the largest, `(points,)`.
        logs: Logarithms of errors, `(points,)`.
        noise: Standard errors relative to the errors, 0 where unknown, `(points,)`.
    """

    sizes: Values
    logs: Values
    noise: Values


def quantiles(values: Values) -> list[tuple[float, float, float]]:
    """Low, middle and high of each column: the ends of its 90 % interval, and the value
    that is as likely too high as too low."""
    rows = np.quantile(values, QUANTILES, axis=0)
    return [(float(low), float(middle), float(high)) for low, middle, high in rows.T]


class Fit:
    """All curves of a form with how likely each is, for each spread around them.

    Errors are taken as normal around a curve in their logarithm, with variance
    `spread^2 + part noise^2`. The level of a curve is found by least squares, as in
    variable projection, and its variance kept. All spreads are as likely before. Then
    closer curves are taken where they are likely: between those of a coarse grid, a
    ladder of little noise has none that fits.

    Args:
        form: The curves.
        trained: What was trained.
    """

    def __init__(self, form: Form, trained: Trained) -> None:
        self._fit(form, trained)
        for _ in range(_ROUNDS):
            likely = self._weights.sum(axis=0)
            if self.form.finer is None or 1 / (likely**2).sum() > _ENOUGH:
                break
            self._fit(self.form.finer(likely), trained)

    def _fit(self, form: Form, trained: Trained) -> None:
        self.form = form
        parts = _PARTS if trained.noise.any() else _PARTS[-1:]
        self._spreads = [*product(_SPREADS, parts)]
        rest = trained.logs - form.log_errors(trained.sizes)
        logs, levels, variances = [], [], []
        for spread, part in self._spreads:
            weights = 1 / (spread**2 + part * trained.noise**2)
            total = weights.sum()
            level = rest @ weights / total
            misfit = ((rest - level[:, None]) ** 2) @ weights
            sure = np.log(weights).sum() - np.log(total)
            logs.append((sure - misfit) / 2 + form.log_prior)
            levels.append(level)
            variances.append(1 / total)
        likely = np.array(logs)  # (spreads, curves), as `_weights` and `_levels`
        self._weights = np.exp(likely - np.logaddexp.reduce(likely, axis=None))
        self._levels = np.array(levels)
        self._variances = np.array(variances)

    def log_density(self, others: Trained) -> float:
        """Logarithm of how likely further trainings were, up to a constant."""
        means = self.form.log_errors(others.sizes)
        found = np.zeros_like(self._weights)
        for place, (spread, part) in enumerate(self._spreads):
            variance = spread**2 + part * others.noise**2 + self._variances[place]
            rest = others.logs - means - self._levels[place][:, None]
            found[place] = -(rest**2 / variance + np.log(variance)).sum(axis=1) / 2
        found += np.log(np.maximum(self._weights, 1e-300))
        return float(np.logaddexp.reduce(found, axis=None))

    def draw(self, number: int, seed: int) -> "Curves":
        """Curves as often as they are likely, the same at each call.

        Args:
            number: Of curves.
            seed: Of the order and of the deviations.
        """
        generator = np.random.default_rng(seed)
        ends = np.cumsum(self._weights.ravel())
        places = (np.arange(number) + 0.5) / number * ends[-1]
        cells = np.minimum(np.searchsorted(ends, places), ends.size - 1)
        spread, curve = np.divmod(cells, self._weights.shape[1])
        deviation = np.sqrt(self._variances)[spread]
        level = self._levels[spread, curve]
        return Curves(
            self.form,
            {name: values[curve] for name, values in self.form.knobs.items()},
            level + deviation * generator.standard_normal(number),
            np.array(self._spreads)[spread, 0] * generator.standard_normal(number),
        )


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves of one form that were drawn.

    Args:
        form: Of all.
        knobs: By name, `(curves,)`.
        levels: Logarithms of errors at the largest size trained, `(curves,)`.
        deviations: Of one more network from its curve, in the logarithm, `(curves,)`.
    """

    form: Form
    knobs: dict[str, Values]
    levels: Values
    deviations: Values

    def errors(self, sizes: Values) -> Values:
        """Errors on the curves, `(curves, sizes)`, at relative sizes."""
        knobs = {name: values[:, None] for name, values in self.knobs.items()}
        relative = self.form.curve(sizes[None, :], **knobs)
        found: Values = relative * np.exp(self.levels)[:, None]
        return found

    @property
    def limits(self) -> Values:
        """The least error of each curve at any size, `(curves,)`."""
        ends = self.knobs.get("turn", np.full(len(self.levels), np.inf))
        found: Values = self.form.curve(ends, **self.knobs) * np.exp(self.levels)
        return found
