"""TPUs by name. No TPU was at hand: only the error of a missing TPU is tested."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import grpc
import tensorflow as tf

from kscale.errors import SpecError, reason_of

_SECONDS = 5.0  # for Google's metadata server, and for a TPU


@cache
def tpu_strategy(name: str) -> tf.distribute.Strategy:
    """The cores of a TPU, each with a copy of the network.

    Args:
        name: Of a Cloud TPU, or its address; empty for the TPU of this machine.

    Raises:
        SpecError: There is no such TPU, or TensorFlow has no library for TPUs.
    """
    try:
        with _impatient():
            found = tf.distribute.cluster_resolver.TPUClusterResolver(name or "local")
        if name:
            _check_answers(found.master())
        tf.config.experimental_connect_to_cluster(found)
        tf.tpu.experimental.initialize_tpu_system(found)
        return tf.distribute.TPUStrategy(found)
    except (OSError, ValueError, RuntimeError, ImportError, tf.errors.OpError) as error:
        which = f"no TPU {name} that answers" if name else "no TPU in this machine"
        raise SpecError(
            f"There is {which}, or TensorFlow lacks its library: {reason_of(error)}."
        ) from error


@contextmanager
def _impatient() -> Iterator[None]:
    """Inside, nobody is waited for long: outside Google's cloud nobody answers."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _check_answers(master: str) -> None:
    """Raise unless something speaks gRPC there; TensorFlow would wait for ever."""
    address = master.removeprefix("grpc://")
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(address, options) as channel:
        try:
            grpc.channel_ready_future(channel).result(_SECONDS)
        except grpc.FutureTimeoutError as error:
            raise OSError(f"{address} does not answer") from error
