"""Sizes of the models that a user's hypermodel builds, by their hyperparameters."""

import json
import logging
from collections.abc import Callable
from typing import Any

import keras_tuner

from kscale.errors import SpecError
from kscale.guests.family_hypermodel import FamilyHyperModel
from kscale.guests.sizes.model_size import count_build
from kscale.networks.budget import Budget
from kscale.networks.sizing import Size
from kscale.task.tasks import Task

logger = logging.getLogger(__name__)

_ALIKE = 20  # models that fail alike, after which none is expected to be counted


class BuildSizes:
    """Counts each model once, without its weights; see `BudgetedOracle`.

    If some layers have unknown FLOPs or memory, and the budget limits these, a warning
    says so.

    Attributes:
        errors: Why models could not be built, one text for each that was asked for.
        has_counted: Whether any model could be built.
    """

    def __init__(
        self,
        hypermodel: Callable[..., Any] | keras_tuner.HyperModel,
        task: Task | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._build = getattr(hypermodel, "build", hypermodel)
        if isinstance(hypermodel, type) or not callable(self._build):
            raise SpecError(
                "`hypermodel` must be a function of hyperparameters or a HyperModel, "
                f"but got {hypermodel!r}."
            )
        if task is not None and not isinstance(task, Task):
            raise SpecError(f"`task` must be a Task or None, but got {task!r}.")
        self._hypermodel = hypermodel
        self._task = task
        limits = budget.limits if budget is not None else {}
        self._limited = sorted({"max_flops", "max_memory"} & set(limits))
        self._known: dict[str, tuple[Size | SpecError, dict[str, Any]]] = {}
        self.errors: list[str] = []
        self.has_counted = False

    @property
    def is_hopeless(self) -> bool:
        """Whether many models failed alike, and none could be built."""
        is_alike = len(self.errors) >= _ALIKE and len(set(self.errors)) == 1
        return is_alike and not self.has_counted

    def size(self, hp: keras_tuner.HyperParameters) -> Size:
        """Exact size of the model of some hyperparameters; missing ones are set."""
        # What Hyperband adds does not change a model.
        tuned = {n: v for n, v in hp.values.items() if not n.startswith("tuner/")}
        key = json.dumps(tuned, sort_keys=True, default=str)
        if key not in self._known:
            self._known[key] = self._count(hp), dict(hp.values)
        found, values = self._known[key]
        # KerasTuner would draw what is missing, and that may have another size.
        hp.values = {**values, **hp.values}
        if isinstance(found, Size):
            return found
        self.errors.append(str(found))
        raise found

    def _count(self, hp: keras_tuner.HyperParameters) -> Size | SpecError:
        try:
            if isinstance(self._hypermodel, FamilyHyperModel):
                size, unknown = self._hypermodel.size(hp), tuple[str, ...]()
            else:
                counted = count_build(lambda: self._build(hp), self._task)
                size, unknown = counted.size, counted.unknown
        except SpecError as error:
            if str(error) not in self.errors:
                logger.warning("Some values make no model. %s", error)
            return error
        self.has_counted = True
        if unknown and self._limited:
            logger.warning(
                "%s cannot count what all layers compute and hold, so they are not "
                "limited; the first is %r.",
                " and ".join(self._limited),
                unknown[0],
            )
            self._limited = []
        return size
