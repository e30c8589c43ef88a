"""Arrays in memory: pairs, and dicts by Keras' names."""

from collections.abc import Iterable, Mapping
from typing import Any

from kscale.data.parts import PART_NAMES, PartName
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
