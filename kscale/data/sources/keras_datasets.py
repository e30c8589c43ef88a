"""The data sets of `keras.datasets`, which Keras loads when they are used.

Names of classes: `keras_datasets.json`, from Xiao et al. 2017, table 2 (Fashion MNIST),
Krizhevsky 2009 (CIFAR), Maas et al. 2011 (IMDB), and Keras (Reuters).
"""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kscale.data.load_options import Options
from kscale.data.preprocessing.scaled import ScaledFit
from kscale.data.raw import RawArray, RawData, RawPart
from kscale.data.readers.array_reader import ArrayReader
from kscale.errors import DataError, reason_of
from kscale.task.tasks import Input, InputKind, Target, Task

_VOCABULARY = 20_000
_FIRST_WORD = 3  # 0 is padding, 1 the start of a text, 2 every word left out
_UNKNOWN = 2

_Pairs = tuple[tuple[Any, Any], tuple[Any, Any]]


@dataclass(frozen=True)
class KerasDataset:
    """One data set of `keras.datasets`; its task is known before it is loaded.

    Args:
        module: Module of `keras.datasets` that loads it.
        kind: What an example is.
        shape: Shape of one example; of texts, the length unless another is asked for.
        files: By path in the cache folder of Keras, the address of each file.
        classes: Names of the classes 0, 1, ..., as published; real values without any.
        arguments: For the loader.
        note: A warning for users.
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
        if self.kind != "tokens":
            options.refuse_except(f"the data set {self.module}", "kind")
            if options.kind in (None, self.kind):
                return Input("x", self.kind, self.shape)
            raise DataError(
                f"The examples of {self.module} are of the kind {self.kind}, not "
                f"{options.kind}; leave out `kind`."
            )
        options.refuse_except(f"the data set {self.module}", "vocabulary", "length")
        words = _at_least(_FIRST_WORD + 1, "vocabulary", options.vocabulary)
        length = _at_least(1, "length", options.length) or self.shape[0]
        return Input("x", self.kind, (length,), words or _VOCABULARY, _UNKNOWN)

    def load(self, options: Options) -> RawData:
        item = self.input(options)
        arguments = dict(self.arguments)
        if self.kind == "tokens":
            arguments["num_words"] = item.vocabulary
        (x, y), (x_test, y_test) = self._loaded(arguments)
        return RawData(
            {
                "train": self._part(item, x, y, "train"),
                "test": self._part(item, x_test, y_test, "test"),
            },
            (ScaledFit(item),),
            reader=ArrayReader("x", item.shape),
            class_names={self.target.name: self.classes} if self.classes else {},
            warnings=(self.note,) if self.note else (),
            notes=_notes(item),
        )

    def _part(self, item: Input, x: Any, y: Any, part: str) -> RawPart:
        inputs = cut(x, item.shape[0]) if item.kind == "tokens" else x
        if item.kind == "vector":
            inputs, y = x.astype(np.float32), y.astype(np.float32)
        array = RawArray.of(f"x_{part}", inputs.reshape(len(inputs), *item.shape))
        return RawPart({"x": array}, {self.target.name: RawArray.of(f"y_{part}", y)})

    def _loaded(self, arguments: dict[str, Any]) -> _Pairs:
        import keras  # seconds; needed only here

        loader: Callable[..., _Pairs] = getattr(keras.datasets, self.module).load_data
        try:
            with redirect_stdout(sys.stderr):  # messages about the download
                return loader(**arguments)
        # keras/src/utils/file_utils.py raises a bare Exception without internet.
        except Exception as error:
            raise self._unavailable(keras, error) from error

    def _unavailable(self, keras: Any, error: Exception) -> DataError:
        folder = Path(keras.src.backend.config.keras_home()).expanduser()
        needed = ", ".join(
            f"{origin} as {folder / name}" for name, origin in self.files.items()
        )
        return DataError(
            f"{self.module} can be neither read from Keras' cache nor downloaded "
            f"({reason_of(error)}). Download it elsewhere and save a copy of {needed} "
            "(Keras removes files there that fail its checksum); the environment "
            "variable KERAS_HOME names another folder."
        )


def cut(texts: Any, length: int) -> NDArray[np.int32]:
    """Token ids of texts `(examples, length)`, cut or padded with 0 at the end.

    Example:

    >>> cut([[1, 5], [1, 6, 7, 8]], 3).tolist()
    [[1, 5, 0], [1, 6, 7]]
    """
    ids = np.zeros((len(texts), length), np.int32)
    for row, text in zip(ids, texts, strict=True):
        kept = text[:length]
        row[: len(kept)] = kept
    return ids


def _at_least(least: int, name: str, value: int | None) -> int | None:
    if value is not None and value < least:
        raise DataError(f"`{name} >= {least}` must hold, but got {name}={value}.")
    return value


def _notes(item: Input) -> tuple[str, ...]:
    if item.kind != "tokens":
        return ()
    return (
        f"Texts are ids of words by frequency, {item.vocabulary:,} in all, cut or "
        f"padded to {item.shape[0]} at the end: 0 is padding, 1 the start, {_UNKNOWN} "
        "every other word.",
        "The model that ships takes such ids, not texts.",
    )


KERAS_DATASETS: dict[str, KerasDataset] = msgspec.json.decode(
    Path(__file__).with_suffix(".json").read_bytes(), type=dict[str, KerasDataset]
)
"""Data sets that Keras downloads, by name."""
