"""Training the networks that kscale builds, by the epochs of the engine."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kscale.data.parts import PartName
from kscale.engine.base import Network, Program
from kscale.engine.engines import make_engine
from kscale.errors import TrialError
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.runs.records import Training
from kscale.ship.formats.base import write_whole
from kscale.ship.packaging import package_model
from kscale.task.evaluation import Scores
from kscale.task.tasks import Task
from kscale.tuning.trainer import (
    Assignment,
    EpochSeen,
    RunningTraining,
    TrainingSetup,
)


def family_network(spec: Spec, task: Task) -> Network:
    """The network of a spec, with the knobs of its family that training needs."""
    family, knobs = find_family(spec.family), dict(spec.knobs)
    return Network(
        family.blueprint(spec, task),
        family.size(spec, task),
        weight_decay=float(knobs.get("weight_decay", 0.0)),
        label_smoothing=float(knobs.get("label_smoothing", 0.0)),
    )


class FamilyTrainer:
    """Trains and ships networks by a recipe; what each method does stands in `Trainer`.

    Args:
        setup: What all trainings share.
        network: Makes the network of a spec for a task.
    """

    def __init__(
        self,
        setup: TrainingSetup,
        network: Callable[[Spec, Task], Network] = family_network,
    ) -> None:
        self.setup = setup
        self.network = network
        self.engine = make_engine(setup.strategy)
        self._placed: Any = None

    def train(
        self, assignment: Assignment, on_epoch: EpochSeen | None = None
    ) -> Training:
        setup = self.setup
        network = self.network(assignment.job.spec, setup.dataset.task)
        network = replace(network, precision=setup.precision)
        training = RunningTraining(
            setup, assignment, network.size, network.unknown_flops, on_epoch
        )
        return training.run(
            lambda: self._trained(training, network), self.engine.devices()
        )

    def _trained(self, training: RunningTraining, network: Network) -> Training:
        setup, record = self.setup, training.record
        program = self._started(network, record)
        training.begin(program.load)
        progress = training.progress
        for epoch in range(progress.epochs, record.epochs):
            order = setup.recipe.order(len(setup.dataset.train), record.seed, epoch)
            (loss,) = program.run_epoch([order])
            if epoch + 1 < record.epochs:
                training.add_epoch(loss, *program.score())
                training.keep(program.save)
        (outputs,) = program.predict(setup.dataset.validation.inputs)
        if progress.epochs < record.epochs:
            # The last score of the curve is that of the record, to the bit.
            training.add_epoch(loss, setup.score(outputs))
        done = training.finished(program.save, outputs)
        program.close()
        return done

    def _started(self, network: Network, training: Training) -> Program:
        setup = self.setup
        if self._placed is None:
            self._placed = self.engine.place(
                setup.dataset, setup.class_weights, setup.objective
            )
        program = self.engine.program(network, self._placed, setup.recipe)
        program.start([training.seed], [training.learning_rate or 0.0])
        return program

    def evaluate(self, training: Training, weights: Path, part: PartName) -> Scores:
        data = self.setup.dataset
        program = self._started(self.network(training.spec, data.task), training)
        if program.load(weights) is None:
            raise TrialError(f"{weights} is missing or damaged: nothing to evaluate.")
        (outputs,) = program.predict(data.parts[part].inputs)
        program.close()
        return self.setup.test_score(part, outputs)

    def ship(self, training: Training, weights: Path, path: Path) -> str:
        data = self.setup.dataset
        model = package_model(
            training.spec,
            data.task,
            weights,
            data.preprocessing,
            data.target_scaling,
        )
        write_whole(path, model.save)
        return ""
