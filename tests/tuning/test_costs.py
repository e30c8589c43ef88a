"""Costs are predicted from what was measured, and never negative."""

import pytest

from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.runs.records import Evaluation, Record, Training
from kscale.search.contract import Job
from kscale.task.tasks import Task
from kscale.tuning.costs import CostModel

TASK = Task.of("image", (8, 8, 1), classes=10)
MLP = find_family("mlp")


def spec(width: int) -> Spec:
    return MLP.spec(depth=2, width=width)


def result(width: int, seconds: float, **changes: object) -> Training:
    size = MLP.size(spec(width), TASK)
    facts = {"epochs": 10, "learning_rate": 1e-3, "seconds": seconds, **changes}
    return Training(
        key="made",
        stage="search",
        job=0,
        spec=spec(width),
        params=size.params,
        trainable=size.params,
        flops=size.flops,
        bytes=0,
        **facts,
    )


def job(width: int, members: int = 1, epochs_from: int = 0) -> Job:
    seeds, rates = tuple(range(members)), (1e-3,) * members
    return Job("search", 0, spec(width), seeds, rates, 10, epochs_from)


def made_model(*results: Record) -> CostModel:
    model = CostModel(TASK, examples=1000, batch_size=10)
    for item in results:
        model.see(item)
    return model


def seconds_of(width: int) -> float:
    """A made-up machine: a second, and one for each 1e10 of the work of 10 epochs."""
    return 1.0 + MLP.size(spec(width), TASK).training_work * 10 * 1000 / 1e10


def test_nothing_measured_costs_nothing() -> None:
    assert made_model().seconds([job(64)]) == 0.0


def test_a_spec_that_was_trained_takes_as_long_again() -> None:
    model = made_model(result(8, 1.0), result(64, 4.0), result(64, 6.0))
    assert model.seconds([job(64, members=3)]) == pytest.approx(15.0)
    assert model.seconds([job(64, epochs_from=5)]) == pytest.approx(2.5)


def test_a_larger_spec_is_predicted_from_the_smaller_ones() -> None:
    widths = (8, 64, 256, 512)
    model = made_model(*(result(width, seconds_of(width)) for width in widths))
    assert model.seconds([job(2048)]) == pytest.approx(seconds_of(2048), rel=0.05)
    assert model.seconds([job(16)]) == pytest.approx(seconds_of(16), rel=0.05)


def test_with_two_measured_their_mean_is_taken() -> None:
    model = made_model(result(8, 1.0), result(64, 3.0))
    assert model.seconds([job(2048)]) == pytest.approx(2.0)


def test_failures_and_evaluations_are_not_measured() -> None:
    failed = result(8, 1.0, status="failed")
    tested = Evaluation(spec=spec(64), score=0.9)
    assert made_model(failed, tested).seconds([job(64)]) == 0.0
