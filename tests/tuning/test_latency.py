"""Latency limits: measured once, asked of few networks, kept by every proposal."""

import re
from collections.abc import Sequence
from dataclasses import replace as replace_plan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contracts.searcher import log_size, made_settings, run_searcher
from msgspec.structs import replace
from tuning.made_data import digits, small_spec

from kscale import tune
from kscale.engine.base import Latency
from kscale.errors import BudgetError, ResultsError
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.runs.folder import RecordsWriter, read_records
from kscale.runs.records import Measurement, Record
from kscale.search.pool import Pool
from kscale.search.random_search import RandomSearcher
from kscale.searches import plan_search
from kscale.tuning.driver import Driver
from kscale.tuning.family_candidates import FamilyCandidates
from kscale.tuning.latency_limit import LatencyGate, settled_latency
from kscale.tuning.listeners import Listener
from kscale.tuning.plan import Plan
from kscale.tuning.time_policy import TimePolicy
from kscale.tuning.trainer import TimeUp

FAST: dict[str, Any] = {
    "family": "mlp",
    "max_params": 2000,
    "max_latency_ms": 60_000,
    "trials": 2,
    "epochs": 1,
    "batch_size": 128,
    "finalist_seeds": 0,
}


OVER = TimePolicy(1.0, spent=2.0)


