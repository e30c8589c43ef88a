"""What a search will train is known before, and how long that takes."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tuning.made_data import digits

import kscale
from kscale import Run, plan_search
from kscale.search import SEARCHERS
from kscale.tuning.options import single_request
from kscale.tuning.past_runs import remember_runs
from kscale.tuning.plan import Plan
from kscale.tuning.rehearsal import likely_rehearsal, rehearse
from kscale.tuning.timing import time_networks

SMALL: dict[str, Any] = {
    "family": "mlp",
    "max_params": 1000,
    "trials": 6,
    "epochs": 9,
    "batch_size": 256,
    "finalist_seeds": 2,
    "most_finalists": 2,
    "settings": {"depth": 1},
}


def small_plan(**asked: Any) -> Plan:
    return plan_search(digits(), **{**SMALL, **asked})


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, in which nothing was searched."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_every_searcher_is_rehearsed_to_its_finalists(searcher: str) -> None:
    plan = small_plan(searcher=searcher)
    jobs = [job for job, _ in rehearse(plan, plan.cost_model()).jobs]
    assert {"baseline", "search", "finalist"} == {job.stage for job in jobs}
    assert all(len(job.seeds) == 2 for job in jobs if job.stage == "finalist")
    assert len(jobs) == len(set(jobs))


def test_a_single_network_is_trained_in_one_piece() -> None:
    """However dear it is: nothing is compared after a part of the epochs."""
    plan = plan_search(single_request("cnn", {"width": 64}, digits(), epochs=90))
    jobs = [job for job, _ in rehearse(plan, plan.cost_model()).jobs]
    searched = [job for job in jobs if job.stage == "search"]
    assert [(job.epochs_from, job.epochs_to) for job in searched] == [(0, 90)]


def test_of_rehearsals_that_differ_by_luck_the_middle_one_is_planned() -> None:
    plan = small_plan(max_params=20_000, settings={}, most_finalists=5)
    times = [
        sum(seconds for _, seconds in rehearse(plan, plan.cost_model(), luck=luck).jobs)
        for luck in range(5)
    ]
    likely = likely_rehearsal(plan, plan.cost_model(), most_seconds=60.0)
    assert len({*times}) > 1
    assert sum(seconds for _, seconds in likely.jobs) == sorted(times)[2]


def test_a_rehearsed_search_learns_costs_only_by_training() -> None:
    """As a search does, which so begins with networks that are dear on its machine."""
    plan = small_plan(max_params=20_000, settings={})
    costs = plan.cost_model()
    begun = [job for job, _ in rehearse(plan, costs).jobs if job.stage == "search"]
    sizes = {job: plan.size(job.spec) for job in begun}
    for job in sorted(begun, key=lambda job: sizes[job].layers):
        seconds = 0.01 * 2.0 ** sizes[job].layers  # far more by the layer than usual
        costs.see(job.training(0, sizes[job], seconds=seconds))
    jobs = [job for job, _ in rehearse(plan, costs).jobs if job.stage == "search"]
    assert costs.cost(jobs[0]) > 10 * plan.cost_model().cost(jobs[0])
    assert jobs[0] == begun[0]


def test_halving_is_rehearsed_by_rungs() -> None:
    plan = small_plan(searcher="halving")
    jobs = [job for job, _ in rehearse(plan, plan.cost_model()).jobs]
    rungs = Counter(job.epochs_to for job in jobs if job.stage == "search")
    assert rungs == {1: 6, 3: 2, 9: 1}


def test_a_rehearsal_ends_with_the_time_limit() -> None:
    asked = {"max_params": 20_000, "trials": 60, "epochs": 40, "settings": {}}
    plan, unlimited = small_plan(**asked, time_limit=10.0), small_plan(**asked)
    jobs = rehearse(plan, plan.cost_model(), spent=4.0).jobs
    assert 3.0 < sum(seconds for _, seconds in jobs) < 6.0
    assert jobs[-1][0].stage == "finalist"
    assert len(jobs) < len(rehearse(unlimited, unlimited.cost_model()).jobs) / 2


def test_what_is_not_rehearsed_is_in_the_outlook() -> None:
    plan = small_plan(searcher="halving")
    rehearsal = rehearse(plan, plan.cost_model(), most_seconds=0.0)
    assert not rehearsal.jobs and rehearsal.rest.jobs


@pytest.mark.parametrize("asked", [{"effort": "normal"}, {"time_limit": 30.0}])
def test_a_rehearsal_that_is_cut_short_stays_within_the_limits(
    asked: dict[str, Any],
) -> None:
    """An outlook of a model's search has every trial, and so hundreds of trainings."""
    plan = small_plan(max_params=20_000, settings={}, trials=None, **asked)
    rehearsal = rehearse(plan, costs := plan.cost_model(), most_seconds=0.0)
    assert not rehearsal.jobs and rehearsal.rest.trainings
    assert costs.cost_of(rehearsal.rest) < 31.0


