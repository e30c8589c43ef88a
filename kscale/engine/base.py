"""The engine: the few operations of training that a numerical library computes.

Resuming, failing and scoring stand above the engine (`kscale.tuning.trainer`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from kscale.data.dataset import Dataset
from kscale.data.example_rows import Rows
from kscale.engine.progress import Progress
from kscale.engine.recipe import Recipe
from kscale.networks.blueprint import Blueprint
from kscale.networks.parametrization import Factor
from kscale.networks.sizing import Size
from kscale.task.objectives import Objective
from kscale.task.tasks import Task

PRECISIONS = ("auto", "float32", "bfloat16")
"""What layers compute in; weights and losses are float32 in each of them."""

Outputs = dict[str, NDArray[Any]]
"""By target name, what a network gives: logits of classes, scaled values, or what the
head keeps of its outputs."""

BEAMS = 4
"""Texts that are kept while a text is decoded, as of Vaswani et al. 2017."""

Masks = Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[Any]]]
"""Of weights by name, masks by name."""


@dataclass(frozen=True)
class Network:
    """One network to train.

    Args:
        layers: A blueprint, or a function that makes a Keras model from a seed.
        size: Exact size.
        unknown_flops: Number of layers that `size` counts no FLOPs of.
        weight_decay: Share of a weight that an optimizer's step takes away.
        label_smoothing: Share of a label that is spread over all classes.
        precision: One of `PRECISIONS`; models of a function are as the function makes
            them.
        factors: Factors of learning rates and initial values, by the width.
    """

    layers: Blueprint | Callable[[int], Any]
    size: Size
    unknown_flops: int = 0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    precision: str = "float32"
    factors: tuple[Factor, ...] = ()


@dataclass(frozen=True)
class Teacher:
    """What a network is taught beside the labels.

    Args:
        outputs: Of a trained network, for the training part in order.
        share: Of the loss, which the difference from the teacher decides; the rest is
            that of the labels.
        temperature: Of both outputs, where a difference has one.
    """

    outputs: Outputs
    share: float = 0.5
    temperature: float = 3.0


@dataclass(frozen=True)
class Devices:
    """Where an engine trains.

    Args:
        names: Names of the devices.
        replicas: Copies of a network that train in step.
        are_gpus: Whether the devices are GPUs. A GPU whose memory is full raises an
            error, which fails one training; a CPU's ends the process.
        at_once: Networks of one program at most; 1 where several lose.
    """

    names: tuple[str, ...]
    replicas: int
    are_gpus: bool
    at_once: int = 1


@dataclass(frozen=True)
class Latency:
    """Times of a forward pass in milliseconds: the median, first and last decile."""

    median: float
    low: float
    high: float


class Program(Protocol):
    """A network, once or several times with other weights, ready to be trained.

    Lists hold an item for each member, in one order.
    """

    def start(
        self, seeds: Sequence[int], rates: Sequence[float], epochs: int = 0
    ) -> None:
        """Make new weights and a new optimizer.

        Args:
            seeds: Decide the initial weights and what is random in training.
            rates: Largest learning rates.
            epochs: Epochs of the schedule that are over already.
        """

    def load(
        self, path: Path, member: int = 0, only_weights: bool = False
    ) -> Progress | None:
        """Take weights and optimizer from a checkpoint; None if it is unusable.

        Args:
            path: The checkpoint.
            member: Number of the network that reads the checkpoint.
            only_weights: Whether the optimizer stays as it is, and need not be there:
                a new training begins with these weights.
        """

    def save(self, path: Path, progress: Progress, member: int = 0) -> None:
        """Write a checkpoint, which appears whole or not at all.

        Raises:
            OSError: The file cannot be written.
        """

    def hold(self, chosen: "Masks") -> None:
        """Hold weights at 0 from now on, until the next start; of one network only.

        Args:
            chosen: Of the trained weights by name, masks by name, which are 0 where a
                weight is held and else 1. Weights without a mask are held as before.
        """

    def run_epoch(self, orders: Sequence[NDArray[Any]]) -> list[float]:
        """Train an epoch; the mean losses.

        Args:
            orders: Examples of each step, `(steps, batch_size)`.
        """

    def score(self) -> list[float]:
        """The objective on the validation part, worked out where the outputs are."""

    def predict(
        self, rows: Mapping[str, Rows], labels: Mapping[str, Rows] | None = None
    ) -> list[Outputs]:
        """Outputs for examples given by input name; nothing is trained.

        Args:
            rows: The inputs.
            labels: By target name, labels of the same examples, where the head of a
                target keeps figures of both (`Head.kept`); these are given then.
        """

    def decode(self, rows: Mapping[str, Rows]) -> Outputs:
        """By target name, ids of the texts that the network writes for inputs, by a
        search with `BEAMS` beams, `(examples, length)`; of targets whose texts are
        compared only, and of one member only."""

    def close(self) -> None:
        """Give the program back, to be started again for the same network.

        A program that failed is left alone instead.
        """


class Engine(Protocol):
    """Places data, makes programs, measures."""

    def place(
        self,
        dataset: Dataset,
        class_weights: str = "none",
        objective: Objective | None = None,
        teacher: Teacher | None = None,
    ) -> Any:
        """The training and validation parts on the device, for `program`.

        Args:
            dataset: The data set.
            class_weights: One of `kscale.data.class_weights.CLASS_WEIGHTS`.
            objective: The metric that `Program.score` gives; None for the usual one.
            teacher: Outputs to learn beside the labels.
        """

    def are_trained_at_once(self, networks: Sequence[Network], recipe: Recipe) -> bool:
        """Whether one program can train several networks, in less time and in memory.

        Args:
            networks: A network for each member.
            recipe: Batches and schedule.
        """

    def program(
        self, networks: Sequence[Network], placed: Any, recipe: Recipe
    ) -> Program:
        """A program to start: a new one, or a closed one of the same networks.

        What is traced and compiled is kept: the next training of a network, with
        another seed, learning rate or length, costs little beside its epochs.

        Args:
            networks: A network for each member; several must be of one structure, see
                `are_trained_at_once`.
            placed: The result of `place`.
            recipe: Batches and schedule.
        """

    def follow(
        self, dataset: Dataset | None, class_weights: str, number: int | None
    ) -> bool:
        """On workers other than the first, train what the first trains, until the end.

        Args:
            dataset: The data set, the same on every worker; None to open the one that
                the first worker shares.
            class_weights: As of `place`.
            number: Of what is asked; None to train whatever the first worker trains.

        Returns:
            Whether this worker followed: nothing is left to do.

        Raises:
            DataError: The data set that the first worker shares is not there.
            SpecError: Workers were asked different things.
            WorkerLostError: A worker is gone.
        """

    def share(self, folder: Path) -> None:
        """Tell the workers that follow in which folder the data set is stored."""

    def dismiss(self) -> None:
        """Let the workers that follow go."""

    def free(self) -> bool:
        """Forget closed programs, where memory is full; whether there were any."""

    def devices(self) -> Devices:
        """Where programs run."""

    def latency(self, model: Any, task: Task, batch: int = 1) -> Latency:
        """Times of forward passes, the outputs brought to the host each time.

        Args:
            model: A built Keras model of the task's inputs.
            task: What the model takes in.
            batch: Examples of a pass.
        """
