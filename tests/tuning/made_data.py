"""Small real data and networks that the tests of training share."""

from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from kscale.building.models import build_model
from kscale.data.dataset import Dataset
from kscale.data.loading import load_dataset
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.epochs import DeviceData, EpochLoop, make_optimizer
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec


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
    compiled: bool = False,
    chunk_bytes: int = 2**26,
) -> EpochLoop:
    """A network of a spec, ready to train on one device unless told otherwise."""
    data = dataset or digits()
    devices = strategy or tf.distribute.get_strategy()
    blueprint = find_family(spec.family).blueprint(spec, data.task)
    replicas = devices.num_replicas_in_sync
    with devices.scope():
        model = build_model(blueprint, seed=seed, synchronized=replicas > 1)
        optimizer = make_optimizer(recipe, len(data.train), learning_rate, 0.004)
    held = DeviceData(data, chunk_bytes)
    return EpochLoop(model, optimizer, data.task, held, devices, compiled=compiled)


def weights_of(loop: EpochLoop) -> np.ndarray:
    """All weights in one vector."""
    return np.concatenate([np.ravel(weight) for weight in loop.model.get_weights()])
