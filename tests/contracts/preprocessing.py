"""What every preprocessing promises, as checks on one with raw inputs for it.

NumPy, Keras layers, a saved model and an exported one give the same numbers.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kscale import count_model
from kscale.data.preprocessing import Preprocessing, preprocessings_from_json
from kscale.naming import single_or_named
from kscale.ship.packaging import raw_tensors
from kscale.ship.preprocessing_layers import apply_layers

Raw = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Checked:
    """A preprocessing under test.

    Args:
        item: The preprocessing.
        raw: Raw examples by name, as a reader gives them.
        tolerance: Of float32, and logarithms that two libraries compute.
    """

    item: Preprocessing
    raw: Raw
    tolerance: float = 1e-5

    @cached_property
    def numbers(self) -> NDArray[Any]:
        """What NumPy makes of the examples."""
        return self.item.apply(self.raw)

    @cached_property
    def model(self) -> keras.Model:
        """The layers alone, as a model of raw inputs."""
        tensors = raw_tensors({"x": self.item})
        outputs = apply_layers(self.item, tensors, "x")
        return keras.Model(single_or_named(tensors), keras.layers.Identity()(outputs))

    @property
    def fed(self) -> Any:
        """The examples as tensors of the model's types."""
        return single_or_named(
            {
                raw.name: tf.constant(_plain(self.raw[raw.name]), dtype=raw.dtype)
                for raw in self.item.raw_inputs
            }
        )

    def assert_same(self, found: Any) -> None:
        np.testing.assert_allclose(
            np.asarray(found), self.numbers, rtol=self.tolerance, atol=self.tolerance
        )


def _plain(array: NDArray[Any]) -> Any:
    return array.tolist() if array.dtype.kind == "T" else array


Check = Callable[[Checked, Path], None]


def check_json_gives_the_same_back(checked: Checked, folder: Path) -> None:
    plain = json.loads(json.dumps(checked.item.to_json()))
    again = preprocessings_from_json({"x": plain})["x"]
    assert again == checked.item
    np.testing.assert_array_equal(again.apply(checked.raw), checked.numbers)


def check_each_example_counts_for_itself(checked: Checked, folder: Path) -> None:
    last = {name: array[-1:] for name, array in checked.raw.items()}
    np.testing.assert_array_equal(checked.item.apply(last), checked.numbers[-1:])


def check_layers_give_the_same_numbers(checked: Checked, folder: Path) -> None:
    made = checked.model(checked.fed)
    assert made.dtype.name == checked.numbers.dtype.name
    checked.assert_same(made)


def check_a_saved_model_gives_the_same_numbers(checked: Checked, folder: Path) -> None:
    checked.model.save(folder / "model.keras")
    loaded: Any = keras.models.load_model(folder / "model.keras")
    checked.assert_same(loaded(checked.fed))


def check_every_layer_has_a_known_cost(checked: Checked, folder: Path) -> None:
    assert not count_model(checked.model).unknown


def check_an_exported_model_gives_the_same_numbers(
    checked: Checked, folder: Path
) -> None:
    checked.model.export(folder / "exported", verbose=False)
    loaded = tf.saved_model.load(folder / "exported")
    checked.assert_same(loaded.serve(checked.fed))


CHECKS: list[Check] = [
    check_json_gives_the_same_back,
    check_each_example_counts_for_itself,
    check_layers_give_the_same_numbers,
    check_a_saved_model_gives_the_same_numbers,
    check_every_layer_has_a_known_cost,
    check_an_exported_model_gives_the_same_numbers,
]
