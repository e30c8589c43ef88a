"""Measuring what finalists need on a microcontroller: failures, and no time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from runs.test_entries import result
from tuning.made_data import digits

from kscale import plan_search
from kscale.errors import WorkerLostError
from kscale.networks.families import find_family
from kscale.runs.records import DeviceFit, Record, Training
from kscale.ship import extras
from kscale.ship.compressing.scoring import FileScorer
from kscale.ship.runtimes import TimedOutputs
from kscale.tuning.costs import pass_seconds
from kscale.tuning.device_limit import DeviceCheck
from kscale.tuning.plan import Plan

INSTALLED = ("numpy",)


@pytest.fixture
def finalist() -> Training:
    spec = find_family("mlp").spec(depth=1, width=8)
    made = result(8, 0.9, spec=spec, stage="finalist", epochs=1, full_epochs=1)
    return replace(made, key="finalist-0")


@pytest.fixture
def recorded(finalist: Training) -> list[Record]:
    return [finalist]


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    for extra in ("litert", "micro"):  # nothing gets as far as these packages
        monkeypatch.setitem(extras.EXTRAS, extra, INSTALLED)
    return plan_search(digits(), family="mlp", max_ram=20_000, epochs=1, trials=1)


def no_path(training: Training) -> Path:
    """Weights that cannot be converted; the failure is no error of kscale."""
    return 3.5  # type: ignore[return-value]


def fit_of(training: Training, **known: Any) -> DeviceFit:
    """A measurement of a network whose int8 file was scored."""
    sizes = {"predicted_flash": 9_000, "predicted_ram": 900, "flash": 9_100, "ram": 800}
    of = {"spec": training.spec, "training": training.key, "score": 0.8, "stderr": 0.1}
    return DeviceFit(**{**sizes, **of, **known})


def test_whatever_fails_is_a_record_with_its_reason(
    plan: Plan, recorded: list[Record]
) -> None:
    notes: list[str] = []
    DeviceCheck(plan, recorded, recorded.append, notes.append, no_path).run()
    _, predicted, fit = recorded
    assert isinstance(fit, DeviceFit) and isinstance(predicted, DeviceFit)
    assert fit.status == "failed"
    assert fit.reason.startswith("AttributeError: ")
    assert fit.predicted_ram == predicted.predicted_ram
    assert notes == ["Measuring what 1 network needs on a microcontroller ..."]


def test_weights_of_the_search_are_measured_again_as_those_of_finalists(
    plan: Plan, finalist: Training
) -> None:
    searched = replace(finalist, key="search-0", stage="search")
    recorded: list[Record] = [searched, fit_of(searched), finalist]
    check = DeviceCheck(plan, recorded, recorded.append, print, no_path)
    check.run()
    check.run()
    *_, fit = recorded
    assert len(recorded) == 4 and isinstance(fit, DeviceFit)
    assert fit.status == "failed"


def test_an_answer_is_measured_beside_a_finalist_of_another_learning_rate(
    plan: Plan, finalist: Training
) -> None:
    answer = replace(finalist, key="finalist-1", learning_rate=0.1, score=0.95)
    recorded: list[Record] = [finalist, fit_of(finalist), answer]
    check = DeviceCheck(plan, recorded, recorded.append, print, no_path)
    check.run()
    check.run()
    *_, fit = recorded
    assert len(recorded) == 4 and isinstance(fit, DeviceFit)
    assert fit.status == "failed"  # as all do without a path


def test_weights_that_cannot_be_had_end_the_search_and_are_no_record(
    plan: Plan, recorded: list[Record]
) -> None:
    def lost(training: Training) -> Path:
        raise WorkerLostError("A worker is gone.")

    with pytest.raises(WorkerLostError):
        DeviceCheck(plan, recorded, recorded.append, print, lost).run()
    assert [type(item) for item in recorded] == [Training, DeviceFit]
    assert isinstance(recorded[-1], DeviceFit) and recorded[-1].status == "ok"


def test_a_file_that_cannot_be_scored_stays_measured_and_is_tried_once(
    plan: Plan, finalist: Training
) -> None:
    recorded: list[Record] = [finalist, fit_of(finalist)]
    check = DeviceCheck(plan, recorded, recorded.append, print, no_path)
    check.run()
    check.run()
    *_, fit = recorded
    assert len(recorded) == 3 and isinstance(fit, DeviceFit)
    assert (fit.status, fit.flash, fit.score, fit.test_score) == (
        "ok",
        9_100,
        0.8,
        None,
    )
    assert fit.unscored.startswith("AttributeError: ")


def test_little_time_scores_few_examples(plan: Plan, finalist: Training) -> None:
    few = FileScorer(plan.dataset, finalist.spec, plan.objective, most=7)
    answers = TimedOutputs({"label": np.eye(10, dtype=np.float32)[:7]}, np.zeros(1))
    assert few.scores("validation", answers).examples == 7


def test_without_time_predictions_stand(plan: Plan, recorded: list[Record]) -> None:
    notes: list[str] = []
    unused = Path("unused")
    check = DeviceCheck(
        plan, recorded, recorded.append, notes.append, lambda _: unused, lambda: 0.0
    )
    check.run()
    _, predicted = recorded
    assert isinstance(predicted, DeviceFit) and predicted.flash is None
    assert len(notes) == 1 and notes[0].startswith("No time was left to measure")


def test_measuring_is_part_of_the_time_kept_for_the_answer(plan: Plan) -> None:
    spec = find_family("mlp").spec(depth=1, width=8)
    free = plan_search(digits(), family="mlp", max_params=20_000, epochs=1, trials=1)
    more = plan.cost_model().answer(spec) - free.cost_model().answer(spec)
    scored = len(plan.dataset.validation) * pass_seconds(plan.size(spec).flops)
    assert more == pytest.approx((15 + scored) * plan.request.most_finalists)
    assert 1 < pass_seconds(10**9) / pass_seconds(10**8) < 10
