"""Candidates: what a search draws from, counts, builds, trains and ships."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from kscale.engine.base import Engine, Latency
from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.search.draws import Draws
from kscale.tuning.request import SearchRequest
from kscale.tuning.trainer import Trainer, TrainingSetup


class Candidates(Protocol):
    """The networks of a search: of families, or of a user's code."""

    @property
    def names(self) -> tuple[str, ...]:
        """What reports show as families."""

    @property
    def sets_rates(self) -> bool:
        """Whether a job sets the learning rate; if not, the code of a model does."""

    @property
    def found(self) -> str:
        """What of the candidates fits the budget, in a few words."""

    @property
    def most_work(self) -> float:
        """Largest `Size.training_work`; infinity where only one network may be trained
        at a time."""

    @property
    def largest(self) -> Spec:
        """The candidate of the most work, of those that are known so far."""

    def identity(self) -> dict[str, Any]:
        """What tells a search of these candidates from others, beside names, data and
        budget: plain data, by default none."""
        return {}

    def description(self) -> dict[str, Any]:
        """Further items of run.json: plain data, by default none."""
        return {}

    def prepare(self, folder: Path, note: Callable[[str], None], trials: int) -> None:
        """Do what must succeed before anything is written.

        Args:
            folder: Folder of the run, which may not exist yet.
            note: Takes a sentence for the user.
            trials: Most specs to try.

        Raises:
            BudgetError, ExportError, SpecError: The candidates cannot be searched.
        """

    def notes(self) -> Sequence[str]:
        """Sentences for the report on what was drawn; by default none."""
        return ()

    def keep(self, folder: Path) -> None:
        """Keep in the folder of the run what a later session would have to work out
        again; by default nothing."""
        return

    def draws(self) -> Draws:
        """What a searcher tries, all within the budget."""

    def most_trials(self, asked: int) -> int:
        """How many specs may be tried, of those asked for."""

    def size(self, spec: Spec) -> Size:
        """Exact size."""

    def timer(self, engine: Engine, spec: Spec, batch: int) -> Callable[[], Latency]:
        """Build a network; gives a function that measures one forward pass."""

    def by_width(self, spec: Spec) -> tuple[Spec, int]:
        """What networks share that differ in nothing but width and training, and the
        width; 0, as by default, where no knob is known to make a network wider."""
        return spec, 0

    def faster(self, spec: Spec, share: float) -> str:
        """A sentence on what to set for networks that take a share of a spec's time;
        empty, as by default, where that is not known."""
        return ""

    def trainer(self, setup: TrainingSetup) -> Trainer:
        """What trains, evaluates and ships these candidates."""

    def trainer_of(
        self, request: SearchRequest, budget: Budget
    ) -> Callable[[TrainingSetup], Trainer]:
        """What makes such a trainer in another process, of the setup there: pickled,
        so without the data.

        Args:
            request: What was asked.
            budget: What a network may cost.
        """
