"""Facts of a data set, to be read before anything is trained."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import row_bytes
from kscale.data.parts import Part, PartName
from kscale.data.preprocessing.base import Preprocessing
from kscale.task.tasks import Input, Target, Task

Parts = Mapping[PartName, Part]

_SCORED: tuple[PartName, ...] = ("validation", "test")

_UNBALANCED = 4  # times as many examples of one class as of another
_FEW = 20  # training examples of a class
_FEW_SCORED = 500  # examples that a score is computed on


def input_facts(item: Input, preprocessing: Preprocessing) -> dict[str, Any]:
    """An input of the network, and the raw inputs that it is made from."""
    return {
        "name": item.name,
        "kind": item.kind,
        "shape": list(item.shape),
        "vocabulary": item.vocabulary or None,
        "preprocessing": preprocessing.kind,
        "raw": [
            {"name": raw.name, "shape": list(raw.shape), "type": raw.dtype}
            for raw in preprocessing.raw_inputs
        ],
    }


def target_facts(target: Target, parts: Parts) -> dict[str, Any]:
    """Classes or values of a target, and what a constant answer scores."""
    head = target.head
    known = {name: part.targets[target.name] for name, part in parts.items()}
    constant = head.constant(known["train"], target.outputs)
    score = head.objectives[head.metric].compute
    return {
        "name": target.name,
        "kind": target.kind,
        head.nouns[1]: [*_output_facts(target, known)],
        "baseline": {
            "answer": head.answer(constant, target.class_names),
            "metric": head.metric,
            **{
                part: score(known[part], np.tile(constant, (len(known[part]), 1)))
                for part in _SCORED
            },
        },
    }


def _output_facts(
    target: Target, known: Mapping[PartName, NDArray[Any]]
) -> Iterator[dict[str, Any]]:
    """Of each output, how often it is right in each part, or the range of values."""
    count = target.head.counts
    if count is None:
        yield from map(_summary, known["train"].T)
        return
    counts = {part: count(labels, target.outputs) for part, labels in known.items()}
    for place, name in enumerate(target.class_names):
        yield {"name": name} | {p: int(each[place]) for p, each in counts.items()}


def _summary(column: NDArray[Any]) -> dict[str, float]:
    return {
        "least": float(column.min()),
        "mean": float(column.mean(dtype=float)),
        "most": float(column.max()),
    }


def memory_facts(parts: Parts) -> dict[str, Any]:
    """Bytes of the network's inputs, and whether they lie on disk."""
    rows = [rows for part in parts.values() for rows in part.inputs.values()]
    return {
        "bytes": sum(len(each) * row_bytes(each) for each in rows),
        "streamed": not all(isinstance(each, np.ndarray) for each in rows),
    }


def cautions(task: Task, parts: Parts) -> Iterator[str]:
    """A sentence for each reason to trust scores less."""
    for target in task.targets:
        if counts_of := target.head.counts:
            labels = parts["train"].targets[target.name]
            yield from _count_cautions(target, counts_of(labels, target.outputs))
    name = min(_SCORED, key=lambda part: len(parts[part]))
    count = len(parts[name])
    if count < _FEW_SCORED:
        # Of a share p: sqrt(p (1 - p) / n); of a root mean square: 1 / sqrt(2 n).
        first = task.targets[0]
        error = f"an accuracy of 90 % by {100 * math.sqrt(0.09 / count):.1f} points"
        if not first.head.is_named:
            error = f"an error by about {100 / math.sqrt(2 * count):.0f} %"
        yield (
            f"The {name} part has {count} examples, so scores on it are uncertain: "
            f"{error} (one standard error)."
        )


def _count_cautions(target: Target, counts: NDArray[np.int64]) -> Iterator[str]:
    most, least = int(counts.argmax()), int(counts.argmin())
    names = target.class_names
    if target.head.is_exclusive and counts[most] >= _UNBALANCED * counts[least]:
        yield (
            f"The classes of {target.name} are unbalanced: {counts[most]:,} training "
            f"examples of {names[most]!r}, {counts[least]:,} of {names[least]!r}. "
            "Accuracy may say little; --objective f1 counts every class alike."
        )
    few = int((counts < _FEW).sum())
    if few:
        what = target.head.count_text(few)
        yield (
            f"{what} of {target.name} {'has' if few == 1 else 'have'} fewer than "
            f"{_FEW} training examples; the fewest, {names[least]!r}, "
            f"{counts[least]}."
        )
