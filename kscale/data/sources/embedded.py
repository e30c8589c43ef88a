"""Real data sets that come with scikit-learn: nothing is downloaded."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.raw import UNNAMED, RawArray, RawPart, RawParts
from kscale.task.tasks import Target

_Pair = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Embedded:
    """A data set whose task is known before it is read.

    Args:
        shape: Shape of the raw inputs, `(examples, ...)`.
        target: What is predicted.
        read: Gives inputs and labels.
    """

    shape: tuple[int, ...]
    target: Target
    read: Callable[[], _Pair]

    @property
    def x(self) -> RawArray:
        """The raw inputs, not read yet."""
        return RawArray("x", self.shape, np.dtype(np.float32), lambda: self.read()[0])

    def parts(self) -> RawParts:
        """All examples as a training part, from which the other parts are cut."""
        y = RawArray.of("y", self.read()[1])
        return {"train": RawPart({UNNAMED: self.x}, {UNNAMED: y})}


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


# Alpaydin & Kaynak 1998: 1,797 handwritten digits, 8 x 8 pixels of 0 to 16.
DIGITS = Embedded(
    shape=(1797, 8, 8),
    target=Target("label", "classes", 10, tuple("0123456789")),
    read=_digits,
)

# Efron et al. 2004: 442 patients, 10 measurements, the disease's progress in a year.
DIABETES = Embedded(shape=(442, 10), target=Target("value", "real", 1), read=_diabetes)
