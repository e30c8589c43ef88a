"""The oracles of KerasTuner inside a budget: what does not fit is never proposed."""

import logging
from collections.abc import Callable
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.hyperparameters import Fixed
from keras_tuner.oracles import (
    BayesianOptimizationOracle,
    GridSearchOracle,
    HyperbandOracle,
)

from kscale.errors import BudgetError, SpecError, check_least
from kscale.guests.family_hypermodel import FamilyHyperModel, check_counted
from kscale.guests.keras_tuner_budget.build_sizes import BuildSizes
from kscale.networks.budget import Budget
from kscale.task.tasks import Task

logger = logging.getLogger(__name__)

_Values = dict[str, Any]
_Response = dict[str, Any]
_TASK = ' Such as task=kscale.Task.of("image", (28, 28, 1), classes=10).'
_RUNNING = "RUNNING"


class BudgetedOracle(keras_tuner.Oracle):
    """A KerasTuner oracle that proposes only what fits a budget.

    Each proposal is counted without its weights. A proposal that does not fit, or that
    cannot be built, is not trained, costs no trial and is no failure: the oracle
    proposes anew. The new oracle takes the place of the given one, with its trials::

        tuner = keras_tuner.RandomSearch(build, "val_accuracy", max_trials=20)
        tuner.oracle = kscale.BudgetedOracle(
            tuner.oracle, kscale.Budget(max_params=5e6), build
        )

    or is given to `keras_tuner.Tuner(oracle=...)`, and then counts the trials of an
    earlier session, too. `GridSearch` goes over the points of its grid that fit.
    `Hyperband` trains on what fitted. `BayesianOptimization` takes the best of the
    points that fit, and knows nothing of the others. If none of `max_draws` proposals
    in a row fits, the search ends, and a warning says so. If none of the first ones can
    be counted, which is a mistake in the code rather than a tight budget, a `SpecError`
    says why.

    KerasTuner itself builds a model or a few, of default values, when a tuner is made.
    One process only: KerasTuner's chief and workers would each need the hypermodel.

    Args:
        oracle: Any oracle.
        budget: Limits on sizes.
        hypermodel: What the tuner builds from: a function of hyperparameters or a
            `keras_tuner.HyperModel`.
        task: Inputs of models that have no shapes until they are called.
        max_draws: Most proposals in a row that do not fit.

    Raises:
        BudgetError: There is no limit, or one on latency, which must be measured, or
            the oracle has a budget already.
        SpecError: An argument is of a wrong type.
    """

    def __new__(cls, oracle: Any, *args: Any, **kwargs: Any) -> "BudgetedOracle":
        """An instance of the given oracle's class as well, which does all the rest."""
        if isinstance(oracle, BudgetedOracle):
            raise BudgetError("The oracle has a budget already: wrap the one inside.")
        if not isinstance(oracle, keras_tuner.Oracle):
            raise SpecError(
                "`oracle` must be a KerasTuner oracle, such as `tuner.oracle`, but got "
                f"{type(oracle).__name__}."
            )
        kind = type(oracle)
        within = next(
            (new for old, new in _KINDS.items() if issubclass(kind, old)), cls
        )
        return object.__new__(type(f"Budgeted{kind.__name__}", (within, kind), {}))

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        budget: Budget,
        hypermodel: Callable[..., Any] | keras_tuner.HyperModel,
        task: Task | None = None,
        max_draws: int = 1000,
    ) -> None:
        check_counted(budget, "An oracle")
        if budget.is_of_device and not isinstance(hypermodel, FamilyHyperModel):
            raise BudgetError(
                "`max_flash` and `max_ram` are for families of kscale, as "
                "kscale.as_hypermodel makes them."
            )
        if not budget.is_limited:
            raise BudgetError("The budget has no limit: give one, such as max_params.")
        check_least("max_draws", max_draws, 1)
        # One state under both names: a tuner may still hold the wrapped oracle.
        self.__dict__ = oracle.__dict__
        self.budget = budget
        self.max_draws = max_draws
        self.passed_over = 0
        self._sizes = BuildSizes(hypermodel, task, budget)

    def populate_space(self, trial_id: str) -> _Response:
        """The next proposal that fits; KerasTuner calls this method."""
        for _ in range(self.max_draws):
            response: _Response = super().populate_space(trial_id)
            if response["status"] != _RUNNING or self._fits(response["values"]):
                return response
            self._withdraw(trial_id)
        return self._exhausted()

    def create_trial(self, tuner_id: str) -> Any:
        """The next trial; one that a killed session left is run again if it fits."""
        earlier = set(self.trials)
        trial = super().create_trial(tuner_id)
        while trial.trial_id in earlier and not self._fits(
            trial.hyperparameters.values
        ):
            trial.status = "FAILED"
            trial.message = f"The model does not fit the budget, {self.budget}."
            self.end_trial(trial)
            trial = super().create_trial(tuner_id)
        return trial

    def _fits(self, values: _Values) -> bool:
        """Whether the model of some values fits; missing values are filled in."""
        hp = self.get_space()
        hp.values = dict(values)
        try:
            fits = bool(self.budget.allows(self._sizes.size(hp)))
        except SpecError as error:
            fits = False
            if self._sizes.is_hopeless and not self.trials:
                raise self._uncounted() from error
        self.update_space(hp)
        values.update(hp.values)
        self.passed_over += not fits
        return fits

    def _withdraw(self, trial_id: str) -> None:
        """Forget what was proposed for a trial."""

    def _uncounted(self) -> SpecError:
        errors = self._sizes.errors
        return SpecError(
            f"None of the first {len(errors)} proposals can be counted. {errors[-1]}"
            f"{_TASK if 'give the task' in errors[-1] else ''}"
        )

    def _exhausted(self) -> _Response:
        """The end of the search, unless trials still run: they may change the space."""
        if self.ongoing_trials:
            return {"status": "IDLE", "values": None}
        errors = self._sizes.errors
        if errors and not self._sizes.has_counted and not self.trials:
            raise self._uncounted()
        logger.warning(
            "The search ends as exhausted: none of %d proposals in a row fits %s, after"
            " %d trials.%s",
            self.max_draws,
            self.budget,
            len(self.trials),
            f" Some cannot be built. {errors[-1]}" if errors else "",
        )
        return {"status": "STOPPED", "values": None}


