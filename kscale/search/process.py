"""Gaussian processes of one set of hyperparameters, conditioned row by row."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Places = NDArray[np.int64]
Same = NDArray[np.bool_]

_JITTER = 1e-5  # of the variance, added to that of noise


class Covariance:
    """Covariances of scores for one set of hyperparameters.

    Args:
        logarithms: The set, as the prior of the model has it.
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
        """Covariances of scores at full length, by squared distances by group."""
        scaled = np.tensordot(self.precisions, distances, 1)
        found: Values = (1 - self.additive) * _matern(scaled)
        for precision, each in zip(self.precisions, distances, strict=True):
            weight = self.additive / len(distances)
            found += weight * _matern(precision * each)
        return found

    def rows(
        self, distances: Values, same: Same, left: Values, others: Values
    ) -> Values:
        """Covariances of scores of trainings of any length, without noise."""
        found = self.whole(distances)
        shares, other_shares = self.share(left), self.share(others)
        if shares.any() and other_shares.any():
            both = np.multiply.outer(shares, other_shares)
            found += both * self.lacking(distances, same)
        return found

    def lacking(self, distances: Values, same: Same) -> Values:
        """Covariances of the part of a score that the shortest length lacks."""
        scaled = np.tensordot(self.precisions, distances, 1)
        smooth = _matern(scaled / self.ratio**2)
        found: Values = 1.0 + self.by_features * smooth + self.by_network * same
        return found

    def variances(self, left: Values) -> Values:
        """Variances of scores of trainings: the diagonal of `rows`."""
        lacking = 1.0 + self.by_features + self.by_network
        found: Values = 1.0 + self.share(left) ** 2 * lacking
        return found

    def factor(
        self, distances: Values, same: Same, left: Values, others: Values
    ) -> Values:
        """The Cholesky factor of `rows` with noise."""
        found = self.rows(distances, same, left, others)
        found[np.diag_indices(len(found))] += self.noise
        return np.asarray(np.linalg.cholesky(found), np.float64)

    def share(self, left: Values) -> Values:
        """The lacking part of a score, as a share of the shortest length's, 0 to 1."""
        if not left.any():
            return left
        found: Values = (left / self.longest) ** self.power
        return found


class Process:
    """A Gaussian process of the candidates' scores, for one set of hyperparameters. The
    process is conditioned on rows, one after another.

    Args:
        networks: Number of the network of each candidate.
        covariance: Covariances for the set.
        places, left: The first rows.
        factor: Cholesky factor of their covariance.
        whole: Their covariances with the scores of all candidates at full length.

    Attributes:
        variances: Of all candidates, `(candidates,)`.
    """

    def __init__(
        self,
        networks: Places,
        covariance: Covariance,
        places: Places,
        left: Values,
        factor: Values,
        whole: Values,
    ) -> None:
        self.networks = networks
        self.covariance = covariance
        self._count, room = len(places), 2 * len(places) + 8
        inverse = np.linalg.inv(factor)
        solved = inverse @ whole
        self.variances = 1 - (solved**2).sum(axis=0)
        self._places, self._left = np.zeros(room, np.int64), np.zeros(room)
        self._inverse = np.zeros((room, room))  # of the factor
        self._solved = np.zeros((room, solved.shape[1]))
        for buffer, rows in (
            (self._places, places),
            (self._left, left),
            (self._solved, solved),
        ):
            buffer[: len(rows)] = rows
        self._inverse[: len(inverse), : len(inverse)] = inverse

    @property
    def rows(self) -> list[tuple[int, float]]:
        """Place and length of each row."""
        places, left = self._places[: self._count], self._left[: self._count]
        return list(zip(places.tolist(), left.tolist(), strict=True))

    def add(self, place: int, left: float, distances: Values) -> None:
        """Take one more row.

        Args:
            place, left: As of `Observation`.
            distances: As `ScoreModel.distances` of the place.
        """
        count, covariance = self._count, self.covariance
        if count == len(self._places):
            self._double()
        places, lefts = self._places[:count], np.array([left])
        same = is_same(self.networks, np.array([place]), places)
        near = distances[:, :, places]
        row = covariance.rows(near, same, lefts, self._left[:count])[0]
        variance = covariance.variances(lefts)[0]
        inverse, solved = self._inverse[:count, :count], self._solved[:count]
        side = inverse @ row
        corner = np.sqrt(max(variance + covariance.noise - side @ side, _JITTER))
        line = (covariance.whole(distances)[0] - side @ solved) / corner
        self._inverse[count, :count] = -(side @ inverse) / corner
        self._inverse[count, count] = 1 / corner
        self._solved[count] = line
        self.variances = self.variances - line**2
        self._places[count], self._left[count] = place, left
        self._count += 1

    def mean_steps(self, places: Places, lefts: Values, near: Values) -> Values:
        """Standard deviations of the steps of means, `(lefts, places)`, when a mean's
        network is trained once more and the score has no noise.

        Args:
            places: Networks that would be trained.
            lefts: Lengths of the training, as of `Observation`.
            near: As `ScoreModel.distances` of the places to the rows.
        """
        count, covariance = self._count, self.covariance
        same = is_same(self.networks, places, self._places[:count])
        whole, lacking = covariance.whole(near), covariance.lacking(near, same)
        lacking *= covariance.share(self._left[:count])
        before = covariance.variances(lefts)
        found = np.empty((len(lefts), len(places)))
        for at, share in enumerate(covariance.share(lefts)):
            sides = (whole + share * lacking) @ self._inverse[:count, :count].T
            variances = np.maximum(before[at] - (sides**2).sum(axis=1), _JITTER)
            common = 1 - (sides * self._solved[:count, places].T).sum(axis=1)
            found[at] = common / np.sqrt(variances)
        return found

    def _double(self) -> None:
        """Make room for as many further rows."""
        more = len(self._places)
        self._places = np.pad(self._places, (0, more))
        self._left = np.pad(self._left, (0, more))
        self._inverse = np.pad(self._inverse, (0, more))
        self._solved = np.pad(self._solved, ((0, more), (0, 0)))

    def means(self, standard: Values) -> tuple[Values, float]:
        """Means of all candidates, and the variance of scores around the means."""
        count = self._count
        weights = self._inverse[:count, :count] @ standard
        amplitude = (weights @ weights + 2) / (len(standard) + 2)
        return weights @ self._solved[:count], float(amplitude)


def _matern(squared: Values) -> Values:
    """Matern 5/2 of squared scaled distances (Rasmussen & Williams 2006, 4.17)."""
    root = 5.0 * squared
    np.sqrt(root, out=root)  # in place: half the time of the formula as it stands
    found: Values = root / 3.0
    found += 1.0
    found *= root
    found += 1.0
    found *= np.exp(np.negative(root, out=root), out=root)
    return found


def is_same(networks: Places, places: Places, others: Places) -> Same:
    """Whether two candidates are of one network, `(places, others)`."""
    same: Same = networks[places][:, None] == networks[others]
    return same
