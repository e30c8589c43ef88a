"""Trainings of a user's models: interrupted, continued, ended by the time."""

import inspect
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from tuning.made_data import digits, graphs, train_in
from tuning.made_models import custom, sequential

from kscale import load_dataset, tune
from kscale.engine.progress import progress_in
from kscale.errors import BudgetError
from kscale.guests.hypermodels.user_candidates import raw_dataset
from kscale.guests.hypermodels.user_trainer import UserTrainer
from kscale.reports.hparams import session_values
from kscale.runs.records import Measurement, Training
from kscale.search.contract import Job
from kscale.searches import plan_search
from kscale.tuning.attempts import Attempts, MemberWeights
from kscale.tuning.plan import Plan
from kscale.tuning.trainer import TimeUp


class Killed(BaseException):
    """As a signal would end a training."""


def compiled_with(optimizer: Any) -> Any:
    """What builds a model that is compiled with what this makes."""

    def build(hp: Any) -> keras.Model:
        model = sequential(hp)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer(), loss=loss)
        return model

    return build


class Phases(keras_tuner.HyperModel):
    """Trains twice, the second time anew compiled, and more than it is asked to."""

    last: keras.Model

    def build(self, hp: Any) -> keras.Model:
        return sequential(hp)

    def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        type(self).last = model
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss=loss)
        model.fit(*args, **{**kwargs, "epochs": 2})
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss=loss)
        return model.fit(*args, **{**kwargs, "epochs": 3})


class ByHand(Phases):
    """Calls the callbacks from a loop of its own, which knows of no epoch to go on."""

    def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        each = keras.callbacks.CallbackList(kwargs["callbacks"], model=model, epochs=4)
        each.on_train_begin()
        for epoch in range(4):
            each.on_epoch_begin(epoch)
            loss = model.train_on_batch(*args)
            each.on_epoch_end(epoch, {"loss": float(loss)})


def plan_of(hypermodel: Any, epochs: int = 4, **asked: Any) -> Plan:
    asked = {"max_params": 1500, "batch_size": 512, **asked}
    return plan_search(digits(), hypermodel=hypermodel, epochs=epochs, **asked)


def trained(
    plan: Plan,
    folder: Path,
    kill_at: int = 0,
    checkpoint_seconds: float = 0.0,
    **more: Any,
) -> Any:
    """The result of the first trial's training, killed after an epoch if asked to."""
    seen: list[int] = []

    def on_epoch(epochs: int, score: float) -> None:
        seen.append(epochs)
        if epochs == kill_at:
            raise Killed

    trainer = trainer_of(plan, checkpoint_seconds)
    try:
        result = train_in(folder, trainer, first_job(plan), on_epoch=on_epoch, **more)
        return result, seen
    except (Killed, TimeUp):
        return list(folder.glob("*.npz")), seen


def trainer_of(plan: Plan, checkpoint_seconds: float = 0.0) -> UserTrainer:
    setup = replace(plan.setup, checkpoint_seconds=checkpoint_seconds)
    trainer = plan.candidates.trainer(setup)
    assert isinstance(trainer, UserTrainer)
    return trainer


def first_job(plan: Plan) -> Job:
    plan = replace(plan, request=replace(plan.request, searcher="random"))
    jobs = plan.searcher().outlook((), ()).jobs
    return next(job for job in jobs if job.stage == "search")


def shipped(plan: Plan, folder: Path) -> keras.Model:
    """What the first trial's training left in a folder, as a user opens it."""
    job, path = first_job(plan), folder / "model.keras"
    trainer, weights = trainer_of(plan), MemberWeights(folder, job, 0)
    trainer.ship(train_in(folder, trainer, job), weights.path, path)
    return keras.models.load_model(folder / "model.keras")


