"""Method: a way to make a trained network smaller, as plain data and one function."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kscale.data.dataset import Dataset
from kscale.engine.recipe import Recipe
from kscale.networks.families.base import Spec
from kscale.ship.runtimes import Arrays
from kscale.task.objectives import Objective


@dataclass(frozen=True)
class Trained:
    """A network in float32 with its weights.

    Args:
        spec: The network.
        weights: A checkpoint, as `kscale.engine.tensorflow.checkpoints` writes it.
        learning_rate: Largest learning rate of its training.
    """

    spec: Spec
    weights: Path
    learning_rate: float


@dataclass(frozen=True, eq=False)
class Subject:
    """What is compressed, and what a method that trains may use.

    Args:
        network: The trained network.
        teacher: The best network of the run that is larger and better; None if there is
            none.
        dataset: The data that the run was trained on.
        objective: What a score is.
        recipe: Epochs, batches and schedule of the run.
        class_weights: One of `kscale.data.class_weights.CLASS_WEIGHTS`.
        strategy: Name of the devices.
        parametrization: One of `kscale.networks.parametrization.PARAMETRIZATIONS`.
        seed: Decides the order of examples, new weights and random choices.
    """

    network: Trained
    teacher: Trained | None
    dataset: Dataset
    objective: Objective
    recipe: Recipe
    class_weights: str = "none"
    strategy: str = "auto"
    parametrization: str = "standard"
    seed: int = 0


Train = Callable[[Subject, float, Path], Trained]
"""Makes another network of a subject's and a share, and writes its weights to a path.

What cannot be done raises an error whose text is one line.
"""

Check = Callable[[Subject, float], object]
"""Raises an error where a method cannot work with a subject and a share."""

Quantize = Callable[[Path, Path, Arrays], None]
"""Makes a smaller LiteRT file of a float32 one, with examples of the training part."""


@dataclass(frozen=True)
class Method:
    """A way to make a network smaller.

    Args:
        name: Name on the command line.
        purpose: What the method is for, in one line.
        train: Of a method that trains; such methods come first in a chain.
        quantize: Of a method that stores weights in fewer bits; such a method comes
            last. A method has one of the two functions.
        bits: Bits of a weight in the file.
        share: Usual share of what is removed; None for a method that removes nothing.
        check: Called before any method of a command trains.
        baselines: Names of methods that are run beside, with the same share: what a
            gain must be more than.
    """

    name: str
    purpose: str
    train: Train | None = None
    quantize: Quantize | None = None
    bits: int = 32
    share: float | None = None
    check: Check = lambda subject, share: None
    baselines: tuple[str, ...] = ()
