"""Arrays in memory: pairs, dicts by Keras' names, and `tf.data.Dataset`s read whole."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kscale.data.base import PART_NAMES, PartName
from kscale.data.raw import RawPart, RawParts
from kscale.errors import DataError

# Keras' names first (`keras.datasets`), then those of MedMNIST and TensorFlow guides.
_KEYS: dict[PartName, tuple[tuple[str, str], ...]] = {
    "train": (
        ("x_train", "y_train"),
        ("X_train", "y_train"),
        ("train_images", "train_labels"),
        ("x", "y"),
        ("X", "y"),
    ),
    "validation": (
        ("x_validation", "y_validation"),
        ("x_val", "y_val"),
        ("X_val", "y_val"),
        ("val_images", "val_labels"),
    ),
    "test": (
        ("x_test", "y_test"),
        ("X_test", "y_test"),
        ("test_images", "test_labels"),
    ),
}
_INFINITE = -1  # tf.data.INFINITE_CARDINALITY


def part_keys(keys: Iterable[str], where: str) -> dict[PartName, tuple[str, str]]:
    """Which keys hold inputs and targets of each part that is there.

    Args:
        keys: All keys found.
        where: What holds them, for the message.

    Raises:
        DataError: No training part is there, or half of a part is.
    """
    found = set(keys)
    chosen: dict[PartName, tuple[str, str]] = {}
    for part in PART_NAMES:
        pairs = [pair for pair in _KEYS[part] if found & set(pair)]
        whole = [pair for pair in pairs if found >= set(pair)]
        if part != "train" and not pairs:
            continue
        if not whole:
            missing = sorted(set((pairs or _KEYS[part])[0]) - found)
            raise DataError(
                f"{where} must have the arrays {' and '.join(missing)} (or only x and "
                f"y), but it has {', '.join(sorted(found)) or 'none'}."
            )
        chosen[part] = whole[0]
    return chosen


def parts_of_mapping(source: Mapping[str, Any]) -> RawParts:
    """Parts of a dict of arrays with the keys of an NPZ file: `x_train`, `y_train`."""
    return {
        part: RawPart.of(source[x], source[y], x, y)
        for part, (x, y) in part_keys(source, "The dict").items()
    }


def parts_of_pair(source: tuple[Any, Any]) -> RawParts:
    """Parts of `(x, y)`, or of `(x_train, y_train), (x_test, y_test)` as Keras gives.

    `x` and `y` are arrays, or dicts of arrays by input and by target name.
    """
    if all(isinstance(item, tuple) and len(item) == 2 for item in source):
        (x_train, y_train), (x_test, y_test) = source
        return {
            "train": RawPart.of(x_train, y_train, "x_train", "y_train"),
            "test": RawPart.of(x_test, y_test, "x_test", "y_test"),
        }
    x, y = source
    return {"train": RawPart.of(x, y)}


def parts_of_stream(source: Any) -> RawParts:
    """One part of a finite `tf.data.Dataset` of `(x, y)`, batched or not.

    Raises:
        DataError: It never ends, is empty, or its elements are not pairs.
    """
    cardinality = getattr(source, "cardinality", None)
    if cardinality is not None and int(cardinality()) == _INFINITE:
        raise DataError("The tf.data.Dataset never ends; leave out `repeat()`.")
    elements = list(source.as_numpy_iterator())
    if not elements:
        raise DataError("The tf.data.Dataset is empty.")
    if not all(isinstance(item, tuple) and len(item) == 2 for item in elements):
        raise DataError("The elements of a tf.data.Dataset must be pairs (x, y).")
    join = np.concatenate if _is_batched(*elements[0]) else np.stack
    x = _joined("x", [x for x, _ in elements], join)
    y = _joined("y", [y for _, y in elements], join)
    return {"train": RawPart.of(x, y)}


def _leaves(values: Any) -> list[Any]:
    return list(values.values()) if isinstance(values, Mapping) else [values]


def _is_batched(x: Any, y: Any) -> bool:
    """Whether one element holds several examples: then all its arrays agree in length.

    An example whose features are as many as its real targets looks the same, and is
    taken for a batch.
    """
    shapes = [np.shape(leaf) for leaf in (*_leaves(x), *_leaves(y))]
    return all(shapes) and len({shape[0] for shape in shapes}) == 1


def _joined(label: str, values: list[Any], join: Any) -> Any:
    if isinstance(values[0], Mapping):
        return {
            name: _joined(f"{label}[{name!r}]", [value[name] for value in values], join)
            for name in values[0]
        }
    try:
        return join([np.asarray(value) for value in values])
    except ValueError as error:
        raise DataError(f"{label} has examples of different shape.") from error
