"""Predictions for files as users have them, a batch of examples at a time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kscale.data.examples import Example, Reader
from kscale.data.preprocessing.base import RawInput
from kscale.naming import input_names, single_or_named
from kscale.ship.prediction import Prediction, Ranking
from kscale.task.tasks import Target, Task

_MOST_EXAMPLES = 256
_MOST_BYTES = 2**26


def predict_files(
    model: keras.Model,
    task: Task,
    raw: Sequence[RawInput],
    reader: Reader,
    paths: Iterable[str | Path],
    top: int | None = None,
) -> Iterator[Prediction]:
    """A prediction for each example of some files, in their order.

    Args:
        model: What `package_model` gives.
        task: The task that it was trained for.
        raw: The inputs of the model.
        reader: Reads a file as the files of the training were read.
        paths: Files, and folders of them.
        top: Most classes of a ranking; all of them if not given.
    """
    examples = (each for path in paths for each in _examples(reader, Path(path)))
    size = _batch_size(raw)
    while batch := list(islice(examples, size)):
        readable = [example for example in batch if example.raw is not None]
        outputs = _outputs(model, task, raw, readable) if readable else {}
        row = 0
        for example in batch:
            if example.raw is None:
                yield Prediction(example.source, error=example.error)
                continue
            given = {target.name: outputs[target.name][row] for target in task.targets}
            yield _prediction(example.source, task, given, top)
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


def _batch_size(raw: Sequence[RawInput]) -> int:
    """Examples of a batch, whose raw numbers together have a bounded size."""
    numbers = sum(int(np.prod(item.shape, dtype=np.int64)) for item in raw)
    return max(1, min(_MOST_EXAMPLES, _MOST_BYTES // (4 * max(1, numbers))))


def _outputs(
    model: keras.Model, task: Task, raw: Sequence[RawInput], examples: Sequence[Example]
) -> Mapping[str, NDArray[Any]]:
    """What a model gives for some examples, by target; `(examples, outputs)` each."""
    names = input_names(item.name for item in raw)
    inputs = {names[item.name]: _stacked(item, examples) for item in raw}
    given = model.predict_on_batch(single_or_named(inputs))
    return given if isinstance(given, dict) else {task.targets[0].name: given}


def _stacked(item: RawInput, examples: Sequence[Example]) -> NDArray[Any]:
    """One raw input of some examples, as Keras takes it."""
    rows = [example.raw[item.name] for example in examples if example.raw is not None]
    if item.dtype == "string":
        texts = np.empty(len(rows), dtype=object)
        texts[:] = [str(row) for row in rows]
        return texts
    return np.stack(rows).astype(item.dtype).reshape(len(rows), *item.shape)


def _prediction(
    source: str, task: Task, given: Mapping[str, NDArray[Any]], top: int | None
) -> Prediction:
    """A prediction from what the model gives for one example, `(outputs,)` a target."""
    if not all(np.isfinite(numbers).all() for numbers in given.values()):
        what = "the model gives no finite number; a number may be missing or too large"
        return Prediction(source, error=f"{what}.")
    found: dict[str, Any] = defaultdict(dict)
    for target in task.targets:
        shown = _shown(target, given[target.name], top)
        found[target.head.nouns[1]][target.name] = shown
    return Prediction(source, **found)


def _shown(
    target: Target, given: NDArray[Any], top: int | None
) -> Ranking | tuple[float, ...]:
    """Names with their probabilities, or values."""
    numbers = given.astype(float).tolist()
    if target.head.chosen is None:
        return tuple(numbers)
    chosen = target.head.chosen(given, top)
    return tuple((target.class_names[place], numbers[place]) for place in chosen)
