"""One training: continued from its parent, failed with a reason, or stopped."""

import json
import pickle
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tuning.made_data import AtOnce, digits, made_loop, small_spec, train_in
from warm_python import WarmPython

from kscale.engine.base import Devices, Engine, Network
from kscale.engine.progress import epochs_in
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.engine import TensorFlowEngine
from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.runs.records import Training, from_line, to_line
from kscale.search.contract import Job
from kscale.task.objectives import find_objective
from kscale.tuning.attempts import MemberWeights
from kscale.tuning.executor import LocalExecutor, Outcome
from kscale.tuning.family_trainer import FamilyTrainer
from kscale.tuning.trainer import Assignment, TimeUp, TrainingSetup

RECIPE = Recipe(epochs=4, batch_size=128)

ELSEWHERE = """
import pickle, sys
from pathlib import Path
from kscale.tuning.family_trainer import FamilyTrainer

setup, assignment = pickle.loads(Path(sys.argv[1]).read_bytes())
record = FamilyTrainer(setup()).train(assignment)
Path(sys.argv[1]).write_bytes(pickle.dumps(record))
"""


def made_trainer(**more: Any) -> FamilyTrainer:
    objective = find_objective(None, digits().task.targets[0])
    return FamilyTrainer(TrainingSetup(digits(), objective, RECIPE, **more))


def trained(
    folder: Path, job: Job | None = None, parametrization: str = "standard", **more: Any
) -> Training:
    """The record of a job, made by a trainer that knows nothing of others."""
    trainer = made_trainer(parametrization=parametrization)
    result: Training = train_in(folder, trainer, job or made_job(), **more)
    return result


def made_job(spec: Spec | None = None, epochs: int = 4, **settings: Any) -> Job:
    spec = spec or small_spec()
    return Job("search", 0, spec, (11,), (0.01,), epochs, **settings)


def test_a_second_rung_goes_on_from_its_parents_weights_and_optimizer(
    tmp_path: Path,
) -> None:
    """Two rungs of one and three epochs are one training of four, of each weight at a
    rate of its own."""
    spec, how = small_spec(dropout=0.2), {"parametrization": "mup"}
    seen: list[int] = []
    noted = {"on_epoch": lambda epochs, score: seen.append(epochs), **how}
    first = trained(tmp_path / "rungs", made_job(spec, 1, keep=True), **noted)
    child = Job("search", 1, spec, (11,), (0.01,), 4, epochs_from=1, parent=0)
    second = trained(tmp_path / "rungs", child, **noted)
    whole = trained(tmp_path / "whole", made_job(spec), **how)
    assert seen == [1, 2, 3, 4]
    assert (first.epochs, second.epochs_from, second.epochs) == (1, 1, 4)
    assert second.parent == 0
    assert second.score == whole.score
    assert second.curve == whole.curve
    assert trained(tmp_path / "same", made_job(spec)).curve != whole.curve
    np.testing.assert_array_equal(
        final_weights(tmp_path / "rungs", child),
        final_weights(tmp_path / "whole", made_job(spec)),
    )


def final_weights(folder: Path, job: Job) -> np.ndarray:
    with np.load(MemberWeights(folder, job, 0).path) as file:
        names = sorted(name for name in file.files if name != "progress")
        return np.concatenate([np.ravel(file[name]) for name in names])


def test_the_seconds_of_a_parent_are_counted_once(tmp_path: Path) -> None:
    slow = {"on_epoch": lambda epochs, score: time.sleep(1.0 if epochs == 1 else 0.0)}
    began = time.monotonic()
    first = trained(tmp_path, made_job(epochs=1, keep=True), **slow)
    child = Job("search", 1, small_spec(), (11,), (0.01,), 4, epochs_from=1, parent=0)
    second = trained(tmp_path, child, **slow)
    assert first.seconds >= 1.0
    assert first.seconds + second.seconds < time.monotonic() - began


def test_seconds_of_all_attempts_at_a_job_are_counted(tmp_path: Path) -> None:
    slow = {"on_epoch": lambda epochs, score: time.sleep(1.0 if epochs == 1 else 0.0)}
    with pytest.raises(TimeUp):
        trained(tmp_path, seconds=0.0, **slow)
    assert trained(tmp_path).seconds > 1.0


