"""Measuring what finalists need on a microcontroller: failures, and no time."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from runs.test_entries import result
from tuning.made_data import digits

from kscale import plan_search
from kscale.networks.families import find_family
from kscale.runs.records import DeviceFit, Record
from kscale.ship import extras
from kscale.tuning.device_limit import DeviceCheck
from kscale.tuning.plan import Plan

INSTALLED = ("numpy",)


@pytest.fixture
def recorded() -> list[Record]:
    spec = find_family("mlp").spec(depth=1, width=8)
    made = result(8, 0.9, spec=spec, stage="finalist", epochs=1, full_epochs=1)
    return [replace(made, key="finalist-0")]


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    for extra in ("litert", "micro"):  # nothing gets as far as these packages
        monkeypatch.setitem(extras.EXTRAS, extra, INSTALLED)
    return plan_search(digits(), family="mlp", max_ram=20_000, epochs=1, trials=1)


def test_whatever_fails_is_a_record_with_its_reason(
    plan: Plan, recorded: list[Record]
) -> None:
    notes: list[str] = []
    # No path, so that the failure is no error of kscale.
    check = DeviceCheck(
        plan,
        recorded,
        recorded.append,
        notes.append,
        lambda _: 3.5,  # type: ignore[arg-type, return-value]
    )
    check.run()
    _, predicted, fit = recorded
    assert isinstance(fit, DeviceFit) and isinstance(predicted, DeviceFit)
    assert fit.status == "failed"
    assert fit.reason.startswith("AttributeError: ")
    assert fit.predicted_ram == predicted.predicted_ram
    assert notes == ["Measuring what 1 network needs on a microcontroller ..."]


def test_without_time_predictions_stand(plan: Plan, recorded: list[Record]) -> None:
    notes: list[str] = []
    unused = Path("unused")
    check = DeviceCheck(
        plan, recorded, recorded.append, notes.append, lambda _: unused, lambda: True
    )
    check.run()
    _, predicted = recorded
    assert isinstance(predicted, DeviceFit) and not predicted.is_measured
    assert len(notes) == 1 and notes[0].startswith("No time was left to measure")


def test_measuring_is_part_of_the_time_kept_for_the_answer(plan: Plan) -> None:
    spec = find_family("mlp").spec(depth=1, width=8)
    free = plan_search(digits(), family="mlp", max_params=20_000, epochs=1, trials=1)
    more = plan.cost_model().answer(spec) - free.cost_model().answer(spec)
    assert more == pytest.approx(15 * plan.request.most_finalists)
