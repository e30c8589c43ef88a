"""Costs are predicted from what was measured, and never negative."""

import numpy as np
import pytest

from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.runs.records import Training
from kscale.search.contract import Job, Outlook
from kscale.task.tasks import Task
from kscale.tuning.costs import CostModel

TASK = Task.of("image", (8, 8, 1), classes=10)
MLP = find_family("mlp")


def size_of(spec: Spec) -> Size:
    return MLP.size(spec, TASK)


def spec(width: int) -> Spec:
    return MLP.spec(depth=2, width=width)


def training(width: int, seconds: float, **changes: object) -> Training:
    size = size_of(spec(width))
    facts = {"epochs": 10, "learning_rate": 1e-3, "seconds": seconds, **changes}
    return Training(
        key="",
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


def made_model(*trainings: Training) -> CostModel:
    model = CostModel(examples=1000, batch_size=10, size=size_of)
    for item in trainings:
        model.see(item)
    return model


def seconds_of(width: int) -> float:
    """A machine of another form than the model: small layers use it badly, and no
    training takes exactly as long as the last."""
    work = size_of(spec(width)).training_work * 10 * 1000
    noise = np.random.default_rng(width).uniform(0.9, 1.1)
    return float(noise * (1.5 + (work / 2e9) ** 0.8))


def test_what_was_never_measured_has_a_typical_cost() -> None:
    model = made_model()
    assert 0.3 < model.cost(job(8)) < model.cost(job(1024)) < 600.0


def test_one_measurement_says_something_of_what_is_much_longer() -> None:
    """Not all: that may have been slow for what a longer training pays once."""
    before, slow = made_model(), made_model(training(8, 30.0))
    ratio = slow.cost(job(512)) / before.cost(job(512))
    assert 5.0 < ratio < 1.01 * 30.0 / before.cost(job(8))


def test_a_spec_that_was_trained_takes_as_long_again() -> None:
    model = made_model(*(training(64, seconds) for seconds in (4.0, 0.5, 0.7)))
    assert model.cost(job(64, members=3)) == pytest.approx(1.8)
    assert 0 < model.cost(job(64, epochs_from=5)) < 0.6
    model.restart()
    assert model.cost(job(64, members=3)) == pytest.approx(4.0 + 2 * 0.6)


def test_the_second_training_of_a_network_is_known_to_be_quick() -> None:
    """What is built and traced is kept, of the networks that were trained last."""
    new = made_model(training(8, 1.8), training(16, 1.0))
    assert new.cost(job(64, members=2)) < 1.5 * new.cost(job(64))
    model = made_model(*(training(w, s) for w in (8, 16, 32) for s in (1.0, 0.2)))
    assert model.cost(job(64)) == pytest.approx(1.0, rel=0.3)
    assert model.cost(job(64, members=3)) == pytest.approx(1.4, rel=0.3)
    for width in range(100, 132):
        model.see(training(width, 1.0))
    assert model.cost(job(16)) == pytest.approx(1.0, rel=0.1)  # it was traced long ago


def test_a_continued_training_is_counted_by_the_epochs_of_the_job() -> None:
    model = made_model(training(64, 3.0, epochs_from=4))
    model.restart()
    assert model.cost(job(64, epochs_from=4)) == pytest.approx(3.0)
    assert model.cost(job(64)) > 3.0


def test_short_trainings_do_not_make_long_ones_seem_slow() -> None:
    """Most of a short training is building and tracing, which a long one pays once."""
    for epochs in ((1, 1, 1, 1, 1), (1, 1, 1, 3, 3)):
        shapes = zip((8, 64, 256, 16, 128), epochs, strict=True)
        known = [training(w, 2.0 + 0.05 * e, epochs=e) for w, e in shapes]
        assert 2.0 < made_model(*known).cost(job(96)) < 4.0


def test_a_larger_spec_is_predicted_from_the_smaller_ones() -> None:
    widths = (8, 32, 64, 128, 256, 384, 512)
    model = made_model(*(training(width, seconds_of(width)) for width in widths))
    # Up to four times the work of any that was measured, on a machine that the model
    # does not describe: within a factor of 1.5.
    for width in (16, 192, 448, 768, 1024):
        assert 1 / 1.5 < model.cost(job(width)) / seconds_of(width) < 1.5


def test_nothing_ever_costs_less_than_nothing() -> None:
    odd = (training(8, 9.0), training(64, 5.0), training(256, 1.0))
    model = made_model(*odd)
    assert all(model.cost(job(width)) >= 0 for width in (16, 128, 1024, 4096))


def test_what_is_only_expected_costs_what_known_jobs_of_that_work_do() -> None:
    widths = (64, 128, 160, 256)
    model = made_model(*(training(width, seconds_of(width)) for width in widths))
    work = size_of(spec(128)).training_work * 10
    expected = model.cost_of(Outlook((), 3.0, 3 * work))
    assert expected == pytest.approx(3 * model.cost(job(128)), rel=0.25)
    known = model.cost_of(Outlook((job(128),), 3.0, 3 * work))
    assert known == pytest.approx(expected + model.cost(job(128)), rel=0.05)


def test_failed_trainings_are_not_measured() -> None:
    failed = training(8, 100.0, status="failed")
    assert made_model(failed).cost(job(64)) == made_model().cost(job(64))