def test_another_process_trains_a_member_of_stored_data(
    tmp_path: Path, warm_python: WarmPython
) -> None:
    setup = made_trainer().setup.stored_in(tmp_path / "data")
    target, message = tmp_path / "target.npz", tmp_path / "message"
    assignment = Assignment(made_job(), 0, 1, None, target)
    message.write_bytes(pickle.dumps((setup, assignment)))
    done = warm_python.run_here(ELSEWHERE, str(message))
    assert done.returncode == 0, done.stderr
    record = pickle.loads(message.read_bytes())  # noqa: S301
    whole = trained(tmp_path / "whole")
    assert (record.status, record.curve, record.key) == ("ok", whole.curve, whole.key)
    assert target.is_file()


def test_a_lost_parent_is_trained_again(tmp_path: Path) -> None:
    child = Job("search", 1, small_spec(), (11,), (0.01,), 4, epochs_from=1, parent=0)
    result = trained(tmp_path / "child", child)
    whole = trained(tmp_path / "whole")
    assert (result.status, result.score) == ("ok", whole.score)


def test_a_result_says_everything_about_the_training(tmp_path: Path) -> None:
    result = trained(tmp_path)
    assert result.status == "ok" and result.params == 64 * 8 + 4 * 8 + 8 * 10 + 10
    assert result.trainable == result.params - 16
    assert result.bytes == 4 * result.params
    assert result.examples == len(digits().validation)
    assert result.score is not None and 0.3 < result.score < 1.0
    assert result.stderr == pytest.approx(
        np.sqrt(result.score * (1 - result.score) / 270), rel=0.1
    )
    assert {name: len(values) for name, values in result.curve.items()} == {
        "loss": 4,
        "score": 4,
    }
    assert result.seconds > 0
    assert from_line(to_line(result)) == result


def test_equal_seeds_give_equal_results(tmp_path: Path) -> None:
    first, second = (trained(tmp_path / name) for name in "ab")
    assert first.curve == second.curve
    other = Job("search", 0, small_spec(), (12,), (0.01,), 4)
    assert trained(tmp_path / "c", other).curve != first.curve


def test_weights_trained_in_bfloat16_are_tested_in_float32(tmp_path: Path) -> None:
    exact, half = made_trainer(), made_trainer(precision="bfloat16")
    records = [
        train_in(tmp_path / name, trainer, made_job())
        for name, trainer in (("exact", exact), ("half", half))
    ]
    losses = [np.array(record.curve["loss"]) for record in records]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.02)
    assert (losses[0] != losses[1]).all()
    (path,) = (tmp_path / "half").rglob("*.npz")
    scores = [made.evaluate(records[1], path, "test") for made in (exact, half)]
    assert scores[0] == scores[1]


def test_an_exploding_loss_is_a_failed_result_with_its_reason(tmp_path: Path) -> None:
    job = Job("search", 0, small_spec(norm="none"), (1,), (1e30,), 4)
    result = trained(tmp_path, job)
    assert result.status == "failed" and result.score is None
    assert result.reason.startswith("the loss became")
    assert json.loads(to_line(result))["score"] is None


def test_what_cannot_be_built_is_a_failed_result(tmp_path: Path) -> None:
    spec = small_spec()
    wrong = Spec(
        "mlp", tuple((n, "no" if n == "activation" else v) for n, v in spec.knobs)
    )
    result = trained(tmp_path, made_job(wrong))
    assert result.status == "failed"
    assert "Could not interpret activation" in result.reason
    assert "\n" not in result.reason


def test_what_would_not_fit_in_memory_is_not_built(tmp_path: Path) -> None:
    programs: list[Network] = []

    class Building(TensorFlowEngine):
        def program(
            self, networks: Sequence[Network], placed: Any, recipe: Recipe
        ) -> Any:
            programs.extend(networks)
            raise MemoryError("a layer of 40 GB")

    trainer: Any = made_trainer()
    trainer.engine = Building("none")
    job = made_job(small_spec(depth=50, width=100_000))
    result = train_in(tmp_path, trainer, job)
    assert result.status == "failed"
    assert result.reason.startswith("training would hold about 7.") or (
        "TB" in result.reason
    )
    assert "of memory are free" in result.reason
    assert not programs


def test_training_memory_counts_weights_four_times_and_activations_by_the_batch() -> (
    None
):
    size = Size(1000, 900, 0, 50, 70)
    assert size.training_bytes(32) == 1000 * 4 + 900 * 12 + 32 * 70


def test_the_time_limit_ends_a_training_which_goes_on_later(tmp_path: Path) -> None:
    with pytest.raises(TimeUp):
        trained(tmp_path, seconds=0.0)
    seen: list[int] = []
    result = trained(tmp_path, on_epoch=lambda epochs, score: seen.append(epochs))
    assert seen == [2, 3, 4]
    whole = trained(tmp_path / "whole")
    assert (result.status, result.curve) == ("ok", whole.curve)
    assert [path.name.count(".") for path in tmp_path.glob("*.*")] == [1]


