"""The model of scores: what networks are expected to score at full length."""

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Places = NDArray[np.int64]

_SETS = 48  # sets of hyperparameters that are drawn for a fit
_KEPT = 8  # of them, with the most likelihood
_GROWTH = 1.2  # rows from one fit to the next
_ERFC = np.vectorize(math.erfc, otypes=[np.float64])
_JITTER = 1e-5  # of the variance, added to that of noise
_LEAST = 1e-9  # variance of an expectation, a part of that of the scores


@dataclass(frozen=True)
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

    @cached_property
    def mean(self) -> Values:
        """Expected scores, `(candidates,)`."""
        return self.weights @ self.means

    @cached_property
    def deviation(self) -> Values:
        """Standard deviations of the expectations, `(candidates,)`."""
        second = self.weights @ (self.deviations**2 + self.means**2)
        found: Values = np.sqrt(np.maximum(second - self.mean**2, 0.0))
        return found

    def improvement(self, best: float) -> Values:
        """Expected improvement on a score, `(candidates,)` (Jones et al. 1998)."""
        u = (self.means - best) / self.deviations
        density = np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)
        below = _ERFC(-u / math.sqrt(2)) / 2
        found: Values = self.weights @ (self.deviations * (u * below + density))
        return found


class ScoreModel:
    """A Gaussian process over networks and lengths of training.

    The score of a training is what the network comes to at full length, plus what the
    length lacks, plus noise. Both parts are smooth in the features of the networks
    (Matern 5/2 of all features, and of single groups of them; one length scale for each
    group); what the length lacks
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
        self._rows: list[Row] = []  # known ones that the processes are conditioned on
        self._fitted = 0  # rows of the last fit
        self._sets: Values = np.zeros((0, 0))
        self._weights: Values = np.zeros(0)
        self._processes: list[_Process] = []
        self._told: Sequence[Row] = ()
        self._expected: Expected | None = None  # by what it was told

    def expect(self, rows: Sequence[Row]) -> Expected:
        """What the candidates are expected to score, given at least one known row.

        Rows without a score count as pending: what they will tell is not asked again.
        """
        if self._expected is None or rows != self._told:
            self._told, self._expected = rows, self._expect(rows)
        return self._expected

    def _expect(self, rows: Sequence[Row]) -> Expected:
        known = [row for row in rows if row.score is not None]
        scores = np.array([row.score for row in known], np.float64)
        if known[: len(self._rows)] != self._rows:  # other results than before
            self._rows, self._fitted, self._sets = [], 0, self._sets[:0]
        for row in known[len(self._rows) :]:
            self._rows.append(row)
            count = len(self._rows)
            if count >= _GROWTH * self._fitted:
                self._fit(scores[:count])
            else:
                self._processes = [
                    p.extended(row.place, row.left) for p in self._processes
                ]
        centre, scale, standard = _standardized(scores)
        found = [process.means(standard) for process in self._processes]
        processes = self._processes
        for row in rows:
            if row.score is None:
                processes = [p.extended(row.place, row.left) for p in processes]
        means = np.array([mean for mean, _ in found])
        variances = [
            np.maximum(process.variances, _LEAST) * amplitude
            for process, (_, amplitude) in zip(processes, found, strict=True)
        ]
        deviations = np.sqrt(np.array(variances))
        return Expected(means * scale + centre, deviations * scale, self._weights)

    def distances(self, places: Places) -> Values:
        """Squared distances by group, `(groups, places, candidates)`."""
        found = np.zeros((self._groups, len(places), len(self.features)))
        for column, group in enumerate(self.groups):
            values = self.features[:, column]
            found[group] += (values[places, None] - values) ** 2
        return found

    def _fit(self, scores: Values) -> None:
        """Draw sets of hyperparameters, and keep those of the most likelihood."""
        rng = np.random.default_rng([self.seed, 17, len(scores)])
        sets = self._prior.draw(rng, _SETS)
        if len(self._sets):
            near = np.repeat(self._sets, 3, axis=0)
            near += rng.normal(0, 0.35, near.shape)
            sets = np.concatenate([self._sets, near, sets[: _SETS // 3]])
        places = np.array([row.place for row in self._rows], np.int64)
        left = np.array([row.left for row in self._rows])
        distances = self.distances(places)[:, :, places]
        same = self.networks[places][:, None] == self.networks[places]
        standard = _standardized(scores)[2]
        covariances = [_Covariance(each, self.longest) for each in sets]
        likelihood, factors = self._prior.log(sets), []
        for at, covariance in enumerate(covariances):
            rows = covariance.rows(distances, same, left, left)
            rows[np.diag_indices(len(rows))] += covariance.noise
            factor: Values = np.asarray(np.linalg.cholesky(rows), np.float64)
            squares = float((_solve(factor, standard) ** 2).sum())
            # The variance of all scores is integrated out, with weight 2 near 1.
            likelihood[at] -= (len(scores) + 2) / 2 * math.log(squares + 2)
            likelihood[at] -= np.log(factor.diagonal()).sum()
            factors.append(factor)
        kept = np.argsort(-likelihood, kind="stable")[:_KEPT]
        weights = np.exp(likelihood[kept] - likelihood[kept[0]])
        self._sets, self._weights = sets[kept], weights / weights.sum()
        self._fitted = len(scores)
        self._processes = [
            _Process(self, covariances[at], places, left, factors[at]) for at in kept
        ]


class _Prior:
    """What hyperparameters are drawn from: independent normal logarithms.

    They are the variance of noise, the variances of what the shortest length lacks by
    features and by network alone, the power of the length, the ratio of the length
    scales of both parts, the weight of single groups, and a length scale for each group
    of features.
    """

    def __init__(self, groups: int) -> None:
        # More features need longer scales to be as near to one another.
        scale = 0.7 + 0.5 * np.log(max(1.0, groups / 4))
        self.mean = np.array([-5.0, -1.0, -2.5, 0.0, 0.5, 0.0, *[scale] * groups])
        self.deviation = np.array([1.5, 0.8, 1.0, 0.5, 0.5, 1.5, *[0.8] * groups])

    def draw(self, rng: np.random.Generator, number: int) -> Values:
        """Sets of hyperparameters, `(number, hyperparameters)`."""
        shape = (number, len(self.mean))
        return self.mean + self.deviation * rng.normal(size=shape)

    def log(self, sets: Values) -> Values:
        """Logarithm of their density, but for a constant."""
        found: Values = -0.5 * (((sets - self.mean) / self.deviation) ** 2).sum(axis=1)
        return found


class _Covariance:
    """Covariances of scores for one set of hyperparameters.

    Args:
        logarithms: The set, as `_Prior` has it.
        longest: As of `ScoreModel`.
    """

    def __init__(self, logarithms: Values, longest: float) -> None:
        found = np.exp(logarithms)
        self.noise = float(found[0]) + _JITTER
        self.by_features, self.by_network, self.power, self.ratio = found[1:5]
        self.additive = float(found[5] / (1 + found[5]))
        self.precisions = found[6:] ** -2
        self.longest = longest

    def whole(self, distances: Values) -> Values:
        """Of what networks come to at full length, by squared distances by group."""
        scaled = np.tensordot(self.precisions, distances, 1)
        found: Values = (1 - self.additive) * _matern(scaled)
        for precision, each in zip(self.precisions, distances, strict=True):
            weight = self.additive / len(distances)
            found += weight * _matern(precision * each)
        return found

    def rows(
        self, distances: Values, same: Values, left: Values, others: Values
    ) -> Values:
        """Of trainings that lack a length each, without noise."""
        found = self.whole(distances)
        shares, other_shares = self._share(left), self._share(others)
        if not (shares.any() and other_shares.any()):
            return found
        scaled = np.tensordot(self.precisions, distances, 1)
        smooth = _matern(scaled / self.ratio**2)
        lacking = 1.0 + self.by_features * smooth + self.by_network * same
        found += np.multiply.outer(shares, other_shares) * lacking
        return found

    def _share(self, left: Values) -> Values:
        """How much of what the shortest length lacks is lacking at others, 0 to 1."""
        if not left.any():
            return left
        found: Values = (left / self.longest) ** self.power
        return found


class _Process:
    """Networks for one set of hyperparameters, conditioned on rows one after another.

    Args:
        model: What the features are of.
        covariance: Covariances for the set.
        places, left: The first rows.
        factor: Cholesky factor of their covariance.
    """

    def __init__(
        self,
        model: ScoreModel,
        covariance: _Covariance,
        places: Places,
        left: Values,
        factor: Values,
    ) -> None:
        self.model = model
        self.covariance = covariance
        self.places = places
        self.left = left
        self.factor = factor
        self.solved = _solve(factor, covariance.whole(model.distances(places)))
        self.variances = 1 - (self.solved**2).sum(axis=0)

    def extended(self, place: int, left: float) -> "_Process":
        """The process when one more row is known."""
        at, lefts = np.array([place]), np.array([left])
        covariance = self.covariance
        distances = self.model.distances(at)
        same = self.model.networks[at][:, None] == self.model.networks[self.places]
        near = distances[:, :, self.places]
        row = covariance.rows(near, same, lefts, self.left)[0]
        itself = np.zeros((len(distances), 1, 1))
        own = covariance.rows(itself, np.ones((1, 1)), lefts, lefts)[0, 0]
        side = _solve(self.factor, row)
        corner = np.sqrt(max(own + covariance.noise - side @ side, _JITTER))
        line = (covariance.whole(distances)[0] - side @ self.solved) / corner
        grown = copy(self)
        grown.factor = np.pad(self.factor, ((0, 1), (0, 1)))
        grown.factor[-1] = [*side, corner]
        grown.solved = np.concatenate([self.solved, line[None]])
        grown.variances = self.variances - line**2
        grown.places = np.append(self.places, place)
        grown.left = np.append(self.left, left)
        return grown

    def means(self, standard: Values) -> tuple[Values, float]:
        """Means of all candidates, and the variance of scores about them."""
        weights = _solve(self.factor, standard)
        amplitude = (weights @ weights + 2) / (len(standard) + 2)
        return weights @ self.solved, float(amplitude)


def _matern(squared: Values) -> Values:
    """Matern 5/2 of squared scaled distances (Rasmussen & Williams 2006, 4.17)."""
    root = np.sqrt(5.0 * squared)
    found: Values = (1.0 + root + root * root / 3.0) * np.exp(-root)
    return found


def _solve(factor: Values, right: Values) -> Values:
    found: Values = np.asarray(np.linalg.solve(factor, right), np.float64)
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
