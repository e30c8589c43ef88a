"""Every family as a HyperModel in KerasTuner's own tuners."""

from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
import pytest
from contracts.family import SMALLEST, TASKS, example_inputs, example_labels, task_for
from tuning.made_data import digits

from kscale.errors import BudgetError, SpecError
from kscale.guests.family_hypermodel import as_hypermodel
from kscale.networks.budget import Budget
from kscale.networks.families import FAMILIES
from kscale.networks.families.base import Family
from kscale.task.tasks import Input, Target, Task
from kscale.tuning.fit_model import fit_model

QUICK = ("linear", "mlp", "cnn", "transformer")
SOME_FAMILIES = [
    pytest.param(family, id=name, marks=() if name in QUICK else pytest.mark.slow)
    for name, family in FAMILIES.items()
]
EVERY_FAMILY = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
TUNERS = {
    "random": (keras_tuner.RandomSearch, {"max_trials": 1}),
    "bayesian": (keras_tuner.BayesianOptimization, {"max_trials": 2}),
    "hyperband": (keras_tuner.Hyperband, {"max_epochs": 2, "factor": 2}),
}


def task_of(family: Family) -> Task:
    return task_for(family, family.kinds[-1])


def smallest(family: Family) -> dict[str, Any]:
    """Settings of a network that trains in no time."""
    sizes = {"depth": 1, "width": 8, **SMALLEST.get(family.name, {})}
    return {name: size for name, size in sizes.items() if name in family.all_knobs}


def made_tuner(
    kind: str, hypermodel: Any, folder: Path, objective: str = "accuracy", **more: Any
) -> Any:
    cls, arguments = TUNERS[kind]
    direction = "max" if "accuracy" in objective else "min"
    return cls(
        hypermodel,
        objective=keras_tuner.Objective(f"val_{objective}", direction),
        seed=7,
        directory=str(folder),
        **{**arguments, **more},
    )


def fit_arguments(task: Task) -> dict[str, Any]:
    x, y = example_inputs(task, 12), example_labels(task, 12)
    return {
        "x": x,
        "y": y,
        "validation_data": (x, y),
        "epochs": 1,
        "verbose": 0,
    }


@EVERY_FAMILY
def test_a_model_has_the_counted_size_and_the_chosen_knobs(family: Family) -> None:
    cheap = SMALLEST.get(family.name, {})
    hypermodel = as_hypermodel(family.name, task_of(family), settings=cheap)
    for index in (0, 1):
        hp = keras_tuner.HyperParameters()
        for name in smallest(family).keys() - cheap:
            hp.values[name] = family.knob(name).values[index]
        model = hypermodel.build(hp)
        chosen = {n: v for n, v in hp.values.items() if n != "learning_rate"}
        spec = family.spec(task_of(family), **cheap, **chosen)
        assert hypermodel.spec(hp) == spec
        assert model.count_params() == family.size(spec, task_of(family)).params
        assert model.count_params() == hypermodel.size(hp).params
        assert chosen.keys() >= smallest(family).keys() - cheap


@EVERY_FAMILY
def test_hyperparameters_are_the_knobs_with_their_values(family: Family) -> None:
    hp, task = keras_tuner.HyperParameters(), task_of(family)
    knobs = [knob for knob in family.all_knobs.values() if not knob.is_optional]
    values = {knob.name: set(knob.values_for(task)) for knob in knobs}
    searched = [name for name in values if len(values[name]) > 1]
    further = [name for name in searched if name not in ("depth", "width")]
    hypermodel = as_hypermodel(family.name, task, search=further)
    hypermodel.spec(hp)
    hp.values |= SMALLEST.get(family.name, {})
    hypermodel.build(hp)
    offered = {item.name: set(item.values) for item in hp.space}
    values["learning_rate"] = set(family.learning_rate.values)
    assert offered == {name: values[name] for name in (*searched, "learning_rate")}


@EVERY_FAMILY
def test_nothing_varies_when_everything_is_set(family: Family) -> None:
    settings = {**smallest(family), "learning_rate": 0.01}
    hypermodel = as_hypermodel(family.name, task_of(family), settings=settings)
    hp = keras_tuner.HyperParameters()
    model = hypermodel.build(hp)
    assert hp.space == [] and hp.values == {}
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)
    assert model.optimizer.weight_decay == family.knob("weight_decay").default


@pytest.mark.parametrize("family", SOME_FAMILIES)
def test_random_search_trains_it(family: Family, tmp_path: Path) -> None:
    task = task_of(family)
    hypermodel = as_hypermodel(family.name, task, settings=smallest(family))
    watched = task.targets[0].head.watched.arguments["name"]
    tuner = made_tuner("random", hypermodel, tmp_path, watched)
    tuner.search(**fit_arguments(task))
    (trial,) = tuner.oracle.trials.values()
    assert trial.status == "COMPLETED" and 0 <= trial.score <= 1
    assert trial.hyperparameters.get("learning_rate") in family.learning_rate.values


