"""KerasTuner's own oracles inside a budget: what does not fit is never proposed."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.oracles import (
    BayesianOptimizationOracle,
    GridSearchOracle,
    HyperbandOracle,
)

from kscale.errors import BudgetError, SpecError
from kscale.guests.keras_tuner_budget.build_sizes import BuildSizes
from kscale.networks.budget import Budget
from kscale.task.tasks import Task

logger = logging.getLogger(__name__)

_Values = dict[str, Any]
_Response = dict[str, Any]
_ALIKE = 20  # proposals that fail alike, after which none is expected to be counted
_TASK = ' Such as task=kscale.Task.of("image", (28, 28, 1), classes=10).'
_RUNNING, _IDLE, _STOPPED = "RUNNING", "IDLE", "STOPPED"


class BudgetedOracle(keras_tuner.Oracle):
    """A KerasTuner oracle that proposes only what fits a budget.

    A proposal is built abstractly, without its weights; what does not fit, or cannot be
    built, is not trained, costs no trial and is no failure: the oracle proposes anew.
    The oracle takes the place of the one that it is made from, with its trials::

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
        oracle: Any oracle; the four of KerasTuner are each treated in their own way.
        budget: Limits on sizes.
        hypermodel: What the tuner builds from: a function of hyperparameters or a
            `keras_tuner.HyperModel`.
        task: Inputs of models that have no shapes until they are called.
        max_draws: Most proposals in a row that do not fit.

    Raises:
        BudgetError: There is no limit, it is one on latency, which is measured, or the
            oracle has a budget already.
        SpecError: An argument is of a wrong type.
    """

    def __new__(cls, oracle: Any, *args: Any, **kwargs: Any) -> "BudgetedOracle":
        """An instance of the oracle's own class too, so that all else is as it was."""
        if isinstance(oracle, BudgetedOracle):
            raise BudgetError("The oracle has a budget already: wrap the one inside.")
        if not isinstance(oracle, keras_tuner.Oracle):
            raise SpecError(
                "`oracle` must be a KerasTuner oracle, such as `tuner.oracle`, but got "
                f"{type(oracle).__name__}."
            )
        kind = type(oracle)
        ours = next((own for base, own in _OWN if isinstance(oracle, base)), cls)
        return object.__new__(type(f"Budgeted{kind.__name__}", (ours, kind), {}))

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        budget: Budget,
        hypermodel: Callable[..., Any] | keras_tuner.HyperModel,
        task: Task | None = None,
        max_draws: int = 1000,
    ) -> None:
        _check(budget, max_draws)
        # One state under both names: a tuner may still hold the oracle itself.
        self.__dict__ = oracle.__dict__
        self.budget = budget
        self.max_draws = max_draws
        self.passed_over = 0
        self._sizes = BuildSizes(hypermodel, task)
        self._reasons: list[str] | None = []

    def populate_space(self, trial_id: str) -> _Response:
        """The oracle's next proposal that fits; KerasTuner calls it."""
        for _ in range(self.max_draws):
            response: _Response = super().populate_space(trial_id)
            if response["status"] != _RUNNING or self._fits(response["values"]):
                return response
            self._withdraw(trial_id)
        return self._exhausted()

    def create_trial(self, tuner_id: str) -> Any:
        """The next trial; one that a killed session left is run again if it fits."""
        waiting = [self.trials[trial_id] for trial_id in self._retry_queue]
        for trial in waiting:
            if not self._fits(trial.hyperparameters.values):
                self._retry_queue.remove(trial.trial_id)
                trial.status = "FAILED"
                trial.message = f"It does not fit the budget, {self.budget}."
                self.end_order.append(trial.trial_id)
                self._save_trial(trial)
        return super().create_trial(tuner_id)

    def get_state(self) -> dict[str, Any]:
        """State of the oracle, with the budget and what was passed over."""
        about = {"budget": self.budget.limits, "passed_over": self.passed_over}
        return {**super().get_state(), "kscale": about}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, also from one that was saved without a budget."""
        super().set_state(state)
        self.passed_over = int(state.get("kscale", {}).get("passed_over", 0))

    def _fits(self, values: _Values) -> bool:
        """Whether the model of some values fits, which are completed for it."""
        hp = self.get_space()
        hp.values = dict(values)
        try:
            fits = bool(self.budget.allows(self._sizes.size(hp, self.budget)))
            self._reasons = None
        except SpecError as error:
            fits = False
            self._refuse_uncounted(str(error))
        self.update_space(hp)
        values.update(hp.values)
        self.passed_over += not fits
        return fits

    def _withdraw(self, trial_id: str) -> None:
        """Forget the proposal for a trial."""

    def _refuse_uncounted(self, reason: str = "") -> None:
        """Raise if no proposal at all could be counted, and there is no hope for one.

        That is where many failed and all alike, or without a reason, at the end.
        """
        if self._reasons is None or self.trials:
            return
        self._reasons += [reason] * bool(reason)
        is_alike = len(self._reasons) >= _ALIKE and len(set(self._reasons)) == 1
        if self._reasons and (is_alike or not reason):
            last = self._reasons[-1]
            raise SpecError(
                f"None of the first {len(self._reasons)} proposals can be counted. "
                f"{last}{_TASK if 'give the task' in last else ''}"
            )

    def _exhausted(self) -> _Response:
        self._refuse_uncounted()
        said = self._sizes.last_error
        logger.warning(
            "The search ends as exhausted: none of %d proposals in a row fits %s, after"
            " %d trials.%s",
            self.max_draws,
            self.budget,
            len(self.trials),
            f" Some cannot be built. {said}" if said else "",
        )
        return {"status": _STOPPED, "values": None}


class _Hyperband(BudgetedOracle):
    def populate_space(self, trial_id: str) -> _Response:
        response = super().populate_space(trial_id)
        # What runs may still go on to a later round.
        is_over = response["status"] == _STOPPED and self.ongoing_trials
        return {"status": _IDLE} if is_over else response

    def _fits(self, values: _Values) -> bool:
        # Later rounds go on with what fitted in the first one.
        return "tuner/trial_id" in values or super()._fits(values)

    def _withdraw(self, trial_id: str) -> None:
        for bracket in self._brackets:
            first = bracket["rounds"][0]
            first[:] = [info for info in first if info["id"] != trial_id]


class _GridSearch(BudgetedOracle):
    def populate_space(self, trial_id: str) -> _Response:
        self._remember_order()
        response: _Response = super(BudgetedOracle, self).populate_space(trial_id)
        is_first = not self.start_order and response["status"] == _RUNNING
        if not is_first or self._fits(response["values"]):
            return response
        values = self._get_next_combination(response["values"])
        if values is not None:
            return {"status": _RUNNING, "values": values}
        self._refuse_uncounted()
        logger.warning("Nothing on the grid fits %s: no trial is run.", self.budget)
        return {"status": _STOPPED, "values": None}

    def _get_next_combination(self, values: _Values) -> _Values | None:
        """The next point of the grid that fits, or None at its end."""
        found: _Values | None = super()._get_next_combination(values)
        while found is not None and not self._fits(found):
            found = super()._get_next_combination(found)
        return found

    def _remember_order(self) -> None:
        """Order the trials of an earlier session, which KerasTuner does not save."""
        if self._ordered_ids._memory or not self.start_order:
            return
        places = {
            trial_id: self._place(self.trials[trial_id].hyperparameters.values)
            for trial_id in self.start_order
        }
        for trial_id in sorted(places, key=lambda item: places[item]):
            self._ordered_ids.insert(trial_id)
            self._populate_next.append(trial_id)

    def _place(self, values: _Values) -> list[int]:
        """Where a point stands on the grid: the default of each value comes first."""
        place = []
        for hp in self.get_space().space:
            others = [value for value in hp.values if value != hp.default]
            ordered = [hp.default, *others]
            place.append(ordered.index(values[hp.name]) if hp.name in values else 0)
        return place


class _BayesianOptimization(BudgetedOracle):
    def populate_space(self, trial_id: str) -> _Response:
        seed = self._seed_state
        response: _Response = super(BudgetedOracle, self).populate_space(trial_id)
        if response["status"] != _RUNNING or self._fits(response["values"]):
            return response
        # Only points drawn at random, before there is a surrogate, use up seeds.
        if self._seed_state != seed:
            return super().populate_space(trial_id)
        return self._best_fitting()

    def _best_fitting(self) -> _Response:
        """Of points drawn at random, the one that fits and promises most."""
        drawn = [self._random_values() for _ in range(self.max_draws)]
        points = [values for values in drawn if values is not None]
        if points:
            mean, deviation = self.gpr.predict(self._vectors(points), return_std=True)
            for index in np.argsort(mean - self.beta * deviation, kind="stable"):
                if self._fits(points[index]):
                    return {"status": _RUNNING, "values": points[index]}
        return self._exhausted()

    def _vectors(self, points: list[_Values]) -> Any:
        """Points as the surrogate sees them, between 0 and 1."""
        hps, vectors = self.get_space(), []
        for hps.values in points:
            vectors.append(
                [
                    hp.value_to_prob(
                        hps.values[hp.name]
                        if hps.is_active(hp) and hp.name in hps.values
                        else hp.default
                    )
                    for hp in self._nonfixed_space()
                ]
            )
        return np.array(vectors)


_OWN: tuple[tuple[type, type[BudgetedOracle]], ...] = (
    (HyperbandOracle, _Hyperband),
    (GridSearchOracle, _GridSearch),
    (BayesianOptimizationOracle, _BayesianOptimization),
)


def _check(budget: Budget, max_draws: int) -> None:
    if not isinstance(budget, Budget):
        raise SpecError(
            "`budget` must be a Budget, such as kscale.Budget(max_params=5e6), but "
            f"got {budget!r}."
        )
    if budget.max_latency_ms is not None:
        raise BudgetError(
            "An oracle cannot keep `max_latency_ms`, which is measured; use "
            "kscale.tune."
        )
    if not budget.is_limited:
        raise BudgetError("The budget has no limit: give one, such as max_params.")
    if not isinstance(max_draws, int) or max_draws < 1:
        raise SpecError(f"`max_draws >= 1` must hold, but got {max_draws!r}.")
