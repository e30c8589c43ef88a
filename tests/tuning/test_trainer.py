"""One training: continued from its parent, failed with a reason, or stopped."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tuning.made_data import digits, small_spec

from kscale.engine.recipe import Recipe
from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.runs.records import from_line, to_line
from kscale.search.contract import Job
from kscale.task.objectives import find_objective
from kscale.tuning.trainer import TimeUp, Trainer

RECIPE = Recipe(epochs=4, batch_size=128)


def made_trainer(folder: Path, **settings: Any) -> Trainer:
    return Trainer(
        digits(),
        find_objective(None, digits().task.targets[0]),
        RECIPE,
        tf.distribute.get_strategy(),
        folder,
        **settings,
    )


def made_job(spec: Spec | None = None, epochs: int = 4, **settings: Any) -> Job:
    spec = spec or small_spec()
    return Job("search", 0, spec, (11,), (0.01,), epochs, **settings)


def test_a_second_rung_goes_on_from_its_parents_weights_and_optimizer(
    tmp_path: Path,
) -> None:
    """Two rungs of one and three epochs are one training of four."""
    spec = small_spec(dropout=0.2)
    seen: list[int] = []
    trainer = made_trainer(tmp_path / "rungs")
    trainer.on_epoch = lambda job, member, epochs, score: seen.append(epochs)
    first = trainer.train(made_job(spec, 1, keep=True), 0)
    child = Job("search", 1, spec, (11,), (0.01,), 4, epochs_from=1, parent=0)
    second = trainer.train(child, 0)
    whole = made_trainer(tmp_path / "whole").train(made_job(spec), 0)
    assert seen == [1, 2, 3, 4]
    assert (first.epochs, second.epochs_from, second.epochs) == (1, 1, 4)
    assert second.parent == 0
    assert second.score == whole.score
    assert second.curve == whole.curve
    np.testing.assert_array_equal(
        final_weights(trainer, child), final_weights(trainer, made_job(spec))
    )


def final_weights(trainer: Trainer, job: Job) -> np.ndarray:
    with np.load(trainer.checkpoint_path(job, 0)) as file:
        names = sorted(name for name in file.files if name != "progress")
        return np.concatenate([np.ravel(file[name]) for name in names])


def test_a_lost_parent_is_trained_again(tmp_path: Path) -> None:
    child = Job("search", 1, small_spec(), (11,), (0.01,), 4, epochs_from=1, parent=0)
    result = made_trainer(tmp_path / "child").train(child, 0)
    whole = made_trainer(tmp_path / "whole").train(made_job(), 0)
    assert (result.status, result.score) == ("ok", whole.score)


def test_a_result_says_everything_about_the_training(tmp_path: Path) -> None:
    result = made_trainer(tmp_path).train(made_job(), 0)
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
    first, second = (
        made_trainer(tmp_path / name).train(made_job(), 0) for name in "ab"
    )
    assert first.curve == second.curve
    other = Job("search", 0, small_spec(), (12,), (0.01,), 4)
    assert made_trainer(tmp_path / "c").train(other, 0).curve != first.curve


def test_an_exploding_loss_is_a_failed_result_with_its_reason(tmp_path: Path) -> None:
    job = Job("search", 0, small_spec(norm="none"), (1,), (1e30,), 4)
    result = made_trainer(tmp_path).train(job, 0)
    assert result.status == "failed" and result.score is None
    assert result.reason.startswith("the loss became")
    assert json.loads(to_line(result))["score"] is None


def test_what_cannot_be_built_is_a_failed_result(tmp_path: Path) -> None:
    spec = small_spec()
    wrong = Spec(
        "mlp", tuple((n, "no" if n == "activation" else v) for n, v in spec.knobs)
    )
    result = made_trainer(tmp_path).train(made_job(wrong), 0)
    assert result.status == "failed"
    assert "Could not interpret activation" in result.reason
    assert "\n" not in result.reason


def test_what_would_not_fit_in_memory_is_not_built(tmp_path: Path) -> None:
    began = time.monotonic()
    result = made_trainer(tmp_path).train(
        made_job(small_spec(depth=50, width=100_000)), 0
    )
    assert result.status == "failed"
    assert result.reason.startswith("training would hold about 7.") or (
        "TB" in result.reason
    )
    assert "of memory are free" in result.reason
    assert time.monotonic() - began < 5  # no layer of 40 GB was made


def test_training_memory_counts_weights_four_times_and_activations_by_the_batch() -> (
    None
):
    size = Size(1000, 900, 0, 50, 70)
    assert size.training_bytes(32) == 1000 * 4 + 900 * 12 + 32 * 70


def test_the_deadline_ends_a_training_which_goes_on_later(tmp_path: Path) -> None:
    trainer = made_trainer(tmp_path, deadline=time.monotonic())
    with pytest.raises(TimeUp):
        trainer.train(made_job(), 0)
    trainer.deadline = float("inf")
    seen: list[int] = []
    trainer.on_epoch = lambda job, member, epochs, score: seen.append(epochs)
    result = trainer.train(made_job(), 0)
    assert seen == [2, 3, 4]
    whole = made_trainer(tmp_path / "whole").train(made_job(), 0)
    assert (result.status, result.curve) == ("ok", whole.curve)


def test_a_training_that_killed_its_process_twice_is_given_up(tmp_path: Path) -> None:
    trainer = made_trainer(tmp_path)
    path = tmp_path / f"{made_job().member_key(0)}.attempts.json"
    path.write_text('{"epochs": 0, "count": 2}')
    result = trainer.train(made_job(), 0)
    assert result.status == "failed"
    assert result.reason == "the process died twice while training it"
    path.write_text('{"epochs": 0, "count": 1}')
    assert trainer.train(made_job(), 0).status == "ok"
    assert not path.exists()
