"""Data sets by name, of scikit-learn and of Keras; Keras downloads its data sets.

Names of Keras' classes: `named.json`, from Xiao et al. 2017, table 2 (Fashion MNIST),
Krizhevsky 2009 (CIFAR), Maas et al. 2011 (IMDB), and Keras (Reuters).
"""

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kscale.data.array_inputs import input_of
from kscale.data.example_rows import lazy_rows
from kscale.data.load_options import Options, at_least
from kscale.data.preprocessing.scaled import ScaledFit
from kscale.data.raw import UNNAMED, RawArray, RawData, RawPart
from kscale.data.sources.arrays import ArrayReader
from kscale.errors import DataError, sentence_of
from kscale.task.tasks import Input, InputKind, Target, Task

_VOCABULARY = 20_000
_FIRST_WORD = 3  # 0 is padding, 1 the start of a text, 2 every word left out
_UNKNOWN = 2


@dataclass(frozen=True)
class Embedded:
    """A data set whose task is known before `sklearn.datasets.load_NAME` reads it."""

    name: str
    shape: tuple[int, ...]
    target: Target
    arguments: dict[str, Any] = field(default_factory=dict)

    def task(self, options: Options) -> Task:
        item = input_of("x", [self._x(options)], options.kind, options.vocabulary)
        return Task((item,), (self.target,))

    def load(self, options: Options) -> RawData:
        """All examples as a training part, from which the other parts are cut."""
        x, y = self._x(options), RawArray.of("y", read(self.name)[1])
        return RawData({"train": RawPart({UNNAMED: x}, {UNNAMED: y})})

    def _x(self, options: Options) -> RawArray:
        options.refuse_except(f"the data set {self.name}", "kind", "vocabulary")
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


@dataclass(frozen=True)
class KerasDataset:
    """A data set that a module of `keras.datasets` loads; its task is known before.

    The files have their path in the cache folder of Keras, and their address. The
    classes 0, 1, ... have their published names; without any, labels are real values.
    """

    module: str
    kind: InputKind
    shape: tuple[int, ...]
    files: dict[str, str]
    classes: tuple[str, ...]
    arguments: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def target(self) -> Target:
        if self.classes:
            return Target("label", "classes", len(self.classes), self.classes)
        return Target("value", "real", 1)

    def task(self, options: Options) -> Task:
        return Task((self.input(options),), (self.target,))

    def input(self, options: Options) -> Input:
        what = f"the data set {self.module}"
        if self.kind == "tokens":
            options.refuse_except(what, "vocabulary", "length")
            at_least(_FIRST_WORD + 1, "vocabulary", options.vocabulary)
            at_least(1, "length", options.length)
            length = options.length or self.shape[0]
            words = options.vocabulary or _VOCABULARY
            return Input("x", self.kind, (length,), words, _UNKNOWN)
        options.refuse_except(what, "kind")
        if options.kind not in (None, self.kind):
            raise DataError(
                f"The examples of {self.module} are of the kind {self.kind}, not "
                f"{options.kind}; leave out `kind`."
            )
        return Input("x", self.kind, self.shape)

    def load(self, options: Options) -> RawData:
        item = self.input(options)
        words: dict[str, int] = {}
        notes: tuple[str, ...] = ()
        if item.kind == "tokens":
            words = {"num_words": item.vocabulary}
            notes = (
                f"Texts are ids of words by frequency, {item.vocabulary:,} in all, cut "
                f"or padded to {item.shape[0]} at the end: 0 is padding, 1 the start, "
                f"{_UNKNOWN} every other word.",
                "The model that ships takes such ids, not texts.",
            )
        train, test = self._loaded(**self.arguments, **words)
        return RawData(
            {
                "train": self._part(item, "train", *train),
                "test": self._part(item, "test", *test),
            },
            (ScaledFit(item),),
            reader=ArrayReader("x", item.shape),
            class_names={self.target.name: self.classes} if self.classes else {},
            warnings=(self.note,) if self.note else (),
            notes=notes,
        )

    def _part(self, item: Input, part: str, x: Any, y: Any) -> RawPart:
        if item.kind == "tokens":
            from keras.utils import pad_sequences  # loaded already

            x = pad_sequences(x, item.shape[0], padding="post", truncating="post")
        elif item.kind == "vector":
            x, y = x.astype(np.float32), y.astype(np.float32)
        array = RawArray.of(f"x_{part}", x.reshape(len(x), *item.shape))
        return RawPart({"x": array}, {self.target.name: RawArray.of(f"y_{part}", y)})

    def _loaded(self, **arguments: Any) -> Any:
        """Pairs of the training and of the test part, as Keras gives them."""
        import keras  # seconds; needed only here

        try:
            with redirect_stdout(sys.stderr):  # messages about the download
                return getattr(keras.datasets, self.module).load_data(**arguments)
        # keras/src/utils/file_utils.py raises a bare Exception without internet.
        except Exception as error:
            folder = Path(keras.src.backend.config.keras_home()).expanduser()
            needed = [f"{url} as {folder / name}" for name, url in self.files.items()]
            raise DataError(
                f"{self.module} can be neither read from Keras' cache nor downloaded "
                f"({sentence_of(error)}). Download it elsewhere and save a copy of "
                f"{', '.join(needed)} (Keras removes files there that fail its "
                "checksum); the environment variable KERAS_HOME names another folder."
            ) from error


KERAS_DATASETS: dict[str, KerasDataset] = msgspec.json.decode(
    Path(__file__).with_suffix(".json").read_bytes(), type=dict[str, KerasDataset]
)
"""Data sets that Keras downloads, by name."""
