"""Evaluations: the mean over targets, its error, and the names of metrics."""

import numpy as np
import pytest

from kscale.task.evaluation import (
    Pairs,
    evaluate,
    evaluate_test,
    mean_error,
    mean_score,
    paired_error,
    share_error,
)
from kscale.task.heads import HEADS
from kscale.task.heads.base import Objective
from kscale.task.objectives import shown_metrics, task_objective
from kscale.task.tasks import Target, Task

KIND, OTHER = Target("kind", "classes", 3), Target("other", "classes", 2)
PRICE = Target("price", "real", 1)
EXAMPLES = 400


def made(target: Target, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What was wanted and given, right about three times of four."""
    rng = np.random.default_rng([seed, target.outputs])
    if target.kind == "real":
        wanted = rng.normal(size=(EXAMPLES, 1)).astype(np.float32)
        return wanted, wanted + rng.normal(0, 0.5, wanted.shape).astype(np.float32)
    wanted = rng.integers(0, target.outputs, EXAMPLES)
    given = rng.dirichlet(np.ones(target.outputs), EXAMPLES)
    given[np.arange(EXAMPLES), wanted] += 0.6
    return wanted, given


def stderr_of(
    objective: Objective, target: Target, wanted: np.ndarray, given: np.ndarray
) -> float:
    pairs = {target.name: (wanted, given)}
    return mean_error(objective, Task((), (target,)), pairs)


def made_task(*targets: Target) -> tuple[Task, Pairs]:
    return Task((), targets), {target.name: made(target) for target in targets}


def test_the_score_is_the_mean_over_the_targets() -> None:
    task, pairs = made_task(KIND, PRICE)
    objective = task_objective(None, task)
    accuracy = np.mean(pairs["kind"][1].argmax(axis=1) == pairs["kind"][0])
    wanted, given = pairs["price"]
    r2 = 1 - np.square(wanted - given).sum() / np.square(wanted - wanted.mean()).sum()
    found = mean_score(objective, task, pairs)
    assert found == pytest.approx((accuracy + r2) / 2, abs=1e-6)
    done = evaluate(objective, task, pairs)
    assert done.metrics["kind/accuracy"] == pytest.approx(accuracy, rel=1e-5)
    assert done.metrics["price/r2_score"] == pytest.approx(r2, rel=1e-5)


def test_one_target_is_scored_as_ever() -> None:
    task, pairs = made_task(KIND)
    objective = task_objective(None, task)
    done = evaluate(objective, task, pairs)
    assert done.score == np.mean(pairs["kind"][1].argmax(axis=1) == pairs["kind"][0])
    assert done.stderr == stderr_of(objective, KIND, *pairs["kind"])
    assert tuple(done.metrics) == HEADS["classes"].shown


def test_the_error_of_a_share_is_binomial_with_two_of_each_added() -> None:
    share = (90 + 2) / (100 + 4)
    expected = np.sqrt(share * (1 - share) / 104)
    assert share_error([1] * 90 + [0] * 10) == pytest.approx(expected)


def test_the_error_of_a_perfect_accuracy_is_not_zero() -> None:
    wanted = np.zeros(96, int)
    given = np.tile([1.0, 0.0], (96, 1))
    # Agresti & Coull: (96 + 2) / (96 + 4) = .98 of 100.
    error = stderr_of(
        task_objective("accuracy", Task((), (OTHER,))), OTHER, wanted, given
    )
    assert error == pytest.approx(np.sqrt(0.98 * 0.02 / 100))


def test_the_jackknife_gives_the_error_of_a_mean() -> None:
    rng = np.random.default_rng(1)
    wanted = np.zeros((2000, 1))
    given = rng.exponential(1.0, (2000, 1))
    error = stderr_of(task_objective("mae", Task((), (PRICE,))), PRICE, wanted, given)
    # Standard deviation 1 over the root of 2,000; 20 groups give it to about 16 %.
    assert error == pytest.approx(1 / np.sqrt(2000), rel=0.6)


def test_a_target_twice_has_the_error_of_one_and_two_have_less() -> None:
    task = Task((), (OTHER, Target("again", "classes", 2)))
    objective = task_objective(None, task)
    one = made(OTHER)
    single = stderr_of(objective, OTHER, *one)
    same = mean_error(objective, task, {"other": one, "again": one})
    assert same == pytest.approx(single)
    apart = mean_error(objective, task, {"other": one, "again": made(OTHER, seed=9)})
    # Independent errors of one size: those of the mean are smaller by a root of 2.
    assert apart == pytest.approx(single / np.sqrt(2), rel=0.15)


def test_the_error_of_a_mixed_mean_counts_examples_with_all_their_targets() -> None:
    task, pairs = made_task(KIND, PRICE)
    objective = task_objective(None, task)
    parts = dict(objective.parts)
    apart = [
        stderr_of(parts[target.name], target, *pairs[target.name])
        for target in task.targets
    ]
    # 20 groups give an error to about 16 %.
    found = mean_error(objective, task, pairs)
    assert found == pytest.approx(np.hypot(*apart) / 2, rel=0.5)


@pytest.mark.parametrize("name", [None, "mean", "loss"])
def test_metrics_have_the_names_that_are_promised(name: str | None) -> None:
    task, pairs = made_task(KIND, OTHER, PRICE)
    objective = task_objective(name, task)
    done = evaluate_test(objective, task, pairs)
    assert list(done.metrics) == [*shown_metrics(task, objective)]
    assert done.metrics.keys() == done.metric_errors.keys()
    assert all(error > 0 for error in done.metric_errors.values())
    assert done.confusion.keys() == {"kind", "other"}
    assert sum(examples for *_, examples in done.confusion["kind"]) == EXAMPLES


def test_pairs_of_accuracies_are_those_of_mcnemar() -> None:
    """With an example a group; of 400 examples in 100 groups about the same."""
    task, objective = Task((), (OTHER,)), task_objective("accuracy", Task((), (OTHER,)))
    wanted, given = made(OTHER)
    again = np.random.default_rng(5).dirichlet([0.2, 0.2], EXAMPLES)
    again = 0.7 * given + 0.3 * again
    for examples, tolerance in ((90, 1e-6), (EXAMPLES, 0.25)):
        kept = slice(examples)
        one, two = (
            evaluate_test(objective, task, {"other": (wanted[kept], pairs[kept])})
            for pairs in (given, again)
        )
        right = [(g.argmax(axis=1) == wanted)[kept] for g in (given, again)]
        b, c = (right[0] > right[1]).sum(), (right[0] < right[1]).sum()
        assert b + c > 5
        variance = (b + c - (b - c) ** 2 / examples) / examples / (examples - 1)
        found = paired_error(one.left_out, two.left_out)
        assert found == pytest.approx(np.sqrt(variance), rel=tolerance)


@pytest.mark.parametrize("name", ["root_mean_squared_error", "mean_squared_error"])
def test_pairs_of_values_have_the_error_that_drawing_anew_has(name: str) -> None:
    """What is hard for both falls out: unpaired it were ten times as large."""
    task = Task((), (PRICE,))
    objective = task_objective(name, task)
    rng = np.random.default_rng(0)
    wanted = np.zeros((EXAMPLES, 1))
    given = rng.normal(0, 1, wanted.shape)
    other = given + rng.normal(0, 0.05, wanted.shape)
    one, two = (
        evaluate_test(objective, task, {"price": (wanted, g)}) for g in (given, other)
    )
    found = paired_error(one.left_out, two.left_out)
    drawn = rng.integers(0, EXAMPLES, (2000, EXAMPLES))
    means = [np.square(g[:, 0])[drawn].mean(axis=1) for g in (given, other)]
    if name.startswith("root"):
        means = [np.sqrt(mean) for mean in means]
    # 100 groups and 2,000 draws give it to about 7 %.
    assert found == pytest.approx(np.std(means[0] - means[1]), rel=0.25)
    assert found < np.hypot(one.stderr, two.stderr) / 10


def test_without_a_score_in_some_group_nothing_can_be_paired() -> None:
    """The area under the curve is not defined without the only example of a class."""
    task = Task((), (OTHER,))
    wanted, given = made(OTHER)
    alone = np.zeros_like(wanted)
    alone[7] = 1
    objective = task_objective("auc", task)
    done = evaluate_test(objective, task, {"other": (alone, given)})
    assert done.left_out == [] and np.isfinite(done.score)
    assert len(evaluate_test(objective, task, {"other": (wanted, given)}).left_out)


def test_metrics_that_are_not_defined_are_left_out() -> None:
    task = Task((), (OTHER,))
    given = np.array([[0.4, 0.6], [0.7, 0.3], [0.1, 0.9]])
    pairs = {"other": (np.array([1, 1, 1]), given)}
    done = evaluate_test(task_objective(None, task), task, pairs)
    assert "auc" not in done.metrics and "auc" not in done.metric_errors
    assert done.metrics["recall"] == pytest.approx(2 / 3, rel=1e-5)


def test_a_head_that_is_right_everywhere_is_not_certain() -> None:
    kind, size = Target("kind", "classes", 2), Target("size", "real", 1)
    task = Task((), (kind, size))
    ids = np.arange(45) % 2
    values = np.arange(45.0).reshape(-1, 1)
    pairs = {"kind": (ids, np.eye(2)[ids]), "size": (values, values)}
    error = mean_error(task_objective("mean", task), task, pairs)
    assert error == pytest.approx(share_error(np.ones(45)) / 2)
