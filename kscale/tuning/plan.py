"""Plan: everything a search needs to know, worked out before anything is trained."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from importlib.metadata import version
from typing import Any

import numpy as np

from kscale.data.class_weights import class_counts
from kscale.data.dataset import Dataset
from kscale.engine.base import Engine, Latency
from kscale.engine.recipe import Recipe
from kscale.errors import BudgetError, SpecError
from kscale.networks.boards import find_board
from kscale.networks.budget import Budget
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.networks.parametrization import check_parametrization
from kscale.networks.sizing import Size
from kscale.runs.folder import FORMAT
from kscale.search import SEARCHERS
from kscale.search.contract import Job
from kscale.search.draws import Settings
from kscale.search.effort import EFFORTS, Effort
from kscale.search.ladder import SHARES, LadderSearcher
from kscale.search.pool import Pool, Space
from kscale.search.staged import StagedSearcher
from kscale.task.objectives import Objective, metric_name
from kscale.tuning.auto_families import (
    check_missing,
    checked_value,
    families_for,
    notes_on_families,
)
from kscale.tuning.candidates import Candidates
from kscale.tuning.costs import CostModel
from kscale.tuning.family_candidates import FamilyCandidates, family_timer
from kscale.tuning.options import OPTIONS
from kscale.tuning.past_runs import this_machine
from kscale.tuning.references import Majority, ReferenceSource
from kscale.tuning.request import SearchRequest
from kscale.tuning.trainer import Trainer, TrainingSetup
from kscale.units import format_count

_SHORTEST = 8  # trainings of a short search
_OF_LIMIT = 0.8  # of the time for trainings; the rest is for the start and the answer


@dataclass(frozen=True, eq=False)
class Plan:
    """A search, ready to run.

    Args:
        request: What was asked.
        dataset: What to train on.
        objective: What is better.
        recipe: How everything is trained.
        budget: What a network may cost.
        candidates: What is drawn from, counted, trained and shipped.
        references: What is scored to compare with.
        baseline: The user's present model as it was found; None for none.
        about: Items of run.json that a later session may replace.
        notes: What `auto` took and left out, a sentence each.
        seconds: Time that planning took, a part of the time limit.
    """

    request: SearchRequest
    dataset: Dataset
    objective: Objective
    recipe: Recipe
    budget: Budget
    candidates: Candidates
    references: tuple[ReferenceSource, ...] = (Majority(),)
    baseline: Any = None
    about: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def setup(self) -> TrainingSetup:
        """What all trainings share."""
        return TrainingSetup(
            self.dataset,
            self.objective,
            self.recipe,
            self.request.strategy,
            self.request.class_weights,
            self.request.checkpoint_seconds,
            self.request.precision,
            self.request.parametrization,
        )

    def trainers(self) -> Callable[[Spec], Trainer]:
        """What gives the trainer of a spec: baselines are of families always."""
        return _trainers(self.candidates.trainer, self.candidates.names, self.setup)

    def trainers_of(self) -> Callable[[TrainingSetup], Callable[[Spec], Trainer]]:
        """What makes the same in another process, of the setup there; pickled."""
        make = self.candidates.trainer_of(self.request, self.budget)
        return partial(_trainers, make, self.candidates.names)

    def searcher(self, admits: Callable[[Spec], bool] | None = None) -> StagedSearcher:
        """Baselines, the search of what is admitted, finalists."""
        request, epochs = self.request, self.recipe.epochs
        settings = Settings(
            self.candidates.draws(),
            request.most_trials,
            epochs,
            self.objective,
            request.seed,
            request.seeds,
            SHARES if request.examples_ladder else (),
            admits,
        )
        make = LadderSearcher if request.for_law else SEARCHERS[request.searcher]
        largest = self.candidates.largest if self.effort else None
        return StagedSearcher(
            self.baselines(),
            make(settings),
            self.objective,
            self.budget,
            epochs,
            seed=request.seed,
            finalist_seeds=0 if request.for_law else request.finalist_seeds,
            most_finalists=request.most_finalists,
            sets_rates=self.candidates.sets_rates,
            effort=self.effort,
            largest=largest,
            stop_when_flat=request.stops_when_flat,
            unit=largest if request.for_law else None,
        )

    @property
    def effort(self) -> Effort | None:
        """How much the search may train; None for no such limit."""
        return EFFORTS.get(self.request.chosen_effort or "")

    def is_candidate(self, spec: Spec) -> bool:
        """Whether a spec is a candidate, or else a baseline."""
        return spec.family in self.candidates.names

    def size(self, spec: Spec) -> Size:
        """Exact size of a candidate or of a baseline."""
        if self.is_candidate(spec):
            return self.candidates.size(spec)
        return find_family(spec.family).size(spec, self.dataset.task)

    def cost_model(self) -> CostModel:
        """Predicted seconds of trainings, before anything is measured."""
        measured = self.request.most_finalists if self.budget.is_of_device else 0
        data, batch = self.dataset, self.recipe.batch_size
        about = (len(data.train), batch, self.size, measured, len(data.validation))
        return CostModel(*about)

    def timer(self, engine: Engine, spec: Spec) -> Callable[[], Latency]:
        """As `Candidates.timer`, of a candidate or of a baseline."""
        batch = self.budget.latency_batch
        if self.is_candidate(spec):
            return self.candidates.timer(engine, spec, batch)
        return family_timer(engine, spec, self.dataset.task, batch)

    def baselines(self) -> list[tuple[Spec, float]]:
        """The linear model at its default learning rate."""
        linear = find_family("linear")
        if not linear.takes(self.dataset.task):
            return []
        return [(linear.spec(), float(linear.learning_rate.default))]

    @property
    def identity(self) -> dict[str, Any]:
        """What tells this search from others, as plain data: neither trials and time
        nor the present model are part of it."""
        request = self.request
        optional = (
            *("class_weights", "precision", "parametrization"),
            *("for_law", "examples_ladder"),
        )
        return {
            "data": self.dataset.name,
            "data_fingerprint": self.dataset.fingerprint,
            "families": list(self.candidates.names),
            "set": dict(request.settings),
            "search": list(request.search),
            "budget": self.budget.to_json(),
            "objective": self.objective.name,
            "epochs": self.recipe.epochs,
            "batch_size": self.recipe.batch_size,
            "searcher": request.searcher,
            "seed": request.seed,
            "seeds": request.seeds,
            # Left out where nobody asked, as by versions that did not know them.
            **{
                name: getattr(request, name)
                for name in optional
                if getattr(request, name) != OPTIONS[name].default
            },
            **self.candidates.identity(),
        }

    @property
    def number(self) -> int:
        """A number below 2**40 made from the identity."""
        return int.from_bytes(self._digest(5))

    def _digest(self, size: int) -> bytes:
        text = json.dumps(self.identity, sort_keys=True, default=str)
        return blake2b(text.encode(), digest_size=size).digest()

    @property
    def name(self) -> str:
        """A folder name made from the identity."""
        limits = [
            f"{format_count(limit)}{name.removeprefix('max_')}"
            for name, limit in self.budget.limits.items()
        ]
        digest = self._digest(4).hex()
        families = "-".join(self.candidates.names)
        words = [self.dataset.name, families, *limits, digest]
        return re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(words)).lstrip(".-")[-120:]

    def description(self) -> dict[str, Any]:
        """What run.json says of the search."""
        data = self.dataset
        return {
            "format": FORMAT,
            "identity": self.identity,
            "task": data.task.to_json(),
            "data": {
                "name": data.name,
                **{part: len(examples) for part, examples in data.parts.items()},
                "warnings": list(data.warnings),
                "class_counts": class_counts(data),
                "origin": data.origin,
            },
            "preprocessing": {n: p.to_json() for n, p in data.preprocessing.items()},
            "reader": data.reader.to_json(),
            "target_scaling": {n: vars(s) for n, s in data.target_scaling.items()},
            **self.candidates.description(),
        }

    def session(self) -> dict[str, Any]:
        """What run.json says of one start of the search."""
        packages = (
            "kscale",
            "tensorflow",
            "keras",
            "keras-tuner",
            "numpy",
            "sacrebleu",
        )
        return {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "effort": self.request.chosen_effort,
            "trials": self.request.trials,
            "finalist_seeds": self.request.finalist_seeds,
            "time": self.request.time_limit,
            "strategy": self.request.strategy,
            "machine": this_machine(),
            "versions": {name: version(name) for name in packages},
        }


def _trainers(
    make: Callable[[TrainingSetup], Trainer], names: Sequence[str], setup: TrainingSetup
) -> Callable[[Spec], Trainer]:
    from kscale.tuning.family_trainer import FamilyTrainer  # Keras is heavy

    candidates = make(setup)
    is_family = isinstance(candidates, FamilyTrainer)
    baselines = candidates if is_family else FamilyTrainer(setup)
    return lambda spec: candidates if spec.family in names else baselines


def in_time(plan: Plan, seconds: float, epochs: int | None = None) -> Plan:
    """The plan with so few epochs that a short search has time, by typical costs.

    Time is for a baseline, five of the smaller networks, and two finalists of a seed.

    Args:
        plan: A search of families.
        seconds: The time limit. The same limit always gives the same epochs.
        epochs: Epochs to take instead: those with which the search began.
    """
    candidates, recipe = plan.candidates, plan.recipe
    if epochs is None and isinstance(candidates, FamilyCandidates):
        pool, costs = candidates.pool, plan.cost_model()
        smaller = pool.spec(int(np.argsort(pool.work)[len(pool) // 4]))
        job = Job("search", 0, smaller, (1,), (None,), epochs_to=0)
        # What takes no longer than to build a network need not be shortened.
        most = max(_OF_LIMIT * seconds / _SHORTEST, 2 * costs.cost(job))
        numbers = range(recipe.epochs, 1, -1)
        enough = (n for n in numbers if costs.cost(replace(job, epochs_to=n)) <= most)
        epochs = next(enough, 1)
    return replace(plan, recipe=replace(recipe, epochs=epochs or recipe.epochs))


def _check_comparable(objective: Objective, searched: Sequence[str]) -> None:
    """Refuse to compare scores of tokens where vocabularies differ."""
    parts = (objective, *(part for _, part in objective.parts))
    if "subwords" in searched and any(part.is_of_tokens for part in parts):
        raise SpecError(
            f"{metric_name(objective)} is of tokens, which differ from vocabulary to "
            "vocabulary: search by bits_per_character, or do not search subwords."
        )


def family_plan(
    request: SearchRequest,
    dataset: Dataset,
    objective: Objective,
    recipe: Recipe,
    budget: Budget,
) -> Plan:
    """A plan to search families, or the error that says why there is none."""
    families = families_for(request.family, dataset.task)
    _check_comparable(objective, request.search)
    if budget.bits != (32,) and dataset.task.has_sequences:
        raise BudgetError(
            "Networks whose answers are sequences are stored in 32 bits only: leave "
            "--bits out."
        )
    check_parametrization(request.parametrization, families)
    settings = {
        name: checked_value(families, name, value)
        for name, value in sorted(request.settings.items())
    }
    fixed = tuple(settings.items())
    space = Space(families, dataset.task, budget, tuple(request.search), fixed)
    pool = Pool(space, request.seed)
    check_missing(pool, request.family)
    notes = (
        *notes_on_families(pool, space, request.family),
        *([find_board(request.board).sentence] if request.board else []),
    )
    settled = replace(request, settings=settings)
    candidates = FamilyCandidates(pool, request.seed)
    return Plan(settled, dataset, objective, recipe, budget, candidates, notes=notes)
