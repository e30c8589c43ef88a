"""Latency limits: measured once, asked of few networks, kept by every proposal."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tuning.made_data import digits, small_spec

from kscale import tune
from kscale.building import build_model
from kscale.errors import BudgetError
from kscale.families import find_family
from kscale.families.base import Spec
from kscale.results import Result, read_results
from kscale.task import Input, Task
from kscale.tuning.latency import LatencyGate, measure_latency
from kscale.tuning.plans import Plan, plan_search

FAST: dict[str, Any] = {
    "max_params": 2000,
    "max_latency_ms": 60_000,
    "trials": 2,
    "epochs": 1,
    "batch_size": 128,
    "finalist_seeds": 0,
}


def made_plan(max_latency_ms: float = 10.0, **asked: Any) -> Plan:
    limits = {"max_params": 50_000, "max_latency_ms": max_latency_ms}
    return plan_search(digits(), **{**limits, **asked})


def told(plan: Plan, milliseconds: float) -> list[Result]:
    """Measurements as if the width, times the depth, times so many ms were true."""
    return [
        Result(
            "latency",
            0,
            spec,
            1,
            1,
            1,
            1,
            latency_ms=spec.depth * (spec.width or 0) * milliseconds,
            latency_low=0.0,
            latency_high=0.0,
        )
        for spec in plan.pool.specs()
    ]


def product(spec: Spec) -> int:
    return spec.depth * (spec.width or 0)


def test_a_forward_pass_is_measured_with_its_spread() -> None:
    dense = build_model(find_family("mlp").blueprint(small_spec(), digits().task))
    found = measure_latency(dense, digits().task, batch=4)
    assert 0 < found.low <= found.median <= found.high


def test_several_inputs_are_given_by_name() -> None:
    ids = Input("ids", "tokens", (4,), 5), Input("types", "tokens", (4,), 2)
    task = Task(ids, digits().task.targets)
    family = find_family("transformer")
    spec = family.spec(depth=1, width=8)
    model = build_model(family.blueprint(spec, task))
    assert measure_latency(model, task).median > 0


def test_the_limit_is_kept_and_bisection_asks_of_few() -> None:
    plan = made_plan(max_latency_ms=200.0)
    gate = LatencyGate(plan, told(plan, 1.0))
    pool = gate.narrow(plan.pool)
    assert not gate.pending  # everything was measured before
    widest = max(spec.width or 0 for spec in pool.specs() if spec.depth == 1)
    assert widest == max(w for w in find_family("mlp").knob("width").values if w <= 200)
    jobs = []
    searcher = plan.searcher(pool, gate.admits).searcher
    for _ in range(20):
        jobs.append(searcher.ask())
    assert all(product(job.spec) <= 200 for job in jobs)
    assert len(pool) < len(plan.pool)


def test_when_everything_is_fast_enough_nothing_is_left_out() -> None:
    plan = made_plan(max_latency_ms=1e9)
    gate = LatencyGate(plan, told(plan, 1.0))
    assert len(gate.narrow(plan.pool)) == len(plan.pool)


def test_when_nothing_is_fast_enough_the_fastest_is_named() -> None:
    plan = made_plan(max_latency_ms=0.5, latency_batch=4)
    gate = LatencyGate(plan, told(plan, 1.0))
    with pytest.raises(
        BudgetError, match=r"\(depth=1, width=8\), takes 8 ms for a batch of 4"
    ):
        gate.narrow(plan.pool)


def test_knobs_of_training_share_a_measurement() -> None:
    plan = made_plan()
    gate = LatencyGate(plan, [])
    first = gate.measured(small_spec())
    assert gate.measured(small_spec(weight_decay=0.5)) is first
    assert gate.measured(small_spec(activation="gelu")) is not first
    assert len(gate.pending) == 2
    assert first.params == 634 and first.stage == "latency"


def test_a_search_records_latencies_and_measures_none_twice(tmp_path: Path) -> None:
    run = tune(digits(), run=tmp_path / "run", **FAST)
    trained = [r for r in run.results if r.stage in ("baseline", "search")]
    assert {r.latency_ms is None for r in trained if r.learning_rate} == {False}
    measured = [r.spec for r in run.results if r.stage == "latency"]
    assert len(set(measured)) == len(measured)
    lines = len(read_results(tmp_path / "run"))
    again = tune(digits(), run=tmp_path / "run", **FAST)
    assert len(again.results) == lines
    row = again.report().rows[0]
    assert row.memory > 0
    assert any(np.isfinite(row.latency_ms or np.nan) for row in again.report().rows)
    assert "latency ms" in again.to_text()


def test_an_impossible_latency_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="Nothing fits max_latency_ms=1e-06"):
        tune(digits(), run=tmp_path / "run", **{**FAST, "max_latency_ms": 1e-6})
    assert not (tmp_path / "run").exists()
