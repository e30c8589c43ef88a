"""Training the networks that kscale builds, by the epochs of the engine."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from kscale.data.dataset import Dataset
from kscale.data.parts import PartName
from kscale.engine.base import Network, Outputs, Program
from kscale.engine.engines import make_engine
from kscale.engine.family_network import family_network
from kscale.errors import TrialError
from kscale.networks.families import view_of_spec
from kscale.networks.families.base import Spec
from kscale.runs.records import Training
from kscale.ship.formats.base import write_whole
from kscale.ship.packaging import package_model
from kscale.task.evaluation import Scores
from kscale.task.tasks import Task
from kscale.tuning.members import Members
from kscale.tuning.trainer import (
    Assignment,
    EpochSeen,
    RunningTraining,
    TimeUp,
    Trainer,
    TrainingSetup,
)

_MOST_PLACED = 4
"""Views of the data on the device, besides those of programs that are kept."""

logger = logging.getLogger(__name__)


class FamilyTrainer(Trainer):
    """Trains and ships networks by a recipe; what each method does stands in `Trainer`.

    Args:
        setup: What all trainings share.
        network: Makes the network of a spec for a task; without it, that of the family
            in the parametrization of the setup.
    """

    def __init__(
        self,
        setup: TrainingSetup,
        network: Callable[[Spec, Task], Network] | None = None,
    ) -> None:
        self.setup = setup
        self.network: Callable[[Spec, Task], Network] = network or partial(
            family_network, parametrization=setup.parametrization
        )
        self.engine = make_engine(setup.strategy)
        self._placed: dict[Dataset, Any] = {}
        self._most_at_once = math.inf  # that memory has held

    @property
    def at_once(self) -> int:
        return int(min(self.engine.devices().at_once, self._most_at_once))

    def group(self, assignments: Sequence[Assignment]) -> list[Assignment]:
        """As `Trainer.group`, by what the engine can train in one program.

        A training in which a process died has no others beside it, to be blamed too.
        """
        first, task = assignments[0], self.setup.dataset.task
        chosen, networks = [first], [self._network(first)]
        view = view_of_spec(first.job.spec, task)
        for assignment in assignments[1:]:
            together = [*networks, self._network(assignment)]
            has_died = assignment.deaths or first.deaths
            is_alike = view_of_spec(assignment.job.spec, task) == view
            if (
                is_alike
                and not has_died
                and len(together) <= self.at_once
                and self.engine.are_trained_at_once(together, self.setup.recipe)
            ):
                chosen.append(assignment)
                networks = together
        return chosen

    def train(
        self, assignment: Assignment, on_epoch: EpochSeen | None = None
    ) -> Training:
        (training,) = self.train_together([assignment], [on_epoch])
        if training is None:
            raise TimeUp
        return training

    def train_together(
        self, assignments: Sequence[Assignment], on_epochs: Sequence[EpochSeen | None]
    ) -> list[Training | None]:
        """As `Trainer.train_together`; what fails for all is tried with each, or with
        half of them where memory was full, and not with more from then on."""
        count = len(assignments)
        networks = list(map(self._network, assignments))
        trainings = []
        for each, network, on_epoch in zip(
            assignments, networks, on_epochs, strict=True
        ):
            about = (self.setup, each, network.size, network.unknown_flops, on_epoch)
            trainings.append(RunningTraining(*about, beside=count))
        members = Members(trainings, self.engine.devices())
        found = trainings[0].tried(lambda: self._trained(members, networks))
        if not isinstance(found, Training):
            return found
        is_full, some = trainings[0].is_memory_full, 1
        if is_full and count > 1:
            self._most_at_once = some = count // 2
        if not (is_full and self._free()) and count == 1:
            return [found]
        logger.warning(
            "Trainings failed and begin again, %d at a time: %s", some, found.reason
        )
        results: list[Training | None] = []
        while len(results) < count and None not in results:
            next_ones = slice(len(results), len(results) + some)
            results += self.train_together(assignments[next_ones], on_epochs[next_ones])
        return results + [None] * (count - len(results))

    def _free(self) -> bool:
        """Forget what only other trainings need; whether there was any."""
        had_views = len(self._placed) > 1
        self._placed.clear()
        return self.engine.free() or had_views

    def _network(self, assignment: Assignment) -> Network:
        network = self.network(assignment.job.spec, self.setup.dataset.task)
        precision = self.setup.precision
        # What is evaluated is in float32: the same network, whose program is kept.
        return network if precision == "auto" else replace(network, precision=precision)

    def _trained(
        self, members: Members, networks: Sequence[Network]
    ) -> list[Training | None]:
        if members.are_ended:
            return members.results
        data = self.setup.dataset.seen_by(members.trainings[0].record.spec)
        validation = data.validation.inputs, data.validation.targets
        program = self._started(networks, [each.record for each in members.trainings])
        members.begin(program)
        outputs: list[Outputs] = []
        while not members.are_ended:
            if members.have_all_epochs:
                outputs = outputs or program.predict(*validation)
                members.finish(program, outputs, data.validation.inputs)
                outputs = []
                continue
            losses = program.run_epoch(members.orders())
            # The last score of a curve is that of the record, to the bit.
            outputs = program.predict(*validation) if members.is_last_epoch else []
            members.add_epoch(program, losses, outputs)
        if members.are_ok:
            program.close()
        return members.results

    def _started(
        self, networks: Sequence[Network], trainings: Sequence[Training]
    ) -> Program:
        placed = self._place(self.setup.dataset.seen_by(trainings[0].spec))
        program = self.engine.program(networks, placed, self.setup.recipe)
        rates = [training.learning_rate or 0.0 for training in trainings]
        program.start([training.seed for training in trainings], rates)
        return program

    def _place(self, data: Dataset) -> Any:
        """What the engine trains on: of some views that were needed last, kept."""
        placed = self._placed.pop(data, None)
        if placed is None:
            while len(self._placed) >= _MOST_PLACED:
                del self._placed[next(iter(self._placed))]
            setup = self.setup
            placed = self.engine.place(data, setup.class_weights, setup.objective)
        self._placed[data] = placed
        return placed

    def evaluate(self, training: Training, weights: Path, part: PartName) -> Scores:
        task, data = self.setup.dataset.task, self.setup.dataset.seen_by(training.spec)
        program = self._started([self.network(training.spec, task)], [training])
        if program.load(weights) is None:
            raise TrialError(f"{weights} is missing or damaged: nothing to evaluate.")
        rows = data.parts[part]
        (outputs,) = program.predict(rows.inputs, rows.targets)
        decoded = program.decode(rows.inputs)
        program.close()
        return self.setup.test_score(training.spec, part, outputs, decoded)

    def ship(self, training: Training, weights: Path, path: Path) -> str:
        data = self.setup.dataset
        model = package_model(
            training.spec,
            data.task,
            weights,
            data.preprocessing_of(training.spec),
            data.target_scaling,
        )
        write_whole(path, model.save)
        return ""
