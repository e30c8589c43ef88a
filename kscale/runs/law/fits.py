"""Fits: how likely each curve of a form is, from sizes and their errors."""

from dataclasses import dataclass

import numpy as np

from kscale.runs.law.forms import Form, Values

_SPREADS = np.geomspace(0.001, 0.5, 14)
"""Relative deviations of trainings from a law, beside their known errors."""


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

    def where(self, chosen: Values) -> "Trained":
        """Those of the points that are chosen."""
        return Trained(self.sizes[chosen], self.logs[chosen], self.noise[chosen])


class Fit:
    """All curves of a form with how likely each is, for each spread around them.

    Errors are taken as normal around a curve in their logarithm, with variance
    `spread^2 + noise^2`. The level of a curve is found by least squares, as in variable
    projection, and its variance kept. All spreads are as likely before.

    Args:
        form: The curves.
        trained: What was trained.
    """

    def __init__(self, form: Form, trained: Trained) -> None:
        self.form = form
        rest = trained.logs - form.log_errors(trained.sizes)
        logs, levels, variances = [], [], []
        for spread in _SPREADS:
            weights = 1 / (spread**2 + trained.noise**2)
            total = weights.sum()
            level = rest @ weights / total
            misfit = ((rest - level[:, None]) ** 2) @ weights
            sure = np.log(weights).sum() - np.log(total)
            logs.append((sure - misfit) / 2 + form.log_prior)
            levels.append(level)
            variances.append(1 / total)
        likely = np.array(logs)
        self._odds = _log_sum(form.log_prior)
        likely = np.exp(likely - likely.max())
        self._weights = likely / likely.sum()  # (spreads, curves), as `_levels`
        self._levels = np.array(levels)
        self._variances = np.array(variances)

    def log_density(self, others: Trained) -> float:
        """Logarithm of how likely further trainings were, and the form, up to a
        constant."""
        means = self.form.log_errors(others.sizes)
        found = np.zeros_like(self._weights)
        for place, spread in enumerate(_SPREADS):
            variance = spread**2 + others.noise**2 + self._variances[place]
            rest = others.logs - means - self._levels[place][:, None]
            found[place] = -(rest**2 / variance + np.log(variance)).sum(axis=1) / 2
        found = np.log(np.maximum(self._weights, 1e-300)) + found
        return self._odds + _log_sum(found)

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
            _SPREADS[spread] * generator.standard_normal(number),
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


def _log_sum(logs: Values) -> float:
    top = logs.max()
    return float(top + np.log(np.exp(logs - top).sum()))