@pytest.mark.parametrize(
    ("hypermodel", "epochs", "goes_on"),
    [
        pytest.param(sequential, 4, True, marks=pytest.mark.slow),
        (Phases(), 5, True),
        (ByHand(), 4, False),
    ],
)
def test_a_killed_training_goes_on_to_as_many_epochs(
    hypermodel: Any, epochs: int, goes_on: bool, tmp_path: Path
) -> None:
    plan = plan_of(hypermodel)
    ((part,), _) = trained(plan, tmp_path, kill_at=4)
    assert part.name.endswith(".1.npz")
    result, seen = trained(plan, tmp_path)
    assert result.status == "ok", result.reason
    assert seen == list(range(4 if goes_on else 1, epochs + 1))
    assert [len(values) for values in result.curve.values()] == [epochs, epochs]
    assert [path.name.count(".") for path in tmp_path.iterdir()] == [1]
    again, seen = trained(plan, tmp_path)
    assert not seen
    assert (again.score, again.curve) == (result.score, result.curve)


def test_a_longer_rung_goes_on_from_a_shorter_one(tmp_path: Path) -> None:
    plan, seen = plan_of(sequential), []
    trainer, whole = trainer_of(plan), first_job(plan)
    noted = {"on_epoch": lambda epochs, score: seen.append(epochs)}
    short = train_in(tmp_path, trainer, replace(whole, epochs_to=1), **noted)
    child = replace(whole, epochs_from=1, parent=whole.index)
    result = train_in(tmp_path, trainer, child, **noted)
    assert (result.status, seen) == ("ok", [1, 2, 3, 4])
    assert result.curve["score"][:1] == short.curve["score"]
    assert len(result.curve["loss"]) == 4 and result.epochs == 4


def test_what_goes_on_has_its_weights_and_its_optimizer(tmp_path: Path) -> None:
    plan = plan_of(Phases())
    trained(plan, tmp_path, kill_at=5)
    optimizer = Phases.last.optimizer
    assert int(optimizer.iterations) == 9  # three epochs of the second call
    weights = Phases.last.get_weights()
    trained(plan, tmp_path, kill_at=5)
    assert int(Phases.last.optimizer.iterations) == 9
    for before, after in zip(weights, Phases.last.get_weights(), strict=True):
        np.testing.assert_allclose(after, before, atol=0.01)


def swish(hp: Any) -> keras.Model:
    dense = [keras.layers.Dense(4, "swish"), keras.layers.Dense(10)]
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), *dense])


def test_no_graph_of_a_training_stays_in_memory(tmp_path: Path) -> None:
    plan = plan_of(swish, epochs=1)
    tf.compat.v1.get_default_graph()  # there is one in every process
    before = graphs()
    trained(plan, tmp_path)
    assert graphs() <= before


def test_a_damaged_checkpoint_begins_again(tmp_path: Path) -> None:
    plan = plan_of(sequential)
    ((part,), _) = trained(plan, tmp_path, kill_at=3)
    content, middle = part.read_bytes(), part.stat().st_size // 2
    part.write_bytes(content[:middle] + bytes(300) + content[middle + 300 :])
    assert progress_in(part) is not None
    result, seen = trained(plan, tmp_path)
    assert result.status == "ok"
    assert seen == [1, 2, 3, 4]


def test_the_time_limit_keeps_an_epoch_and_lets_the_last_one_end(
    tmp_path: Path,
) -> None:
    plan = plan_of(sequential, epochs=2)
    late = {"seconds": 0.0, "checkpoint_seconds": math.inf}
    (left, seen) = trained(plan, tmp_path, **late)
    assert (len(left), seen) == (1, [1])
    result, seen = trained(plan, tmp_path, **late)
    assert isinstance(result, Training)
    assert (result.status, seen) == ("ok", [2])
    assert result.seconds > 0