def test_a_training_that_killed_its_process_twice_is_given_up(tmp_path: Path) -> None:
    path = MemberWeights(tmp_path, made_job(), 0).attempts.path
    path.write_text('{"epochs": 0, "deaths": 1, "is_begun": 1}')
    result = trained(tmp_path)
    assert result.status == "failed"
    assert result.reason == "the process died twice while training it"
    path.write_text('{"epochs": 0, "deaths": 0, "is_begun": 1}')
    assert trained(tmp_path).status == "ok"
    assert not path.exists()


def finished_at_once(
    folder: Path, jobs: list[Job], engine: Engine, seconds: float = 600
) -> list[Outcome]:
    trainer = made_trainer()
    trainer.engine = engine
    executor = LocalExecutor(lambda spec: trainer)
    assert executor.slots == 1
    for job in jobs:
        for member in range(len(job.seeds)):
            executor.submit(MemberWeights(folder, job, member).begin(seconds))
    assert executor.slots == 3
    outcomes = list(executor.finished())
    assert not executor.finished()
    return outcomes


def test_only_what_has_begun_is_blamed_for_a_death(tmp_path: Path) -> None:
    """Members train in one program while another structure waits for the next."""
    job = replace(made_job(epochs=1), seeds=(11, 12), learning_rates=(0.01, 0.02))
    other = replace(made_job(small_spec(depth=2), epochs=1), index=1)
    blamed: list[set[tuple[int, int]]] = []

    def look(*seen: Any) -> None:
        counted = (each for each in weights if each.attempts.path.exists())
        begun = (e for e in counted if '"is_begun": 1' in e.attempts.path.read_text())
        blamed.append({(each.job.index, each.member) for each in begun})

    trainer = made_trainer()
    trainer.engine = AtOnce("none")
    executor = LocalExecutor(lambda spec: trainer, look)
    places = [(job, 0), (job, 1), (other, 0)]
    weights = [MemberWeights(tmp_path, *place) for place in places]
    for each in weights:
        executor.submit(each.begin())
    for outcome in executor.finished():
        weights[outcome.assignment.member].end(outcome.assignment, outcome.training)
    executor.finished()
    assert blamed == [{(0, 0), (0, 1)}] * 2 + [{(1, 0)}]


def test_members_at_once_leave_the_records_that_each_leaves_alone(
    tmp_path: Path,
) -> None:
    """What becomes NaN fails alone."""
    job = replace(made_job(epochs=1), seeds=(11, 12), learning_rates=(0.01, 0.02))
    broken = replace(job, index=1, seeds=(13,), learning_rates=(1e30,))
    outcomes = finished_at_once(tmp_path / "at-once", [job, broken], AtOnce("none"))
    assert [outcome.training.status for outcome in outcomes if outcome.training] == [
        "ok",
        "ok",
        "failed",
    ]
    for outcome in outcomes:
        assert outcome.training
        member, each = outcome.assignment.member, outcome.assignment.job
        alone = MemberWeights(tmp_path / "alone", each, member).train(made_trainer())
        for name in ("key", "status", "reason", "params", "epochs", "undertrained"):
            assert getattr(outcome.training, name) == getattr(alone, name)
        if alone.status == "ok":
            assert outcome.training.score == pytest.approx(alone.score, abs=0.01)
            assert alone.curve is not None and outcome.training.curve is not None
            assert outcome.training.curve["loss"] == pytest.approx(
                alone.curve["loss"], rel=1e-3
            )
        assert epochs_in(outcome.assignment.target) == int(alone.status == "ok")


def test_the_time_limit_ends_members_at_once_which_go_on_alone(tmp_path: Path) -> None:
    job = replace(made_job(epochs=2), seeds=(11, 12), learning_rates=(0.01, 0.02))
    for outcome in finished_at_once(tmp_path, [job], AtOnce("none"), seconds=0):
        assert outcome.training is None
        assert epochs_in(outcome.assignment.target) == 1
    weights = MemberWeights(tmp_path, job, 1)
    weights.attempts.end()
    done = weights.train(made_trainer())
    assert done.status == "ok" and done.curve and len(done.curve["loss"]) == 2


def test_what_fails_for_all_at_once_is_trained_one_by_one(tmp_path: Path) -> None:
    class Small(AtOnce):
        """A device with memory for one network."""

        def program(
            self, networks: Sequence[Network], placed: Any, recipe: Recipe
        ) -> Any:
            if len(networks) > 1:
                raise MemoryError("no memory is left")
            return super().program(networks, placed, recipe)

    job = replace(made_job(epochs=1), seeds=(11, 12), learning_rates=(0.01, 0.02))
    for outcome in finished_at_once(tmp_path, [job], Small("none")):
        assert outcome.training and outcome.training.status == "ok"


