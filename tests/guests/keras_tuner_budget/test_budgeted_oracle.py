"""KerasTuner's own oracles never leave a budget, and lose no trial to it."""

import ast
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from keras_tuner import oracles

import kscale
from kscale.errors import BudgetError, SpecError
from kscale.guests.keras_tuner_budget import budgeted_oracle
from kscale.guests.keras_tuner_budget.budgeted_oracle import BudgetedOracle
from kscale.networks.budget import Budget
from kscale.task.tasks import Task

TIGHT = Budget(max_params=300)
X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
DATA = {"x": X, "y": X[:, :1], "validation_data": (X, X[:, :1]), "verbose": 0}
HUGE = 10**6
"""Widths of which a layer would need more memory than there is."""


def build(hp: keras_tuner.HyperParameters) -> keras.Model:
    """About 7 in 100 of these have at most 300 parameters."""
    model = keras.Sequential([keras.Input((4,))])
    for index in range(hp.Int("depth", 1, 4)):
        model.add(keras.layers.Dense(hp.Choice(f"width{index}", [4, 8, 64, 500, HUGE])))
    model.add(keras.layers.Dense(1))
    model.compile(keras.optimizers.SGD(hp.Float("rate", 1e-4, 1e-1)), "mse")
    return model


def params_of(values: dict[str, Any]) -> int:
    widths = [4, *(values[f"width{index}"] for index in range(values["depth"])), 1]
    pairs = zip(widths, widths[1:], strict=False)
    return sum((before + 1) * after for before, after in pairs)