def test_a_training_that_died_twice_at_one_epoch_is_given_up(tmp_path: Path) -> None:
    plan = plan_of(sequential)
    ((part,), _) = trained(plan, tmp_path, kill_at=3)
    attempts = Attempts(tmp_path / part.name.replace(".1.npz", ".attempts.json"))
    assert [attempts.begin(2), attempts.begin(2)] == [0, 1]
    result, seen = trained(plan, tmp_path)
    assert (result.reason, seen) == ("the process died twice while training it", [])


@pytest.mark.parametrize(
    ("hypermodel", "rate"),
    [
        (compiled_with(lambda: keras.optimizers.SGD(0.03)), 0.03),
        (
            compiled_with(
                lambda: keras.optimizers.SGD(
                    keras.optimizers.schedules.ExponentialDecay(0.2, 1, 0.5)
                )
            ),
            0.2,
        ),
        (sequential, 0.001),
        pytest.param(Phases(), 0.001, marks=pytest.mark.slow),
    ],
)
def test_a_result_has_the_first_learning_rate(
    hypermodel: Any, rate: float, tmp_path: Path
) -> None:
    plan = plan_of(hypermodel, epochs=1)
    result, _ = trained(plan, tmp_path)
    assert result.learning_rate == rate


class Faulty(Phases):
    """Trains and then fails as a refused argument would, having heard of it or not."""

    trained = 0

    def __init__(self, is_heard: bool) -> None:
        super().__init__()
        self.is_heard = is_heard

    def fit(self, hp: Any, model: keras.Model, x: Any, y: Any, **kwargs: Any) -> Any:
        heard = {"callbacks": kwargs["callbacks"]} if self.is_heard else {}
        model.fit(x, y, verbose=0, batch_size=512, **heard)
        type(self).trained += 1
        raise TypeError("f() got an unexpected keyword argument 'callbacks'")


@pytest.mark.parametrize("is_heard", [True, False])
def test_an_error_in_a_training_does_not_train_again(
    is_heard: bool, tmp_path: Path
) -> None:
    plan = plan_of(Faulty(is_heard))
    Faulty.trained = 0
    result, _ = trained(plan, tmp_path)
    assert "unexpected keyword argument 'callbacks' (" in result.reason
    line = inspect.getsourcelines(Faulty.fit)[1] + 4
    assert result.reason.endswith(f"{__file__}, line {line})")
    assert Faulty.trained == 1


class Leaving(Phases):
    """Ends the program where it should train."""

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        raise SystemExit(3)


def test_a_fit_that_ends_the_program_is_a_failed_training(tmp_path: Path) -> None:
    result, _ = trained(plan_of(Leaving()), tmp_path)
    assert result.status == "failed"
    assert result.reason == "the code ended the program with sys.exit(3)"


def test_what_is_unknown_of_a_model_is_recorded(tmp_path: Path) -> None:
    plan = plan_of(custom)
    result, _ = trained(plan, tmp_path)
    assert result.unknown_flops == 1


class Bare(Phases):
    """Takes some of what KerasTuner gives, and decides the rest."""

    def fit(
        self,
        hp: Any,
        model: keras.Model,
        x: Any,
        y: Any,
        callbacks: Any,
        class_weight: dict[int, float],
    ) -> Any:
        assert sorted(class_weight) == list(range(10))
        given = {"callbacks": callbacks, "class_weight": class_weight}
        return model.fit(x, y, epochs=2, batch_size=512, **given)


def test_a_fit_of_few_arguments_is_called_with_those(tmp_path: Path) -> None:
    plan = plan_of(Bare(), epochs=1, class_weights="balanced")
    result, seen = trained(plan, tmp_path)
    assert (result.status, seen) == ("ok", [1, 2])


@pytest.mark.slow
def test_a_fit_may_compile_anew_on_mirrored_devices(tmp_path: Path) -> None:
    plan = plan_of(Phases(), epochs=1, strategy="mirrored")
    result, _ = trained(plan, tmp_path)
    assert result.status == "ok", result.reason