def test_bayesian_optimization_trains_it(tmp_path: Path) -> None:
    settings = {"depth": 1, "width": 8}
    hypermodel = as_hypermodel("mlp", TASKS["vector"], settings=settings)
    tuner = made_tuner("bayesian", hypermodel, tmp_path)
    tuner.search(**fit_arguments(TASKS["vector"]))
    trials = tuner.oracle.trials.values()
    assert {trial.status for trial in trials} == {"COMPLETED"}
    assert len({trial.hyperparameters.get("learning_rate") for trial in trials}) == 2
    best = tuner.get_best_hyperparameters()[0]
    model = tuner.get_best_models()[0]
    assert model.count_params() == hypermodel.size(best).params


@pytest.mark.slow
def test_hyperband_goes_on_with_the_optimizers_state(tmp_path: Path) -> None:
    """The second rung starts at the step where the first one ended."""
    task = TASKS["vector"]
    hypermodel = as_hypermodel("mlp", task, settings={"depth": 1, "width": 8})
    tuner = made_tuner("hyperband", hypermodel, tmp_path)
    tuner.search(**{**fit_arguments(task), "batch_size": 4})
    trials = tuner.oracle.trials.values()
    assert {trial.status for trial in trials} == {"COMPLETED"}
    second = [
        trial.hyperparameters
        for trial in trials
        if trial.hyperparameters.values.get("tuner/initial_epoch")
    ]
    assert second
    resumed = tuner._build_hypermodel(second[0])
    assert int(resumed.optimizer.iterations) == 12 // 4


def test_a_fit_of_ones_own_may_train_as_a_search_does(tmp_path: Path) -> None:
    data = digits()
    family = as_hypermodel("mlp", data.task, settings={"depth": 1, "width": 8})

    class SameTrainer(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            return family.build(hp)

        def fit(self, hp: Any, model: Any, **others: Any) -> dict[str, float]:
            rate = hp.get("learning_rate")
            how = {"learning_rate": rate, "epochs": 2, "batch_size": 128}
            return {"val_accuracy": fit_model(model, data, **how)[-1]}

    tuner = made_tuner("random", SameTrainer(), tmp_path)
    tuner.search()
    (trial,) = tuner.oracle.trials.values()
    assert trial.status == "COMPLETED" and 0.1 < trial.score < 1


def test_what_does_not_fit_fails_its_trial_unbuilt(tmp_path: Path) -> None:
    budget = Budget(max_params=200)
    hypermodel = as_hypermodel("mlp", TASKS["vector"], budget=budget)
    tuner = made_tuner(
        "random",
        hypermodel,
        tmp_path,
        max_trials=5,
        max_consecutive_failed_trials=100,
    )
    tuner.search(**fit_arguments(TASKS["vector"]))
    trials = list(tuner.oracle.trials.values())
    fits = [hypermodel.size(t.hyperparameters).params <= 200 for t in trials]
    assert [trial.status == "COMPLETED" for trial in trials] == fits
    assert not all(fits)
    failed = trials[fits.index(False)]
    assert "and the budget is max_params=200: not built." in failed.message


def test_a_tuner_starts_from_what_fits() -> None:
    """KerasTuner builds the defaults when a tuner is made."""
    hp = keras_tuner.HyperParameters()
    hypermodel = as_hypermodel("mlp", TASKS["vector"], budget=Budget(max_params=200))
    assert hypermodel.build(hp).count_params() <= 200
    usual = keras_tuner.HyperParameters()
    unlimited = as_hypermodel("mlp", TASKS["vector"])
    unlimited.build(usual)
    assert (usual.get("depth"), usual.get("width")) == (2, 64)


def test_a_tuner_starts_from_what_is_usual_for_the_data() -> None:
    texts = Task.of("tokens", (9,), vocabulary=50, classes=2)
    vectors = Task.of("vector", (9,), classes=2)
    hp = keras_tuner.HyperParameters()
    assert as_hypermodel("mlp", texts, search="norm").spec(hp)["norm"] == "none"
    hp = keras_tuner.HyperParameters()
    assert as_hypermodel("mlp", vectors, search="norm").spec(hp)["norm"] == "batch"


def test_knobs_that_make_no_network_fail_their_trial() -> None:
    task = TASKS["image"]
    hypermodel = as_hypermodel("cnn", task, search=["stages"])
    hp = keras_tuner.HyperParameters()
    hp.values |= {"stages": 5, "depth": 8, "width": 8}
    with pytest.raises(keras_tuner.errors.FailedTrialError, match="cnn|pool|side"):
        hypermodel.build(hp)


def test_each_build_starts_from_weights_of_its_own_and_a_seed_repeats_them() -> None:
    settings = {"depth": 1, "width": 8, "learning_rate": 0.01}
    first, again, other = (
        as_hypermodel("mlp", TASKS["vector"], settings=settings, seed=seed)
        for seed in (3, 3, 4)
    )
    hp = keras_tuner.HyperParameters()
    kernels = [h.build(hp).get_weights()[0] for h in (first, first, again, other)]
    assert np.array_equal(kernels[0], kernels[2])
    assert not np.array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[3])


