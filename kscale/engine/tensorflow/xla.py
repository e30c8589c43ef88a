"""XLA: which networks it compiles, and what becomes of its failures."""

import logging
import re
from typing import Any

import numpy as np
import tensorflow as tf

from kscale.data.memory import free_bytes
from kscale.engine.tensorflow.devices import are_gpus
from kscale.errors import reason_of
from kscale.networks import blueprint as bp
from kscale.networks.blueprint import Blueprint, flat_layers

_LOGGER = logging.getLogger(__name__)

_DENSE_RECORDS = (
    bp.Activation,
    bp.BatchNorm,
    bp.Dense,
    bp.Dropout,
    bp.Flatten,
    bp.LayerNorm,
)
_CACHED_WEIGHTS = 5e5
_TRAININGS = 2  # of one network

_OF_A_NETWORK = (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError)
_OF_THE_COMPILER = (
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.NotFoundError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
)
"""Some are seen where NVIDIA's assembler or its library of functions is missing."""

XLA_ERRORS = (*_OF_A_NETWORK, *_OF_THE_COMPILER)
"""What is raised for a graph that XLA cannot compile, before anything is computed."""

_FUNCTION = re.compile(r"graph \w+\[[^]]*\]")  # the name has a number

_APART = 0.2  # share of a loss, as dropout differs with XLA (by 0.13 at most, seen)

_TENSOR_BYTES = 2**20
_SHARE = 0.25  # of the memory that is free


class Compiler:
    """What a process has seen of XLA, and whether it goes on with it.

    TensorFlow keeps what XLA has compiled until the process ends, after the network is
    gone: 4 MiB for an mlp of five weight tensors, 9 MiB for a cnn of eight (on a CPU
    with TensorFlow 2.21; 0.3 and 1 MiB without XLA). Once all that is kept exceeds a
    quarter of the free memory, no more networks are compiled.
    """

    def __init__(self) -> None:
        self._is_broken = False
        self._kept_bytes = 0
        self._noted: set[str] = set()
        self._verdicts: dict[frozenset[str], bool] = {}

    @property
    def is_usable(self) -> bool:
        """Whether XLA works here, and has memory for another network."""
        is_full = self._kept_bytes > _SHARE * free_bytes()
        if is_full:
            self._note("memory", "No memory is left for more networks compiled by XLA.")
        return not self._is_broken and not is_full

    def add(self, tensors: int) -> None:
        """Count a network of some weight tensors, which is compiled."""
        self._kept_bytes += tensors * _TENSOR_BYTES

    def note_failure(self, error: Exception) -> None:
        """Keep in mind that XLA has failed, with a warning at the first failure."""
        self._is_broken |= isinstance(error, _OF_THE_COMPILER)
        what = "here: networks are" if self._is_broken else "a network, which is"
        reason = _FUNCTION.sub("a graph", reason_of(error))
        self._note("failure", f"XLA cannot compile {what} trained without: {reason}")

    def trusts(self, kinds: frozenset[str]) -> bool | None:
        """Whether XLA is right for such layers, and fewer; None if that is unknown."""
        for seen, is_right in self._verdicts.items():
            if kinds == seen or (is_right and kinds < seen):
                return is_right
        return None

    def compare(self, kinds: frozenset[str], plain: Any, compiled: Any) -> bool:
        """Whether losses of an epoch are those without XLA, with a warning if not."""
        near = abs(compiled - plain) <= _APART * (abs(plain) + 0.25)
        is_right = bool(np.all(near | ~np.isfinite(plain)))
        if np.isfinite(plain).any():
            self._verdicts[kinds] = is_right
        if not is_right:
            text = "XLA is wrong for a network, which is trained without: the loss is "
            text += f"{np.round(compiled, 3)!s}, not {np.round(plain, 3)!s}."
            self._note("wrong", text)
        return is_right

    def _note(self, subject: str, text: str) -> None:
        """Warn of a subject, once."""
        if subject not in self._noted:
            _LOGGER.warning(text)
        self._noted.add(subject)


COMPILER = Compiler()


def is_worth_compiling(
    blueprint: Blueprint,
    params: int,
    tensors: int,
    steps: int,
    strategy: tf.distribute.Strategy,
) -> bool:
    """Whether XLA saves more than it costs, in two trainings of a network.

    A search with finalists trains a network twice on average. On a GPU an epoch takes a
    tenth of the time and less (seen on an H100); recurrent layers run cuDNN's kernels
    there, which XLA does not take, and random shifts have no kernel of XLA. On a CPU a
    step of a dense network is shorter by some 0.02 ms for each weight tensor, and by
    2 ns for each weight that is in no cache; compiling takes 0.3 s, and 15 ms a tensor
    (`experiments/training_speed.py`). Convolutions in a loop are far slower with XLA
    there.

    Several replicas bring gradients together at each step, which XLA cannot compile.
    Loss and gradients of a step compiled alone gave the same weights, but took two
    devices of one CPU core 1.0 to 1.8 times the processor time of the plain graph, for
    mlps of 9 thousand to 1.1 million parameters; on GPUs nobody has measured that.
    """
    if strategy.num_replicas_in_sync > 1:
        return False
    layers = list(flat_layers(blueprint))
    if are_gpus(strategy):
        unfit = bp.RandomShift, bp.Recurrent
        is_worth = not any(isinstance(layer, unfit) for layer in layers)
    else:
        uncached = max(0.0, params - _CACHED_WEIGHTS)
        saved = _TRAININGS * steps * (2e-5 * tensors + 2e-9 * uncached)
        dense = all(isinstance(layer, _DENSE_RECORDS) for layer in layers)
        is_worth = dense and saved > 0.3 + 0.015 * tensors
    return is_worth and COMPILER.is_usable
