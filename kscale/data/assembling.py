"""From the arrays of any source to a task, and to a data set of three parts."""

from typing import Any

from numpy.typing import NDArray

from kscale.data.base import PART_NAMES, Dataset, Part, PartName, Scaling
from kscale.data.digests import duplicate_warnings, fingerprint_of, row_digests
from kscale.data.kinds import input_of, raw_inputs
from kscale.data.labels import Labels, check_counts, encode_target
from kscale.data.raw import RawArray, RawParts
from kscale.data.splitting import Indices, cut_parts, quantiles
from kscale.data.standardizing import fit_input_scaling, fit_target_scaling
from kscale.errors import DataError
from kscale.task import InputKind, Task

_LEAST_EXAMPLES = 10

_Arrays = dict[PartName, dict[str, NDArray[Any]]]
_Rows = dict[PartName, Indices | None]


def task_of(
    parts: RawParts, kind: InputKind | None, vocabulary: int | None
) -> tuple[Task, dict[str, Labels]]:
    """The task of a source, and its labels by target name and part.

    Raises:
        DataError: Arrays are of no known form, or do not go together.
    """
    _check_names(parts)
    inputs = tuple(
        input_of(name or "x", list(_inputs(parts, name).values()), kind, vocabulary)
        for name in parts["train"].inputs
    )
    encoded = [
        encode_target(name, {part: raw.targets[name] for part, raw in parts.items()})
        for name in parts["train"].targets
    ]
    targets = tuple(target for target, _ in encoded)
    return Task(inputs, targets), {target.name: labels for target, labels in encoded}


def _inputs(parts: RawParts, name: str) -> dict[PartName, RawArray]:
    return {part: raw.inputs[name] for part, raw in parts.items()}


def _check_names(parts: RawParts) -> None:
    first = parts["train"]
    for part, raw in parts.items():
        same = raw.inputs.keys() == first.inputs.keys()
        if not (same and raw.targets.keys() == first.targets.keys()):
            raise DataError(
                f"The {part} part must have the inputs and targets of the training "
                f"part, {[*first.inputs, *first.targets]}, but it has "
                f"{[*raw.inputs, *raw.targets]}."
            )


def dataset_of(
    name: str,
    parts: RawParts,
    kind: InputKind | None,
    vocabulary: int | None,
    split_seed: int,
) -> Dataset:
    """A data set of a source's arrays; parts that it lacks are cut from training.

    Raises:
        DataError: The arrays cannot be trained on; the text says why.
    """
    task, labels = task_of(parts, kind, vocabulary)
    if len(parts["train"]) < _LEAST_EXAMPLES:
        raise DataError(
            f"At least {_LEAST_EXAMPLES} examples are needed, but "
            f"{_first_label(parts)} has {len(parts['train'])}."
        )
    rows = _rows(task, labels, parts, split_seed)
    raw = _place(rows, _raw_inputs(task, parts))
    targets = _place(rows, labels)
    scalings = {
        item.name: fit_input_scaling(raw["train"][item.name])
        for item in task.inputs
        if item.kind != "tokens"
    }
    digests = {part: row_digests([*arrays.values()]) for part, arrays in raw.items()}
    return Dataset(
        name=name,
        task=task,
        **{
            part: Part(_scaled(raw.pop(part), scalings), targets[part])
            for part in PART_NAMES
        },
        input_scaling=scalings,
        target_scaling={
            target.name: fit_target_scaling(targets["train"][target.name])
            for target in task.targets
            if target.kind == "real"
        },
        fingerprint=fingerprint_of(digests, targets, task.targets),
        warnings=duplicate_warnings(digests),
    )


def _first_label(parts: RawParts) -> str:
    return next(iter(parts["train"].inputs.values())).label


def _raw_inputs(task: Task, parts: RawParts) -> dict[str, Labels]:
    found: dict[str, Labels] = {}
    for item, name in zip(task.inputs, parts["train"].inputs, strict=True):
        arrays = raw_inputs(item, list(_inputs(parts, name).values()))
        found[item.name] = dict(zip(parts, arrays, strict=True))
    return found


def _rows(task: Task, labels: dict[str, Labels], parts: RawParts, seed: int) -> _Rows:
    """Rows of the training arrays in each part cut from them; None for a given part."""
    rows: _Rows = dict.fromkeys(parts)
    missing = tuple(part for part in PART_NAMES if part not in parts)
    _check_counts(task, labels, parts, 1 + len(missing))
    if missing:
        rows.update(cut_parts(_strata(task, labels), missing, seed))
    return rows


def _check_counts(
    task: Task, labels: dict[str, Labels], parts: RawParts, least: int
) -> None:
    arrays = parts["train"].targets.values()
    for target, raw in zip(task.targets, arrays, strict=True):
        if target.kind == "classes":
            check_counts(raw.label, target, labels[target.name]["train"], least)


def _strata(task: Task, labels: dict[str, Labels]) -> NDArray[Any]:
    """Groups that every part has its share of: of the first classes, else values."""
    for target in task.targets:
        if target.kind == "classes":
            return labels[target.name]["train"]
    return quantiles(labels[task.targets[0].name]["train"][:, 0])


def _place(rows: _Rows, arrays: dict[str, Labels]) -> _Arrays:
    """Arrays by part and name, instead of by name and given part."""
    return {
        part: {
            name: given[part] if cut is None else given["train"][cut]
            for name, given in arrays.items()
        }
        for part, cut in rows.items()
    }


def _scaled(
    arrays: dict[str, NDArray[Any]], scalings: dict[str, Scaling]
) -> dict[str, NDArray[Any]]:
    return {
        name: scalings[name].apply(array) if name in scalings else array
        for name, array in arrays.items()
    }
