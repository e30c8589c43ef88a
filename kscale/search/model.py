"""The model of scores: expected scores of networks at full length."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy as np

from kscale.search.process import Covariance, Places, Process, Values, is_same

_SETS = 48  # sets of hyperparameters that are drawn for a fit
_KEPT = 8  # of them, with the most likelihood
_SLIGHT = 1e-6  # weight of a set, below which nothing is worked out by it
_MOST_FITTED = 256  # rows that tell the likelihood
_GROWTH = 1.2  # rows from one fit to the next
_ERFC = np.vectorize(math.erfc, otypes=[np.float64])
_LEAST = 1e-9  # variance of an expectation, a part of that of the scores


@dataclass(frozen=True)
class Observation:
    """The score of a training of some length, or a training that has no score yet.

    Args:
        place: Position of the network among the candidates.
        left: Logarithm of full epochs over trained epochs; 0 at full length.
        score: The score, where more is better; None while it is not known.
        stderr: Standard error of the score.
    """

    place: int
    left: float
    score: float | None
    stderr: float = 0.0


@dataclass(frozen=True, eq=False)
class Expected:
    """Expected scores of all candidates, by each set of hyperparameters.

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
        found: Values = self.weights @ _improvement(self.means - best, self.deviations)
        return found

    def gain(self, best: float, places: Places, steps: Values) -> Values:
        """Expected improvement on a score by one training of each network.

        As in the knowledge gradient (Frazier et al. 2009), but of the mean of the
        network that is trained alone: a short training tells less than a long one. At
        full length it is `improvement`.

        Args:
            best: The score.
            places: Networks that would be trained.
            steps: As `ScoreModel.steps` of these places.

        Returns:
            Array `(lefts, places)`.
        """
        above = self.means[:, None, places] - best
        found: Values = np.tensordot(self.weights, _improvement(above, steps), 1)
        return found


def _improvement(above: Values, deviations: Values) -> Values:
    u = above / deviations
    density = np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)
    below = _ERFC(-u / math.sqrt(2)) / 2
    found: Values = deviations * (u * below + density)
    return found