def two_inputs(hp: Any) -> keras.Model:
    inputs = {"a": keras.Input((3,), name="a"), "b": keras.Input((2, 2), name="b")}
    flat = keras.layers.Flatten()(inputs["b"])
    x = keras.layers.Concatenate()([inputs["a"], flat])
    x = keras.layers.Dense(hp.Int("units", 2, 9))(x)
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def test_several_inputs_and_real_values_are_searched(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = {"a": rng.normal(size=(90, 3)), "b": rng.normal(size=(90, 2, 2))}
    data = load_dataset((inputs, 5 + inputs["a"].sum(axis=1)))
    asked: dict[str, Any] = {"max_params": 100, "trials": 1, "finalist_seeds": 0}
    run = tune(data, hypermodel=two_inputs, run=tmp_path / "run", epochs=1, **asked)
    best = run.best()
    (tested,) = (r for r in run.evaluations if r.spec == best.spec)
    test = raw_dataset(data).test
    values = run.load_model("best").predict(dict(test.inputs), verbose=0)
    errors = values.reshape(-1) - np.reshape(*test.targets.values(), -1)
    assert np.sqrt((errors**2).mean()) == pytest.approx(tested.score, rel=1e-4)
    assert session_values(best.results[0])["learning_rate"] == 0.001


def two_heads(form: str, compiled: bool) -> Any:
    """A class of three as logits or shares, a flag and a value."""

    def build(hp: Any) -> keras.Model:
        given = keras.Input((6,))
        x = keras.layers.Dense(hp.Int("units", 8, 9), "relu")(given)
        end = None if form == "logits" else "softmax"
        kind = keras.layers.Dense(3, end, name="kind")(x)
        flag = keras.layers.Dense(1, "sigmoid", name="flag")(x)
        outputs = [keras.layers.Dense(1, name="amount")(x), kind, flag]
        if form == "dict":
            outputs = dict(zip(("amount", "kind", "flag"), outputs, strict=True))
        model = keras.Model(given, outputs)
        if compiled:
            names = ("mse", "sparse_categorical_crossentropy", "binary_crossentropy")
            losses = dict(zip(("amount", "kind", "flag"), names, strict=True))
            model.compile("adam", losses)
        return model

    return build


@pytest.mark.parametrize(
    ("form", "compiled"), [("list", True), ("dict", False), ("logits", False)]
)
def test_several_targets_are_trained_scored_and_shipped(
    form: str, compiled: bool, tmp_path: Path
) -> None:
    x = np.random.default_rng(0).normal(size=(400, 6)).astype("float32")
    targets = {
        "kind": x[:, :3].argmax(axis=1),
        "flag": x[:, 3] > 0,
        "amount": np.abs(x[:, 4]),
    }
    data = load_dataset((x, targets))
    build = two_heads(form, compiled)
    plan = plan_search(data, hypermodel=build, max_params=200, epochs=2)
    result, _ = trained(plan, tmp_path)
    assert result.status == "ok", result.reason
    test = raw_dataset(data).validation
    given = shipped(plan, tmp_path).predict(test.inputs["x"], verbose=0)
    amount = test.targets["amount"]
    rest = ((given["amount"] - amount) ** 2).sum()
    parts = [1 - rest / ((amount - amount.mean()) ** 2).sum()]
    for target in data.task.targets:
        if target.kind == "classes":
            likeliest = given[target.name].argmax(axis=1)
            parts.append((likeliest == test.targets[target.name]).mean())
    assert np.mean(parts) == pytest.approx(result.score, rel=1e-4)


class Sleep(keras.layers.Layer):
    """Takes its time."""

    def call(self, x: Any) -> Any:
        slept = tf.numpy_function(lambda y: (time.sleep(0.03), y)[1], [x], x.dtype)
        return keras.ops.reshape(slept, (-1, *x.shape[1:]))


def sleepy(hp: Any) -> keras.Model:
    first: list[Any] = [Sleep()] if hp.Boolean("sleeps") else []
    dense = keras.layers.Dense(10, activation="softmax")
    layers = [keras.Input((8, 8, 1)), *first, keras.layers.Flatten(), dense]
    return keras.Sequential(layers)


def test_models_that_are_too_slow_are_never_trained(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"trials": 2, "finalist_seeds": 0, "epochs": 1}
    asked |= {"hypermodel": sleepy, "run": tmp_path / "run", "max_latency_ms": 15}
    run = tune(digits(), **asked)
    measured = [r for r in run.results if isinstance(r, Measurement)]
    slept = {r.spec["sleeps"]: r.latency_ms for r in measured if len(r.spec.knobs) == 1}
    searched = [r.latency_ms for r in run.trainings if r.stage == "search"]
    assert searched == [slept[False]]
    assert slept[False] <= 15 < slept[True]
    assert len(tune(digits(), **asked).results) == len(run.results)
    with pytest.raises(BudgetError, match=r"fastest measured, .*\(sleeps=False\)"):
        tune(digits(), **{**asked, "max_latency_ms": 1e-3, "run": tmp_path / "none"})


def test_fractions_are_those_of_the_source(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (200, 9)).astype("float32") / 255
    x[:, 0] = 0
    data = load_dataset((x, x.argmax(axis=1) % 2))
    parts = [part.inputs["x"] for part in raw_dataset(data).parts.values()]
    given = np.concatenate(parts)
    assert sorted(map(bytes, given)) == sorted(map(bytes, x))


class Late(keras_tuner.HyperModel):
    """Asks after compiling, decides its epochs, and may enlarge its model."""

    def __init__(self, grows: bool = False) -> None:
        super().__init__()
        self.grows = grows

    def build(self, hp: Any) -> keras.Model:
        return sequential(hp)

    def fit(self, hp: Any, model: Any, x: Any, y: Any, callbacks: Any, **_: Any) -> Any:
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, y, hp.Int("batch", 200, 400), 3, callbacks=callbacks, verbose=0)
        if self.grows:
            model.add(keras.layers.Dense(10))
            model.build()