def searched(oracle: Any, score: Callable[[dict[str, Any]], float]) -> list[Any]:
    """All trials of an oracle, scored by a function: nothing is built for real."""
    oracle._set_project_dir(str(oracle.folder), "search")
    oracle.verbose = 0
    oracle._fits({})  # a tuner would build a first model now, to see the space
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        values = trial.hyperparameters.values
        oracle.update_trial(trial.trial_id, {"loss": score(values)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert trial.status == "STOPPED"
    return list(oracle.trials.values())


def made(kind: str, folder: Path, **more: Any) -> Any:
    options: dict[str, dict[str, Any]] = {
        "RandomSearch": {"max_trials": 12},
        "BayesianOptimization": {"max_trials": 5, "num_initial_points": 4},
        "Hyperband": {"max_epochs": 4, "factor": 2},
        "GridSearch": {},
    }
    cls = getattr(oracles, f"{kind}Oracle")
    objective = keras_tuner.Objective("loss", "min")
    arguments = {"objective": objective, "seed": 5, **options[kind], **more}
    oracle = cls(**arguments)
    oracle.folder = folder
    return oracle


@pytest.mark.parametrize("kind", ["RandomSearch", "BayesianOptimization", "Hyperband"])
def test_all_trials_are_run_inside_the_limit(kind: str, tmp_path: Path) -> None:
    oracle = BudgetedOracle(made(kind, tmp_path), TIGHT, build, max_draws=300)
    trials = searched(oracle, lambda values: 1 / params_of(values))
    assert len(trials) == {"Hyperband": 15}.get(kind, oracle.max_trials)
    assert all(params_of(t.hyperparameters.values) <= 300 for t in trials)
    assert {trial.status for trial in trials} == {"COMPLETED"}
    assert oracle.passed_over > len(trials)
    assert isinstance(oracle, getattr(oracles, f"{kind}Oracle"))


def test_hyperband_goes_on_with_what_fitted(tmp_path: Path) -> None:
    oracle = BudgetedOracle(made("Hyperband", tmp_path), TIGHT, build)
    trials = searched(oracle, params_of)
    rounds = Counter(t.hyperparameters.values["tuner/round"] for t in trials)
    # 3 brackets of 4, 3 and 3 first, as without a budget.
    assert rounds == Counter({0: 10, 1: 4, 2: 1})
    for trial in trials:
        values = dict(trial.hyperparameters.values)
        parent = values.pop("tuner/trial_id", None)
        if parent is not None:
            before = oracle.trials[parent].hyperparameters.values
            own = {n: v for n, v in values.items() if not n.startswith("tuner/")}
            assert own.items() <= before.items()


def test_a_grid_search_goes_over_the_points_that_fit_and_ends(tmp_path: Path) -> None:
    def build_one(hp: keras_tuner.HyperParameters) -> keras.Model:
        width = hp.Choice("width", [HUGE, 4, 900_000, 8, 16])
        kind = hp.Choice("kind", ["relu", "gated"])
        with hp.conditional_scope("kind", ["gated"]):
            gate = hp.Choice("gate", [2, 900_000, 3]) if kind == "gated" else 1
        layers = [keras.layers.Dense(width), keras.layers.Dense(gate)]
        return keras.Sequential([keras.Input((4,)), *layers])

    oracle = BudgetedOracle(
        made("GridSearch", tmp_path), Budget(max_params=99), build_one
    )
    trials = searched(oracle, lambda values: 1.0)
    points = [tuple(t.hyperparameters.values.values()) for t in trials]
    narrow = [
        (w, *rest) for w in (4, 8) for rest in [("relu",), ("gated", 2), ("gated", 3)]
    ]
    assert sorted(points) == sorted([*narrow, (16, "relu")])


def test_a_grid_on_which_nothing_fits_ends_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def build_one(hp: keras_tuner.HyperParameters) -> keras.Model:
        wide = keras.layers.Dense(hp.Choice("width", [50, 60]))
        return keras.Sequential([keras.Input((4,)), wide])

    oracle = BudgetedOracle(
        made("GridSearch", tmp_path), Budget(max_params=9), build_one
    )
    assert searched(oracle, lambda values: 1.0) == []
    assert "Nothing on the grid fits max_params=9" in caplog.text


def test_a_grid_search_goes_on_after_a_restart(tmp_path: Path) -> None:
    def build_one(hp: keras_tuner.HyperParameters) -> keras.Model:
        wide = keras.layers.Dense(hp.Choice("width", [50, 6, 60, 7, 8, 70, 9]))
        return keras.Sequential([keras.Input((4,)), wide])

    def session(max_trials: int | None) -> list[Any]:
        oracle = made("GridSearch", tmp_path, max_trials=max_trials)
        budgeted = BudgetedOracle(oracle, Budget(max_params=99), build_one)
        budgeted._set_project_dir(str(tmp_path), "search")
        if list(tmp_path.rglob("oracle.json")):
            budgeted.reload()
        return searched(budgeted, lambda values: 1.0)

    assert len(session(2)) == 2
    widths = [t.hyperparameters.values["width"] for t in session(None)]
    # Those of the first session come in the order in which their folders are listed.
    assert sorted(widths[:2]) == [6, 7] and widths[2:] == [8, 9]


def test_a_bayesian_search_takes_the_best_point_that_fits(tmp_path: Path) -> None:
    def build_one(hp: keras_tuner.HyperParameters) -> keras.Model:
        wide = keras.layers.Dense(hp.Int("width", 1, 1000))
        return keras.Sequential([keras.Input((1,)), wide])

    # Wider is better: without a limit the surrogate asks for what is too wide.
    oracle = made("BayesianOptimization", tmp_path)
    limited = BudgetedOracle(oracle, Budget(max_params=160), build_one)
    trials = searched(limited, lambda values: -values["width"])
    widths = [trial.hyperparameters.values["width"] for trial in trials]
    assert len(widths) == 5 and max(widths) <= 80
    assert min(widths[4:]) >= 75
    assert {trial.status for trial in trials} == {"COMPLETED"}


def test_a_search_ends_where_nothing_more_fits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def build_one(hp: keras_tuner.HyperParameters) -> keras.Model:
        wide = keras.layers.Dense(hp.Choice("width", [1, 2, 3, *range(200, 240)]))
        return keras.Sequential([keras.Input((4,)), wide])

    oracle = BudgetedOracle(
        made("RandomSearch", tmp_path), Budget(max_params=99), build_one, max_draws=300
    )
    trials = searched(oracle, lambda values: 1.0)
    assert {t.hyperparameters.values["width"] for t in trials} == {1, 2, 3}
    assert "none of 300 proposals in a row fits max_params=99, after 3" in caplog.text


def test_what_cannot_be_built_is_passed_over_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def build_one(hp: keras_tuner.HyperParameters) -> keras.Model:
        sides = hp.Int("kernel", 1, 9)
        layers = [keras.layers.Conv2D(2, sides), keras.layers.Flatten()]
        return keras.Sequential([keras.Input((5, 5, 1)), *layers])

    oracle = made("RandomSearch", tmp_path, max_trials=5)
    trials = searched(BudgetedOracle(oracle, TIGHT, build_one), lambda values: 1.0)
    assert {t.hyperparameters.values["kernel"] for t in trials} == set(range(1, 6))
    said = [line for line in caplog.messages if line.startswith("Some values make no")]
    assert 1 <= len(said) <= 4


@pytest.mark.parametrize(
    "kind", ["RandomSearch", "BayesianOptimization", "Hyperband", "GridSearch"]
)
def test_models_of_which_none_can_be_counted_are_an_error(
    kind: str, tmp_path: Path
) -> None:
    def build_open(hp: keras_tuner.HyperParameters) -> keras.Model:
        return keras.Sequential([keras.layers.Dense(hp.Choice("width", [2, 3, 4, 5]))])

    oracle = BudgetedOracle(made(kind, tmp_path), TIGHT, build_open)
    with pytest.raises(
        SpecError, match=r"None of the first \d+ proposals .*task=kscale.Task.of"
    ):
        searched(oracle, lambda values: 1.0)


def test_new_hyperparameters_are_tuned_and_keep_the_size_they_were_counted_with(
    tmp_path: Path,
) -> None:
    def build_one(hp: keras_tuner.HyperParameters) -> keras.Model:
        model = keras.Sequential([keras.Input((4,))])
        kind = hp.Choice("kind", ["plain", "wide"])
        with hp.conditional_scope("kind", ["wide"]):
            if kind == "wide":
                model.add(keras.layers.Dense(hp.Choice("width", [3, HUGE, 5])))
        model.add(keras.layers.Dense(2))
        return model

    oracle = BudgetedOracle(made("RandomSearch", tmp_path), TIGHT, build_one)
    trials = searched(oracle, lambda values: 1.0)
    values = [trial.hyperparameters.values for trial in trials]
    assert {v.get("width") for v in values} == {None, 3, 5}


def test_one_line_changes_a_script(tmp_path: Path) -> None:
    def make(overwrite: bool, trials: int) -> Any:
        tuner = keras_tuner.RandomSearch(
            build_small,
            "val_loss",
            max_trials=trials,
            seed=1,
            directory=str(tmp_path),
            overwrite=overwrite,
        )
        tuner.oracle = kscale.BudgetedOracle(
            tuner.oracle, Budget(max_params=41), build_small
        )
        return tuner

    make(True, 1).search(**DATA, epochs=1)
    again = make(False, 2)
    assert len(again.oracle.trials) == 1
    again.search(**DATA, epochs=1)
    trials = again.oracle.trials.values()
    assert len(trials) == 2 and {t.status for t in trials} == {"COMPLETED"}
    assert all(model.count_params() <= 41 for model in again.get_best_models(2))


def build_small(hp: keras_tuner.HyperParameters) -> keras.Model:
    wide = keras.layers.Dense(hp.Int("width", 4, 100))
    model = keras.Sequential([keras.Input((4,)), wide, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(hp.Float("rate", 1e-4, 1e-2)), "mse")
    return model


def test_a_tuner_takes_it_as_its_oracle_and_reads_it_again(tmp_path: Path) -> None:
    def make(trials: int) -> Any:
        oracle = oracles.RandomSearchOracle("val_loss", max_trials=trials, seed=1)
        budgeted = kscale.BudgetedOracle(oracle, Budget(max_params=41), build_small)
        return keras_tuner.Tuner(budgeted, build_small, directory=str(tmp_path))

    make(1).search(**DATA, epochs=1)
    oracle = make(2).oracle
    assert len(oracle.trials) == 1
    values = oracle.create_trial("tuner0").hyperparameters.values
    assert values["width"] * 6 + 1 <= 41


def test_a_trial_that_a_killed_session_left_is_not_built_if_it_is_too_large(
    tmp_path: Path,
) -> None:
    oracle = made("RandomSearch", tmp_path, max_trials=3)
    oracle._set_project_dir(str(tmp_path), "search")
    oracle.verbose = 0
    oracle.hyperparameters.Fixed("depth", 1)
    oracle.hyperparameters.Choice("width0", [HUGE])
    oracle.create_trial("tuner0")  # and is killed
    again = made("RandomSearch", tmp_path, max_trials=3)
    again._set_project_dir(str(tmp_path), "search")
    again.reload()
    assert len(again._retry_queue) == 1
    budgeted = BudgetedOracle(again, TIGHT, build, max_draws=10)
    trials = searched(budgeted, lambda values: 1.0)
    assert [trial.status for trial in trials] == ["FAILED"]
    assert "does not fit the budget, max_params=300" in trials[0].message


def test_a_family_and_a_subclassed_model_are_counted(tmp_path: Path) -> None:
    task = Task.of("vector", (4,), values=1)
    hypermodel = kscale.as_hypermodel("mlp", task)
    oracle = BudgetedOracle(made("RandomSearch", tmp_path), TIGHT, hypermodel)
    trials = searched(oracle, lambda values: 1.0)
    sizes = [hypermodel.size(trial.hyperparameters).params for trial in trials]
    assert sizes and max(sizes) <= 300

    class Own(keras.Model):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.inner = keras.layers.Dense(width)

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs)

    oracle = BudgetedOracle(
        made("RandomSearch", tmp_path), TIGHT, lambda hp: Own(hp.Int("n", 1, 99)), task
    )
    values = oracle.populate_space("0")["values"]
    assert values["n"] * 5 <= 300


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((Budget(), build), BudgetError, "has no limit"),
        ((Budget(max_latency_ms=1), build), BudgetError, "cannot keep"),
        ((300, build), SpecError, "must be a Budget"),
        ((TIGHT, "build"), SpecError, "must be a function"),
        ((TIGHT, build, "task"), SpecError, "must be a Task"),
        ((TIGHT, build, None, 0), SpecError, "max_draws >= 1"),
    ],
)
def test_arguments_are_checked(
    arguments: tuple[Any, ...], error: type[Exception], text: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=text):
        BudgetedOracle(made("RandomSearch", tmp_path), *arguments)


