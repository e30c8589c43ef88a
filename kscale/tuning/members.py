"""Members that one program trains: each has a progress, a record and an end."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from kscale.data.example_rows import Rows
from kscale.engine.base import Devices, Outputs, Program
from kscale.runs.records import Training
from kscale.tuning.trainer import RunningTraining, TimeUp


class Members:
    """Trainings side by side; a failure, or the end of the time, ends one of them only.

    Args:
        trainings: In the order of the program's members.
        devices: Where the program runs.
    """

    def __init__(self, trainings: Sequence[RunningTraining], devices: Devices) -> None:
        self.trainings = trainings
        self._ended: dict[int, Training | None] = {}
        self._each(lambda member, training: training.check_survival(devices))

    @property
    def are_ended(self) -> bool:
        """Whether every training has ended."""
        return len(self._ended) == len(self.trainings)

    @property
    def are_ok(self) -> bool:
        """Whether every training has ended well."""
        return all(done is not None and done.status == "ok" for done in self.results)

    @property
    def results(self) -> list[Training | None]:
        """Records of what has ended; None where the time was over."""
        return [self._ended[member] for member in range(len(self.trainings))]

    @property
    def have_all_epochs(self) -> bool:
        """Whether a training that has not ended needs no epoch."""
        return 0 in self._missing()

    @property
    def is_last_epoch(self) -> bool:
        """Whether the next epoch is the last of a training."""
        return 1 in self._missing()

    def begin(self, program: Program) -> None:
        """Load what each goes on from."""
        self._each(
            lambda member, training: training.begin(
                partial(program.load, member=member)
            )
        )

    def orders(self) -> list[Any]:
        """The examples of each training's next epoch."""
        return [
            training.setup.order(training.record, training.progress.epochs)
            for training in self.trainings
        ]

    def add_epoch(
        self, program: Program, losses: Sequence[float], outputs: Sequence[Outputs]
    ) -> None:
        """Note an epoch of each, scored by outputs where there are any."""
        scores = [] if outputs else program.score()

        def add(member: int, training: RunningTraining) -> None:
            score = scores[member] if scores else training.score(outputs[member])
            training.add_epoch(losses[member], score)
            if training.progress.epochs < training.record.epochs:
                training.keep(partial(program.save, member=member))

        self._each(add)

    def finish(
        self, program: Program, outputs: Sequence[Outputs], inputs: Mapping[str, Rows]
    ) -> None:
        """Write the weights and the record of each that has all epochs.

        Args:
            program: What has trained.
            outputs: Of each, for the validation part.
            inputs: The validation part, of which a finalist's texts are decoded.
        """

        def finish(member: int, training: RunningTraining) -> Training | None:
            if training.progress.epochs < training.record.epochs:
                return None
            is_alone = len(self.trainings) == 1
            is_decoded = is_alone and training.job.stage == "finalist"
            return training.finished(
                partial(program.save, member=member),
                outputs[member],
                program.decode(inputs) if is_decoded else None,
            )

        self._each(finish)

    def _missing(self) -> list[int]:
        return [
            training.record.epochs - training.progress.epochs
            for member, training in enumerate(self.trainings)
            if member not in self._ended
        ]

    def _each(self, step: Callable[[int, RunningTraining], Training | None]) -> None:
        """Take a step of each open training; a record or an error ends the training."""
        for member, training in enumerate(self.trainings):
            if member in self._ended:
                continue
            try:
                done = training.tried(partial(step, member, training))
            except TimeUp:
                self._ended[member] = None
            else:
                if done is not None:
                    self._ended[member] = done
