"""Which trainings of a run say how error falls with size."""

from typing import Any

import pytest
from reports.made_runs import TABLE, cnn, linear, made_result

from kscale.errors import LawError
from kscale.runs.law.run_points import are_enough, run_points
from kscale.runs.records import Record
from kscale.task.heads import HEADS
from kscale.task.objectives import Objective, find_objective, task_objective

SPEC = cnn(1, 8)
ACCURACY = HEADS["classes"].objectives["accuracy"]


def trained(params: int, score: float | None, **changes: Any) -> Record:
    """A training of a size of its own."""
    spec = changes.pop("spec", cnn(1 + params % 7, 8 + params % 97))
    return made_result(spec, score, params=params, **changes)


def falling(*sizes: int, **changes: Any) -> list[Record]:
    return [trained(size, 1 - size**-0.5, **changes) for size in sizes]


def test_the_best_of_half_an_octave_is_a_point() -> None:
    records = [*falling(100, 900), trained(950, 0.9), trained(1000, 0.97)]
    points, quantity, notes = run_points({}, records, ACCURACY)
    assert [point.size for point in points] == [100, 1000]
    assert points[1].error == pytest.approx(0.03)
    assert quantity.text(quantity.value(0.03)) == "97.00 %"
    assert notes == (
        "The law is of 2 networks, of 4 that were trained in full: finalists, and the "
        "best of each range of sizes.",
    )


def test_more_seeds_count_for_more_than_a_lucky_one() -> None:
    proved = {"spec": SPEC, "stage": "finalist"}
    records = [
        trained(900, 0.99),
        trained(1000, 0.95, seed=5, **proved),
        trained(1000, 0.97, seed=6, **proved),
        trained(100, 0.8),
    ]
    small, large = run_points({}, records, ACCURACY)[0]
    assert (large.size, large.seeds) == (1000, 2)
    # sqrt((0.01^2 + 0.01^2) / 1), of an error of 0.04, over two seeds or one
    assert large.stderr == pytest.approx(0.01)
    assert small.stderr == pytest.approx(0.2 * 0.01 * 2**0.5 / 0.04)
    assert (large.depth, large.width) == (1, 8)


def test_without_repeated_seeds_no_error_is_claimed() -> None:
    assert all(p.stderr is None for p in run_points({}, falling(9, 99), ACCURACY)[0])


def test_failed_short_and_baseline_trainings_are_no_points() -> None:
    records = [
        *falling(100, 1000),
        trained(5000, None, status="failed"),
        trained(9000, 0.99, full_epochs=40),
        linear(0.99),
    ]
    assert [p.size for p in run_points({}, records, ACCURACY)[0]] == [100, 1000]


def test_a_size_tried_with_bad_knobs_only_is_no_point() -> None:
    records = [*falling(100, 1000), trained(5000, 0.5), trained(9000, 0.965)]
    assert [p.size for p in run_points({}, records, ACCURACY)[0]] == [100, 1000, 9000]


def test_networks_still_improving_are_left_out_where_others_are_enough() -> None:
    others = falling(100, 300, 1000, 3000)
    records = [*others, *falling(9000, undertrained=True)]
    points, _, notes = run_points({}, records, ACCURACY)
    assert [point.size for point in points] == [100, 300, 1000, 3000]
    assert notes == ("Left out of the law: 1 network still improving at the end.",)
    points, _, notes = run_points({}, records[1:], ACCURACY)
    assert [point.size for point in points] == [300, 1000, 3000, 9000]
    assert "1 network still improved at the end" in notes[-1]


def test_errors_and_r2_have_laws_too() -> None:
    records = [made_result(SPEC, 0.75, params=100)]
    (point,), quantity, _ = run_points({}, records, task_objective(None, TABLE))
    assert (point.error, quantity.is_score) == (0.75, False)
    r2 = find_objective("r2", TABLE.targets[0])
    (point,), quantity, _ = run_points({}, records, r2)
    assert (point.error, quantity.text(0.75)) == (0.25, "0.75")


def test_an_interval_of_a_share_ends_at_whole_examples() -> None:
    _, quantity, _ = run_points({}, falling(100, 900, examples=50), ACCURACY)
    assert quantity.interval(0.001, 0.033) == pytest.approx((0.96, 1))
    assert quantity.interval(0.02, 0.04) == pytest.approx((0.96, 0.98))
    error = task_objective(None, TABLE)
    _, quantity, _ = run_points({}, falling(100, 900, examples=50), error)
    assert quantity.interval(0.001, 0.033) == (0.001, 0.033)


def test_a_metric_without_a_known_best_has_no_law() -> None:
    own = Objective("my gain", higher_is_better=True)
    with pytest.raises(LawError, match="a perfect my gain would be is not known"):
        run_points({"direction": "max"}, falling(100), own)


def test_four_sizes_over_a_factor_of_ten_are_enough() -> None:
    wide, narrow = falling(10, 30, 60, 100), falling(10, 30, 60, 99)
    assert are_enough(run_points({}, wide, ACCURACY)[0])
    assert not are_enough(run_points({}, narrow, ACCURACY)[0])
    assert not are_enough(run_points({}, wide[1:], ACCURACY)[0])
    assert not are_enough(run_points({}, [], ACCURACY)[0])
