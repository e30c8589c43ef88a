"""What a user's model is given: inputs and targets before kscale scales anything."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.dataset import Dataset, Part
from kscale.data.example_rows import Rows
from kscale.data.preprocessing import Preprocessing
from kscale.data.preprocessing.scaled import Scaled
from kscale.data.scaling import Scaling
from kscale.errors import DataError

_ROUNDING = 1e-6  # of the largest number of a feature: what float32 loses on the way
_CHUNK = 2**16


def raw_dataset(dataset: Dataset) -> Dataset:
    """The data set with inputs as they were given: fractions are the source's own, and
    whole numbers that were scaled are scaled back.

    Token ids, log-mel frames and prepared columns stay what a network takes. Targets
    are in the user's unit.

    Raises:
        DataError: It is larger than memory.
    """
    scalings = {
        name: item.scaling
        for name, item in dataset.preprocessing.items()
        if isinstance(item, Scaled) and not item.scaling.is_identity
    }
    whole = {
        name: _are_whole(_array(dataset.train.inputs[name]), scaling)
        for name, scaling in scalings.items()
        if name not in dataset.train.raw
    }
    parts: dict[str, Any] = {
        name: Part(_raw_inputs(part, scalings, whole), part.targets)
        for name, part in dataset.parts.items()
    }
    preprocessing = {
        name: _without_scaling(item) for name, item in dataset.preprocessing.items()
    }
    return replace(dataset, preprocessing=preprocessing, target_scaling={}, **parts)


def _without_scaling(item: Preprocessing) -> Preprocessing:
    return replace(item, scaling=Scaling()) if isinstance(item, Scaled) else item


def _raw_inputs(
    part: Part,
    scalings: Mapping[str, Scaling],
    whole: Mapping[str, NDArray[np.bool_]],
) -> dict[str, Rows]:
    """What the source has of a part: its own rows, or what was scaled turned back."""
    found: dict[str, Rows] = {}
    for name, rows in part.inputs.items():
        array = _array(rows)
        if name in whole:
            found[name] = _raw(array, scalings[name], whole[name])
        else:
            found[name] = part.raw[name][:] if name in scalings else array
    return found


def _array(rows: Rows) -> NDArray[Any]:
    if not isinstance(rows, np.ndarray):
        raise DataError(
            "A hypermodel is trained on arrays in memory, but the data is larger; "
            "search a family, or take fewer examples."
        )
    return rows


def _unscaled(array: NDArray[Any], scaling: Scaling) -> NDArray[np.float64]:
    scale, offset = np.asarray(scaling.scale), np.asarray(scaling.offset)
    found: NDArray[np.float64] = (array.astype(np.float64) - offset) / scale
    return found


def _are_whole(array: NDArray[Any], scaling: Scaling) -> NDArray[np.bool_]:
    """Which features (last axis) hold whole numbers alone, such as pixels."""
    features = array.reshape(-1, array.shape[-1])
    largest = np.zeros(features.shape[-1])
    furthest = np.zeros(features.shape[-1])
    for start in range(0, len(features), _CHUNK):
        raw = _unscaled(features[start : start + _CHUNK], scaling)
        largest = np.maximum(largest, np.abs(raw).max(axis=0))
        furthest = np.maximum(furthest, np.abs(raw - np.rint(raw)).max(axis=0))
    return furthest <= _ROUNDING * largest


def _raw(
    array: NDArray[Any], scaling: Scaling, whole: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """What was scaled, whole numbers exactly."""
    found = np.empty(array.shape, np.float32)
    for start in range(0, len(array), _CHUNK):
        raw = _unscaled(array[start : start + _CHUNK], scaling)
        found[start : start + _CHUNK] = np.where(whole, np.rint(raw), raw)
    return found
