"""The networks and the data that are trained, and the machine."""

import os
import platform
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kscale import build_model, find_family, load_dataset
from kscale.building.models import Schedule
from kscale.data.dataset import Dataset
from kscale.engine.base import Network
from kscale.engine.family_network import family_network
from kscale.engine.recipe import Recipe

SIZES = {
    "mlp": ((2, 64), (3, 256), (4, 1024)),
    "cnn": ((2, 16), (4, 16), (4, 32)),
    "resnet": ((1, 8), (1, 16), (2, 16)),
    "rnn": ((1, 16), (2, 32), (2, 128)),
    "transformer": ((1, 16), (2, 32), (2, 64)),
}
"""Depth and width of the networks of each family, the small one first."""
SEED, RATE = 0, 1e-3


@dataclass(frozen=True)
class Case:
    """A network to train.

    Args:
        family: Name of the family.
        depth, width: Size of the network.
        is_random: Whether the network drops out, as the family does by default.
    """

    family: str
    depth: int
    width: int
    is_random: bool = True

    @property
    def name(self) -> str:
        """What tables call the network."""
        return f"{self.family} {self.depth} x {self.width}"

    @cached_property
    def network(self) -> Network:
        """The network, for the engine."""
        family = find_family(self.family)
        knobs: dict[str, Any] = {"depth": self.depth, "width": self.width}
        if not self.is_random:
            knobs |= {name: 0.0 for name in family.all_knobs if "dropout" in name}
        return family_network(family.spec(**knobs), self.data.task)

    @property
    def data(self) -> Dataset:
        """The digits: images, or their 64 pixels as tokens of 17 greys."""
        return digits(self.family == "transformer")

    @property
    def recipe(self) -> Recipe:
        """Batches and epochs that kscale takes for so many examples."""
        return Recipe.for_examples(len(self.data.train))

    def order(self, seed: int, epoch: int) -> Any:
        """Examples of the steps of an epoch."""
        return self.recipe.order(len(self.data.train), seed, epoch)

    @property
    def is_quick(self) -> bool:
        """Whether what is made for GPUs is measured on CPUs, too."""
        return self.family == "mlp" or self == Case(self.family, *SIZES[self.family][0])

    def arrays(self, part: str) -> tuple[Any, Any]:
        """Inputs and labels of a part."""
        found = self.data.parts[part]  # type: ignore[index]
        return next(iter(found.inputs.values())), next(iter(found.targets.values()))

    def model(self, seed: int) -> keras.Model:
        """A model from a seed."""
        return build_model(self.network.layers, seed)  # type: ignore[arg-type]

    def optimizer(self) -> keras.Optimizer:
        """Keras' AdamW with the schedule of the recipe."""
        recipe, decay = self.recipe, self.network.weight_decay
        steps = recipe.steps_per_epoch(len(self.data.train)) * recipe.epochs
        rate: Any = Schedule(steps, RATE, recipe.warmup, recipe.cooldown)  # type: ignore[no-untyped-call]
        made = keras.optimizers.AdamW(rate, weight_decay=decay)
        made.exclude_from_weight_decay(
            var_names=["bias", "gamma", "beta", "embeddings"]
        )
        return made

    def compiled_model(self, seed: int) -> keras.Model:
        """A model that is ready for `fit`."""
        model = self.model(seed)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(self.optimizer(), loss)
        return model


@cache
def digits(as_tokens: bool) -> Dataset:
    """The embedded digits, as images or as tokens."""
    images = load_dataset("digits")
    if not as_tokens:
        return images
    arrays = {}
    for name, part in images.parts.items():
        ((item, pixels),) = part.inputs.items()
        greys = np.rint(images.input_scaling[item].invert(pixels))
        arrays[f"x_{name}"] = greys.astype(np.int32).reshape(len(part), -1)
        (arrays[f"y_{name}"],) = part.targets.values()
    return load_dataset(arrays, kind="tokens", vocabulary=17)


@cache
def machine() -> dict[str, Any]:
    """Processor, cores and GPU; a GPU that is hidden does not count."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = [line.split(":")[1].strip() for line in lines if "model name" in line]
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return {
        "cpu": model[0] if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": details[0].get("device_name", "GPU") if details else None,
    }
