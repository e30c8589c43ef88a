"""From labels (names, numbers, rows of 0 and 1) to targets of a network."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    name: str, arrays: Mapping[PartName, RawArray], names: Sequence[str] = ()
) -> tuple[Target, PartLabels]:
    """The target of some labels, and the labels by part in the form of its head.

    Labels are `(examples,)` or `(examples, outputs)`. Text, true and false, whole
    numbers and one-hot rows are classes; so are real numbers if all are whole and at
    most 20 different ones occur. Rows of 0 and 1 with any number of ones are labels of
    which several may be true. Other real numbers are real targets. Classes are sorted;
    those of the training part count. Where labels are the numbers of names, classes are
    called by the names. A target without a name is called `label`, `labels` or `value`.
    """
    labels = {part: _plain(raw) for part, raw in arrays.items()}
    _check_alike(arrays, labels)
    kind = arrays["train"].target_kind
    if not kind and all(_is_one_hot(array) for array in labels.values()):
        labels = {part: array.argmax(axis=1) for part, array in labels.items()}
    if kind == "labels" or all(_is_indicator(array) for array in labels.values()):
        outputs = labels["train"].shape[1]
        shown = tuple(names) or tuple(map(str, range(outputs)))
        indicators = {part: each.astype(np.int32) for part, each in labels.items()}
        return Target(name or "labels", "labels", outputs, shown), indicators
    if not kind and _are_classes(labels):
        return _classes(name or "label", arrays, labels, names)
    return _reals(name or "value", arrays, labels)


def alike_warnings(noun: str, owner: str, names: Iterable[str]) -> Iterator[str]:
    """A sentence for names that differ by spaces or by case only."""
    alike = defaultdict(list)
    for name in names:
        alike[_letters(name)].append(repr(name))
    for several in alike.values():
        if len(several) > 1:
            yield (
                f"The {noun} {' and '.join(several)} of {owner} differ by spaces or "
                "case only: write them alike if they are one."
            )


def alike_hint(name: str, known: Iterable[str]) -> str:
    """A sentence on a known name that differs by spaces or by case only, or nothing."""
    for other in known:
        if other != name and _letters(other) == _letters(name):
            return f" {other!r} differs by spaces or case only: write them alike."
    return ""


def _letters(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


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
    return _is_indicator(labels) and bool((labels.sum(axis=1) == 1).all())


def _is_indicator(labels: NDArray[Any]) -> bool:
    """Whether each row holds a 0 or 1 for each label."""
    is_numeric = labels.ndim == 2 and labels.dtype.kind != "U"
    return is_numeric and bool(np.isin(labels, (0, 1)).all())


def _are_classes(labels: PartLabels) -> bool:
    if labels["train"].ndim != 1:
        return False
    are_floats = [array.dtype.kind == "f" for array in labels.values()]
    if not all(are_floats):
        return not any(are_floats)
    values = np.unique(np.concatenate([*labels.values()]))
    return bool((values % 1 == 0).all()) and len(values) <= _MOST_FLOAT_CLASSES


def _classes(
    name: str,
    arrays: Mapping[PartName, RawArray],
    labels: PartLabels,
    names: Sequence[str],
) -> tuple[Target, PartLabels]:
    def called(value: Any) -> str:
        if isinstance(value, np.bool_ | str):
            return str(value)
        return names[int(value)] if names else str(int(value))

    known, train = np.unique(labels["train"]), arrays["train"].label
    if len(known) < 2:
        raise DataError(
            f"{train} has only the class {called(known[0])!r}; at least two must be "
            "there."
        )
    shown = tuple(map(called, known))
    for part, array in labels.items():
        unknown = np.setdiff1d(array, known)
        if len(unknown):
            found = called(unknown[0])
            raise DataError(
                f"{arrays[part].label} has the class {found!r}, which {train} lacks."
                + alike_hint(found, shown)
            )
    ids = {
        part: np.searchsorted(known, array).astype(np.int32)
        for part, array in labels.items()
    }
    return Target(name, "classes", len(shown), shown), ids


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
