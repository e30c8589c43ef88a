"""From files as users have them to predictions, some examples at a time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kscale.building.models import alone
from kscale.data.preprocessing import RawInput
from kscale.data.readers import Example, Reader
from kscale.naming import input_names
from kscale.ship.prediction import Prediction, Ranking
from kscale.task.tasks import Target, Task

_MOST_EXAMPLES = 256
_MOST_BYTES = 2**26

_Outputs = Mapping[str, NDArray[Any]]
Values = tuple[float, ...]


def predict_files(
    model: keras.Model,
    task: Task,
    raw: Sequence[RawInput],
    reader: Reader,
    paths: Iterable[str | Path],
    top: int | None = None,
) -> Iterator[Prediction]:
    """A prediction for each example of some files, in their order.

    A batch of examples is in memory at a time.

    Args:
        model: What `package_model` gives.
        task: What it was trained for.
        raw: Its inputs.
        reader: Reads a file as those of training were read.
        paths: Files, and folders of them.
        top: Most classes of a ranking; all of them if not given.
    """
    examples = (each for path in paths for each in _examples(reader, Path(path)))
    for batch in _batches(examples, _batch_size(raw)):
        readable = [example for example in batch if example.raw is not None]
        answers = iter(_predict(model, task, raw, readable, top) if readable else ())
        for example in batch:
            if example.raw is None:
                yield Prediction(example.source, error=example.error)
            else:
                yield next(answers)


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
    """Examples whose raw numbers are of a bounded size together."""
    numbers = sum(int(np.prod(item.shape, dtype=np.int64)) for item in raw)
    return max(1, min(_MOST_EXAMPLES, _MOST_BYTES // (4 * max(1, numbers))))


def _batches(examples: Iterable[Example], size: int) -> Iterator[list[Example]]:
    batch: list[Example] = []
    for example in examples:
        batch.append(example)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _predict(
    model: keras.Model,
    task: Task,
    raw: Sequence[RawInput],
    examples: Sequence[Example],
    top: int | None,
) -> Iterator[Prediction]:
    names = input_names(item.name for item in raw)
    inputs = {names[item.name]: _stacked(item, examples) for item in raw}
    given = model.predict_on_batch(alone(inputs))
    outputs: _Outputs = (
        given if isinstance(given, dict) else {task.targets[0].name: given}
    )
    for row, example in enumerate(examples):
        yield _prediction(example.source, task, outputs, row, top)


def _stacked(item: RawInput, examples: Sequence[Example]) -> NDArray[Any]:
    """One raw input of some examples, as Keras takes it."""
    rows = [example.raw[item.name] for example in examples if example.raw is not None]
    if item.dtype == "string":
        texts = np.empty(len(rows), dtype=object)
        texts[:] = [str(row) for row in rows]
        return texts
    return np.stack(rows).astype(item.dtype).reshape(len(rows), *item.shape)


def _prediction(
    source: str, task: Task, outputs: _Outputs, row: int, top: int | None
) -> Prediction:
    answers = {target.name: outputs[target.name][row] for target in task.targets}
    if not all(np.isfinite(answer).all() for answer in answers.values()):
        what = "the model gives no finite number; a number may be missing or too large"
        return Prediction(source, error=f"{what}.")
    found: dict[str, Any] = defaultdict(dict)
    for target in task.targets:
        found[target.head.nouns[1]][target.name] = _answer(
            target, answers[target.name], top
        )
    return Prediction(source, **found)


def _answer(target: Target, given: NDArray[Any], top: int | None) -> Ranking | Values:
    """Names with their probabilities, or values."""
    if target.head.chosen is None:
        return tuple(given.astype(float).tolist())
    return tuple(
        (target.class_names[place], float(given[place]))
        for place in target.head.chosen(given, top)
    )