class _BudgetedHyperband(BudgetedOracle):
    def _fits(self, values: _Values) -> bool:
        # Later rounds go on with what fitted in the first one.
        return "tuner/trial_id" in values or super()._fits(values)

    def _withdraw(self, trial_id: str) -> None:
        """Free the place of a trial in the first round of its bracket."""
        state = self.get_state()
        for bracket in state["brackets"]:
            first = bracket["rounds"][0]
            first[:] = [info for info in first if info["id"] != trial_id]
        self.set_state(state)


class _BudgetedGrid(BudgetedOracle):
    """Goes over the whole grid in one order, past what was tried before a restart."""

    _point: _Values | None = None

    def populate_space(self, trial_id: str) -> _Response:
        tried = [trial.hyperparameters.values for trial in self.trials.values()]
        hps = self.get_space()
        first = {hp.name: hp.default for hp in hps.space if hps.is_active(hp)}
        values = first if self._point is None else self._after(self._point)
        while values is not None:
            self._point = values
            if self._fits(values) and values not in tried:
                return {"status": _RUNNING, "values": values}
            values = self._after(values)
        if not tried and not self._sizes.has_counted:
            raise self._uncounted()
        if not tried:
            logger.warning("Nothing on the grid fits %s: no trial is run.", self.budget)
        return {"status": "STOPPED", "values": None}

    def _after(self, values: _Values) -> _Values | None:
        """The next point of the grid, or None after the last one."""
        hps = self.get_space()
        hps.values = dict(values)
        for hp in reversed(hps.space):
            points = [
                hp.default,
                *(value for value in hp.values if value != hp.default),
            ]
            following = points.index(hps.values.get(hp.name, hp.default)) + 1
            if hps.is_active(hp) and following < len(points):
                hps.values[hp.name] = points[following]
                hps.ensure_active_values()
                return dict(hps.values)
            hps.values[hp.name] = hp.default
        return None


class _BudgetedBayesian(BudgetedOracle):
    """Draws points at random, and takes the most promising of those that fit."""

    def populate_space(self, trial_id: str) -> _Response:
        response: _Response = super(BudgetedOracle, self).populate_space(trial_id)
        if response["status"] != _RUNNING or self._fits(response["values"]):
            return response
        tried = [trial.hyperparameters.values for trial in self.trials.values()]
        rng = np.random.default_rng([self.seed, len(tried)])
        points, places = zip(
            *(self._drawn(rng) for _ in range(self.max_draws)), strict=True
        )
        # No surrogate yet, or one of a space with fewer hyperparameters.
        if getattr(self.gpr, "n_features_in_", 0) != len(places[0]):
            return super().populate_space(trial_id)
        mean, deviation = self.gpr.predict(np.array(places), return_std=True)
        for index in np.argsort(mean - self.beta * deviation, kind="stable"):
            values = points[index]
            if self._fits(values) and values not in tried:
                return {"status": _RUNNING, "values": values}
        return self._exhausted()

    def _drawn(self, rng: np.random.Generator) -> tuple[_Values, list[float]]:
        """A point of the space, and where the surrogate sees it: from 0 to 1 each."""
        hps, place = keras_tuner.HyperParameters(), []
        for hp in self.hyperparameters.space:
            hps.merge([hp])
            value = hp.default
            if hps.is_active(hp):
                hps.values[hp.name] = value = hp.random_sample(int(rng.integers(2**31)))
            if not isinstance(hp, Fixed):
                place.append(hp.value_to_prob(value))
        return dict(hps.values), place


_KINDS: dict[type, type[BudgetedOracle]] = {
    HyperbandOracle: _BudgetedHyperband,
    GridSearchOracle: _BudgetedGrid,
    BayesianOptimizationOracle: _BudgetedBayesian,
}
