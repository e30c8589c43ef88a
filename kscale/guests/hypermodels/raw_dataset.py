"""The data set that a user's models are given: inputs before kscale scales anything."""

from dataclasses import replace
from typing import Any

import numpy as np

from kscale.data.dataset import Dataset
from kscale.data.example_rows import Rows
from kscale.data.parts import Part
from kscale.data.preprocessing.scaled import Scaled, Scaling
from kscale.errors import DataError


def raw_dataset(dataset: Dataset) -> Dataset:
    """A data set with the inputs of its source, and targets in the user's unit.

    Token ids, log-mel frames and prepared columns stay what a network takes.

    Raises:
        DataError: The data is larger than memory.
    """
    parts: dict[str, Any] = {
        name: Part(_raw_inputs(dataset, part), part.targets)
        for name, part in dataset.parts.items()
    }
    preprocessing = {
        name: replace(item, scaling=Scaling()) if isinstance(item, Scaled) else item
        for name, item in dataset.preprocessing.items()
    }
    return replace(dataset, preprocessing=preprocessing, target_scaling={}, **parts)


def _raw_inputs(dataset: Dataset, part: Part) -> dict[str, Rows]:
    """Inputs of a part: fractions as the source has them, whole numbers restored."""
    found: dict[str, Rows] = {}
    for name, array in part.inputs.items():
        if not isinstance(array, np.ndarray):
            raise DataError(
                "A hypermodel is trained on arrays in memory, but the data is larger; "
                "search a family, or take fewer examples."
            )
        scaling = dataset.input_scaling.get(name, Scaling())
        if name in part.raw and not scaling.is_identity:
            found[name] = part.raw[name][:]
        elif scaling.is_identity:
            found[name] = array
        else:  # of a source of whole numbers, such as pixels
            found[name] = np.rint(scaling.invert(array))
    return found