def test_with_steps_the_learning_rate_rises_and_falls() -> None:
    settings = {"depth": 1, "width": 8, "learning_rate": 0.01}
    hypermodel = as_hypermodel("mlp", TASKS["vector"], settings=settings, steps=100)
    schedule = hypermodel.build(keras_tuner.HyperParameters()).optimizer._learning_rate
    rates = [float(schedule(step)) for step in (0, 4, 50, 99)]
    assert rates[0] == pytest.approx(0.002)
    assert rates[1] == rates[2] == pytest.approx(0.01)
    assert 0 < rates[3] < 0.001


def test_label_smoothing_raises_the_loss_of_a_sure_answer() -> None:
    settings = {"depth": 1, "width": 8}
    x, y = example_inputs(TASKS["vector"], 12), np.arange(12) % 3
    hp = keras_tuner.HyperParameters()
    losses = []
    for share in (0.0, 0.2):
        hypermodel = as_hypermodel(
            "mlp", TASKS["vector"], settings={**settings, "label_smoothing": share}
        )
        model = hypermodel.build(hp)
        model.layers[-1].bias.assign([50.0, 0.0, 0.0])
        losses.append(model.evaluate(x[y == 0], y[y == 0], verbose=0)[0])
    assert losses[0] < 0.01 and losses[1] == pytest.approx(50 * 0.2 * 2 / 3, rel=0.2)


def test_real_values_are_scored_by_their_error(tmp_path: Path) -> None:
    task = Task.of("vector", (5,), values=1)
    hypermodel = as_hypermodel("linear", task)
    tuner = made_tuner("random", hypermodel, tmp_path, "root_mean_squared_error")
    x = example_inputs(task, 12)
    y = x[:, :1]
    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    assert all(trial.score > 0 for trial in tuner.oracle.trials.values())


def test_several_targets_have_a_loss_and_a_metric_each() -> None:
    targets = (Target("kind", "classes", 3), Target("price", "real", 1))
    task = Task((Input("x", "vector", (5,)),), targets)
    model = as_hypermodel("mlp", task).build(keras_tuner.HyperParameters())
    x = example_inputs(task, 12)
    y = {"head.kind": np.arange(12) % 3, "head.price": x[:, :1]}
    history = model.fit(x, y, epochs=1, verbose=0).history
    assert {"head.kind_accuracy", "head.price_root_mean_squared_error"} <= set(history)
    parts = [history[f"head.{name}_loss"][0] for name in ("kind", "price")]
    assert history["loss"][0] == pytest.approx(sum(parts) / 2, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"family": "mpl"}, SpecError, "Did you mean 'mlp'?"),
        ({"search": ["drpout"]}, SpecError, "Did you mean 'dropout'?"),
        ({"settings": {"widht": 8}}, SpecError, "Did you mean 'width'?"),
        ({"settings": {"width": -8}}, SpecError, "must hold, but got width=-8"),
        ({"family": "vit", "task": TASKS["tokens"]}, SpecError, "takes image or spec"),
        ({"task": Task.of("vector", (5,))}, SpecError, "needs a target"),
        ({"steps": 0}, SpecError, "`steps >= 1` must hold"),
        ({"budget": Budget(max_params=10)}, BudgetError, "No mlp fits max_params=10"),
    ],
)
def test_what_cannot_be_is_refused_at_once(
    changes: dict[str, Any], error: type[Exception], text: str
) -> None:
    arguments = {"family": "mlp", "task": TASKS["vector"], **changes}
    with pytest.raises(error, match=text):
        as_hypermodel(arguments.pop("family"), arguments.pop("task"), **arguments)


def test_nothing_given_is_changed() -> None:
    settings, search = {"width": "16"}, ["dropout"]
    before = dict(FAMILIES)
    hypermodel = as_hypermodel("mlp", TASKS["vector"], search=search, settings=settings)
    hypermodel.build(keras_tuner.HyperParameters())
    assert (settings, search) == ({"width": "16"}, ["dropout"])
    assert before == FAMILIES


def test_search_is_as_in_tune() -> None:
    task = Task.of("image", (8, 8, 1), classes=10)
    hp = keras_tuner.HyperParameters()
    hypermodel = as_hypermodel("mlp", task, search="dropout", settings={"depth": 1})
    hypermodel.build(hp)
    assert set(hp.values) == {"width", "learning_rate", "dropout"}
    again = as_hypermodel("mlp", task, search=["depth"], settings={"depth": 1})
    assert again.spec(hp).depth == 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"task": "digits"}, "must be a Task"),
        ({"budget": {"max_params": 100}}, "must be a Budget"),
        ({"steps": 1.5}, "`steps` must be whole"),
        ({"budget": Budget(max_latency_ms=1.0)}, "cannot keep `max_latency_ms`"),
    ],
)
def test_what_a_hypermodel_cannot_take_is_refused(
    changes: dict[str, Any], text: str
) -> None:
    task = Task.of("image", (8, 8, 1), classes=10)
    with pytest.raises((SpecError, BudgetError), match=text):
        as_hypermodel("mlp", **{"task": task, **changes})
