"""From labels (names, numbers, rows of 0 and 1) to targets of a network."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.parts import PartName
from kscale.data.raw import RawArray, to_float32
from kscale.errors import DataError
from kscale.task.tasks import Target

_MOST_FLOAT_CLASSES = 20

PartLabels = dict[PartName, NDArray[Any]]


def encode_target(
    name: str, arrays: Mapping[PartName, RawArray]
) -> tuple[Target, PartLabels]:
    """The target that labels are, and the labels as a network learns them.

    Text, true and false, whole numbers and one-hot rows are classes; so are real
    numbers if all are whole and at most 20 different ones occur. Rows of 0 and 1 with
    any number of ones are labels of which several may be true. Other real numbers are
    real targets. Classes are sorted; those of the training part count.

    Args:
        name: Name of the target; unnamed ones are called `label` or `value`.
        arrays: Labels by part, `(examples,)`, `(examples, outputs)` of 0 and 1, or
            `(examples, values)`.

    Returns:
        The target; labels by part, of the type and shape of its head.
    """
    labels = {part: _plain(raw) for part, raw in arrays.items()}
    _check_alike(arrays, labels)
    kind = arrays["train"].target_kind
    if not kind and all(_is_one_hot(array) for array in labels.values()):
        labels = {part: array.argmax(axis=1) for part, array in labels.items()}
    if kind == "labels" or all(_is_indicator(array) for array in labels.values()):
        return _several_labels(name or "labels", labels)
    if not kind and _are_classes(labels):
        return _classes(name or "label", arrays, labels)
    return _reals(name or "value", arrays, labels)


def _plain(raw: RawArray) -> NDArray[Any]:
    """The labels as numbers or text, without a last axis of length one."""
    if raw.dtype.kind not in "buifUST":
        raise DataError(
            f"{raw.label} must hold numbers or text, but its type is {raw.dtype.name}."
        )
    labels: NDArray[Any] = raw.rows[:]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim > 2:
        raise DataError(
            f"{raw.label} must have the shape (examples,) or (examples, values), but "
            f"it has {labels.shape}."
        )
    if labels.dtype.kind == "f":
        to_float32(raw.label, labels)
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "utf-8", "replace")
    return np.array(labels.tolist()) if labels.dtype.kind == "T" else labels


def _check_alike(arrays: Mapping[PartName, RawArray], labels: PartLabels) -> None:
    first = labels["train"]
    for part, array in labels.items():
        is_text = array.dtype.kind == "U"
        if is_text != (first.dtype.kind == "U") or array.shape[1:] != first.shape[1:]:
            raise DataError(
                f"{arrays['train'].label} and {arrays[part].label} must be of one "
                f"form, but got {first.dtype.name} {first.shape} and "
                f"{array.dtype.name} {array.shape}."
            )


def _is_one_hot(labels: NDArray[Any]) -> bool:
    if labels.ndim != 2 or labels.dtype.kind == "U":
        return False
    return bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())


def _is_indicator(labels: NDArray[Any]) -> bool:
    """Whether each row holds a 0 or 1 for each label."""
    is_numeric = labels.ndim == 2 and labels.dtype.kind in "buif"
    return is_numeric and bool(np.isin(labels, (0, 1)).all())


def _several_labels(name: str, labels: PartLabels) -> tuple[Target, PartLabels]:
    outputs = labels["train"].shape[1]
    target = Target(name, "labels", outputs, tuple(map(str, range(outputs))))
    return target, {part: array.astype(np.int32) for part, array in labels.items()}


def _are_classes(labels: PartLabels) -> bool:
    if any(array.ndim != 1 for array in labels.values()):
        return False
    if any(array.dtype.kind != "f" for array in labels.values()):
        return all(array.dtype.kind != "f" for array in labels.values())
    values = set().union(*(np.unique(array).tolist() for array in labels.values()))
    is_whole = all(value == int(value) for value in values)
    return is_whole and len(values) <= _MOST_FLOAT_CLASSES


def _classes(
    name: str, arrays: Mapping[PartName, RawArray], labels: PartLabels
) -> tuple[Target, PartLabels]:
    known = np.unique(labels["train"])
    if len(known) < 2:
        raise DataError(
            f"{arrays['train'].label} has only the class {_class_name(known[0])!r}; "
            "at least two must be there."
        )
    for part, array in labels.items():
        unknown = np.setdiff1d(array, known)
        if len(unknown):
            raise DataError(
                f"{arrays[part].label} has the class {_class_name(unknown[0])!r}, "
                f"which {arrays['train'].label} lacks."
            )
    names = tuple(_class_name(value) for value in known)
    ids = {
        part: np.searchsorted(known, array).astype(np.int32)
        for part, array in labels.items()
    }
    return Target(name, "classes", len(names), names), ids


def _class_name(value: Any) -> str:
    if isinstance(value, np.bool_ | str):
        return str(value)
    return str(int(value))


def _reals(
    name: str, arrays: Mapping[PartName, RawArray], labels: PartLabels
) -> tuple[Target, PartLabels]:
    for part, array in labels.items():
        if array.dtype.kind != "f":
            raise DataError(
                f"{arrays[part].label} of shape {array.shape} and type "
                f"{array.dtype.name} is neither one-hot nor real; give classes as "
                "(examples,), and real values as floats."
            )
    reals = {
        part: to_float32(arrays[part].label, array).reshape(len(array), -1)
        for part, array in labels.items()
    }
    if (reals["train"] == reals["train"][0]).all():
        raise DataError(
            f"All values of {arrays['train'].label} are the same; there is nothing to "
            "learn."
        )
    return Target(name, "real", reals["train"].shape[1]), reals


def check_counts(label: str, target: Target, ids: NDArray[Any], least: int) -> None:
    """Raise unless each class or label is right often enough for every part."""
    if target.head.counts is None:
        return
    counts = target.head.counts(ids, target.outputs)
    rare = int(counts.argmin())
    if counts[rare] < least:
        raise DataError(
            f"Each {target.head.nouns[0]} of {label} must have at least {least} "
            f"examples, one for each part, but {target.class_names[rare]!r} has "
            f"{counts[rare]}. Remove it; if the labels are numbers to predict, give "
            "them as floats."
        )
