"""Plan: everything a search needs to know, worked out before anything is trained."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.metadata import version
from typing import Any

from kscale.data.class_weights import class_counts
from kscale.data.dataset import Dataset
from kscale.engine.recipe import Recipe
from kscale.networks.budget import Budget
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec, is_own
from kscale.networks.sizing import Size
from kscale.runs.folder import FORMAT
from kscale.search import SEARCHERS
from kscale.search.contract import Searcher
from kscale.search.drawn import DrawnPool, DrawnSearcher
from kscale.search.pool import Pool, Space
from kscale.search.staged import StagedSearcher
from kscale.task.objectives import Objective
from kscale.tuning.auto_families import (
    check_missing,
    checked_value,
    families_for,
    notes_on_families,
)
from kscale.tuning.request import SearchRequest
from kscale.units import format_count

AnyPool = Pool | DrawnPool


@dataclass(frozen=True, eq=False)
class Plan:
    """A search, ready to run.

    Args:
        request: What was asked.
        dataset: What to train on.
        objective: What is better.
        recipe: How everything is trained.
        space: What may vary.
        pool: The specs inside the budget.
        notes: What `auto` took and left out, a sentence each.
        baseline: The user's present model, to compare with; None for none.
        own: What a search of the user's own models needs; None for none.
        seconds: Time that planning took, a part of the time limit.
    """

    request: SearchRequest
    dataset: Dataset
    objective: Objective
    recipe: Recipe
    space: Space
    pool: AnyPool
    notes: tuple[str, ...] = ()
    baseline: Any = None
    own: Any = None
    seconds: float = 0.0

    def searcher(
        self, pool: AnyPool | None = None, admits: Callable[[Spec], bool] | None = None
    ) -> StagedSearcher:
        """A searcher at its beginning: baselines, the search, finalists.

        Args:
            pool: Specs to search, if not all that fit.
            admits: Whether a spec may be proposed.
        """
        request, recipe = self.request, self.recipe
        asked: dict[str, Any] = {
            "trials": request.trials,
            "epochs": recipe.epochs,
            "seed": request.seed,
            "seeds_per_spec": request.seeds,
        }
        inner: Searcher
        if self.own is not None:
            inner = DrawnSearcher(self.own.pool, **asked, admits=admits)
        else:
            searcher = SEARCHERS[request.searcher]
            inner = searcher(pool or self.pool, **asked, admits=admits)
        return StagedSearcher(
            self.baselines(),
            inner,
            self.objective,
            self.space.budget,
            recipe.epochs,
            seed=request.seed,
            finalist_seeds=request.finalist_seeds,
            most_finalists=request.most_finalists,
        )

    def trials_of(self, pool: AnyPool) -> int:
        """Most specs that may be tried of a pool."""
        if isinstance(pool, DrawnPool) and not pool.is_exhausted:
            return self.request.trials
        return min(self.request.trials, len(pool))

    def size(self, spec: Spec) -> Size:
        """Exact size of a spec of this search, a baseline's included."""
        if self.own is not None and is_own(spec.family):
            return self.own.models.size(spec)
        return find_family(spec.family).size(spec, self.dataset.task)

    def baselines(self) -> list[tuple[Spec, float]]:
        """The linear model at its default learning rate."""
        linear = find_family("linear")
        if len(self.dataset.task.inputs) != 1:
            return []
        return [(linear.spec(), float(linear.learning_rate.default))]

    @property
    def identity(self) -> dict[str, Any]:
        """What makes this search this one, as plain data: never its trials or time,
        nor the model that it is compared with."""
        request = self.request
        weights = request.class_weights
        return {
            "data": self.dataset.name,
            "data_fingerprint": self.dataset.fingerprint,
            "families": [family.name for family in self.space.families],
            "set": dict(request.settings),
            "search": list(request.search),
            "budget": vars(self.space.budget).copy(),
            "objective": self.objective.name,
            "epochs": self.recipe.epochs,
            "batch_size": self.recipe.batch_size,
            "searcher": request.searcher,
            "seed": request.seed,
            "seeds": request.seeds,
            # Left out where there are none, as by versions that knew no weights.
            **({} if weights == "none" else {"class_weights": weights}),
            **(self.own.identity if self.own is not None else {}),
        }

    @property
    def name(self) -> str:
        """A folder name made from the identity."""
        limits = [
            f"{format_count(limit)}{name.removeprefix('max_')}"
            for name, limit in self.space.budget.limits.items()
        ]
        text = json.dumps(self.identity, sort_keys=True, default=str)
        digest = blake2b(text.encode(), digest_size=4).hexdigest()
        families = "-".join(family.name for family in self.space.families)
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
            },
            "preprocessing": {n: p.to_json() for n, p in data.preprocessing.items()},
            "reader": data.reader.to_json(),
            "target_scaling": {n: vars(s) for n, s in data.target_scaling.items()},
            **(self.own.description if self.own is not None else {}),
        }

    def session(self) -> dict[str, Any]:
        """What run.json says of one start of the search."""
        packages = ("kscale", "tensorflow", "keras", "keras-tuner", "numpy")
        return {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "trials": self.request.trials,
            "finalist_seeds": self.request.finalist_seeds,
            "time": self.request.time_limit,
            "strategy": self.request.strategy,
            "versions": {name: version(name) for name in packages},
        }


def make_plan(
    request: SearchRequest,
    dataset: Dataset,
    budget: Budget,
    objective: Objective,
    recipe: Recipe,
) -> Plan:
    """A plan to search families, or the reason why there is none.

    Raises:
        BudgetError: Nothing fits the budget.
        SpecError: A family, knob or value is unknown or does not suit the data.
    """
    families = families_for(request.family, dataset.task)
    settings = {
        name: checked_value(families, name, value)
        for name, value in sorted(request.settings.items())
    }
    searched = tuple(request.search)
    space = Space(families, dataset.task, budget, searched, tuple(settings.items()))
    pool = Pool(space, request.seed)
    check_missing(pool, request.family)
    notes = tuple(notes_on_families(pool, space, request.family))
    settled = replace(request, settings=settings)
    return Plan(settled, dataset, objective, recipe, pool.space, pool, notes)
