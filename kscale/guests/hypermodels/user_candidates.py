"""A user's models as the candidates of a search, and the data that they are given."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kscale.data.dataset import Dataset
from kscale.data.example_rows import Rows, is_in_memory
from kscale.data.parts import Part
from kscale.data.preprocessing.scaled import Scaled, Scaling
from kscale.engine.base import Engine, Latency
from kscale.engine.recipe import Recipe
from kscale.errors import DataError, SpecError
from kscale.guests.hypermodels.user_fit import probe_fit
from kscale.guests.hypermodels.user_models import UserModels
from kscale.guests.hypermodels.user_trainer import UserTrainer
from kscale.guests.network_outputs import refuse_sequences
from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.search.drawn_pool import DrawnPool
from kscale.tuning.auto_families import AUTO
from kscale.tuning.candidates import Candidates
from kscale.tuning.request import SearchRequest
from kscale.tuning.trainer import TrainingSetup

SIZES_FILE = "sizes.jsonl"
_FIRST = 20  # specs looked for before a search begins
_MOST_OF_TIME = 0.1  # of the time limit, for models to be counted
_MOST_SECONDS = 20.0  # for the same, where time is not limited
_SECONDS_A_TRIAL = 1.0  # then, for a search of few trials
_SECONDS_BETWEEN_NOTES = 5.0


@dataclass(frozen=True, eq=False)
class UserCandidates(Candidates):
    """The models of a hypermodel that fit a budget, as far as they are drawn.

    `dataset` is in the form in which the models take it; `outline` holds the
    hyperparameters of the default model, with the values that each may have.
    """

    models: UserModels
    dataset: Dataset
    pool: DrawnPool
    outline: list[list[Any]]
    sets_rates = False

    @property
    def names(self) -> tuple[str, ...]:
        return (self.models.name,)

    @property
    def found(self) -> str:
        return self.pool.found

    @property
    def most_work(self) -> float:
        """A user's code need not run in several threads."""
        return math.inf

    @property
    def largest(self) -> Spec:
        first = self.pool.some(0, max(len(self.pool), 1))
        return max(first, key=lambda draw: draw.work).spec

    def identity(self) -> dict[str, Any]:
        return {
            "code": self.models.digest,
            "hyperparameters": self.outline,
            **{f"{name}_knob": knob for name, knob in self.models.knobs.items()},
        }

    def description(self) -> dict[str, Any]:
        return {"hyperparameters": self.models.domains()}

    def prepare(self, folder: Path, note: Callable[[str], None], trials: int) -> None:
        """Draw what a search begins with; sizes that a session counted are read."""
        noted = time.monotonic()

        def tell(pool: DrawnPool) -> None:
            nonlocal noted
            if time.monotonic() - noted >= _SECONDS_BETWEEN_NOTES:
                noted = time.monotonic()
                note(f"Counting the sizes of models: {pool.found}.")

        self.models.read(folder / SIZES_FILE)
        self.pool.tell = tell
        self.pool.some(0, min(trials, _FIRST))
        for text in self.notes():
            note(text)
        left_out = sum(self.pool.left_out.values())
        if left_out:
            reason, _ = self.pool.left_out.most_common(1)[0]
            note(
                f"{left_out} of {self.pool.draws} draws made no model and are left "
                f"out: {reason.rstrip('.')}."
            )

    def notes(self) -> list[str]:
        return self.pool.notes()

    def keep(self, folder: Path) -> None:
        self.models.keep(folder / SIZES_FILE)

    def draws(self) -> DrawnPool:
        return self.pool

    def most_trials(self, asked: int) -> int:
        return min(asked, len(self.pool)) if self.pool.is_exhausted else asked

    def size(self, spec: Spec) -> Size:
        return self.models.counted(spec)[0]

    def timer(self, engine: Engine, spec: Spec, batch: int) -> Callable[[], Latency]:
        model, _ = self.models.build(spec, seed=1)

        def measure() -> Latency:
            with self.models.importable():
                return engine.latency(model, self.models.task, batch)

        return measure

    def trainer(self, setup: TrainingSetup) -> UserTrainer:
        return UserTrainer(setup, self.models, self.dataset)

    def trainer_of(
        self, request: SearchRequest, budget: Budget
    ) -> Callable[[TrainingSetup], UserTrainer]:
        """A trainer for another process, which reads and counts the code anew."""
        return partial(_trainer, replace(request, data=None, baseline=None), budget)


