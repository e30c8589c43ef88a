"""Flash and RAM that a network needs on a microcontroller, known before any training.

The network is the int8 LiteRT file that `kscale compress` writes (static int8, batch 1)
and runs in TensorFlow Lite Micro, with the kernels that TensorFlow itself has:

- `flash`: bytes of the file. Weights take a byte each, biases four; every channel of a
  layer with weights has two scales and two zero points, every tensor a record.
- `ram`: bytes of the interpreter's arena. Its head holds the tensors that are alive at
  once and the scratch buffers of an operation, each of a multiple of 16 bytes, where
  the interpreter's planner lays them. Its tail holds a record of each tensor and
  operation, and arrays of multipliers and shifts, one of each for each channel and
  each array of a multiple of 16 bytes. Weights stay in flash.

What the converter makes of each layer stands in `kscale.networks.lowering`. The file
scales images and sequences itself; a spectrogram is made outside. Every output gets a
softmax, but for real targets; the sigmoid of several labels is counted as a softmax.

Of all networks measured, RAM is predicted 0 to 2 % above the arena, never below. The
file is predicted within -1 to +2 %, and up to 5 % high for files of a few kB: see
`experiments/results/device_sizes.md`. Kernels of a maker (CMSIS-NN, ESP-NN) ask for
scratch buffers of their own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kscale.networks.arena import Buffer, aligned, alive_bytes, head_bytes
from kscale.networks.blueprint import Blueprint
from kscale.networks.flat import Flat
from kscale.networks.lowering import lower
from kscale.networks.operations import FILE_OF_TENSOR, TAIL_OF_TENSOR, Operations
from kscale.task.tasks import Input

_ARENA, _FILE = 386, 650  # bytes that every network takes of the tail, and of the file
_TAIL_OF_SOFTMAX, _FILE_OF_SOFTMAX = 176, 115  # the least that a real target saves


@dataclass(frozen=True)
class DeviceSize:
    """What an int8 network needs on a microcontroller; arrays for a width of an array.

    Args:
        flash: Bytes of the int8 LiteRT file.
        ram: Bytes of the interpreter's arena.
        peak: Path of the layer at which the arena is fullest, or `the scaling of input`
            and a name; empty for arrays.
    """

    flash: Any
    ram: Any
    peak: str = field(default="", compare=False)


def device_size(blueprint: Blueprint, most_ram: float = math.inf) -> DeviceSize:
    """Flash and RAM of a network in int8.

    Args:
        blueprint: The network.
        most_ram: The limit that RAM is compared with: of arrays, what is above the
            limit or far below is not worked out to the byte.

    Raises:
        SpecError: A layer has no operation in TensorFlow Lite Micro, or its input has a
            shape that it cannot take.

    Example:

    >>> from kscale.task.tasks import Task
    >>> from kscale.networks.families import FAMILIES
    >>> task = Task.of("image", (28, 28, 1), classes=10)
    >>> spec = FAMILIES["cnn"].spec(depth=4, width=8)
    >>> device_size(FAMILIES["cnn"].blueprint(spec, task)).peak
    'stage1/pool'
    """
    flat, inputs = Flat(blueprint), blueprint.inputs
    operations = Operations(inputs, flat)
    for item in inputs:
        operations.scale(item)
    for node in flat.nodes:
        lower(operations, node)
    for name in flat.outputs:
        elements = operations.elements[name]
        operations.append("SOFTMAX", f"{name}#softmax", (name,), elements)
    values = blueprint.activations.count("linear")
    return _size(inputs, operations, most_ram, values)


def _size(
    inputs: Sequence[Input], operations: Operations, most_ram: float, values: int
) -> DeviceSize:
    """Bytes of all operations, and of the arena that holds their tensors; the last
    argument is the number of real targets."""
    buffers, made = _buffers(inputs, operations), operations.made
    tail = _ARENA + len(inputs) * TAIL_OF_TENSOR + sum(item.tail for item in made)
    tail = tail - _TAIL_OF_SOFTMAX * values
    flash = _FILE + len(inputs) * FILE_OF_TENSOR + sum(item.flash for item in made)
    flash = flash - _FILE_OF_SOFTMAX * values
    ram = aligned(head_bytes(buffers, most_ram - np.min(tail)) + tail)
    return DeviceSize(flash, ram, _peak(inputs, operations, buffers))


def _buffers(inputs: Sequence[Input], operations: Operations) -> list[Buffer]:
    """Tensors and scratch buffers, in the order of the file's tensors."""
    made = operations.made
    last = {name: index for index, item in enumerate(made) for name in item.reads}
    found = [
        Buffer(aligned(operations.elements[item.name]), 0, last[item.name])
        for item in inputs
    ]
    for index, item in enumerate(made):
        used = last.get(item.path, len(made) - 1)
        found.append(Buffer(aligned(item.output), index, used))
    for index, item in enumerate(made):
        found += [Buffer(size, index, index) for size in item.scratch]
    return found


def _peak(
    inputs: Sequence[Input], operations: Operations, buffers: list[Buffer]
) -> str:
    """Where most bytes are alive, as in `DeviceSize`; empty for arrays."""
    if not all(isinstance(item.size, int) for item in buffers):
        return ""
    alive = alive_bytes(buffers, np.array([[item.size] for item in buffers]))
    name = operations.made[int(np.argmax(alive))].path.partition("#")[0]
    is_input = any(name == item.name for item in inputs)
    return f"the scaling of input {name}" if is_input else name
