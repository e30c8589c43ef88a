"""Real data sets that come with scikit-learn: nothing is downloaded."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.array_inputs import input_of
from kscale.data.example_rows import lazy_rows
from kscale.data.load_options import Options
from kscale.data.raw import UNNAMED, RawArray, RawData, RawPart
from kscale.task.tasks import Target, Task


@dataclass(frozen=True)
class Embedded:
    """A data set whose task is known before `sklearn.datasets.load_NAME` reads it."""

    name: str
    shape: tuple[int, ...]
    target: Target
    arguments: dict[str, Any] = field(default_factory=dict)

    def task(self, options: Options) -> Task:
        options.refuse_except(f"the data set {self.name}", "kind", "vocabulary")
        item = input_of("x", [self._x], options.kind, options.vocabulary)
        return Task((item,), (self.target,))

    def load(self, options: Options) -> RawData:
        """All examples as a training part, from which the other parts are cut."""
        options.refuse_except(f"the data set {self.name}", "kind", "vocabulary")
        y = RawArray.of("y", read(self.name)[1])
        return RawData({"train": RawPart({UNNAMED: self._x}, {UNNAMED: y})})

    @property
    def _x(self) -> RawArray:
        rows = lazy_rows(lambda: read(self.name)[0], self.shape, np.float32)
        return RawArray("x", rows)


@cache
def read(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Examples and labels of a data set."""
    from sklearn import datasets  # a second; needed only here

    item = SOURCES[name]
    load = getattr(datasets, f"load_{name}")
    x, y = load(return_X_y=True, **item.arguments)
    return x.reshape(item.shape).astype(np.float32), y


_DIGIT = Target("label", "classes", 10, tuple("0123456789"))

SOURCES: dict[str, Embedded] = {
    # Efron et al. 2004: 442 patients, 10 measurements, the progress of a disease in a
    # year.
    "diabetes": Embedded(
        "diabetes", (442, 10), Target("value", "real", 1), {"scaled": False}
    ),
    # Alpaydin & Kaynak 1998: 1,797 handwritten digits, 8 x 8 pixels of 0 to 16.
    "digits": Embedded("digits", (1797, 8, 8), _DIGIT),
}
"""Data sets that come with kscale, by name."""