def test_without_measuring_or_past_runs_no_time_is_given(elsewhere: Path) -> None:
    asked = {**SMALL, "searcher": "random"}
    found = kscale.plan(digits(), measure=False, **asked)
    assert found.seconds is None and "not known" in found.basis
    assert found.fitting == len(small_plan().candidates.pool)  # type: ignore[attr-defined]
    assert found.counted is not None and found.counted > found.fitting
    stages = {stage.name: stage for stage in found.stages}
    assert stages["search"].trainings == 6
    assert stages["finalist"].epochs == 2 * 2 * 9
    network = 2 * 64 * 10 * (3 * len(digits().train) + len(digits().validation))
    assert stages["baseline"].flops == 9 * network
    assert found.flops == sum(stage.flops for stage in found.stages)
    assert json.loads(json.dumps(found.to_json()))["trainings"] == found.trainings
    assert "unknown" in str(found) and not found.notes
    several: list[dict[str, Any]] = [{"strategy": "each"}, {"workers": 2}]
    for how in [*several, {"cluster": "head:6379", "machines": 2}]:
        notes = kscale.plan(digits(), measure=False, **asked, **how).notes
        assert "one device" in notes[0]


def test_past_runs_on_this_kind_of_machine_tell(elsewhere: Path, tiny_run: Run) -> None:
    (elsewhere / "runs").mkdir()
    copy = elsewhere / "runs" / "tiny"
    copy.mkdir()
    for name in ("run.json", "results.jsonl"):
        (copy / name).write_bytes((tiny_run.folder / name).read_bytes())
    asked = {**SMALL, "searcher": "random"}
    found = kscale.plan(digits(), measure=False, **asked)
    assert found.seconds and "those of 1 run " in found.basis
    assert found.to_line().endswith("s.")
    (elsewhere / "runs").rename(elsewhere / "others")
    beside = kscale.plan(digits(), measure=False, run="others/new", **asked)
    assert beside.seconds and beside.basis == found.basis
    copy = elsewhere / "others" / "tiny"
    about = json.loads((copy / "run.json").read_text())
    about["sessions"][0]["machine"]["cores"] += 1
    (copy / "run.json").write_text(json.dumps(about))
    assert remember_runs(small_plan().cost_model()) == 0


def test_a_few_short_trainings_tell_what_long_ones_take() -> None:
    asked = {"settings": {"depth": 1, "width": 8}, "epochs": 40, "batch_size": 32}
    plan = small_plan(**asked)
    job = rehearse(plan, plan.cost_model()).jobs[-1][0]
    costs = plan.cost_model()
    assert time_networks(plan, costs, [job], seconds=0.0) == 1
    assert 0 < costs.cost(job) != plan.cost_model().cost(job)
    found = kscale.plan(plan)
    assert found.seconds and "by short trainings of 2 networks" in found.basis