def test_an_oracle_has_one_budget(tmp_path: Path) -> None:
    oracle = BudgetedOracle(made("RandomSearch", tmp_path), TIGHT, build)
    with pytest.raises(BudgetError, match="has a budget already"):
        BudgetedOracle(oracle, TIGHT, build)
    with pytest.raises(SpecError, match="must be a KerasTuner oracle"):
        BudgetedOracle("random", TIGHT, build)


def test_what_flops_are_not_known_of_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Own(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(shape=(1,))

        def call(self, inputs: Any) -> Any:
            return inputs * self.scale

    def build_one(hp: keras_tuner.HyperParameters) -> keras.Model:
        hp.Int("unused", 1, 9)
        return keras.Sequential([keras.Input((4,)), Own(name="own")])

    caplog.set_level(logging.WARNING)
    oracle = made("RandomSearch", tmp_path)
    BudgetedOracle(oracle, Budget(max_flops=99), build_one).populate_space("0")
    assert "max_flops cannot count" in caplog.text and "'own'" in caplog.text


@pytest.mark.parametrize(
    "kind", ["RandomSearch", "BayesianOptimization", "Hyperband", "GridSearch"]
)
def test_no_private_part_of_an_oracle_is_touched(kind: str, tmp_path: Path) -> None:
    """Another version of KerasTuner may have others."""
    oracle = made(kind, tmp_path)
    private = {
        name for name in dir(oracle) if name.startswith("_") and name[:2] != "__"
    }
    tree = ast.parse(Path(budgeted_oracle.__file__).read_text())
    named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    defined = {node.name for node in ast.walk(tree) if hasattr(node, "name")}
    assert private and not private & (named | defined)
