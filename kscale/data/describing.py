"""What was understood of data, to be read before anything is trained."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.parts import Part, PartName
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.rows import row_bytes
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
    known = {name: part.targets[target.name] for name, part in parts.items()}
    common = {"name": target.name, "kind": target.kind}
    if target.kind == "real":
        return {
            **common,
            "values": [_summary(column) for column in known["train"].T],
            "baseline": {
                "answer": known["train"].mean(axis=0, dtype=float).tolist(),
                "metric": "root_mean_squared_error",
                **_errors(known),
            },
        }
    counts = {
        name: np.bincount(ids, minlength=target.outputs).tolist()
        for name, ids in known.items()
    }
    most = int(np.argmax(counts["train"]))
    return {
        **common,
        "classes": [
            {"name": name, **{part: counts[part][place] for part in counts}}
            for place, name in enumerate(target.class_names)
        ],
        "baseline": {
            "answer": target.class_names[most],
            "metric": "accuracy",
            **{
                name: counts[name][most] / sum(counts[name])
                for name in ("validation", "test")
            },
        },
    }


def _summary(column: NDArray[Any]) -> dict[str, float]:
    return {
        "least": float(column.min()),
        "mean": float(column.mean(dtype=float)),
        "most": float(column.max()),
    }


def _errors(known: dict[Any, NDArray[Any]]) -> dict[str, float]:
    """Of always giving the training part's mean, as a root mean square."""
    mean = known["train"].mean(axis=0, dtype=float)
    return {
        name: math.sqrt(((known[name] - mean) ** 2).mean())
        for name in ("validation", "test")
    }


def memory_facts(parts: Parts) -> dict[str, Any]:
    """Bytes of what networks read, and whether they lie on disk."""
    rows = [rows for part in parts.values() for rows in part.inputs.values()]
    return {
        "bytes": sum(len(each) * row_bytes(each) for each in rows),
        "streamed": not all(isinstance(each, np.ndarray) for each in rows),
    }


def cautions(task: Task, parts: Parts) -> Iterator[str]:
    """What makes scores say less than they seem to."""
    for target in task.targets:
        if target.kind == "classes":
            yield from _class_cautions(target, parts["train"].targets[target.name])
    name = min(_SCORED, key=lambda part: len(parts[part]))
    count = len(parts[name])
    if count < _FEW_SCORED:
        # Of a share p: sqrt(p (1 - p) / n); of a root mean square: 1 / sqrt(2 n).
        first = task.targets[0]
        error = f"an accuracy of 90 % by {100 * math.sqrt(0.09 / count):.1f} points"
        if first.kind == "real":
            error = f"an error by about {100 / math.sqrt(2 * count):.0f} %"
        yield (
            f"The {name} part has {count} examples, so scores on it are uncertain: "
            f"{error} (one standard error)."
        )


def _class_cautions(target: Target, ids: NDArray[Any]) -> Iterator[str]:
    counts = np.bincount(ids, minlength=target.outputs)
    most, least = int(counts.argmax()), int(counts.argmin())
    names = target.class_names
    if counts[most] >= _UNBALANCED * counts[least]:
        yield (
            f"The classes of {target.name} are unbalanced: {counts[most]:,} training "
            f"examples of {names[most]!r}, {counts[least]:,} of {names[least]!r}. "
            "Accuracy may say little; --objective f1 counts every class alike."
        )
    few = int((counts < _FEW).sum())
    if few:
        what = "1 class" if few == 1 else f"{few} classes"
        yield (
            f"{what} of {target.name} {'has' if few == 1 else 'have'} fewer than "
            f"{_FEW} training examples; the fewest, {names[least]!r}, "
            f"{counts[least]}."
        )
