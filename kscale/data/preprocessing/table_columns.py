"""Named columns of a table as one vector: numbers scaled, categories one-hot."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import Rows, chunks_of
from kscale.data.preprocessing.base import Fit, Preprocessing, RawInput
from kscale.data.preprocessing.scaled import Scaling, fit_input_scaling
from kscale.errors import DataError
from kscale.task.tasks import Input

_LEAST_ROWS = 10  # of a word with its feature, in a large training part
_MOST_CATEGORIES = 200
_SKEWED = 2.0  # an exponential distribution has 2, a normal one 0
_CHUNK_BYTES = 2**20  # of words held at once


@dataclass(frozen=True)
class Number:
    """A column of numbers as one feature, or two.

    Args:
        name: Raw input; a missing number is NaN, and becomes 0.
        scale, offset: From the number, or its logarithm, to mean 0 and deviation 1.
        unit: If it is not 0, `sign(x) log(1 + |x| / unit)` is scaled instead of x.
        tells_blanks: Whether a second feature is 1 where the number is missing.
    """

    name: str
    scale: float
    offset: float
    unit: float = 0.0
    tells_blanks: bool = False


@dataclass(frozen=True)
class Category:
    """A column of words as one feature a word.

    Args:
        name: Raw input.
        values: Words in the order of their features.
        has_others: Whether a feature before them is 1 for all other words. Without that
            feature all features of another word are 0.
    """

    name: str
    values: tuple[str, ...]
    has_others: bool = False

    @property
    def features(self) -> int:
        return len(self.values) + self.has_others


@dataclass(frozen=True)
class TableColumns(Preprocessing):
    """One vector: numbers, then where they are missing, then categories."""

    kind: ClassVar[str] = "columns"

    numbers: tuple[Number, ...] = ()
    categories: tuple[Category, ...] = ()

    @property
    def raw_inputs(self) -> tuple[RawInput, ...]:
        return (
            *(RawInput(item.name, ()) for item in self.numbers),
            *(RawInput(item.name, (), "string") for item in self.categories),
        )

    @property
    def features(self) -> int:
        numbers = len(self.numbers) + len(self.telling)
        return numbers + sum(item.features for item in self.categories)

    @property
    def telling(self) -> tuple[int, ...]:
        """Places of the numbers with a second feature for missing numbers."""
        return tuple(i for i, each in enumerate(self.numbers) if each.tells_blanks)

    def apply(self, raw: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The vectors, float32 `(examples, features)`."""
        parts = [_one_hot(raw[item.name], item) for item in self.categories]
        if self.numbers:
            numbers = np.stack([raw[item.name] for item in self.numbers], axis=1)
            parts = [*self._scaled(numbers.astype(np.float32)), *parts]
        return np.concatenate(parts, axis=1)

    def _scaled(self, numbers: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        is_blank = np.isnan(numbers)
        units = np.array([item.unit for item in self.numbers], np.float32)
        logarithms = _logarithm(numbers, np.where(units > 0, units, np.float32(1)))
        curved = np.where(units > 0, logarithms, numbers)
        yield np.where(is_blank, np.float32(0), self.scaling.apply(curved))
        yield is_blank[:, list(self.telling)].astype(np.float32)

    @property
    def scaling(self) -> Scaling:
        return Scaling(
            tuple(item.scale for item in self.numbers),
            tuple(item.offset for item in self.numbers),
        )


def _one_hot(words: NDArray[Any], item: Category) -> NDArray[np.float32]:
    places = {word: i + item.has_others for i, word in enumerate(item.values)}
    others = 0 if item.has_others else item.features
    found = np.array([places.get(word, others) for word in words.tolist()], np.int64)
    return np.eye(item.features + 1, item.features, dtype=np.float32)[found]


@dataclass(frozen=True)
class TableFit(Fit):
    """How columns become a vector.

    Numbers are standardized; those that are strongly skewed have their logarithm taken
    first. Categories that occur in fewer than ten rows (in one of a hundred, in a part
    of less than a thousand) are one category together.
    """

    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    name: str = "columns"

    def fit(self, train: Mapping[str, Rows]) -> tuple[Input, TableColumns]:
        fitted = TableColumns(
            tuple(_fit_number(name, train[name]) for name in self.numbers),
            tuple(_fit_category(name, train[name]) for name in self.categories),
        )
        if not fitted.features:
            raise DataError("The table has no column to learn from.")
        return Input(self.name, "vector", (fitted.features,)), fitted


def _fit_number(name: str, rows: Rows) -> Number:
    values = np.asarray(rows[:], np.float32)
    known = values[~np.isnan(values)].astype(np.float64)
    has_blanks = len(known) < len(values)
    if not len(known):
        return Number(name, 1.0, 0.0, tells_blanks=has_blanks)
    unit = _unit_of(known)
    curved = _logarithm(known, unit) if unit else known
    scaling = fit_input_scaling(curved[:, None])
    return Number(name, scaling.scale[0], scaling.offset[0], unit, has_blanks)


def _unit_of(values: NDArray[np.float64]) -> float:
    """Unit of the logarithm that makes values less skewed; 0 if none does."""
    skewness = _skewness(values)
    if skewness <= _SKEWED:
        return 0.0
    unit = float(np.float32(np.median(np.abs(values[values != 0]))))
    return unit if unit and _skewness(_logarithm(values, unit)) < skewness else 0.0


def _logarithm(values: NDArray[Any], unit: Any) -> NDArray[Any]:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values) / unit))


def _skewness(values: NDArray[np.float64]) -> float:
    """Absolute value of the third standardized moment."""
    centred = values - values.mean()
    spread = centred.std()
    return abs(float(((centred / spread) ** 3).mean())) if spread > 0 else 0.0


def _fit_category(name: str, rows: Rows) -> Category:
    counts: Counter[str] = Counter()
    for words in chunks_of(rows, _CHUNK_BYTES):
        counts.update(words.tolist())
    least = min(_LEAST_ROWS, max(1, len(rows) // 100))
    order = sorted(counts, key=lambda word: (-counts[word], word))
    kept = [word for word in order if counts[word] >= least][:_MOST_CATEGORIES]
    return Category(name, tuple(kept), has_others=len(kept) < len(order))
