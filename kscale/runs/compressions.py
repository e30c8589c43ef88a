"""What each method of compression made of a trained network, and which to choose."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from kscale.runs.entries import SeedMean
from kscale.runs.records import Compression
from kscale.task.evaluation import paired_error
from kscale.task.objectives import Objective

PLAIN = "float32"
"""Method of the network that is not compressed, which all others are compared with."""


@dataclass(frozen=True)
class Difference:
    """How much better a score is than another on the same examples, and its error."""

    gain: float
    stderr: float

    def is_within(self, errors: float) -> bool:
        """Whether the scores differ by so many standard errors at most."""
        return abs(self.gain) <= errors * self.stderr


def difference_of(
    objective: Objective,
    mine: Any,
    its: Any,
    left_out: Sequence[float],
    other: Sequence[float],
) -> Difference:
    """How much better one score is than another on the same examples.

    Args:
        objective: What the scores are.
        mine, its: Scores with errors, such as a `SeedMean` each.
        left_out, other: The scores of both without each group of examples; where they
            are not known, the error is that of scores on different examples.
    """
    gain = objective.gain(mine.score, its.score)
    if not left_out or len(left_out) != len(other):
        return Difference(gain, math.hypot(mine.stderr, its.stderr))
    least = 1 / mine.examples if objective.is_share and mine.examples else 0.0
    error = paired_error(left_out, other, least)
    return Difference(gain, math.hypot(error, mine.seed_error, its.seed_error))


@dataclass(frozen=True)
class Compressed(SeedMean):
    """What a method made of one training.

    Args:
        results: On the validation part, one a seed, the best first; or the last failed
            one.
        test: On the test part; None where it was not scored.
    """

    results: tuple[Compression, ...]
    test: Compression | None = None

    @property
    def best(self) -> Compression:
        """The record of the file that ships: of the seed of the best score."""
        return self.results[0]

    @property
    def method(self) -> str:
        """The method."""
        return self.best.method

    @property
    def left_out(self) -> list[float]:
        """The score without each group of examples, the mean over the seeds."""
        columns = zip(*(record.left_out for record in self.results), strict=True)
        return list(map(fmean, columns))


@dataclass(frozen=True)
class Compressions:
    """All methods that were tried on one training.

    Args:
        plain: The network in float32.
        others: The network by the methods, in the order of the records.
        failed: Methods that did not work, with their reasons.
        objective: What a score is.
        max_bytes: Most bytes of a file; None for no limit.
    """

    plain: Compressed
    others: tuple[Compressed, ...]
    failed: tuple[Compression, ...]
    objective: Objective
    max_bytes: int | None = None

    @property
    def training(self) -> str:
        """Key of the training."""
        return self.plain.best.training

    @property
    def rows(self) -> tuple[Compressed, ...]:
        """The network in float32, then by the methods."""
        return (self.plain, *self.others)

    def difference(self, row: Compressed) -> Difference:
        """A row beside the network in float32, on the validation part."""
        pair = (row.left_out, self.plain.left_out)
        return difference_of(self.objective, row, self.plain, *pair)

    @property
    def test_difference(self) -> Difference | None:
        """The chosen file beside the network in float32, on the test part; None where
        one of the two was not scored."""
        if self.chosen.test is None or self.plain.test is None:
            return None
        mine, its = (Compressed((r,)) for r in (self.chosen.test, self.plain.test))
        pair = (mine.left_out, its.left_out)
        return difference_of(self.objective, mine, its, *pair)

    def fits(self, row: Compressed) -> bool:
        """Whether a file is within the limit."""
        return self.max_bytes is None or row.best.bytes <= self.max_bytes

    def is_tied(self, row: Compressed) -> bool:
        """Whether a score is worse than that of the network in float32 by at most one
        standard error of the latter: a margin that noise of a method does not widen."""
        gain = self.objective.gain(row.score, self.plain.score)
        return gain >= -self.plain.stderr

    @property
    def chosen(self) -> Compressed:
        """The smallest file that is tied with the network in float32, on the same
        examples of the validation part; see `is_tied`.

        Where such files are too large, it is the best of those within the limit.
        """
        tied = [row for row in self.rows if self.is_tied(row)]
        smallest = min(tied, key=lambda row: (row.best.bytes, row.best.gzip_bytes or 0))
        within = [row for row in self.rows if self.fits(row)]
        if self.fits(smallest) or not within:
            return smallest
        return max(within, key=lambda row: self.objective.gain(row.score, 0.0))


def compressions_of(
    records: Iterable[Compression], objective: Objective, max_bytes: int | None = None
) -> list[Compressions]:
    """The methods tried on each training that was compressed to files.

    Of several records of the same method and seed, the last counts.

    Args:
        records: Those of files, and of methods that failed, count.
        objective: What a score is.
        max_bytes: Most bytes of a file; None for no limit.
    """
    by_training: dict[str, dict[tuple[str, int, str], Compression]] = {}
    for record in records:
        if record.file or record.status == "failed":
            found = by_training.setdefault(record.training, {})
            if record.part == "validation":  # of a new file, no test score is known
                found.pop((record.method, record.seed, "test"), None)
            found[record.method, record.seed, record.part] = record
    return [
        made
        for found in by_training.values()
        if (made := _compressions(list(found.values()), objective, max_bytes))
    ]


def _compressions(
    records: Sequence[Compression], objective: Objective, max_bytes: int | None
) -> Compressions | None:
    scored = [record for record in records if record.is_scored]
    tests = {_place(r): r for r in scored if r.part == "test"}
    by_method: dict[str, list[Compression]] = {}
    for record in scored:
        if record.part == "validation":
            by_method.setdefault(record.method, []).append(record)
    rows: dict[str, Compressed] = {}
    for method, some in by_method.items():
        some.sort(key=lambda r: -objective.gain(r.score or 0.0, 0.0))
        rows[method] = Compressed(tuple(some), tests.get(_place(some[0])))
    failed = {r.method: r for r in records if not r.is_scored and r.method not in rows}
    plain = rows.pop(PLAIN, None)
    if plain is None:
        return None
    others, reasons = tuple(rows.values()), tuple(failed.values())
    return Compressions(plain, others, reasons, objective, max_bytes)


def _place(record: Compression) -> tuple[str, int, str]:
    """The file that a record is of."""
    return record.method, record.seed, record.file
