"""Predictions: what a trained model says of files as users have them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.examples import Example, Reader
from kscale.data.preprocessing.base import RawInput
from kscale.naming import input_names, single_or_named
from kscale.task.tasks import Task
from kscale.text import printable

if TYPE_CHECKING:
    import keras

Ranking = tuple[tuple[str, float], ...]

_MOST_EXAMPLES = 256  # of a batch
_MOST_BYTES = 2**26


@dataclass(frozen=True)
class Prediction:
    """What a trained model says of one example, or why it says nothing.

    Args:
        source: The file, and the row in a file of several examples: `a.csv:17`.
        classes: By target of classes, names with their probabilities, likeliest first.
        values: By target of real values, the values in the unit of the user.
        error: Why there is no prediction; empty if there is one.
        labels: By target of labels, the names of those that are more likely true than
            not, with their probabilities, likeliest first.
        texts: By target of sequences, the text that is decoded.
        notes: By column, how the example is unlike all that were trained on.

    Example:

    >>> print(Prediction("a.png", {"label": (("cat", 0.75), ("dog", 0.25))}))
    a.png: cat (75.0 %)
    """

    source: str
    classes: Mapping[str, Ranking] = field(default_factory=dict)
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    error: str = ""
    labels: Mapping[str, Ranking] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data; each target under its name, `null` without a prediction."""
        targets: dict[str, Any] = {}
        for name, pairs in self.classes.items():
            ranking = [{"class": c, "probability": p} for c, p in pairs]
            targets[name] = {**ranking[0], "ranking": ranking}
        targets |= {
            name: {"labels": [{"label": n, "probability": p} for n, p in pairs]}
            for name, pairs in self.labels.items()
        }
        targets |= {name: {"values": list(v)} for name, v in self.values.items()}
        targets |= {name: {"text": text} for name, text in self.texts.items()}
        return {
            "source": self.source,
            "targets": None if self.error else targets,
            "error": self.error or None,
            "notes": [*self.notes.values()],
        }

    def __str__(self) -> str:
        if self.error:
            return f"{self.source}: {self.error}"
        rankings = [ranking[:1] for ranking in self.classes.values()]
        texts = [
            ", ".join(f"{name} ({100 * share:.1f} %)" for name, share in ranking)
            or "no label"
            for ranking in (*rankings, *self.labels.values())
        ]
        texts += [" ".join(f"{x:.6g}" for x in v) for v in self.values.values()]
        texts += map(printable, self.texts.values())
        return f"{self.source}: {', '.join(texts)}"


Answer = Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[Any]]]
"""By target, probabilities or values, `(examples, outputs)`, for raw inputs by name; of
sequences the ids that are decoded, `(examples, length)`, or the probabilities of the
frames of a sound, `(examples, frames, outputs)`."""


def answer_of(model: "keras.Model", task: Task) -> Answer:
    """What a model that `package_model` gives answers."""

    def answer(raw: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        names = input_names(raw)
        given = model.predict_on_batch(
            single_or_named({names[name]: array for name, array in raw.items()})
        )
        return given if isinstance(given, dict) else {task.targets[0].name: given}

    return answer


def predict_files(
    answer: Answer,
    task: Task,
    raw: Sequence[RawInput],
    reader: Reader,
    paths: Iterable[str | Path],
    top: int | None = None,
    noted: Callable[[Mapping[str, Any]], Mapping[str, str]] = lambda raw: {},
) -> Iterator[Prediction]:
    """A prediction for each example of files and folders, in order, a batch at a time.

    `raw` are the inputs that `answer` takes; `reader` reads a file as the files of the
    training were read; `top` limits the classes of a ranking; `noted` are notes on
    the raw inputs of an example, as of `Prediction`.
    """
    examples = (each for path in paths for each in _examples(reader, Path(path)))
    numbers = sum(prod(item.shape) for item in raw)
    size = max(1, min(_MOST_EXAMPLES, _MOST_BYTES // (4 * max(1, numbers))))
    while batch := list(islice(examples, size)):
        rows = [example.raw for example in batch if example.raw is not None]
        outputs = answer(_batch(raw, rows)) if rows else {}
        row = 0
        for example in batch:
            if example.raw is None:
                yield Prediction(example.source, error=example.error)
                continue
            given = {target.name: outputs[target.name][row] for target in task.targets}
            notes = {**example.notes, **noted(example.raw)}
            yield replace(_prediction(example, task, given, top), notes=notes)
            row += 1


def _examples(reader: Reader, path: Path) -> Iterator[Example]:
    """The examples of a file or a folder."""
    is_empty = True
    for file in reader.files(path):
        is_empty = False
        yield from reader.examples(file)
    if is_empty:
        names = " or ".join(reader.suffixes)
        what = f"no file whose name ends with {names}" if names else "no file"
        yield Example(str(path), None, f"{path} holds {what}.")


def _batch(
    raw: Sequence[RawInput], rows: Sequence[Mapping[str, NDArray[Any]]]
) -> dict[str, NDArray[Any]]:
    """Raw inputs of some examples, by name."""
    inputs = {}
    for item in raw:
        if item.dtype == "string":
            array = np.empty(len(rows), dtype=object)
            array[:] = [str(row[item.name]) for row in rows]
        else:
            array = np.stack([row[item.name] for row in rows]).astype(item.dtype)
            array = array.reshape(len(rows), *item.shape)
        inputs[item.name] = array
    return inputs


def _prediction(
    example: Example, task: Task, given: Mapping[str, NDArray[Any]], top: int | None
) -> Prediction:
    """A prediction from what the model gives for one example, `(outputs,)` a target."""
    if not all(np.isfinite(numbers).all() for numbers in given.values()):
        what = "the model gives no finite number; a number may be missing or too large"
        return Prediction(example.source, error=f"{what}.")
    found: dict[str, Any] = defaultdict(dict)
    for target in task.targets:
        head, numbers = target.head, given[target.name].astype(float).tolist()
        shown: Any = tuple(numbers)
        if head.text is not None:
            shown = head.text(given[target.name], target.class_names)
        elif head.chosen is not None:
            places = head.chosen(given[target.name], top)
            shown = tuple((target.class_names[n], numbers[n]) for n in places)
        found[head.answers][target.name] = shown
    return Prediction(example.source, **found)