class Notes(Listener):
    """Keeps what a search tells its user."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def made_plan(max_latency_ms: float = 10.0, **asked: Any) -> Plan:
    limits: dict[str, Any] = {"max_params": 50_000, "family": "mlp"}
    limits["max_latency_ms"] = max_latency_ms
    return plan_search(digits(), **{**limits, **asked})


def pool_of(plan: Plan) -> Pool:
    assert isinstance(plan.candidates, FamilyCandidates)
    return plan.candidates.pool


def told(plan: Plan, milliseconds: float) -> list[Measurement]:
    """Measurements as if the width, times the depth, times so many ms were true."""
    return [
        Measurement(
            spec=spec,
            latency_ms=spec.depth * (spec.width or 0) * milliseconds,
            latency_low=0.0,
            latency_high=0.0,
        )
        for spec in pool_of(plan).specs()
    ]


def made_gate(
    plan: Plan,
    folder: Path,
    recorded: Sequence[Record],
    policy: TimePolicy | None = None,
) -> tuple[LatencyGate, list[Measurement]]:
    """A gate, and the list that its new measurements go to."""
    measured: list[Measurement] = []
    return LatencyGate(plan, folder, recorded, measured.append, policy), measured


def product(spec: Spec) -> int:
    return spec.depth * (spec.width or 0)


def test_the_limit_is_kept_by_every_proposal(tmp_path: Path) -> None:
    plan = made_plan(max_latency_ms=200.0, searcher="random", trials=20)
    gate, measured = made_gate(plan, tmp_path, told(plan, 1.0))
    pool = gate.narrow(pool_of(plan))
    widest = max(spec.width or 0 for spec in pool.specs() if spec.depth == 1)
    assert widest == max(w for w in find_family("mlp").knob("width").values if w <= 200)
    narrow = replace_plan(plan, candidates=FamilyCandidates(pool))
    jobs = run_searcher(narrow.searcher(gate.admits).searcher, log_size)
    assert len(jobs) == 20 and all(product(job.spec) <= 200 for job in jobs)
    assert len(pool) < len(pool_of(plan))
    assert not measured  # everything was measured before


def test_little_wider_than_the_limit_is_measured_to_narrow(tmp_path: Path) -> None:
    plan = made_plan(max_latency_ms=100.0)
    everything = told(plan, 1.0)
    line = sorted(
        (result for result in everything if result.spec.depth == 1),
        key=lambda result: result.spec.width or 0,
    )
    # Widths 8, 16, 24, 40, 80, then 320, which is too slow; between them bisection.
    asked = [line[position] for position in (0, 1, 2, 4, 8, 16, 12, 10, 9)]
    widths = [result.spec.width for result in asked]
    assert widths == [8, 16, 24, 40, 80, 320, 160, 112, 96]
    few, _ = made_gate(plan, tmp_path, asked, policy=OVER)
    whole, _ = made_gate(plan, tmp_path, everything)
    narrow = few.narrow(pool_of(plan))
    assert list(narrow.specs()) == list(whole.narrow(pool_of(plan)).specs())
    assert max(s.width or 0 for s in narrow.specs() if s.depth == 1) == 96


def test_where_all_of_a_depth_is_fast_the_next_depth_bounds_the_flops(
    tmp_path: Path,
) -> None:
    plan = made_plan(max_latency_ms=300.0, max_params=1_000_000)
    fast = [
        replace(r, latency_ms=1.0) if r.spec.depth == 1 else r for r in told(plan, 1.0)
    ]
    gate, measured = made_gate(plan, tmp_path, fast)
    specs = list(gate.narrow(pool_of(plan)).specs())
    shallow = [spec for spec in pool_of(plan).specs() if spec.depth == 1]
    assert [spec for spec in specs if spec.depth == 1] == shallow
    assert max(spec.width or 0 for spec in specs if spec.depth == 2) == 128
    assert max(spec.width or 0 for spec in specs if spec.depth == 4) < 128
    assert not measured


def test_past_the_deadline_narrowing_keeps_what_it_does_not_know(
    tmp_path: Path,
) -> None:
    plan = made_plan(max_latency_ms=100.0)
    nothing, measured = made_gate(plan, tmp_path, [], policy=OVER)
    assert len(nothing.narrow(pool_of(plan))) == len(pool_of(plan))
    wide = [r for r in told(plan, 1.0) if r.spec.depth == 1 and product(r.spec) >= 80]
    slow = [r for r in told(plan, 1.0) if r.spec.depth == 1 and r.spec.width in (8, 16)]
    assert len(wide) > 3 and len(slow) == 2
    gate, measured = made_gate(plan, tmp_path, [*slow, *wide], policy=OVER)
    assert len(gate.narrow(pool_of(plan))) == len(pool_of(plan))  # 24 was not measured
    assert not measured


def test_past_the_deadline_only_what_was_measured_is_answered(tmp_path: Path) -> None:
    plan = made_plan()
    recorded = told(plan, 1.0)[:1]
    gate, measured = made_gate(plan, tmp_path, recorded, policy=OVER)
    assert gate.admits(recorded[0].spec)
    with pytest.raises(TimeUp):
        gate.admits(small_spec(activation="gelu"))
    assert not measured


def test_when_everything_is_fast_enough_nothing_is_left_out(tmp_path: Path) -> None:
    plan = made_plan(max_latency_ms=1e9)
    gate, _ = made_gate(plan, tmp_path, told(plan, 1.0))
    assert len(gate.narrow(pool_of(plan))) == len(pool_of(plan))


def test_when_nothing_is_fast_enough_the_fastest_is_named(tmp_path: Path) -> None:
    plan = made_plan(max_latency_ms=0.5, latency_batch=4)
    gate, _ = made_gate(plan, tmp_path, told(plan, 1.0))
    with pytest.raises(
        BudgetError, match=r"\(depth=1, width=8\), takes 8 ms for a batch of 4"
    ):
        gate.narrow(pool_of(plan))


def test_when_nothing_can_be_measured_the_reason_is_named(tmp_path: Path) -> None:
    plan = made_plan()
    failed = [
        replace(result, latency_ms=None, status="failed", reason="no luck")
        for result in told(plan, 1.0)
    ]
    gate, _ = made_gate(plan, tmp_path, failed)
    with pytest.raises(BudgetError, match="could not be measured: no luck. Raise"):
        gate.narrow(pool_of(plan))


def test_wider_than_too_slow_is_refused_unbuilt_unless_known_better(
    tmp_path: Path,
) -> None:
    plan = made_plan(max_latency_ms=100.0)
    by_width = {
        result.spec.width: result
        for result in told(plan, 1.0)
        if result.spec.depth == 1
    }
    slow = replace(by_width[48], latency_ms=101.0)
    gate, measured = made_gate(plan, tmp_path, [slow])
    assert not gate.admits(small_spec(width=48))
    assert not gate.admits(small_spec(width=56, weight_decay=0.5))
    assert not measured
    recorded = [slow, by_width[80]]
    gate, measured = made_gate(plan, tmp_path, recorded, policy=OVER)
    assert gate.admits(small_spec(width=80))
    assert not gate.admits(small_spec(width=96))
    for unknown in (small_spec(width=56), small_spec(width=96, activation="gelu")):
        with pytest.raises(TimeUp):
            gate.admits(unknown)


def test_one_disturbed_measurement_costs_only_its_own_network(tmp_path: Path) -> None:
    plan = made_plan(max_latency_ms=1e9, settings={"learning_rate": 1e-3})
    recorded = told(plan, 1.0)
    disturbed = next(r for r in recorded if r.spec == small_spec(width=48))
    recorded[recorded.index(disturbed)] = replace(disturbed, latency_ms=1e10)
    gate, _ = made_gate(plan, tmp_path, recorded)
    settings = made_settings(pool_of(plan), 10_000, admits=gate.admits)
    searcher = RandomSearcher(settings)
    proposed = {job.spec for job in run_searcher(searcher, log_size)}
    assert set(pool_of(plan).specs()) - proposed == {disturbed.spec}


def test_a_median_little_above_the_limit_is_measured_once_more() -> None:
    def settled(*medians: float) -> tuple[float, int]:
        """The median that counts at a limit of 8 ms, and how many were measured."""
        left = [Latency(median, 0.0, 99.0) for median in medians]
        found = settled_latency(lambda: left.pop(0), 8.0)
        return found.median, len(medians) - len(left)

    assert settled(8.0, 7.0, 6.0) == (8.0, 1)
    assert settled(8.1, 7.0, 6.0) == (7.0, 2)
    assert settled(10.0, 11.0, 6.0) == (10.0, 2)
    assert settled(10.1, 7.0, 6.0) == (10.1, 1)


def test_knobs_of_training_share_a_measurement(tmp_path: Path) -> None:
    gate, measured = made_gate(made_plan(), tmp_path, [])
    first = gate.measured(small_spec())
    assert gate.measured(small_spec(weight_decay=0.5)) is first
    assert gate.measured(small_spec(activation="gelu")) is not first
    assert gate.measurements == len(measured) == 2
    assert first.spec == small_spec() and first.latency_ms
    assert not list(tmp_path.glob("models/*"))


def test_what_does_not_fit_in_memory_is_refused_unbuilt(tmp_path: Path) -> None:
    gate, measured = made_gate(made_plan(), tmp_path, [])
    assert not gate.admits(small_spec(depth=9000, width=1_000_000))
    (result,) = measured
    assert result.status == "failed" and result.latency_ms is None
    assert re.fullmatch(
        r"measuring it would hold about .*B of memory .*", result.reason
    )


def test_what_cannot_be_built_is_refused_with_its_reason(tmp_path: Path) -> None:
    knobs = {**dict(small_spec().knobs), "activation": "unheard-of"}
    spec = Spec("mlp", tuple(sorted(knobs.items())))
    gate, measured = made_gate(made_plan(), tmp_path, [])
    assert not gate.admits(spec)
    assert "unheard-of" in measured[0].reason and "\n" not in measured[0].reason
    assert measured[0].status == "failed"
    again, measured = made_gate(made_plan(), tmp_path, measured)
    assert not again.admits(spec) and not measured
    assert not list(tmp_path.glob("models/*"))


def test_what_killed_the_process_twice_is_not_measured_again(tmp_path: Path) -> None:
    gate, measured = made_gate(made_plan(), tmp_path, [])
    gate.attempts(small_spec()).begin(0)
    gate.attempts(small_spec(weight_decay=0.5)).begin(0)
    assert gate.measured(small_spec(width=16)).status == "ok"
    assert not gate.admits(small_spec())
    assert measured[-1].reason == "the process died twice while measuring it"


def test_a_search_records_latencies_and_measures_none_twice(tmp_path: Path) -> None:
    run = tune(digits(), run=tmp_path / "run", **FAST)
    assert {r.latency_ms is None for r in run.trainings} == {False}
    measured = [r.spec for r in run.results if isinstance(r, Measurement)]
    assert len(set(measured)) == len(measured)
    lines = len(read_records(tmp_path / "run"))
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


def test_an_impossible_latency_leaves_a_folder_that_was_there(tmp_path: Path) -> None:
    asked = {**FAST, "max_latency_ms": 1e-6}
    plan, folder = plan_search(digits(), **asked), tmp_path / "run"
    with RecordsWriter(folder, plan.description()) as writer:
        writer.append(told(plan, 1.0)[0])
    with pytest.raises(BudgetError, match="Nothing fits"):
        tune(digits(), run=folder, **asked)
    assert read_records(folder)[0] == told(plan, 1.0)[0]


def test_another_search_s_folder_is_refused_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    plan, folder = plan_search(digits(), **FAST), tmp_path / "run"
    with RecordsWriter(folder, plan.description()):
        pass
    with pytest.raises(ResultsError, match="holds another search"):
        tune(digits(), run=folder, **{**FAST, "max_latency_ms": 1e-6})
    assert not read_records(folder)


def test_a_search_with_refusals_goes_on_with_equal_jobs(tmp_path: Path) -> None:
    asked = {**FAST, "max_latency_ms": 40.0, "trials": 6}
    plan, folder = plan_search(digits(), **asked), tmp_path / "run"
    with RecordsWriter(folder, plan.description()) as writer:
        for result in told(plan, 1.0):
            writer.append(result)
    tune(digits(), run=folder, **{**asked, "trials": 3})
    run = tune(digits(), run=folder, **asked)
    tried = [r for r in run.trainings if r.stage == "search"]
    assert sorted(result.job for result in tried) == list(range(6))
    assert all(product(result.spec) <= 40 for result in tried)
    lines = len(run.results)
    assert len(tune(digits(), run=folder, **asked).results) == lines


def test_a_folder_in_use_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    plan = plan_search(digits(), **FAST)
    with (
        RecordsWriter(tmp_path / "run", plan.description()),
        pytest.raises(ResultsError, match="in use"),
    ):
        tune(digits(), run=tmp_path / "run", **FAST)
    assert not read_records(tmp_path / "run")


def test_a_search_says_what_it_measured_and_ends_in_time(tmp_path: Path) -> None:
    notes = Notes()
    tune(digits(), run=tmp_path / "slow", listener=notes, **FAST)
    assert re.fullmatch(
        r"Measured the latency of \d+ networks?: .* of .* specs may be fast enough\.",
        notes.texts[0],
    )
    tune(digits(), run=tmp_path / "slow", listener=notes, **FAST)
    assert len(notes.texts) == 1
    late = tune(digits(), run=tmp_path / "late", time_limit=1e-3, **FAST)
    assert {r.family for r in late.trainings} == {"linear"}


def test_a_search_whose_measuring_has_no_time_left_answers_and_goes_on_later(
    tmp_path: Path,
) -> None:
    plan, folder, notes = plan_search(digits(), **FAST), tmp_path / "run", Notes()
    with RecordsWriter(folder, plan.description()) as writer:
        gate = LatencyGate(plan, folder, [], writer.append, policy=OVER)
        Driver(plan, folder, writer, notes, TimePolicy(), gate=gate).run()
    assert "before the next latency could be measured" in notes.texts[-1]
    assert (folder / "models" / "best.keras").exists()
    later = tune(digits(), run=folder, **FAST)
    assert sum(r.stage == "search" for r in later.trainings) == 2


def test_a_limit_that_does_not_bind_costs_two_measurements(tmp_path: Path) -> None:
    plan = made_plan(max_latency_ms=1e9)
    measured: list[Measurement] = []
    gate = LatencyGate(plan, tmp_path, [], measured.append)
    assert len(gate.narrow(pool_of(plan))) == len(pool_of(plan))
    assert len(measured) == 2
    assert measured[0].spec.depth == max(spec.depth for spec in pool_of(plan).specs())
    assert plan.size(measured[1].spec).flops == pool_of(plan).flops.max()


def test_an_impossible_latency_leaves_an_empty_folder_empty(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="Nothing fits max_latency_ms=1e-06"):
        tune(digits(), run=tmp_path, **{**FAST, "max_latency_ms": 1e-6})
    assert list(tmp_path.iterdir()) == []


def test_little_time_is_no_proof_that_nothing_is_fast_enough(tmp_path: Path) -> None:
    """All that was measured is too slow, but the time was over before the rest."""
    plan, folder, notes = plan_search(digits(), **FAST), tmp_path / "run", Notes()
    slow = replace(told(plan, 1.0)[0], latency_ms=1e9)
    with RecordsWriter(folder, plan.description()) as writer:
        gate = LatencyGate(plan, folder, [slow], writer.append)
        assert gate.are_all_slow
        Driver(plan, folder, writer, notes, TimePolicy(1e-3), gate=gate).run()
    assert "before any network of it was trained" in notes.texts[-1]