def _trainer(
    request: SearchRequest, budget: Budget, setup: TrainingSetup
) -> UserTrainer:
    candidates = user_candidates(request, setup.dataset, budget, setup.recipe)
    return candidates.trainer(setup)


def user_candidates(
    request: SearchRequest, dataset: Dataset, budget: Budget, recipe: Recipe
) -> UserCandidates:
    """The candidates that the hypermodel of a request makes, at least one."""
    refuse_sequences(dataset.task, "Hypermodels")
    if request.class_weights != "none" and len(dataset.task.targets) > 1:
        raise SpecError(
            "Keras takes class weights of one target only, but the data has "
            f"{len(dataset.task.targets)}; train with none."
        )
    if request.precision == "bfloat16":
        raise SpecError(
            "`precision=bfloat16` is for the families of kscale: the code of a "
            "hypermodel decides what its layers compute in."
        )
    if request.parametrization != "standard":
        raise SpecError(
            "`parametrization=mup` is for the families of kscale: which weights of a "
            "hypermodel grow with its width is not known."
        )
    if request.family != (AUTO,):
        raise SpecError(
            f"Give a hypermodel or a family, not both (`{request.family[0]}`)."
        )
    for name in request.settings or request.search:
        raise SpecError(
            f"`{name}` cannot be set or searched: the hyperparameters of a hypermodel "
            "are its code's."
        )
    raw = raw_dataset(dataset)
    knobs = (request.depth_knob, request.width_knob)
    models = UserModels(request.hypermodel, raw.task, *knobs)
    if not models.has_default_fit:
        models.probe = probe_fit(models, raw, recipe)
    outline = models.begin()
    limit = request.time_limit
    seconds = min(_MOST_SECONDS, _SECONDS_A_TRIAL * request.most_trials)
    if limit is not None:
        seconds = _MOST_OF_TIME * limit
    pool = DrawnPool(models, budget, request.seed, seconds)
    pool.at(0)
    models.check_knobs()
    return UserCandidates(models, raw, pool, outline)


def raw_dataset(dataset: Dataset) -> Dataset:
    """A data set with the inputs of its source, and targets in the user's unit.

    Token ids, log-mel frames and prepared columns stay what a network takes.
    """
    parts: dict[str, Any] = {
        name: Part(_raw_inputs(dataset, part), part.targets)
        for name, part in dataset.parts.items()
    }
    preprocessing = {
        name: replace(item, scaling=Scaling()) if isinstance(item, Scaled) else item
        for name, item in dataset.preprocessing.items()
    }
    return replace(dataset, preprocessing=preprocessing, target_scaling={}, **parts)


def _raw_inputs(dataset: Dataset, part: Part) -> dict[str, Rows]:
    """Inputs of a part: fractions as the source has them, whole numbers restored."""
    found: dict[str, Rows] = {}
    for name, rows in part.inputs.items():
        if not is_in_memory(rows):
            raise DataError(
                "A hypermodel is trained on arrays in memory, but the data is larger; "
                "search a family, or take fewer examples."
            )
        array, scaling = rows[:], dataset.input_scaling.get(name, Scaling())
        if scaling.is_identity:
            found[name] = array
        elif name in part.raw:
            found[name] = part.raw[name][:]
        else:  # of a source of whole numbers, such as pixels
            found[name] = np.rint(scaling.invert(array))
    return found
