"""Metrics are found by any of their names, and know which way is better."""

import pickle

import pytest

from kscale.errors import DataError
from kscale.task.heads import HEADS
from kscale.task.objectives import find_objective, shown_metrics, task_objective
from kscale.task.tasks import Target, Task

CLASSES = Target("y", "classes", 6)
REAL = Target("y", "real", 1)
RMSE = "root_mean_squared_error"
KIND, PRICE = Target("kind", "classes", 6), Target("price", "real", 1)
OTHER, WEIGHT = Target("other", "classes", 2), Target("weight", "real", 1)


@pytest.mark.parametrize(
    ("name", "target", "found"),
    [
        (None, CLASSES, "accuracy"),
        (None, REAL, "root_mean_squared_error"),
        ("Accuracy", CLASSES, "accuracy"),
        ("SparseCategoricalAccuracy", CLASSES, "accuracy"),
        ("SparseTopKCategoricalAccuracy", CLASSES, "top_5_accuracy"),
        ("F1Score", CLASSES, "f1_score"),
        ("f1", CLASSES, "f1_score"),
        ("AUC", CLASSES, "auc"),
        ("roc-auc", CLASSES, "auc"),
        ("RMSE", REAL, "root_mean_squared_error"),
        ("MeanAbsoluteError", REAL, "mean_absolute_error"),
        ("R2Score", REAL, "r2_score"),
        (" r2 ", REAL, "r2_score"),
        ("loss", REAL, "loss"),
    ],
)
def test_metrics_are_found_by_any_name(
    name: str | None, target: Target, found: str
) -> None:
    assert find_objective(name, target).name == found


@pytest.mark.parametrize(
    ("name", "target", "says"),
    [
        ("acuracy", CLASSES, "metric for classes 'acuracy'. Did you mean 'accuracy'"),
        ("accuracy", REAL, "metric for real values 'accuracy'"),
        ("rmse", CLASSES, "metric for classes 'rmse'"),
    ],
)
def test_unknown_metrics_get_the_nearest(name: str, target: Target, says: str) -> None:
    with pytest.raises(DataError, match=says):
        find_objective(name, target)


@pytest.mark.parametrize("kind", HEADS)
def test_gains_and_better_agree(kind: str) -> None:
    for objective in HEADS[kind].objectives.values():
        good, bad = (0.9, 0.1) if objective.higher_is_better else (0.1, 0.9)
        assert objective.better(good, bad) and not objective.better(bad, good)
        assert not objective.better(good, good)
        assert objective.gain(good, over=bad) == pytest.approx(0.8)


def test_the_top_five_of_five_classes_are_no_metric() -> None:
    with pytest.raises(DataError, match="more than 5 classes, but there are 5"):
        find_objective("top_5_accuracy", Target("y", "classes", 5))


@pytest.mark.parametrize(
    ("name", "targets", "found", "parts"),
    [
        (None, (KIND, OTHER), "accuracy", ["accuracy", "accuracy"]),
        (None, (KIND, PRICE), "mean", ["accuracy", "r2_score"]),
        (None, (PRICE, WEIGHT), "r2_score", ["r2_score", "r2_score"]),
        ("mean", (KIND, PRICE), "mean", ["accuracy", "r2_score"]),
        ("default", (KIND, OTHER), "accuracy", ["accuracy", "accuracy"]),
        ("f1", (KIND, OTHER), "f1_score", ["f1_score", "f1_score"]),
        ("loss", (KIND, PRICE), "loss", ["loss", "loss"]),
        ("rmse", (PRICE, WEIGHT), RMSE, [RMSE, RMSE]),
        ("rmse", (PRICE,), RMSE, []),
    ],
)
def test_several_targets_have_one_objective(
    name: str | None,
    targets: tuple[Target, ...],
    found: str,
    parts: list[str],
) -> None:
    task = Task((), targets)
    objective = task_objective(name, task)
    assert objective.name == found
    assert [part.name for _, part in objective.parts] == parts
    # What a run folder holds is its name: the same must come back.
    assert task_objective(objective.name, task) == objective


def test_a_mean_of_shares_is_a_share_and_of_r2_is_none() -> None:
    assert task_objective(None, Task((), (KIND, OTHER))).is_share
    mixed = task_objective(None, Task((), (KIND, PRICE)))
    assert not mixed.is_share and mixed.higher_is_better


def test_a_metric_that_one_target_lacks_is_refused_with_its_name() -> None:
    with pytest.raises(DataError, match="Of 'price': Unknown metric.*Or take mean"):
        task_objective("accuracy", Task((), (KIND, PRICE)))
    with pytest.raises(DataError, match="'other': top_5_accuracy needs more than 5"):
        task_objective("top_5_accuracy", Task((), (KIND, OTHER)))


def test_metrics_of_each_target_hold_its_objective() -> None:
    task = Task((), (KIND, PRICE))
    assert [*shown_metrics(task, task_objective("loss", task))] == [
        *(f"kind/{name}" for name in ("loss", *HEADS["classes"].shown)),
        *(f"price/{name}" for name in ("loss", *HEADS["real"].shown)),
    ]


@pytest.mark.parametrize("kind", HEADS)
def test_objectives_go_to_other_processes(kind: str) -> None:
    for objective in HEADS[kind].objectives.values():
        assert pickle.loads(pickle.dumps(objective)).name == objective.name
