"""What a plot shows, and that it is drawn without Matplotlib being needed before."""

import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from made_runs import TABLE, cnn, digits_results, linear, made_result, made_run

from kscale.errors import ResultsError
from kscale.reports.drawings import draw, log_ticks, round_ticks, spread
from kscale.reports.plots import PlotData, plot_data
from kscale.reports.rows import make_report


def digits_plot() -> PlotData:
    return plot_data(make_report(made_run(), digits_results()))


def test_every_row_with_weights_is_a_point_in_per_cent() -> None:
    points = digits_plot().points
    assert sorted(round(point.score, 1) for point in points) == [
        60.0,
        90.0,
        92.0,
        93.0,
        96.5,
        97.5,
    ]
    assert {point.kind for point in points} == {"front", "row"}


def test_the_front_is_a_step_line_that_ends_at_the_budget() -> None:
    step = digits_plot().line
    report = make_report(made_run(), digits_results(), "size")
    rows = report.front
    assert step[0] == (rows[0].params, 100 * rows[0].score)
    assert step[1] == (rows[1].params, 100 * rows[0].score)
    assert step[2] == (rows[1].params, 100 * rows[1].score)
    assert step[-1] == (20_000, 100 * rows[-1].score)
    assert len(step) == 2 * len(rows)


def test_what_is_not_in_the_picture_is_said() -> None:
    data = digits_plot()
    assert [level.label for level in data.levels] == ["linear 90.0"]
    assert data.outside == "not in the picture: majority 10.0"
    results = [*digits_results(), made_result(cnn(2, 12), 0.2)]
    outside = plot_data(make_report(made_run(), results)).outside
    assert outside == "not in the picture: majority 10.0, 1 row"


def test_answers_are_inside_the_ranges_drawn() -> None:
    data = digits_plot()
    assert [answer.kind for answer in data.answers] == ["best", "recommended"]
    for answer in data.answers:
        assert data.x_range[0] < answer.params < data.x_range[1]
        assert data.y_range[0] < answer.score < data.y_range[1]


def test_best_and_recommended_in_one_are_one_answer() -> None:
    results = [made_result(cnn(2, 8), 0.9), made_result(cnn(1, 8), 0.5)]
    (answer,) = plot_data(make_report(made_run(), results)).answers
    assert answer.label.startswith("best and recommended: cnn 2 x 8, ")


@pytest.mark.parametrize(
    ("budget", "limit"),
    [
        ({"max_params": 900}, 900),
        ({"max_bytes": 4000}, 1000),
        ({"max_params": 1200, "max_bytes": 4000}, 1000),
        ({"max_flops": 10}, None),
        ({}, None),
    ],
)
def test_the_budget_is_a_number_of_params(
    budget: dict[str, int], limit: int | None
) -> None:
    report = make_report(made_run(budget=budget), digits_results())
    assert [end for end, _ in plot_data(report).ends] == ([limit] if limit else [])


def test_errors_are_not_in_per_cent_and_say_that_lower_is_better() -> None:
    report = make_report(made_run(TABLE), [linear(4.0, task=TABLE, stderr=0.2)])
    data = plot_data(report)
    assert data.points[0].score == 4.0
    assert data.y_label == "root mean squared error, lower is better"


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_plot_is_written_in_the_form_of_its_suffix(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"front{suffix}"
    run = {**made_run(), "data": {"name": "a $x_ name", "validation": 3}}
    draw(plot_data(make_report(run, digits_results())), path)
    start = path.read_bytes()[:200]
    assert b"PNG" in start if suffix == ".png" else b"<?xml" in start


def test_nothing_cannot_be_plotted() -> None:
    with pytest.raises(ResultsError, match="nothing to plot"):
        plot_data(make_report(made_run(), []))


def test_a_single_row_of_any_score_can_be_plotted() -> None:
    for score in (0.0, 1.0, 0.5):
        report = make_report(made_run(), [made_result(cnn(1, 8), score, stderr=0.0)])
        low, high = plot_data(report).y_range
        assert low <= 100 * score <= high
        assert low < high


def test_labels_are_moved_apart_in_their_order() -> None:
    places = spread([5.0, 1.0, 1.05, 1.1], 1.0)
    assert places == pytest.approx([5.0, 1.0, 2.0, 3.0])


def test_importing_reports_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from kscale.reports import drawings, html, rows, run_tables, size_tables\n"
        "heavy = {'matplotlib', 'tensorflow', 'keras', 'scipy', 'sklearn'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 102.0), (57.3, 60.1), (-3.0, 0.002), (1e-6, 2e-6)]
)
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    ticks = round_ticks(low, high)
    assert 2 <= len(ticks) <= 8
    assert all(low <= tick <= high for tick in ticks)
    steps = {round((b - a) / (high - low), 6) for a, b in pairwise(ticks)}
    assert len(steps) == 1


@pytest.mark.parametrize(("low", "high"), [(1, 30), (100, 4e5), (600, 3e8)])
def test_ticks_of_params_are_inside_and_spread_over_the_range(
    low: float, high: float
) -> None:
    ticks = log_ticks(low, high)
    assert 3 <= len(ticks) <= 12
    assert math.log(ticks[-1] / ticks[0]) > 0.5 * math.log(high / low)