def test_what_a_fit_decides_is_reported(tmp_path: Path) -> None:
    plan = plan_of(Late(), epochs=2)
    result, _ = trained(plan, tmp_path)
    assert "batch" in dict(result.spec.knobs)
    assert session_values(result)["epochs"] == 3
    grown, _ = trained(plan_of(Late(grows=True)), tmp_path / "grown")
    assert (grown.status, "were counted" in grown.reason) == ("failed", True)


def shares(loss: Any) -> Any:
    def build(hp: Any) -> keras.Model:
        model = sequential(hp)
        model.add(keras.layers.Softmax())
        model.compile("adam", loss, metrics=["accuracy"])
        return model

    return build


@pytest.mark.parametrize(
    "loss",
    ["categorical_crossentropy", keras.losses.KLDivergence(), "binary_crossentropy"],
)
def test_a_loss_on_shares_gets_shares(loss: Any, tmp_path: Path) -> None:
    result, _ = trained(plan_of(shares(loss), epochs=1), tmp_path)
    assert result.status == "ok", result.reason


def test_values_are_scaled_for_what_only_kscale_trains(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(300, 3))
    data = load_dataset((x, 200_000 + 50_000 * x.sum(axis=1)))

    def build(hp: Any) -> keras.Model:
        units = keras.layers.Dense(hp.Int("units", 16, 17), "relu")
        return keras.Sequential([keras.Input((3,)), units, keras.layers.Dense(1)])

    plan = plan_search(data, hypermodel=build, max_params=200, epochs=20, batch_size=16)
    result, _ = trained(plan, tmp_path)
    assert result.metrics["r2_score"] > 0.5
    part = raw_dataset(data).validation
    given = shipped(plan, tmp_path).predict(part.inputs["x"], verbose=0)
    errors = given - next(iter(part.targets.values()))
    assert np.sqrt((errors**2).mean()) == pytest.approx(result.score, rel=1e-4)
