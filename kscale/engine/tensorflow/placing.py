"""The training part on the device, or in chunks where it is larger than memory."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kscale.data.class_weights import class_weights_of
from kscale.data.dataset import Dataset
from kscale.data.example_rows import Rows, row_bytes
from kscale.data.parts import Part

CHUNK_BYTES = 2**26

Tensors = Mapping[str, Any]
Chunk = tuple[NDArray[np.int32], Tensors, Tensors]
"""Steps with the places of their examples in inputs and targets, by name."""


class PlacedData:
    """The training part, put on the device once a search, or in chunks of many steps.

    Of what is not in memory, at most `chunk_bytes` of inputs are on the device at once.
    """

    def __init__(
        self,
        dataset: Dataset,
        class_weights: str = "none",
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        part = dataset.train
        self.task = dataset.task
        self.class_weights = class_weights_of(dataset, class_weights)
        self.examples = len(part)
        self.targets = {
            target.name: network_target(dataset, target.name, part)
            for target in dataset.task.targets
        }
        self._inputs = part.inputs
        self._chunk = max(1, chunk_bytes // sum(map(row_bytes, part.inputs.values())))
        self.specs = _specs(self._inputs), _specs(self.targets)
        rows = part.inputs.values()
        self.is_streamed = not all(isinstance(array, np.ndarray) for array in rows)
        self._whole = None if self.is_streamed else self._placed(slice(None))

    def chunks(self, order: NDArray[np.int32]) -> Iterator[Chunk]:
        """Steps of an epoch, `(steps, batch_size)`, with the examples they need, the
        next read ahead."""
        if self._whole is not None:
            yield (order, *self._whole)
            return
        steps = max(1, self._chunk // order.shape[1])
        starts = range(0, len(order), steps)
        pieces = [order[start : start + steps] for start in starts]
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(self._chunk_of, pieces[0])
            for piece in [*pieces[1:], None]:
                ready = coming.result()
                if piece is not None:
                    coming = reader.submit(self._chunk_of, piece)
                yield ready

    def _chunk_of(self, order: NDArray[np.int32]) -> Chunk:
        examples, places = np.unique(order, return_inverse=True)
        local = places.reshape(order.shape).astype(np.int32)
        return (local, *self._placed(examples))

    def _placed(self, chosen: Any) -> tuple[Tensors, Tensors]:
        inputs = {n: tf.constant(rows[chosen]) for n, rows in self._inputs.items()}
        return inputs, {n: tf.constant(a[chosen]) for n, a in self.targets.items()}


def _specs(arrays: Mapping[str, Rows]) -> Tensors:
    return {
        name: tf.TensorSpec((None, *array.shape[1:]), array.dtype)
        for name, array in arrays.items()
    }


def network_target(dataset: Dataset, name: str, part: Part) -> NDArray[Any]:
    """A target as networks are trained on it: class ids, or scaled values."""
    scaling = dataset.target_scaling.get(name)
    values = part.targets[name]
    return values if scaling is None else scaling.invert(values)