FULL = tf.errors.ResourceExhaustedError(
    None, None, "OOM when allocating tensor with shape[8,64] and more of no interest"
)


def test_fewer_train_at_once_after_memory_was_full(tmp_path: Path) -> None:
    counts: list[int] = []

    class Small(TensorFlowEngine):
        """A device with memory for two networks, of the four that it may try."""

        def devices(self) -> Devices:
            return replace(super().devices(), at_once=4)

        def program(
            self, networks: Sequence[Network], placed: Any, recipe: Recipe
        ) -> Any:
            counts.append(len(networks))
            if len(networks) > 2:
                raise FULL
            return super().program(networks, placed, recipe)

    seeds = tuple(range(11, 17))
    job = replace(made_job(epochs=1), seeds=seeds, learning_rates=(0.01,) * 6)
    trainer = made_trainer()
    trainer.engine = Small("none")
    executor = LocalExecutor(lambda spec: trainer)
    for member in range(6):
        executor.submit(MemberWeights(tmp_path, job, member).begin())
    outcomes = [*executor.finished(), *executor.finished()]
    assert counts == [4, 2, 2, 2] and executor.slots == 1 and trainer.at_once == 2
    assert [it.training and it.training.status for it in outcomes] == ["ok"] * 6


def test_a_training_begins_again_once_memory_is_freed_and_then_fails_alone(
    tmp_path: Path,
) -> None:
    class Small(TensorFlowEngine):
        """A device with memory for no wide network, and for one program in all."""

        def program(
            self, networks: Sequence[Network], placed: Any, recipe: Recipe
        ) -> Any:
            if self._kept._kept or networks[0].size.params > 1000:
                raise FULL
            return super().program(networks, placed, recipe)

    trainer = made_trainer()
    trainer.engine = Small("none")
    found = [
        train_in(tmp_path, trainer, made_job(small_spec(width=width), epochs=1))
        for width in (8, 9, 100, 10)
    ]
    assert [training.status for training in found] == ["ok", "ok", "failed", "ok"]
    reason = "memory ran out: OOM when allocating tensor with shape[8,64]"
    assert found[2].reason == reason


def test_data_that_do_not_fit_the_device_come_in_chunks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    order = RECIPE.order(len(digits().train), 1, 0)
    (whole,) = made_loop(small_spec(), RECIPE).run_epoch([order])
    constant = tf.constant

    def small(value: Any, *more: Any) -> Any:
        if np.size(value) > 500 * 64:
            raise tf.errors.InternalError(None, None, "Dst tensor is not initialized.")
        return constant(value, *more)

    monkeypatch.setattr(tf, "constant", small)
    loop = made_loop(small_spec(), RECIPE, chunk_bytes=300 * 64)
    assert loop.run_epoch([order]) == pytest.approx([whole], rel=1e-4)
    assert "do not fit the device and come in chunks" in caplog.text


def test_time_that_was_waited_is_not_there_for_the_training(tmp_path: Path) -> None:
    """The first training takes the time that is left for the second."""
    seconds = 1.5
    jobs = [
        replace(made_job(small_spec(depth=depth), epochs=2), index=depth)
        for depth in (1, 2)
    ]
    trainer, asked = made_trainer(), MemberWeights(tmp_path, jobs[1], 0)
    first = MemberWeights(tmp_path, jobs[0], 0).begin()
    slow = lambda job, *seen: time.sleep(seconds * (job == jobs[0]))  # noqa: E731
    executor = LocalExecutor(lambda spec: trainer, slow)
    executor.submit(first)
    executor.submit(asked.begin(seconds))
    (done,), (late,) = executor.finished(), executor.finished()
    assert done.training and done.training.status == "ok"
    assert late.training is None and epochs_in(late.assignment.target) == 1


def test_what_a_process_died_of_is_trained_alone(tmp_path: Path) -> None:
    trainer = made_trainer()
    trainer.engine = AtOnce("none")
    job = replace(made_job(epochs=1), seeds=(11, 12, 13), learning_rates=(0.01,) * 3)
    first, second, third = [MemberWeights(tmp_path, job, m).begin() for m in range(3)]
    died = replace(second, deaths=1)
    assert trainer.group([first, died, third]) == [first, third]
    assert trainer.group([died, first, third]) == [died]
