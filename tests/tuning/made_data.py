"""Small real data and networks that the tests of training share."""

import gc
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kscale.data.dataset import Dataset
from kscale.data.loading import load_dataset
from kscale.engine.base import Devices
from kscale.engine.family_network import family_network
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.engine import TensorFlowEngine
from kscale.engine.tensorflow.epochs import EpochProgram
from kscale.engine.tensorflow.placing import PlacedData
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.search.contract import Job
from kscale.tuning.attempts import MemberWeights


class AtOnce(TensorFlowEngine):
    """Trains all that one program can, on a CPU too, and at most three."""

    def devices(self) -> Devices:
        return replace(super().devices(), at_once=3)


@cache
def digits() -> Dataset:
    """The embedded digits."""
    return load_dataset("digits")


def small_spec(**knobs: Any) -> Spec:
    """An MLP of fewer than 1,000 parameters on the digits."""
    return find_family("mlp").spec(**{"depth": 1, "width": 8, **knobs})


def made_loop(
    spec: Spec,
    recipe: Recipe,
    dataset: Dataset | None = None,
    strategy: Any = None,
    seed: int = 3,
    learning_rate: float = 3e-3,
    compiled: bool | None = None,
    chunk_bytes: int = 2**26,
    on_device: bool | None = None,
    parametrization: str = "standard",
    is_checked: bool | None = None,
) -> EpochProgram:
    """A network of a spec, ready to train on one device unless asked otherwise."""
    data = dataset or digits()
    network = family_network(spec, data.task, parametrization)
    devices = strategy or tf.distribute.get_strategy()
    placed = PlacedData(data, chunk_bytes=chunk_bytes, strategy=devices)
    program = EpochProgram(
        *(network, placed, recipe, devices, compiled),
        on_device=on_device,
        is_checked=is_checked,
    )
    program.start([seed], [learning_rate])
    return program


def run_epochs(program: EpochProgram, orders: Iterable[Any]) -> list[float]:
    """The loss of each epoch."""
    return [program.run_epoch([order])[0] for order in orders]


def weights_of(program: EpochProgram) -> np.ndarray:
    """All weights in one vector."""
    return np.concatenate([np.ravel(weight) for weight in program.model.get_weights()])


def train_in(folder: Path, trainer: Any, job: Job, **more: Any) -> Any:
    """The record of the first member of a job, trained in a folder of checkpoints."""
    return MemberWeights(folder, job, 0).train(trainer, **more)


def graphs() -> int:
    """Graphs of TensorFlow that are in memory."""
    gc.collect()
    return sum(issubclass(type(each), tf.Graph) for each in gc.get_objects())
