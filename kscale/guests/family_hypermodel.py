"""A family as a plain `keras_tuner.HyperModel`, for scripts that use KerasTuner."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import keras
import keras_tuner
import numpy as np

from kscale.building.models import build_model
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.compiling import loss_for_fit, make_optimizer
from kscale.errors import BudgetError, SpecError, check_least
from kscale.naming import layer_name
from kscale.networks.budget import Budget
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec, Value, head_names
from kscale.networks.parametrization import check_parametrization, factors_of
from kscale.networks.sizing import Size, size_of
from kscale.networks.views import VIEW_KINDS
from kscale.search.contract import derived_seed
from kscale.search.pool import Pool, Space
from kscale.task.tasks import Task
from kscale.tuning.request import searched_knobs


def as_hypermodel(
    family: str,
    task: Task,
    *,
    search: str | Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    budget: Budget | None = None,
    steps: int | None = None,
    seed: int = 0,
    parametrization: str = "standard",
) -> "FamilyHyperModel":
    """A family as a `keras_tuner.HyperModel`, for any tuner of KerasTuner.

    The hyperparameters are the knobs that `kscale.tune` would search, with the same
    names and values. `build` gives a compiled model, whose outputs are logits of
    classes or labels, or values. The objective of a tuner is `val_accuracy` of classes,
    `val_auc` of labels, `val_root_mean_squared_error` of values, or `val_loss` of
    sequences. A task of several targets takes and gives dicts by output layer.

    KerasTuner cannot refuse a proposal. A network that does not fit the budget costs a
    trial there, which fails before anything is built; so does a combination of knobs
    that makes no network. Three failed trials in a row end KerasTuner's search, unless
    `max_consecutive_failed_trials` is raised. `kscale.tune` proposes neither.

    Args:
        family: Name of a family.
        task: What the networks must take in and put out, as `kscale.peek_task` gives.
        search: Knobs to vary besides depth, width and learning rate.
        settings: Values of knobs that are not to be varied, `learning_rate` included.
        budget: Limits on sizes that fail a trial before it is built; `max_memory` is of
            a step of `memory_batch` examples.
        steps: Steps of a whole training. With them the learning rate rises and falls
            over a training as in `kscale.tune`; without them it stays.
        seed: Decides the initial weights, which are others in each build.
        parametrization: As `kscale.tune`. With `mup`, a model that was saved with its
            optimizer opens where kscale is imported.

    Raises:
        BudgetError: Nothing fits the budget, or it limits latency.
        SpecError: The family, a knob or a value is unknown or does not suit the task.

    Example:

    >>> hypermodel = as_hypermodel("mlp", Task.of("vector", (20,), classes=3))
    >>> hp = keras_tuner.HyperParameters()
    >>> hypermodel.build(hp).count_params(), hypermodel.size(hp).params
    (6083, 6083)
    >>> hp.values
    {'depth': 2, 'width': 64, 'learning_rate': 0.0032}
    """
    chosen = find_family(family)
    if not isinstance(task, Task):
        raise SpecError(
            f"`task` must be a Task, as kscale.peek_task gives, but got {task!r}."
        )
    if budget is not None:
        check_counted(budget, "A HyperModel")
    chosen.check_task(task)
    check_parametrization(parametrization, (chosen,))
    views = VIEW_KINDS.keys() & {*searched_knobs(search), *(settings or {})}
    if views:
        raise SpecError(
            f"A HyperModel gets the data as a tuner has them, so `{min(views)}` cannot "
            "be varied; use kscale.tune."
        )
    if not task.targets:
        raise SpecError("A model to train needs a target, but the task has none.")
    if steps is not None:
        check_least("steps", steps, 1)
    fixed = tuple((settings or {}).items())
    space = Space((chosen,), task, budget or Budget(), searched_knobs(search), fixed)
    return FamilyHyperModel(space, steps, seed, parametrization)


def check_counted(budget: Any, keeper: str) -> None:
    """Raise unless a budget limits only what is counted before a model is built."""
    if not isinstance(budget, Budget):
        raise SpecError(
            "`budget` must be a Budget, such as kscale.Budget(max_params=5e6), but got "
            f"{budget!r}."
        )
    if budget.max_latency_ms is not None:
        raise BudgetError(
            f"{keeper} cannot keep `max_latency_ms`, which is measured; use "
            "kscale.tune."
        )


class FamilyHyperModel(keras_tuner.HyperModel):
    """What `as_hypermodel` gives, for a space of one family."""

    def __init__(
        self, space: Space, steps: int | None, seed: int, parametrization: str
    ) -> None:
        super().__init__(name=space.families[0].name)
        self.space = space
        self.family = space.families[0]
        self.steps = steps
        self.seed = seed
        self.parametrization = parametrization
        knobs = {**self.family.all_knobs, "learning_rate": self.family.learning_rate}
        self._choices = {
            n: space.values(self.family, knob) for n, knob in knobs.items()
        }
        self._defaults = {
            name: usual if usual in values else values[len(values) // 2]
            for name, values in self._choices.items()
            for usual in [knobs[name].default_for(space.task)]
        }
        # Every tuner builds its first network from the defaults, so they must not fail.
        if not self._fits(self._defaults):
            pool = Pool(space)
            largest = pool.spec(int(np.argmax(pool.share)))
            shaping = {n: v for n, v in largest.knobs if space.changes_size(knobs[n])}
            self._defaults |= shaping
        self._builds = count()

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """The compiled model of some hyperparameters.

        Raises:
            keras_tuner.errors.FailedTrialError: There is no such network, or it does
                not fit the budget; nothing was built.
        """
        spec, rate = self.spec(hp), float(self._value(hp, "learning_rate"))
        task, budget = self.space.task, self.space.budget
        try:
            blueprint = self.family.blueprint(spec, task)
            size = size_of(blueprint)
            fits = budget.allows(size)
        except SpecError as error:
            raise keras_tuner.errors.FailedTrialError(str(error)) from error
        if not fits:
            raise keras_tuner.errors.FailedTrialError(_over(budget, spec, size))
        seed = derived_seed(self.seed, "build", next(self._builds))
        factors = factors_of(spec, task, self.parametrization)
        model = build_model(blueprint, seed, factors=factors)
        knobs = dict(spec.knobs)
        # As many steps as one epoch of as many examples.
        decay = float(knobs["weight_decay"])
        optimizer = make_optimizer(
            Recipe(1, 1), self.steps, rate, decay, factors=factors
        )
        _compile(model, task, optimizer, float(knobs["label_smoothing"]))
        # Hyperband loads a checkpoint into this model; an optimizer without variables
        # would lose its moments and its step there (Keras only warns).
        optimizer.build(model.trainable_variables)
        return model

    def spec(self, hp: keras_tuner.HyperParameters) -> Spec:
        """The spec of some hyperparameters; missing ones take their defaults."""
        knobs = {name: self._value(hp, name) for name in self.family.all_knobs}
        return self.family.spec(self.space.task, **knobs)

    def size(self, hp: keras_tuner.HyperParameters) -> Size:
        """Exact size of the network of some hyperparameters, without building it."""
        return self.family.size(self.spec(hp), self.space.task)

    def _value(self, hp: keras_tuner.HyperParameters, name: str) -> Any:
        values = self._choices[name]
        if len(values) == 1:
            return values[0]
        if isinstance(values[0], bool):  # a Choice would give 0 and 1
            return hp.Boolean(name, default=self._defaults[name])
        return hp.Choice(name, list(values), default=self._defaults[name])

    def _fits(self, values: Mapping[str, Value]) -> bool:
        knobs = {name: values[name] for name in self.family.all_knobs}
        spec = self.family.spec(self.space.task, **knobs)
        try:
            size = self.family.size(spec, self.space.task)
            return bool(self.space.budget.allows(size))
        except SpecError:
            return False


def _over(budget: Budget, spec: Spec, size: Size) -> str:
    knobs = ", ".join(f"{name}={value}" for name, value in spec.knobs)
    used = budget.used(size)
    over = " and ".join(
        f"{name.removeprefix('max_')}={used[name]:,}"
        for name, limit in budget.limits.items()
        if used[name] > limit
    )
    return f"{spec.family} ({knobs}) has {over}, and the budget is {budget}: not built."


def _compile(
    model: keras.Model, task: Task, optimizer: keras.Optimizer, smoothing: float
) -> None:
    losses, metrics = {}, {}
    for name, target in zip(head_names(task), task.targets, strict=True):
        head, watched = layer_name(name), filter(None, [target.head.watched])
        losses[head] = loss_for_fit(target, smoothing)
        metrics[head] = [
            getattr(keras.metrics, each.name)(**each.arguments) for each in watched
        ]
    if len(losses) == 1:
        model.compile(optimizer, *losses.values(), metrics=metrics.popitem()[1])
        return
    shares = dict.fromkeys(losses, 1 / len(losses))
    model.compile(optimizer, losses, loss_weights=shares, metrics=metrics)
