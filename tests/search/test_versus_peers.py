"""The comparison with other tools: what a search is worth at a cost, and when."""

import numpy as np
import pytest
from experiment_modules import experiment

from kscale.networks.families.base import Spec

scoring = experiment("versus.scoring")
on_tables = experiment("versus.on_tables")
replayed = experiment("versus.replayed")
live = experiment("versus.live")
TableTask = experiment("tables.reading").TableTask


def made_task(higher_is_better: bool = True) -> object:
    """Depth 1 with one network for both widths, and depth 2 with two."""
    specs = [("1", 8), ("2", 8), ("2", 16)]
    knobs = [(("depth", int(depth)), ("width", width)) for depth, width in specs]
    curves = np.array([[[50.0, 70.0], [60.0, 80.0], [40.0, 90.0]]])
    return TableTask(
        "made",
        tuple(Spec("table", each) for each in knobs),
        np.zeros(3),
        np.array([10.0, 20.0, 30.0]),
        np.array([10.0, 20.0, 30.0]),
        curves if higher_is_better else -curves,
        np.array([71.0, 79.0, 92.0]) * (1 if higher_is_better else -1),
        higher_is_better,
    )


@pytest.mark.parametrize("is_higher", [True, False])
def test_regret_is_of_the_best_whole_training_that_was_paid(is_higher: bool) -> None:
    task, sign = made_task(is_higher), 1 if is_higher else -1
    steps = [
        scoring.Step(1, 1, 1, sign * 60.0),
        scoring.Step(3, 0, 2, sign * 70.0),
        scoring.Step(5, 2, 2, sign * 90.0),
    ]
    fitting = np.array([0, 1, 2])
    found = [scoring.regret_at(steps, task, fitting, cost) for cost in (0, 1, 2, 3, 5)]
    assert found == [21.0, 13.0, 13.0, 21.0, 0.0]  # no answer counts as the worst
    assert scoring.regret_at(steps[:2], task, fitting[:2], 9) == 8.0


def test_holm_multiplies_the_least_most_and_keeps_the_order() -> None:
    assert scoring.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert scoring.holm([0.9, 0.6]) == [1.0, 1.0]
    assert scoring.holm([]) == []


def test_pairs_that_are_equal_show_no_difference() -> None:
    same = np.linspace(0, 1, 20)
    assert scoring.p_value(same, same) == 1.0
    assert scoring.p_value(same, same + 0.1) < 0.001
    assert scoring.median_and_interval(np.array([1.0, 2.0, 9.0])) == (2.0, 1.0, 9.0)


def test_what_a_table_leaves_out_is_the_narrower_network() -> None:
    grid = on_tables.Grid(made_task())
    assert grid.choices == {"depth": [1, 2], "width": [8, 16]}
    assert grid.place({"depth": 1, "width": 16}) == 0
    assert grid.place({"depth": 2, "width": 16}) == 2


def test_a_tool_pays_what_it_trains_and_no_more() -> None:
    grid = on_tables.Grid(made_task())
    for fits, paid in ((1, 2), (2, 4), (9, 4)):
        problem = on_tables.Problem(grid, 20, 0, fits)
        steps = list(on_tables.random_search(problem))
        assert [step.cost for step in steps][-1] == paid
        assert {step.place for step in steps} <= {0, 1}
    for step in on_tables.top_k(on_tables.Problem(grid, 30, 0, 2)):
        assert step.cost <= 4


def test_a_block_says_where_auto_is_better_and_where_it_is_not_shown() -> None:
    few = [[1.0 + seed / 100] * 5 for seed in range(20)]
    row = {"table": "made", "fits": 5, "tasks": 1}
    rows = [
        {**row, "method": "kscale auto", "regret": few},
        {**row, "method": "in-budget random", "regret": [[v[0] + 1] * 5 for v in few]},
        {**row, "method": "one-epoch top-K", "regret": [v[:4] for v in few]},
    ]
    found = replayed.compared(rows)
    assert found["in-budget random", 16] == 1 and found["one-epoch top-K", 1] == 0
    assert ("one-epoch top-K", 16) not in found


