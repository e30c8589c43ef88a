"""The contract of a searcher: `ask` for a job, `tell` its results."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import Protocol

from kscale.networks.families.base import Spec, is_own
from kscale.runs.records import Stage, Training, training_key


class Signal(Enum):
    """What a searcher may answer instead of a job."""

    WAIT = "wait"
    DONE = "done"


WAIT = Signal.WAIT
"""Results of jobs that were asked for are due before the next job can be chosen."""

DONE = Signal.DONE
"""There will be no further job."""


@dataclass(frozen=True)
class Job:
    """Trainings of one spec, each with a seed and a learning rate of its own.

    Args:
        stage: `baseline`, `search` or `finalist`.
        index: Number of the job within its stage, from 0.
        spec: What to train.
        seeds: A seed for each member.
        learning_rates: A learning rate for each member.
        epochs_to: Epochs the weights have been trained when the job ends.
        epochs_from: Epochs they were trained before; above 0 the job goes on from the
            weights and the optimizer of its parent's members.
        parent: Index of the job it goes on from, in the same stage.
        keep: Whether the weights stay on disk: a later job may go on from them, or they
            may become the answer.
    """

    stage: Stage
    index: int
    spec: Spec
    seeds: tuple[int, ...]
    learning_rates: tuple[float, ...]
    epochs_to: int
    epochs_from: int = 0
    parent: int | None = None
    keep: bool = False

    def member_key(self, member: int, epochs: int | None = None) -> str:
        """A name for one training that says what it is, whatever its job is numbered.

        Two jobs that train the same spec with the same seed, learning rate, stage and
        epochs have the same key, so a finished one is never trained again.
        """
        # The code of a user's model decides the rate, which is known after training.
        rate = None if is_own(self.spec.family) else self.learning_rates[member]
        epochs = self.epochs_to if epochs is None else epochs
        return training_key(self.stage, self.spec, rate, self.seeds[member], epochs)


def derived_seed(*parts: object) -> int:
    """A seed between 1 and 2**31 that depends on every part and on nothing else.

    Example:

    >>> derived_seed(0, "search", 1) == derived_seed(0, "search", 1)
    True
    >>> derived_seed(0, "search", 1) == derived_seed(1, "search", 0)
    False
    """
    digest = blake2b(repr(parts).encode(), digest_size=4).digest()
    return 1 + int.from_bytes(digest, "big") % (2**31 - 1)


class Searcher(Protocol):
    """Proposes jobs and learns from their results.

    Rules, checked for every searcher in `tests/contracts/searcher.py`:

    - It reads no file and no clock, prints nothing and imports no Keras. Its proposals
      depend only on its arguments and on the results told, in the order of the jobs.
    - It never proposes a spec beyond the budget.
    - It answers `DONE` when nothing is left to propose, and keeps answering so.
    - It survives failed results.
    """

    def ask(self) -> Job | Signal:
        """The next job, `WAIT` or `DONE`."""
        ...

    def planned(self) -> Sequence[Job]:
        """Jobs it would propose next whatever it is told; may be empty.

        From them the time that is left is worked out.
        """
        ...

    def prefer(self, job: Job) -> None:
        """Propose a planned job next; the others keep their order."""
        ...

    def tell(self, job: Job, results: Sequence[Training]) -> None:
        """Take the results of a job: one for each member, in order."""
        ...
