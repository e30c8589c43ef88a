"""The model of scores: what networks are expected to score at full length."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Places = NDArray[np.int64]

_SETS = 48  # sets of hyperparameters that are drawn for a fit
_KEPT = 8  # of them, with the most likelihood
_GROWTH = 1.2  # rows from one fit to the next
_JITTER = 1e-5


@dataclass(frozen=True, eq=False)
class Row:
    """What a training came to.

    Args:
        place: Position of the network among the candidates.
        left: Logarithm of full epochs over trained epochs; 0 at full length.
        score: The score, where more is better; None while it is not known.
    """

    place: int
    left: float
    score: float | None


@dataclass(frozen=True, eq=False)
class Expected:
    """What all candidates are expected to score, by each set of hyperparameters.

    Args:
        means: Array `(sets, candidates)`.
        deviations: Array `(sets, candidates)`, without the noise of single trainings.
        weights: Array `(sets,)`, of sum 1.
    """

    means: Values
    deviations: Values
    weights: Values

    @property
    def mean(self) -> Values:
        """Expected scores, `(candidates,)`."""
        return self.weights @ self.means

    @property
    def deviation(self) -> Values:
        """Standard deviations of the expectations, `(candidates,)`."""
        second = self.weights @ (self.deviations**2 + self.means**2)
        found: Values = np.sqrt(np.maximum(second - self.mean**2, 0.0))
        return found

    def improvement(self, best: float) -> Values:
        """Expected improvement on a score, `(candidates,)` (Jones et al. 1998)."""
        from scipy.special import ndtr

        u = (self.means - best) / self.deviations
        density = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
        found: Values = self.weights @ (self.deviations * (u * ndtr(u) + density))
        return found


class ScoreModel:
    """A Gaussian process over networks and lengths of training.

    The score of a training is what the network comes to at full length, plus what the
    length lacks, plus noise. Both parts are smooth in the features of the networks
    (Matern 5/2, one length scale for each group of features); what the length lacks
    grows with the logarithm of full length over length, has a part of each network
    alone, and is 0 at full length. So short trainings count as far as long ones of the
    same search agree with them. As few scores leave the hyperparameters open, the
    expectation is the mean over sets of them, weighted by the marginal likelihood.

    Args:
        features: Array `(candidates, columns)`; see `Features`.
        groups: Group of each column.
        networks: Number of the network of each candidate.
        longest: The largest `Row.left` there will be; 0 where all have full length.
        seed: Decides the sets of hyperparameters.
    """

    def __init__(
        self,
        features: Values,
        groups: Places,
        networks: Places,
        longest: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.features = features
        self.groups = groups
        self.networks = networks
        self.longest = longest
        self.seed = seed
        self._groups = int(groups.max(initial=-1)) + 1
        self._prior = _Prior(self._groups)
        self._rows: list[tuple[int, float]] = []
        self._fits: list[tuple[int, Values, Values]] = []  # rows, sets, weights
        self._process: _Process | None = None
        self._scores: Values = np.zeros(0)

    def expect(self, rows: Sequence[Row]) -> Expected:
        """What the candidates are expected to score, given at least two known rows.

        Rows without a score count as pending: what they will tell is not asked again.
        """
        known = [row for row in rows if row.score is not None]
        pending = [(row.place, row.left) for row in rows if row.score is None]
        scores = np.array([row.score for row in known], np.float64)
        asked = [(row.place, row.left) for row in known]
        number = len(self._rows)
        if asked[:number] != self._rows or not np.array_equal(
            scores[:number], self._scores[:number]
        ):
            self._rows, self._fits, self._process = [], [], None
        self._scores = scores
        for count in range(len(self._rows) + 1, len(asked) + 1):
            self._rows = asked[:count]
            if count >= 2 and count >= _GROWTH * (
                self._fits[-1][0] if self._fits else 0
            ):
                self._fit(count)
            elif self._process is not None:
                self._process.extend(*asked[count - 1])
        assert self._process is not None
        centre, scale, standard = _standardized(scores)
        return self._process.expected(standard, centre, scale, pending)

    def _fit(self, count: int) -> None:
        rng = np.random.default_rng([self.seed, 17, count])
        drawn = self._prior.draw(rng, _SETS)
        if self._fits:
            kept = self._fits[-1][1]
            near = np.repeat(kept, 3, axis=0)
            near = near + rng.normal(0, 0.35, near.shape)
            drawn = np.concatenate([kept, near, drawn[: _SETS // 3]])
        places = np.array([place for place, _ in self._rows], np.int64)
        left = np.array([left for _, left in self._rows])
        kernel = _Kernel(self, places, left)
        _, _, standard = _standardized(self._scores[:count])
        likelihood, factors, amplitudes = kernel.likelihoods(drawn, standard)
        likelihood += self._prior.log(drawn)
        order = np.argsort(-likelihood, kind="stable")[:_KEPT]
        weights = np.exp(likelihood[order] - likelihood[order[0]])
        self._fits.append((count, drawn[order], weights / weights.sum()))
        self._process = _Process(
            self, drawn[order], weights / weights.sum(), places, left, factors[order]
        )


class _Prior:
    """What sets of hyperparameters are drawn from: independent normal logarithms.

    The columns of a set are a length scale for each group, the variance of noise, of
    what a length lacks by features and by network alone, the power of the length, and
    the ratio of the length scales of both parts.
    """

    def __init__(self, groups: int) -> None:
        # More features need longer scales to be as near to one another.
        scale = 0.7 + 0.5 * np.log(max(1.0, groups / 4))
        self.mean = np.array([*[scale] * groups, -5.0, -1.0, -2.5, 0.0, 0.5])
        self.deviation = np.array([*[0.8] * groups, 1.5, 0.8, 1.0, 0.5, 0.5])

    def draw(self, rng: np.random.Generator, number: int) -> Values:
        shape = (number, len(self.mean))
        return self.mean + self.deviation * rng.normal(size=shape)

    def log(self, sets: Values) -> Values:
        found: Values = -0.5 * (((sets - self.mean) / self.deviation) ** 2).sum(axis=1)
        return found


class _Kernel:
    """Covariances of rows with one another, for sets of hyperparameters at once."""

    def __init__(self, model: ScoreModel, places: Places, left: Values) -> None:
        self.model = model
        self.left = left
        distinct, self.rows = np.unique(places, return_inverse=True)
        self.distances = _distances(model, distinct, distinct)
        networks = model.networks[distinct]
        self.same = (networks[:, None] == networks[None]).astype(np.float64)

    def likelihoods(
        self, sets: Values, standard: Values
    ) -> tuple[Values, Values, Values]:
        """Log marginal likelihood of each set, the amplitude integrated out."""
        found, factors, amplitudes = [], [], []
        number = len(standard)
        rows = np.ix_(self.rows, self.rows)
        is_short = self.left.any()
        for each in sets:
            scaled = np.tensordot(
                np.exp(-2 * each[: self.model._groups]), self.distances, 1
            )
            covariance = _matern(scaled)[rows]
            if is_short:
                share = _share(self.left, each, self.model)
                lacks = _lacking(scaled, self.same, each, self.model._groups)[rows]
                covariance = covariance + np.outer(share, share) * lacks
            noise = np.exp(each[self.model._groups]) + _JITTER
            covariance[np.arange(number), np.arange(number)] += noise
            factor: Values = np.linalg.cholesky(covariance).astype(np.float64)
            solved = _solve(factor, standard)
            squares = solved @ solved
            found.append(
                -0.5 * (number + 2) * np.log(squares + 2)
                - np.log(np.diag(factor)).sum()
            )
            factors.append(factor)
            amplitudes.append((squares + 2) / (number + 2))
        return np.array(found), np.array(factors), np.array(amplitudes)


class _Process:
    """The kept sets, conditioned on rows; further rows are added one at a time.

    Args:
        places, left: Rows so far.
        factors: Cholesky factors of the rows' covariance, `(sets, rows, rows)`.
    """

    def __init__(
        self,
        model: ScoreModel,
        sets: Values,
        weights: Values,
        places: Places,
        left: Values,
        factors: Values,
    ) -> None:
        self.model = model
        self.sets = sets
        self.weights = weights
        self.places = list(places)
        self.left = list(left)
        self.factors = list(factors)
        everything = np.arange(len(model.features))
        distances = _distances(model, places, everything)
        self.solved = [
            _solve(
                factor,
                _matern(np.tensordot(np.exp(-2 * each[: model._groups]), distances, 1)),
            )
            for each, factor in zip(sets, factors, strict=True)
        ]
        self.variances = np.array([1 - (each**2).sum(axis=0) for each in self.solved])

    def extend(self, place: int, left: float) -> None:
        """Condition on one more row."""
        model, groups = self.model, self.model._groups
        known = np.array(self.places)
        to_rows = _distances(model, np.array([place]), known)[:, 0]
        to_all = _distances(model, np.array([place]), np.arange(len(model.features)))[
            :, 0
        ]
        same = (model.networks[known] == model.networks[place]).astype(np.float64)
        lefts = np.array([*self.left, left])
        for at, each in enumerate(self.sets):
            scales = np.exp(-2 * each[:groups])
            scaled = scales @ to_rows
            row = _matern(scaled)
            own = 1.0 + np.exp(each[groups]) + _JITTER
            if lefts.any():
                share = _share(lefts, each, model)
                row = row + share[-1] * share[:-1] * _lacking(
                    scaled, same, each, groups
                )
                own += (
                    share[-1] ** 2 * _lacking(np.zeros(1), np.ones(1), each, groups)[0]
                )
            factor, solved = self.factors[at], self.solved[at]
            side = _solve(factor, row)
            corner = np.sqrt(max(own - side @ side, _JITTER))
            grown = np.zeros((len(known) + 1, len(known) + 1))
            grown[:-1, :-1], grown[-1, :-1], grown[-1, -1] = factor, side, corner
            line = (_matern(scales @ to_all) - side @ solved) / corner
            self.factors[at] = grown
            self.solved[at] = np.concatenate([solved, line[None]])
            self.variances[at] -= line**2
        self.places.append(place)
        self.left.append(left)

    def expected(
        self,
        standard: Values,
        centre: float,
        scale: float,
        pending: Sequence[tuple[int, float]],
    ) -> Expected:
        """Expected scores, in the unit of the scores."""
        number = len(standard)
        means, amplitudes = [], []
        for factor, solved in zip(self.factors, self.solved, strict=True):
            weights = _solve(factor, standard)
            means.append(weights @ solved)
            amplitudes.append((weights @ weights + 2) / (number + 2))
        process = self
        if pending:
            process = self._copy()
            for place, left in pending:
                process.extend(place, left)
        variances = np.maximum(process.variances, 1e-9) * np.array(amplitudes)[:, None]
        return Expected(
            np.array(means) * scale + centre, np.sqrt(variances) * scale, self.weights
        )

    def _copy(self) -> "_Process":
        copied = object.__new__(_Process)
        copied.__dict__.update(self.__dict__)
        copied.places, copied.left = list(self.places), list(self.left)
        copied.factors, copied.solved = list(self.factors), list(self.solved)
        copied.variances = self.variances.copy()
        return copied


def _distances(model: ScoreModel, some: Places, others: Places) -> Values:
    """Squared distances by group, `(groups, some, others)`."""
    left, right = model.features[some], model.features[others]
    found = np.zeros((max(model._groups, 1), len(some), len(others)))
    for column, group in enumerate(model.groups):
        found[group] += (left[:, column, None] - right[None, :, column]) ** 2
    return found[: model._groups]


def _matern(squared: Values) -> Values:
    """Matern 5/2 of squared scaled distances (Rasmussen & Williams 2006, 4.17)."""
    root = np.sqrt(5.0 * squared)
    found: Values = (1.0 + root + root * root / 3.0) * np.exp(-root)
    return found


def _lacking(scaled: Values, same: Values, each: Values, groups: int) -> Values:
    """Covariance of what a length lacks, at the shortest length."""
    by_features, by_network, ratio = (
        each[groups + 1],
        each[groups + 2],
        each[groups + 4],
    )
    smooth = _matern(scaled * np.exp(-2 * ratio))
    found: Values = 1.0 + np.exp(by_features) * smooth + np.exp(by_network) * same
    return found


def _share(left: Values, each: Values, model: ScoreModel) -> Values:
    """How much of what the shortest length lacks is lacking at others, 0 to 1."""
    found: Values = (left / model.longest) ** np.exp(each[model._groups + 3])
    return found


def _solve(factor: Values, right: Values) -> Values:
    from scipy.linalg import solve_triangular

    found: Values = solve_triangular(factor, right, lower=True, check_finite=False)
    return found


def _standardized(scores: Values) -> tuple[float, float, Values]:
    """Centre, scale and standardized scores; the lowest are raised.

    A network that learned nothing says little of how good others are, and would make
    all differences between good ones small: scores are raised to the lower fence of a
    box plot (Tukey 1977).
    """
    low, high = np.quantile(scores, [0.25, 0.75])
    raised = np.maximum(scores, low - 1.5 * (high - low) - 1e-9)
    centre, scale = float(np.median(raised)), float(max(raised.std(), 1e-9))
    return centre, scale, (raised - centre) / scale