class ScoreModel:
    """A Gaussian process over networks and lengths of training.

    The score of a training is the sum of the network's score at full length, of a
    lacking part, and of noise. The first two are smooth in the features of the networks
    (Matern 5/2 of all features, and of single groups of features; one length scale for
    each group). The lacking part grows with the logarithm of full length over length,
    has a share of each network alone, and is 0 at full length. So short trainings count
    as far as long ones of the same search agree. Because few scores leave the
    hyperparameters open, the expectation is the mean over sets of hyperparameters,
    weighted by the marginal likelihood.

    Args:
        features: Array `(candidates, columns)`; see `Features`.
        groups: Group of each column.
        networks: Number of the network of each candidate.
        longest: The largest `Observation.left` of all; 0 where all have full length.
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
        self._rows: list[Observation] = []  # that the processes are conditioned on
        self._fitted = 0  # rows of the last fit
        self._sets: Values = np.zeros((0, 0))
        self._weights: Values = np.zeros(0)
        self._processes: list[Process] = []
        self._with_pending: list[Process] = []
        self._asked: list[Process] = []
        self._scales: Values = np.zeros(0)
        self._observed: Sequence[Observation] = ()
        self._expected: Expected | None = None  # by the observations

    def expect(self, rows: Sequence[Observation]) -> Expected:
        """Expected scores of the candidates, given at least one known row.

        Rows without a score are pending: the coming scores lower the deviations.
        """
        if self._expected is None or rows != self._observed:
            self._observed, self._expected = rows, self._expect(rows)
        return self._expected

    def _expect(self, rows: Sequence[Observation]) -> Expected:
        known = [row for row in rows if row.score is not None]
        if known[: len(self._rows)] != self._rows:  # other results than before
            self._rows, self._fitted, self._sets = [], 0, self._sets[:0]
        for row in known[len(self._rows) :]:
            self._rows.append(row)
            if len(self._rows) >= _GROWTH * self._fitted:
                self._fit()
            else:
                self._add(self._processes, row.place, row.left)
        centre, scale, standard = _standardized(known)
        found = [process.means(standard) for process in self._processes]
        processes = self._processes
        if len(known) < len(rows):
            processes = self._of_all((row.place, row.left) for row in rows)
        means = np.array([mean for mean, _ in found])
        self._asked = processes
        self._scales = np.array([math.sqrt(a) * scale for _, a in found])
        variances = [
            np.maximum(process.variances, _LEAST) * amplitude
            for process, (_, amplitude) in zip(processes, found, strict=True)
        ]
        deviations = np.sqrt(np.array(variances))
        return Expected(means * scale + centre, deviations * scale, self._weights)

    def steps(self, places: Places, lefts: Values) -> Values:
        """Standard deviations of the steps of means, `(sets, lefts, places)`, when the
        network of a mean is trained once more and the score has no noise. A training of
        full length resolves the whole uncertainty.

        Args:
            places: Networks that would be trained, after `expect`.
            lefts: Lengths of the training, as `Observation.left`.
        """
        rows = np.array([place for place, _ in self._asked[0].rows], np.int64)
        near = self.distances(places, rows)
        each = [process.mean_steps(places, lefts, near) for process in self._asked]
        least = math.sqrt(_LEAST)
        found: Values = np.maximum(each, least) * self._scales[:, None, None]
        return found

    def _of_all(self, rows: Iterable[tuple[int, float]]) -> list[Process]:
        """Processes whose variances count pending rows as well.

        When the score of a pending row comes, the row is there already, so a proposal
        mostly adds one row. The last bits of variances depend on the order of the rows,
        so a search that was stopped may choose otherwise between two candidates whose
        variances differ in these bits only.
        """
        wanted = Counter(rows)
        had = Counter(self._with_pending[0].rows if self._with_pending else ())
        if had and not had - wanted:
            for row in (wanted - had).elements():
                self._add(self._with_pending, *row)
        else:
            places, left = map(np.array, zip(*wanted.elements(), strict=True))
            covariances = [process.covariance for process in self._processes]
            self._with_pending = self._conditioned(covariances, places, left)
        return self._with_pending

    def _conditioned(
        self, covariances: Sequence[Covariance], places: Places, left: Values
    ) -> list[Process]:
        distances = self.distances(places)
        about = is_same(self.networks, places, places), left, left
        near = distances[:, :, places]
        made = []
        for covariance in covariances:
            factor = covariance.factor(near, *about)
            whole = covariance.whole(distances)
            made.append(Process(self.networks, covariance, places, left, factor, whole))
        return made

    def _add(self, processes: Sequence[Process], place: int, left: float) -> None:
        distances = self.distances(np.array([place]))
        for process in processes:
            process.add(place, left, distances)

    def distances(self, places: Places, others: Places | None = None) -> Values:
        """Squared distances by group, `(groups, places, others)`; by default to all
        candidates."""
        among = self.features if others is None else self.features[others]
        found = np.zeros((self._groups, len(places), len(among)))
        for column, group in enumerate(self.groups):
            values = self.features[places, column, None]
            found[group] += (values - among[:, column]) ** 2
        return found

    def _fit(self) -> None:
        """Draw sets of hyperparameters, and keep those of the most likelihood."""
        rng = np.random.default_rng([self.seed, 17, len(self._rows)])
        sets = self._prior.draw(rng, _SETS)
        if len(self._sets):
            near = np.repeat(self._sets, 3, axis=0)
            near += rng.normal(0, 0.35, near.shape)
            sets = np.concatenate([self._sets, near, sets[: _SETS // 3]])
        places = np.array([row.place for row in self._rows], np.int64)
        left = np.array([row.left for row in self._rows])
        fitted = np.linspace(0, len(places) - 1, min(len(places), _MOST_FITTED))
        some = fitted.astype(np.int64)
        among = places[some]
        same = is_same(self.networks, among, among)
        about = self.distances(among)[:, :, among], same, left[some], left[some]
        standard = _standardized(self._rows)[2][some]
        covariances = [Covariance(each, self.longest) for each in sets]
        likelihood = self._prior.log(sets)
        for at, covariance in enumerate(covariances):
            factor = covariance.factor(*about)
            squares = float((np.linalg.solve(factor, standard) ** 2).sum())
            # The variance of all scores is integrated out, with weight 2 near 1.
            likelihood[at] -= (len(some) + 2) / 2 * math.log(squares + 2)
            likelihood[at] -= np.log(factor.diagonal()).sum()
        kept = np.argsort(-likelihood, kind="stable")[:_KEPT]
        weights = np.exp(likelihood[kept] - likelihood[kept[0]])
        self._sets = sets[kept]
        kept, weights = kept[weights >= _SLIGHT], weights[weights >= _SLIGHT]
        self._weights = weights / weights.sum()
        self._fitted = len(self._rows)
        self._with_pending = []
        kept_ones = [covariances[at] for at in kept]
        self._processes = self._conditioned(kept_ones, places, left)


class _Prior:
    """The distribution of hyperparameters: independent normal logarithms.

    They are the variance of noise, the variances of the lacking part by features and by
    network alone, the power of the length, the ratio of the length scales of both
    parts, the weight of single groups, and a length scale for each group of features.
    """

    def __init__(self, groups: int) -> None:
        # More features need longer scales to be as near to one another.
        scale = 0.7 + 0.5 * np.log(max(1.0, groups / 4))
        self.mean = np.array([-5.0, -1.0, -2.5, 0.0, 0.0, 0.0, *[scale] * groups])
        self.deviation = np.array([1.5, 0.8, 1.0, 0.5, 0.5, 1.5, *[0.8] * groups])

    def draw(self, rng: np.random.Generator, number: int) -> Values:
        """Sets of hyperparameters, `(number, hyperparameters)`."""
        shape = (number, len(self.mean))
        return self.mean + self.deviation * rng.normal(size=shape)

    def log(self, sets: Values) -> Values:
        """Logarithm of their density, but for a constant."""
        found: Values = -0.5 * (((sets - self.mean) / self.deviation) ** 2).sum(axis=1)
        return found


def _standardized(rows: Sequence[Observation]) -> tuple[float, float, Values]:
    """Centre, scale and standardized scores; the lowest are raised.

    A network that learned nothing says little of how good others are, and would make
    all differences between good ones small: scores are raised to the lower fence of a
    box plot (Tukey 1977). Scores that differ by less than their standard errors, as
    where no network has learned anything yet, do not tell that all networks are alike.
    """
    scores = np.array([row.score for row in rows], np.float64)
    low, high = np.quantile(scores, [0.25, 0.75])
    raised = np.maximum(scores, low - 1.5 * (high - low) - 1e-9)
    least = max(fmean(row.stderr for row in rows), 1e-9)
    centre, scale = float(np.median(raised)), float(max(raised.std(), least))
    return centre, scale, (raised - centre) / scale
