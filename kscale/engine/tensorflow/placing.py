"""Examples on the devices, or in chunks where they are larger than memory."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kscale.data.class_weights import class_weights_of
from kscale.data.dataset import Dataset
from kscale.data.example_rows import Rows, byte_rows, is_in_memory, row_bytes
from kscale.data.parts import Part
from kscale.data.preprocessing.scaled import Scaling
from kscale.engine.base import Teacher
from kscale.engine.tensorflow.devices import laid
from kscale.errors import is_out_of_memory, reason_of
from kscale.task.objectives import Objective, task_objective

_LOGGER = logging.getLogger(__name__)

CHUNK_BYTES = 2**26

Tensors = Mapping[str, Any]
Chunk = tuple[NDArray[np.int32], Tensors, Tensors]
"""Steps with the places of their examples in inputs and targets, by name."""


class PlacedData:
    """The training part, put on the device of each replica once a search, or in chunks
    of many steps, and the validation part, too, where a score is worked out there.

    Of what is not in memory, at most `chunk_bytes` of inputs are on a device at once.
    """

    def __init__(
        self,
        dataset: Dataset,
        class_weights: str = "none",
        objective: Objective | None = None,
        teacher: Teacher | None = None,
        strategy: tf.distribute.Strategy | None = None,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        part = dataset.train
        self._strategy = strategy or tf.distribute.get_strategy()
        self.dataset = dataset
        self.objective = objective or task_objective(None, dataset.task)
        self.task = dataset.task
        self.class_weights = class_weights_of(dataset, class_weights)
        self.examples = len(part)
        self.targets = {
            target.name: network_target(dataset, target.name, part)
            for target in dataset.task.targets
        }
        self.teacher = teacher
        if teacher is not None:
            self.targets |= {taught(n): each for n, each in teacher.outputs.items()}
        self._chunk = max(1, chunk_bytes // sum(map(row_bytes, part.inputs.values())))
        self.specs = _specs(part.inputs), _specs(self.targets)
        self.is_streamed = not all(map(is_in_memory, part.inputs.values()))
        self._whole: tuple[Tensors, Tensors] | None = None
        if not self.is_streamed:
            self._place_whole()

    def _place_whole(self) -> None:
        """Put the examples on the device, or stream them where the device is full."""
        try:
            self._whole = self._placed(slice(None))
        except tf.errors.OpError as error:
            if not is_out_of_memory(error):
                raise
            self.is_streamed = True
            _LOGGER.warning(
                "The data do not fit the device and come in chunks: %s",
                reason_of(error),
            )

    def read(self, inputs: Tensors) -> Tensors:
        """Inputs of a network from what is placed, in a graph."""
        scalings = self.dataset.input_scaling
        return {
            n: rescaled(t, scalings[n]) if t.dtype == tf.uint8 else t
            for n, t in inputs.items()
        }

    def cut(self, tensors: Tensors) -> Tensors:
        """Sequences of tokens, and frames of sounds whose transcripts are predicted,
        without the padding that all examples end with."""
        are_framed = any(target.head.is_framed for target in self.task.targets)
        cut = {it.name for it in self.task.inputs if are_framed or it.dtype == "int32"}
        cut |= {it.name for it in self.task.targets if it.head.is_sequence}
        return {n: without_padding(t) if n in cut else t for n, t in tensors.items()}

    def kept(self, labels: Mapping[str, Any]) -> dict[str, Any]:
        """Labels, or their specs, of the targets whose heads keep figures of them."""
        return {it.name: labels[it.name] for it in self.task.targets if it.head.kept}

    def scored(self) -> Iterable[tuple[Tensors, Tensors]]:
        """Inputs and labels of the validation part in order, whole or in chunks."""
        return self._scored if self._whole is not None else self._validation()

    @cached_property
    def _scored(self) -> list[tuple[Tensors, Tensors]]:
        return list(self._validation())

    def _validation(self) -> Iterator[tuple[Tensors, Tensors]]:
        part = self.dataset.validation
        step = self._chunk if self.is_streamed else len(part)
        for start in range(0, len(part), step):
            rows = slice(start, start + step)
            yield placed(part.inputs, rows), placed(part.targets, rows)

    def chunks(self, order: NDArray[np.int32]) -> Iterator[Chunk]:
        """Steps of an epoch, `(steps, batch_size)`, with the examples they need, the
        next read ahead."""
        if self._whole is not None:
            yield (order, *self._whole)
            return
        steps = max(1, self._chunk // order[0].size)
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
        # As many in each chunk: XLA compiles a graph for each number of examples.
        return (local, *self._placed(examples, order.size))

    def _placed(self, chosen: Any, count: int = 0) -> tuple[Tensors, Tensors]:
        inputs, about = self.dataset.train.inputs, (chosen, count, self._laid)
        return placed(inputs, *about), placed(self.targets, *about)

    def _laid(self, rows: NDArray[Any]) -> Any:
        return laid(self._strategy, lambda replica: rows)


def taught(name: str) -> str:
    """Key of what a teacher gives for a target."""
    return f"{name}/teacher"


def placed(
    arrays: Mapping[str, Rows],
    chosen: Any,
    count: int = 0,
    lay: Callable[[NDArray[Any]], Any] = tf.constant,
) -> Tensors:
    """Some rows on the device, or where `lay` puts them, with zeros after them where
    there are fewer than a number: bytes as they are, which are scaled in the graph."""
    found = {}
    for name, array in arrays.items():
        rows = byte_rows(array)[chosen]
        missing = max(0, count - len(rows))
        if missing:
            rows = np.pad(rows, [(0, missing), *[(0, 0)] * (rows.ndim - 1)])
        found[name] = lay(rows)
    return found


def without_padding(tensor: Any) -> Any:
    """Ids `(examples, length)`, or frames `(examples, length, bands)`, cut to the
    longest example, in a graph; of nothing but padding, one remains."""
    is_held = tf.not_equal(tensor, 0)
    others = [axis for axis in range(len(tensor.shape)) if axis != 1]
    places = tf.where(tf.reduce_any(is_held, axis=others))[:, 0]
    return tensor[:, : tf.maximum(tf.reduce_max(places) + 1, 1)]


def rescaled(tensor: Any, scaling: Scaling) -> Any:
    """What `Scaling.apply` gives, in a graph."""
    return tf.cast(tensor, tf.float32) * scaling.scale + scaling.offset


def _specs(arrays: Mapping[str, Rows]) -> Tensors:
    return {
        name: tf.TensorSpec((None, *array.shape[1:]), byte_rows(array).dtype)
        for name, array in arrays.items()
    }


def network_target(dataset: Dataset, name: str, part: Part) -> NDArray[Any]:
    """A target as networks are trained on it: class ids, or scaled values."""
    scaling = dataset.target_scaling.get(name)
    values = part.targets[name]
    return values if scaling is None else scaling.invert(values)
