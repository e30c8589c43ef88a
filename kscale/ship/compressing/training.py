"""Trains networks for the methods of the table, by the recipe of a run."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from kscale.data.dataset import Dataset
from kscale.data.parts import PartName
from kscale.engine.base import Engine, Outputs, Program, Teacher
from kscale.engine.engines import make_engine
from kscale.engine.family_network import family_network
from kscale.engine.progress import Progress
from kscale.engine.recipe import Recipe
from kscale.errors import ExportError, TrialError
from kscale.networks.families.base import Spec
from kscale.ship.compressing.contract import Subject, Trained
from kscale.task.objectives import Objective

_TUNED_SHARE = 0.25
_FEWEST_EPOCHS = 4


def tuned_epochs(recipe: Recipe) -> int:
    """Epochs that repair a network: a share of those of the run, at least four."""
    return max(_FEWEST_EPOCHS, round(_TUNED_SHARE * recipe.epochs))


@dataclass(frozen=True, eq=False)
class NetworkTrainer:
    """Trains networks on one data set; programs and placed data are kept for the next.

    Args:
        dataset: The data.
        objective: What a score is.
        recipe: Batches and schedule.
        class_weights: As in `Engine.place`.
        strategy: Name of the devices.
        parametrization: Of the learning rates and the initial values.
    """

    dataset: Dataset
    objective: Objective
    recipe: Recipe
    class_weights: str
    strategy: str
    parametrization: str
    _placed: dict[Any, Any] = field(default_factory=dict)

    @cached_property
    def engine(self) -> Engine:
        """What trains."""
        return make_engine(self.strategy)

    def train(
        self,
        network: Trained,
        seed: int,
        path: Path,
        epochs: int,
        *,
        is_new: bool = False,
        teacher: Trained | None = None,
        before_epoch: Callable[[Program, int], None] = lambda program, epoch: None,
    ) -> Trained:
        """A network after some epochs, whose weights are written to a path.

        Args:
            network: What is trained, with the weights and the rate to begin with.
            seed: Decides the order of examples, dropout, and new weights.
            path: Where to write.
            epochs: Epochs of the schedule.
            is_new: Whether to begin with new weights.
            teacher: A network whose outputs are learned beside the labels.
            before_epoch: Called with the program and the number of the epoch, from 0.

        Raises:
            ExportError: The weights to begin with are missing or damaged.
            TrialError: The loss is no number any more.
        """
        recipe = replace(self.recipe, epochs=epochs)
        program = self._started(network, recipe, seed, is_new, teacher)
        for epoch in range(epochs):
            before_epoch(program, epoch)
            order = recipe.order(len(self.dataset.train), seed, epoch)
            (loss,) = program.run_epoch([order])
            if not math.isfinite(loss):
                raise TrialError(f"the loss became {loss} in epoch {epoch + 1}")
        program.save(path, Progress(epochs, is_finished=True))
        program.close()
        return replace(network, weights=path)

    def outputs(self, network: Trained, part: PartName) -> Outputs:
        """What a trained network gives for a part."""
        program = self._started(network, self.recipe, 0, is_new=False)
        data = self.dataset.seen_by(network.spec)
        rows = data.parts[part]
        (outputs,) = program.predict(rows.inputs, rows.targets)
        program.close()
        return outputs

    def _started(
        self,
        network: Trained,
        recipe: Recipe,
        seed: int,
        is_new: bool,
        teacher: Trained | None = None,
    ) -> Program:
        data = self.dataset.seen_by(network.spec)
        task, placed = self.dataset.task, self._place(data, teacher)
        made = family_network(network.spec, task, self.parametrization)
        program = self.engine.program([made], placed, recipe)
        program.start([seed], [network.learning_rate])
        begun = is_new or program.load(network.weights, only_weights=True)
        if not begun:
            raise ExportError(
                f"{network.weights} is missing or damaged; run the search again."
            )
        return program

    def _place(self, data: Dataset, teacher: Trained | None) -> Any:
        """The data, beside what a teacher gives for them, which is worked out once."""
        key = (data, teacher)
        if key not in self._placed:
            taught = None
            if teacher is not None:
                taught = Teacher(self.outputs(teacher, "train"))
            about = (self.class_weights, self.objective, taught)
            self._placed[key] = self.engine.place(data, *about)
        return self._placed[key]


@lru_cache(maxsize=1)
def _trainer(*about: Any) -> NetworkTrainer:
    return NetworkTrainer(*about)


def trainer_of(subject: Subject) -> NetworkTrainer:
    """What trains networks of a subject: the same for all that share their data."""
    return _trainer(
        subject.dataset,
        subject.objective,
        subject.recipe,
        subject.class_weights,
        subject.strategy,
        subject.parametrization,
    )


def fine_tuned(
    subject: Subject,
    path: Path,
    network: Trained | None = None,
    before_epoch: Callable[[Program, int], None] = lambda program, epoch: None,
) -> Trained:
    """A network trained on for some epochs, by the schedule of the run at its rate.

    A lower rate repairs less (`experiments/pruning.py`; Renda et al. 2020, arXiv
    2003.02389, found the same).

    Args:
        subject: Whose network is meant, unless another one is given.
        path: Where to write the weights.
        network: Another network.
        before_epoch: As in `NetworkTrainer.train`.
    """
    return trainer_of(subject).train(
        network or subject.network,
        subject.seed,
        path,
        tuned_epochs(subject.recipe),
        before_epoch=before_epoch,
    )


def from_scratch(
    subject: Subject, spec: Spec, path: Path, teacher: Trained | None = None
) -> Trained:
    """A new network, trained for as many epochs as a repaired one has seen in all."""
    epochs = subject.recipe.epochs + tuned_epochs(subject.recipe)
    network = replace(subject.network, spec=spec)
    return trainer_of(subject).train(
        network, subject.seed, path, epochs, is_new=True, teacher=teacher
    )


def fine_tune(subject: Subject, share: float, path: Path) -> Trained:
    """The method `fine-tune`: the network as it is, trained on."""
    return fine_tuned(subject, path)
