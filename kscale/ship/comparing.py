"""Comparing: examples, and how near a file's answers are to those of its model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kscale.data.dataset import Dataset
from kscale.data.example_rows import spaced
from kscale.data.parts import PartName
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.scaled import Scaled, Scaling, unscaled
from kscale.networks.families.base import Spec
from kscale.ship.runtimes import Arrays
from kscale.task.evaluation import Pairs, Scores, evaluate
from kscale.task.objectives import Objective
from kscale.task.tasks import Target, Task

DRAWN = 32
"""Examples that are drawn where there are no data, or compared where each is slow."""

_MOST_EXAMPLES = 2000
_MOST_NUMBERS = 2**26


@dataclass(frozen=True)
class Examples:
    """Examples on which a model and a file made of the model are compared.

    Args:
        raw: Raw inputs by name, `(examples, ...)`.
        labels: By target; empty for drawn examples.
    """

    raw: Arrays
    labels: Arrays

    @classmethod
    def of(
        cls, dataset: Dataset, name: PartName, spec: Spec | None = None
    ) -> "Examples":
        """At most 2,000 examples of a part, evenly spaced; fewer where what a model
        gives for that many is large.

        Args:
            dataset: The data set.
            name: Name of the part.
            spec: Of a network whose labels are others than those of the data.
        """
        part, targets = dataset.parts[name], dataset.task.targets
        numbers = sum(target.outputs * max(target.length, 1) for target in targets)
        most = max(DRAWN, min(_MOST_EXAMPLES, _MOST_NUMBERS // numbers))
        chosen = spaced(len(part), most)
        _, raw = dataset.examples(part, chosen)
        if spec is not None:
            part = dataset.seen_by(spec).parts[name]
        labels = {name: rows[chosen] for name, rows in part.targets.items()}
        return cls(raw, labels)

    @classmethod
    def drawn(
        cls, task: Task, preprocessing: Mapping[str, Preprocessing]
    ) -> "Examples":
        """Examples of no meaning, for data that nobody has any more."""
        random = np.random.default_rng(0)
        vocabularies = {item.name: item.vocabulary for item in task.inputs}
        raw: dict[str, NDArray[Any]] = {}
        for name, item in preprocessing.items():
            for each in item.raw_inputs:
                shape = (DRAWN, *each.shape)
                if each.dtype == "string":
                    words = getattr(item, "words", ()) or ("a", "b")
                    raw[each.name] = random.choice(words, shape).astype(object)
                elif each.dtype == "int32":
                    ids = random.integers(0, vocabularies[name], shape)
                    raw[each.name] = ids.astype(np.int32)
                else:
                    numbers = random.normal(size=shape).astype(np.float32)
                    if isinstance(item, Scaled):
                        numbers = unscaled(numbers, item.scaling)
                    raw[each.name] = numbers
        return cls(raw, {})


@dataclass(frozen=True)
class Comparison:
    """What a file gives beside what its model gives; see `kscale.runs.records`."""

    agreement: float | None
    difference: float


def compared(
    task: Task, scalings: Mapping[str, Scaling], given: Arrays, wanted: Arrays
) -> Comparison:
    """How near answers are to those of a model.

    Args:
        task: What is predicted.
        scalings: Of real targets, from a network's output to the user's unit.
        given: By target, `(examples, outputs)`.
        wanted: What the model gave for the same examples.
    """
    shares, differences = [], [0.0]
    for target in task.targets:
        mine, theirs = given[target.name], wanted[target.name]
        scaling = scalings.get(target.name)
        unit = np.abs(scaling.scale) if scaling else 1.0
        differences.append(float(np.max(np.abs(mine - theirs) / unit)))
        if target.head.is_sequence:
            shares.append(float(np.mean(mine.argmax(-1) == theirs.argmax(-1))))
        elif target.head.chosen is not None:
            shares.append(_share_of_same(target, mine, theirs))
    agreement = float(np.mean(shares)) if shares else None
    return Comparison(agreement, float(np.max(differences)))  # NaN where one is NaN


def _share_of_same(target: Target, mine: NDArray[Any], theirs: NDArray[Any]) -> float:
    chosen: Any = target.head.chosen
    pairs = zip(mine, theirs, strict=True)
    return float(np.mean([{*chosen(a, 1)} == {*chosen(b, 1)} for a, b in pairs]))


def scored(
    objective: Objective, task: Task, labels: Arrays, given: Arrays
) -> Scores | None:
    """What answers reach; None without labels."""
    return evaluate(objective, task, pairs_of(task, labels, given)) if labels else None


def pairs_of(task: Task, labels: Arrays, given: Arrays) -> Pairs:
    """What metrics take, by target, for probabilities or values."""
    return {t.name: _pair(t, labels[t.name], given[t.name]) for t in task.targets}


def _pair(
    target: Target, labels: NDArray[Any], given: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    if target.head.kept is None:
        return labels, given
    logits = np.log(np.maximum(given, np.finfo(np.float32).tiny))
    return labels, np.asarray(target.head.kept(keras.ops, target, labels, logits))
