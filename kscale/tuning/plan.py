"""Plan: everything a search needs to know, worked out before anything is trained."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from kscale.data.class_weights import check_class_weights, class_counts
from kscale.data.dataset import Dataset
from kscale.data.loading import load_dataset
from kscale.engine.base import STRATEGIES
from kscale.engine.recipe import Recipe
from kscale.errors import BudgetError, SpecError, unknown_name
from kscale.guests.present_model.baseline_file import Baseline, find_baseline
from kscale.networks.budget import Budget
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec, is_own
from kscale.networks.sizing import Size
from kscale.runs.folder import FORMAT
from kscale.search import SEARCHERS
from kscale.search.contract import Searcher
from kscale.search.drawn import DrawnPool, DrawnSearcher
from kscale.search.pool import ALWAYS_SEARCHED, Pool, Space
from kscale.search.staged import StagedSearcher
from kscale.task.objectives import Objective, task_objective
from kscale.tuning.auto_families import (
    AUTO,
    check_missing,
    checked_value,
    families_for,
    notes_on_families,
)
from kscale.units import format_count

if TYPE_CHECKING:
    from kscale.guests.hypermodels.search_plan import OwnSearch

AnyPool = Pool | DrawnPool

_LEAST = {
    "trials": 1,
    "seed": 0,
    "seeds": 1,
    "finalist_seeds": 0,
    "most_finalists": 2,
    "epochs": 1,
    "batch_size": 1,
    "time_limit": 1e-3,
}


@dataclass(frozen=True)
class Request:
    """What a search was asked, beside its data and its budget.

    Args:
        families: Names of families, or `auto`.
        search: Knobs to vary besides depth, width and learning rate.
        settings: Values of knobs that are not to be varied.
        trials: Most specs to try.
        seed: Decides every proposal and every training.
        seeds: Trainings of each spec tried.
        finalist_seeds: New trainings of each finalist; 0 for no finalists.
        most_finalists: Most finalists.
        epochs, batch_size: As `Recipe`; None for what suits the data.
        time_limit: Most seconds of a session.
        searcher: Name of a searcher.
        strategy: Name of the devices.
        class_weights: `balanced` or `none`.
        retrain_baseline: Whether the user's present model is trained anew, too.

    Raises:
        SpecError: A number is too small, or the searcher or the strategy is unknown.
    """

    families: tuple[str, ...] = (AUTO,)
    search: tuple[str, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    trials: int = 20
    seed: int = 0
    seeds: int = 1
    finalist_seeds: int = 3
    most_finalists: int = 5
    epochs: int | None = None
    batch_size: int | None = None
    time_limit: float | None = None
    searcher: str = "random"
    strategy: str = "auto"
    class_weights: str = "none"
    retrain_baseline: bool = False

    def __post_init__(self) -> None:
        for name, low in _LEAST.items():
            value = getattr(self, name)
            if value is None and name in ("epochs", "batch_size", "time_limit"):
                continue
            kind: Any = (int, float) if name == "time_limit" else (int, np.integer)
            if isinstance(value, bool) or not isinstance(value, kind):
                what = "a number of seconds" if name == "time_limit" else "whole"
                raise SpecError(f"`{name}` must be {what}, but got {value!r}.")
            if not value >= low:
                raise SpecError(f"`{name} >= {low}` must hold, but got {name}={value}.")
        if not self.families:
            raise SpecError("A search needs a family; give a name, or 'auto'.")
        if self.searcher not in SEARCHERS:
            raise SpecError(unknown_name("searcher", self.searcher, SEARCHERS))
        if self.strategy not in STRATEGIES:
            raise SpecError(unknown_name("strategy", self.strategy, STRATEGIES))


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
        baseline: The user's present model, to compare with.
        own: What a search of the user's own models needs.
    """

    request: Request
    dataset: Dataset
    objective: Objective
    recipe: Recipe
    space: Space
    pool: AnyPool
    notes: tuple[str, ...] = ()
    baseline: Baseline | None = None
    own: "OwnSearch | None" = None

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
            "set": {name: value for name, value in request.settings},
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


