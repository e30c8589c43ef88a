"""Rounds: jobs of a search that does not learn, drawn some at a time."""

from collections.abc import Callable, Mapping, Sequence

from kscale.networks.families.base import Spec
from kscale.runs.records import Training
from kscale.search.contract import Job, derived_seed

ROUND = 20
"""Jobs of a round."""

_CHEAP_FIRST = 3


class Rounds:
    """What searchers share that draw their jobs in rounds and learn nothing.

    The three jobs of the least work come first, so that a search soon has an answer and
    knows what a training costs; the others as drawn.

    Args:
        trials: Most jobs to propose.
        epochs: Epochs to train each.
        seed: Decides everything.
        seeds_per_spec: Trainings a spec, each from another seed.
        admits: Whether a spec may be proposed, where that is known only of the spec
            itself; its answer for a spec never changes.
    """

    def __init__(
        self,
        trials: int,
        epochs: int,
        seed: int = 0,
        seeds_per_spec: int = 1,
        admits: Callable[[Spec], bool] | None = None,
    ) -> None:
        self.trials = trials
        self.epochs = epochs
        self.seed = seed
        self.seeds_per_spec = seeds_per_spec
        self.admits = admits
        self._drawn = 0
        self._round: list[Job] = []

    def prefer(self, job: Job) -> None:
        """Ask for a job of this round next."""
        self._round.remove(job)
        self._round.insert(0, job)

    def tell(self, job: Job, results: Sequence[Training]) -> None:
        """Nothing is learned."""

    def _begin_round(self, work: Mapping[Job, int]) -> None:
        """Take jobs, in the order drawn, with the work of each."""
        self._drawn += len(work)
        cheap = sorted(work, key=lambda job: work[job])[:_CHEAP_FIRST]
        self._round = list(dict.fromkeys([*cheap, *work]))

    def _job(self, index: int, spec: Spec, learning_rate: float) -> Job:
        return Job(
            "search",
            index,
            spec,
            seeds=tuple(
                derived_seed(self.seed, "search", index, member)
                for member in range(self.seeds_per_spec)
            ),
            learning_rates=(learning_rate,) * self.seeds_per_spec,
            epochs_to=self.epochs,
        )
