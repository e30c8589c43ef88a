"""A plan whose models are a user's."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kscale.data.dataset import Dataset
from kscale.engine.recipe import Recipe
from kscale.errors import SpecError
from kscale.guests.hypermodels.counts import SIZES_FILE
from kscale.guests.hypermodels.raw_dataset import raw_dataset
from kscale.guests.hypermodels.user_fit import probe_fit
from kscale.guests.hypermodels.user_models import UserModels
from kscale.networks.budget import Budget
from kscale.search.drawn import DrawnPool
from kscale.search.pool import Space
from kscale.task.objectives import Objective
from kscale.tuning.auto_families import AUTO
from kscale.tuning.plan import Plan
from kscale.tuning.request import SearchRequest

_FIRST = 20  # specs looked for before a search begins
_MOST_OF_TIME = 0.1  # of the time limit, for the models of a round to be counted
_SECONDS_BETWEEN_NOTES = 5.0


@dataclass(frozen=True, eq=False)
class UserSearch:
    """What a search of a user's models needs beside a plan.

    Args:
        models: What is drawn and built.
        dataset: What the models are given.
        pool: The specs inside the budget, as far as they are drawn.
    """

    models: UserModels
    dataset: Dataset
    pool: DrawnPool

    @property
    def identity(self) -> dict[str, Any]:
        """What makes a search of these models this one."""
        return {
            "code": self.models.digest,
            "hyperparameters": self.models.outline(),
            **{f"{name}_knob": knob for name, knob in self.models.knobs.items()},
        }

    @property
    def description(self) -> dict[str, Any]:
        """What run.json says of the models beside the identity."""
        return {"hyperparameters": self.models.domains()}

    def read(self, folder: Path, note: Callable[[str], None], trials: int) -> None:
        """Draw what a search begins with, with what an earlier session counted.

        Args:
            folder: Folder of the run, which may not exist yet.
            note: Is told how far counting has come where it takes long, and what was
                left out.
            trials: Most specs to try.
        """
        self.models.counts.read(folder / SIZES_FILE)
        self.pool.tell = _Teller(note)
        self.pool.some(0, min(trials, _FIRST))
        left_out = sum(self.pool.left_out.values())
        if left_out:
            reason, _ = self.pool.left_out.most_common(1)[0]
            note(
                f"{left_out} of {self.pool.draws} draws made no model and are left "
                f"out: {reason.rstrip('.')}."
            )

    def keep(self, folder: Path) -> None:
        """Keep what was counted, and what will be, in the folder of the run."""
        self.models.counts.keep(folder / SIZES_FILE)


class _Teller:
    """Says how far drawing has come, where it takes long."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._told = time.monotonic()

    def __call__(self, pool: DrawnPool) -> None:
        if time.monotonic() - self._told >= _SECONDS_BETWEEN_NOTES:
            self._told = time.monotonic()
            self._note(f"Counting the sizes of models: {pool.found}.")


def plan_user_models(
    hypermodel: Any,
    request: SearchRequest,
    dataset: Dataset,
    budget: Budget,
    objective: Objective,
    recipe: Recipe,
    depth_knob: str | None = None,
    width_knob: str | None = None,
) -> Plan:
    """A plan to search a user's models.

    Args:
        hypermodel: As `load_hypermodel` takes it.
        request, dataset, budget, objective, recipe: As `make_plan`.
        depth_knob, width_knob: As `UserModels`.

    Raises:
        BudgetError: Nothing fits.
        DataError: The data is larger than memory.
        SpecError: It is no hypermodel, cannot be imported, or makes no model; or
            something was asked that only families have.
    """
    _check(request, dataset)
    raw = raw_dataset(dataset)
    models = UserModels(hypermodel, raw.task, depth_knob, width_knob)
    models.probe = probe_fit(models, raw, recipe)
    models.begin()
    seconds = math.inf if request.time_limit is None else request.time_limit
    pool = DrawnPool(models, budget, request.seed, _MOST_OF_TIME * seconds)
    models.check_knobs(all_known=False)
    pool.at(0)
    models.check_knobs()
    space = Space(cast(Any, (models,)), dataset.task, budget)
    own = UserSearch(models, raw, pool)
    return Plan(request, dataset, objective, recipe, space, pool, own=own)


def _check(request: SearchRequest, dataset: Dataset) -> None:
    if request.class_weights != "none" and len(dataset.task.targets) > 1:
        raise SpecError(
            "Keras takes class weights of one target alone, but the data has "
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
