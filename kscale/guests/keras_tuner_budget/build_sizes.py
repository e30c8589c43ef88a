"""Sizes of the models that a user's hypermodel builds, by their hyperparameters."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import keras_tuner

from kscale.errors import SpecError
from kscale.guests.family_hypermodel import FamilyHyperModel
from kscale.guests.sizes.weightless import count_build
from kscale.networks.budget import Budget
from kscale.networks.sizing import Size
from kscale.task.tasks import Task

logger = logging.getLogger(__name__)

_WITHOUT_FLOPS = ("max_params", "max_bytes")


class BuildSizes:
    """Counts each model once, without its weights; see `BudgetedOracle`.

    Attributes:
        last_error: Why the last model that could not be built could not be.
    """

    def __init__(
        self,
        hypermodel: Callable[..., Any] | keras_tuner.HyperModel,
        task: Task | None = None,
    ) -> None:
        build = getattr(hypermodel, "build", hypermodel)
        if isinstance(hypermodel, type) or not callable(build):
            raise SpecError(
                "`hypermodel` must be a function of hyperparameters or a HyperModel, "
                f"but got {hypermodel!r}."
            )
        if task is not None and not isinstance(task, Task):
            raise SpecError(f"`task` must be a Task or None, but got {task!r}.")
        self._hypermodel = hypermodel
        self._build = build
        self._task = task
        self._known: dict[str, tuple[Size | SpecError, dict[str, Any]]] = {}
        self._warned: set[str] = set()
        self.last_error = ""

    def size(
        self, hp: keras_tuner.HyperParameters, budget: Budget | None = None
    ) -> Size:
        """Exact size of the model of some hyperparameters.

        Args:
            hp: Hyperparameters with their values; values that the model asks for and
                that are missing are filled in.
            budget: What the size is wanted for. If the budget limits FLOPs or memory,
                and some layers have unknown ones, a warning says so.

        Raises:
            SpecError: The model cannot be built.
        """
        key = _key(hp.values)
        if key not in self._known:
            self._known[key] = self._count(hp, budget or Budget()), dict(hp.values)
        found, values = self._known[key]
        # KerasTuner would draw what is missing, and that may have another size.
        hp.values = {**values, **hp.values}
        if isinstance(found, SpecError):
            self.last_error = str(found)
            raise found
        return found

    def _count(
        self, hp: keras_tuner.HyperParameters, budget: Budget
    ) -> Size | SpecError:
        try:
            if isinstance(self._hypermodel, FamilyHyperModel):
                return self._hypermodel.size(hp)
            counted = count_build(lambda: self._build(hp), self._task)
        except SpecError as error:
            if str(error) not in self._warned:
                logger.warning("Some values make no model. %s", error)
            self._warned.add(str(error))
            return error
        limited = sorted(set(budget.limits) - set(_WITHOUT_FLOPS))
        if counted.unknown and limited and "unknown" not in self._warned:
            self._warned.add("unknown")
            logger.warning(
                "%s cannot count what all layers compute and hold, so they are not "
                "limited; the first is %r.",
                " and ".join(limited),
                counted.unknown[0],
            )
        return counted.size


def _key(values: Mapping[str, Any]) -> str:
    """Name of a model; what Hyperband adds does not change it."""
    tuned = {n: v for n, v in values.items() if not n.startswith("tuner/")}
    return json.dumps(tuned, sort_keys=True, default=str)