def test_what_a_tuner_has_in_the_end_is_paid_where_it_is_kept() -> None:
    row = {"table": "made", "fits": 5, "tasks": 1}
    seeds = [[3.0, 1.0, 2.0, 1.0, 1.0], [3.0, 1.0, 2.0, 1.0, 1.0]]
    rows = [
        {**row, "method": "kscale auto", "regret": [*seeds, [3.0, 3.0, 3.0, 3.0, 2.0]]},
        {**row, "method": "KerasTuner Hyperband", "regret": [[4.0, 4, 4, 4, 1]] * 3},
        {**row, "method": "KerasTuner RandomSearch", "regret": [[4.0, 4, 4, 4, 4]] * 3},
    ]
    found = replayed.race(rows)
    assert (found.tuner, found.goal) == ("KerasTuner Hyperband", 1.0)
    assert found.costs == (16, 8) and found.ratio == 0.5  # not 2, which is not kept
    assert found.ratios == [0.5, 0.5, np.inf]
    assert replayed.race(rows[:1]) is None
    assert "a quarter in 0, half in 1, as much in 1" in replayed.markdown(rows)


def test_what_was_trained_before_costs_nothing_again() -> None:
    grid = on_tables.Grid(made_task())
    paid = on_tables._Paid(on_tables.Problem(grid, 20, 0, 2))
    costs = []
    for place, epochs in ((0, 1), (0, 2), (0, 2), (0, 1), (1, 2)):
        paid.pay(place, epochs)
        costs.append((paid.cost, paid.is_over, paid.has_all))
    assert [cost for cost, *_ in costs] == [1, 2, 2, 2, 4]
    assert costs[-1] == (4, False, True) and not costs[-2][2]
    steps = on_tables.keras_tuner_search(paid.problem, "RandomSearch", True)
    assert sorted({step.cost for step in steps}) == [2, 4]  # three names, two networks


def made_event(at: float, width: int, score: float, epochs: int, kind: str) -> dict:
    return {
        "at": at,
        "kind": kind,
        "knobs": {"width": width},
        "rate": 0.1,
        "score": score,
        "epochs": epochs,
    }


def test_finalists_outrank_whole_trainings_and_those_outrank_short_ones() -> None:
    found = [
        made_event(1, 1, 0.9, 1, "search"),
        made_event(2, 2, 0.5, 4, "search"),
        made_event(3, 3, 0.6, 4, "search"),
        made_event(4, 2, 0.4, 4, "finalist"),
        made_event(5, 3, 0.3, 4, "finalist"),
    ]
    row = {"found": found, "epochs": 4, "tool": "kscale", "seconds": 60.0}
    picks = live.picks(row)
    widths = [name.split(": ")[1][0] for _, name in picks]
    assert [at for at, _ in picks] == [1, 2, 3, 4] and widths == ["1", "2", "3", "2"]


def test_what_ends_after_the_time_counts_for_efforts_alone() -> None:
    found = [
        made_event(59, 1, 0.5, 4, "search"),
        made_event(61, 2, 0.6, 4, "finalist"),
    ]
    row = {"found": found, "epochs": 4, "seconds": 60.0}
    timed = live.picks({**row, "tool": "kscale"})
    assert [at for at, _ in timed] == [59]
    whole = live.picks({**row, "tool": "kscale, effort normal"})
    assert [at for at, _ in whole] == [59, 61]


def test_a_quality_is_reached_only_from_when_it_is_kept() -> None:
    curve = [(1.0, 50.0), (2.0, 90.0), (3.0, 80.0), (4.0, 95.0)]
    assert scoring.first_at(curve, 85.0) == 4.0
    assert scoring.first_at(curve, 80.0) == 2.0
    assert scoring.first_at(curve, 96.0) is None
