"""A user's models as the candidates of a search."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kscale.data.dataset import Dataset
from kscale.engine.base import Engine, Latency
from kscale.engine.recipe import Recipe
from kscale.errors import SpecError
from kscale.guests.hypermodels.counts import SIZES_FILE
from kscale.guests.hypermodels.raw_dataset import raw_dataset
from kscale.guests.hypermodels.user_fit import probe_fit
from kscale.guests.hypermodels.user_models import UserModels
from kscale.guests.hypermodels.user_trainer import UserTrainer
from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.search.drawn import DrawnPool
from kscale.tuning.auto_families import AUTO
from kscale.tuning.request import SearchRequest
from kscale.tuning.trainer import TrainingSetup

_FIRST = 20  # specs looked for before a search begins
_MOST_OF_TIME = 0.1  # of the time limit, for the models of a round to be counted
_SECONDS_BETWEEN_NOTES = 5.0


@dataclass(frozen=True, eq=False)
class UserCandidates:
    """The models of a hypermodel that fit a budget, as far as they are drawn.

    The data set is the one that the models are given.
    """

    models: UserModels
    dataset: Dataset
    pool: DrawnPool
    sets_rates = False

    @property
    def names(self) -> tuple[str, ...]:
        return (self.models.name,)

    @property
    def found(self) -> str:
        return self.pool.found

    def identity(self) -> dict[str, Any]:
        """The code, its hyperparameters, and which of them are depth and width."""
        return {
            "code": self.models.digest,
            "hyperparameters": self.models.outline(),
            **{f"{name}_knob": knob for name, knob in self.models.knobs.items()},
        }

    def description(self) -> dict[str, Any]:
        """What the hyperparameters may be."""
        return {"hyperparameters": self.models.domains()}

    def prepare(self, folder: Path, note: Callable[[str], None], trials: int) -> None:
        """Draw what a search begins with; sizes that a session counted are read."""
        self.models.counts.read(folder / SIZES_FILE)
        self.pool.tell = _notes_of_progress(note)
        self.pool.some(0, min(trials, _FIRST))
        left_out = sum(self.pool.left_out.values())
        if left_out:
            reason, _ = self.pool.left_out.most_common(1)[0]
            note(
                f"{left_out} of {self.pool.draws} draws made no model and are left "
                f"out: {reason.rstrip('.')}."
            )

    def keep(self, folder: Path) -> None:
        """Keep the sizes that were counted, and those that will be."""
        self.models.counts.keep(folder / SIZES_FILE)

    def draws(self) -> DrawnPool:
        return self.pool

    def most_trials(self, asked: int) -> int:
        return min(asked, len(self.pool)) if self.pool.is_exhausted else asked

    def size(self, spec: Spec) -> Size:
        return self.models.size(spec)

    def timer(self, engine: Engine, spec: Spec, batch: int) -> Callable[[], Latency]:
        model, _ = self.models.build(spec, seed=1)

        def measure() -> Latency:
            with self.models.importable():
                return engine.latency(model, self.models.task, batch)

        return measure

    def by_width(self, spec: Spec) -> tuple[Spec, int]:
        """Nobody knows which hyperparameter makes a model slower."""
        return spec, 0

    def trainer(self, setup: TrainingSetup) -> UserTrainer:
        return UserTrainer(setup, self.models, self.dataset)


def _notes_of_progress(note: Callable[[str], None]) -> Callable[[DrawnPool], None]:
    """What notes how far drawing has come, where drawing takes long."""
    noted = time.monotonic()

    def seen(pool: DrawnPool) -> None:
        nonlocal noted
        if time.monotonic() - noted >= _SECONDS_BETWEEN_NOTES:
            noted = time.monotonic()
            note(f"Counting the sizes of models: {pool.found}.")

    return seen


def user_candidates(
    request: SearchRequest, dataset: Dataset, budget: Budget, recipe: Recipe
) -> UserCandidates:
    """The candidates that the hypermodel of a request makes.

    Raises:
        BudgetError: Nothing fits.
        DataError: The data is larger than memory.
        SpecError: The hypermodel is none, cannot be imported or makes no model, or an
            option is one of families.
    """
    _check(request, dataset)
    raw = raw_dataset(dataset)
    models = UserModels(
        request.hypermodel, raw.task, request.depth_knob, request.width_knob
    )
    models.probe = probe_fit(models, raw, recipe)
    models.begin()
    seconds = math.inf if request.time_limit is None else request.time_limit
    pool = DrawnPool(models, budget, request.seed, _MOST_OF_TIME * seconds)
    pool.at(0)
    models.check_knobs()
    return UserCandidates(models, raw, pool)


def _check(request: SearchRequest, dataset: Dataset) -> None:
    if request.class_weights != "none" and len(dataset.task.targets) > 1:
        raise SpecError(
            "Keras takes class weights of one target only, but the data has "
            f"{len(dataset.task.targets)}; train with none."
        )
    if request.family != (AUTO,):
        raise SpecError(
            f"Give a hypermodel or a family, not both (`{request.family[0]}`)."
        )
    if request.settings or request.search:
        name = request.settings or request.search
        raise SpecError(
            f"`{next(iter(name))}` cannot be set or searched: the hyperparameters of a "
            "hypermodel are its code's."
        )