def plan_search(
    data: Any = "digits",
    *,
    max_params: float | None = None,
    max_flops: float | None = None,
    max_bytes: float | None = None,
    max_memory: float | None = None,
    max_latency_ms: float | None = None,
    latency_batch: int = 1,
    family: str | Sequence[str] = "auto",
    settings: Mapping[str, Any] | None = None,
    search: str | Sequence[str] = (),
    objective: str | None = None,
    baseline: Any = None,
    hypermodel: Any = None,
    depth_knob: str | None = None,
    width_knob: str | None = None,
    replicas: int = 1,
    **asked: Any,
) -> Plan:
    """What `kscale.tune` would do with the same arguments.

    It starts no TensorFlow, unless a hypermodel does.

    Args:
        data, family, settings, search, objective, hypermodel, depth_knob, width_knob,
            baseline: As `tune`.
        max_params, max_flops, max_bytes, max_memory, max_latency_ms, latency_batch: As
            `tune`.
        replicas: Copies of the network that train in step.
        asked: Further arguments of `tune` that `Request` takes.

    Raises:
        BudgetError: There is no limit, or nothing fits it.
        DataError: The data cannot be read, or cannot be trained on.
        ExportError: There is no file of the baseline.
        SpecError: A family, knob, value or strategy is unknown or impossible.
    """
    request = Request(
        families=(family,) if isinstance(family, str) else tuple(family),
        search=searched_knobs(search),
        settings=tuple((settings or {}).items()),
        **asked,
    )
    budget = Budget(
        max_params,  # type: ignore[arg-type]
        max_flops,  # type: ignore[arg-type]
        max_bytes,  # type: ignore[arg-type]
        max_memory,  # type: ignore[arg-type]
        max_latency_ms,
        latency_batch=latency_batch,
    )
    _check_limited(budget)
    present = find_baseline(baseline, request.retrain_baseline)
    dataset = load_dataset(data)
    recipe = Recipe.for_examples(
        len(dataset.train), request.epochs, request.batch_size, replicas
    )
    budget = replace(budget, memory_batch=recipe.batch_size)
    wanted = task_objective(objective, dataset.task)
    check_class_weights(request.class_weights, dataset.task)
    if hypermodel is None:
        plan = make_plan(request, dataset, budget, wanted, recipe)
        return replace(plan, baseline=present)
    # It builds models, and Keras is heavy.
    from kscale.guests.hypermodels.search_plan import plan_own

    found = (request, dataset, budget, wanted, recipe)
    plan = plan_own(hypermodel, *found, depth_knob, width_knob)
    return replace(plan, baseline=present)


def searched_knobs(names: str | Sequence[str]) -> tuple[str, ...]:
    """Knobs to vary, each once and in one order, without those that always are."""
    named = {names} if isinstance(names, str) else set(names)
    return tuple(sorted(named - {*ALWAYS_SEARCHED, "learning_rate"}))


def _check_limited(budget: Budget) -> None:
    if not budget.is_limited:
        raise BudgetError(
            "A search needs a limit; give one or more of max_params, max_flops, "
            "max_bytes, max_memory and max_latency_ms, for example --max-params 1m."
        )


def make_plan(
    request: Request,
    dataset: Dataset,
    budget: Budget,
    objective: Objective,
    recipe: Recipe,
) -> Plan:
    """A plan, or the reason why there is none.

    Raises:
        BudgetError: There is no limit, or nothing fits it.
        SpecError: A family, knob or value is unknown or does not suit the data.
    """
    _check_limited(budget)
    families = families_for(request.families, dataset.task)
    settings = {
        name: checked_value(families, name, value) for name, value in request.settings
    }
    space = Space(
        families, dataset.task, budget, request.search, tuple(settings.items())
    )
    settled = replace(request, settings=tuple(sorted(settings.items())))
    pool = Pool(space, request.seed)
    check_missing(pool, request.families)
    notes = tuple(notes_on_families(pool, space, request.families))
    return Plan(settled, dataset, objective, recipe, pool.space, pool, notes)
