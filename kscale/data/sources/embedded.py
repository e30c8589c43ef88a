"""Real data sets that come with scikit-learn: nothing is downloaded."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.array_inputs import input_of
from kscale.data.example_rows import LazyRows
from kscale.data.load_options import Options
from kscale.data.raw import UNNAMED, RawArray, RawData, RawPart
from kscale.task.tasks import Target, Task

_Pair = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Embedded:
    """A data set whose task is known before it is read."""

    name: str
    shape: tuple[int, ...]
    target: Target
    read: Callable[[], _Pair]

    def task(self, options: Options) -> Task:
        self._check(options)
        item = input_of("x", [self._x], options.kind, options.vocabulary)
        return Task((item,), (self.target,))

    def load(self, options: Options) -> RawData:
        """All examples as a training part, from which the other parts are cut."""
        self._check(options)
        y = RawArray.of("y", self.read()[1])
        return RawData({"train": RawPart({UNNAMED: self._x}, {UNNAMED: y})})

    @property
    def _x(self) -> RawArray:
        return RawArray("x", LazyRows(lambda: self.read()[0], self.shape, np.float32))

    def _check(self, options: Options) -> None:
        options.refuse_except(f"the data set {self.name}", "kind", "vocabulary")


@cache
def _digits() -> _Pair:
    from sklearn.datasets import load_digits  # a second; needed only here

    x, y = load_digits(return_X_y=True)
    return x.reshape(-1, 8, 8).astype(np.float32), y


@cache
def _diabetes() -> _Pair:
    from sklearn.datasets import load_diabetes  # a second; needed only here

    x, y = load_diabetes(return_X_y=True, scaled=False)
    return x.astype(np.float32), y


_DIGIT = Target("label", "classes", 10, tuple("0123456789"))

SOURCES: dict[str, Embedded] = {
    # Efron et al. 2004: 442 patients, 10 measurements, the progress of a disease in a
    # year.
    "diabetes": Embedded("diabetes", (442, 10), Target("value", "real", 1), _diabetes),
    # Alpaydin & Kaynak 1998: 1,797 handwritten digits, 8 x 8 pixels of 0 to 16.
    "digits": Embedded("digits", (1797, 8, 8), _DIGIT, _digits),
}
"""Data sets that come with kscale, by name."""
