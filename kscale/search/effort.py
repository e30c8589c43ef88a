"""Efforts: how much a search may train, in full trainings of the network that wins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kscale.networks.families.base import Spec
from kscale.runs.records import Training
from kscale.search.contract import Allowance, Job, keys_of

EFFORTS: Mapping[str, float] = {"quick": 3.0, "normal": 5.0, "thorough": 20.0}
"""Full trainings of the winner that a search may cost. The winner itself takes one and
two finalists of one new seed take two, so fewer than three leave nothing to search."""

LEAST_SECONDS = 2.0
"""Seconds that a full training counts at least: trainings of small data are mostly
fixed time, and nobody minds ten seconds."""

_MOST_OF_FINALISTS = 0.5  # of the effort


@dataclass(frozen=True)
class Effort:
    """How much a search may train, finalists included.

    Args:
        units: Full trainings of the winner that all trainings together may cost.
        largest: The largest network that fits, which may win until something is known.
    """

    units: float
    largest: Spec

    def seconds(self, winner: Job, allowance: Allowance) -> float:
        """Seconds of all trainings, by the job that trains the winner."""
        return self.units * max(allowance.alone(winner), LEAST_SECONDS)

    def within(
        self,
        winner: Job,
        history: Sequence[Training],
        pending: Sequence[Job],
        allowance: Allowance,
    ) -> Allowance:
        """What the effort leaves of an allowance."""
        seconds = self.seconds(winner, allowance)
        left = seconds - _spent(history, pending, allowance)
        return replace(
            allowance,
            seconds=min(allowance.seconds, left),
            most=min(allowance.most, _MOST_OF_FINALISTS * seconds),
            share=allowance.share if allowance.seconds < left else 1.0,
        )


def _spent(
    history: Sequence[Training], pending: Sequence[Job], allowance: Allowance
) -> float:
    """Seconds of what was trained, and of what is out and not yet recorded."""
    known = keys_of(history)
    out = sum(
        allowance.cost(job) * sum(key not in known for key in job.keys) / len(job.keys)
        for job in pending
    )
    return sum(training.seconds for training in history) + out
