"""Reports made from results written by hand."""

import math

import pytest
from made_runs import (
    IMAGES,
    TABLE,
    cnn,
    digits_results,
    linear,
    made_result,
    made_run,
    made_test,
    majority,
)

from kscale.errors import ResultsError
from kscale.networks.families import FAMILIES
from kscale.reports.cells import mark_lines
from kscale.reports.measures import wilson_interval
from kscale.reports.rows import Report, Row, make_report
from kscale.reports.run_tables import report_text
from kscale.runs.records import Reference


def digits_report(rank_by: str = "knee") -> Report:
    return make_report(made_run(), digits_results(), rank_by)


def found(report: Report, depth: int, width: int) -> Row:
    (row,) = (r for r in report.rows if (r.depth, r.width) == (depth, width))
    return row


def test_every_entry_has_one_row_and_failed_trainings_have_none() -> None:
    names = sorted((r.family, r.depth, r.width or 0) for r in digits_report().rows)
    assert names == [
        ("cnn", 1, 8),
        ("cnn", 2, 8),
        ("cnn", 2, 16),
        ("cnn", 3, 8),
        ("cnn", 4, 8),
        ("linear", 0, 0),
        ("majority", 0, 0),
    ]


def test_best_and_recommended_are_marked_and_named() -> None:
    report = digits_report()
    assert report.best is found(report, 4, 8)
    assert report.recommended is found(report, 3, 8)
    assert [row.is_best for row in report.rows].count(True) == 1
    assert [row.is_recommended for row in report.rows].count(True) == 1
    assert {row.depth for row in report.rows if row.is_tied} == {3, 4}


def test_the_front_comes_first_and_the_majority_is_never_on_it() -> None:
    report = digits_report("size")
    assert report.rows[: len(report.front)] == report.front
    assert [row.params for row in report.front] == sorted(
        row.params for row in report.front
    )
    assert [row.family for row in report.front] == ["cnn", "linear", *["cnn"] * 3]
    others = [row.score for row in report.rows[len(report.front) :]]
    assert others == sorted(others, reverse=True)


def test_the_knee_is_the_default_order() -> None:
    # 96.5 to 97.5 % is within one standard error (1.04 points), 93.0 is not
    report = digits_report()
    assert report.front[0] is found(report, 3, 8)


def test_a_row_says_what_was_measured() -> None:
    row = found(digits_report(), 4, 8)
    size = FAMILIES["cnn"].size(cnn(4, 8), IMAGES)
    assert (row.params, row.flops) == (size.params, size.flops)
    assert row.bytes == 4 * row.params
    assert row.score == pytest.approx(0.975)
    # .01 over examples; seeds vary by .005^2, over three of them
    assert row.stderr == pytest.approx(math.sqrt(0.01**2 + 0.005**2 / 3))
    assert (row.seeds, row.stage, row.epochs) == (3, "finalist", 20)
    assert row.density == pytest.approx(87.5 / (row.params / 1e6))


def test_the_gain_is_over_the_next_smaller_row_of_the_front() -> None:
    report = digits_report("score")
    best, middle = report.front[:2]
    doublings = math.log2(best.params / middle.params)
    assert best.gain == pytest.approx(1.0 / doublings)
    assert report.front[-1].gain is None
    assert all(row.gain is None for row in report.rows if not row.is_front)


def test_the_gain_of_nearly_equal_sizes_is_over_one_that_is_smaller_by_a_tenth() -> (
    None
):
    sizes = {1: 1000, 2: 2000, 3: 2020, 4: 2180}
    results = [
        made_result(cnn(depth, 8), 0.5 + depth / 10, params=params)
        for depth, params in sizes.items()
    ]
    report = make_report(made_run(), results, "size")
    none, *gains = [row.gain for row in report.front]
    assert none is None
    assert gains == [
        pytest.approx(100 * (depth - 1) / 10 / math.log2(sizes[depth] / 1000))
        for depth in (2, 3, 4)
    ]


def test_a_test_score_has_wilsons_interval_over_the_test_part() -> None:
    row = digits_report().best
    assert row is not None
    assert row.test_score == pytest.approx(0.96)
    assert (row.test_low, row.test_high) == wilson_interval(row.test_score, 360)
    assert found(digits_report(), 2, 8).test_score is None


def test_a_test_of_several_seeds_is_their_mean_and_a_repeated_one_the_last() -> None:
    results = digits_results()
    results += [
        made_test(cnn(4, 8), score, seed=seed)
        for seed, score in ((10, 0.90), (11, 0.94))
    ]
    best = make_report(made_run(), results).best
    assert best is not None
    assert best.test_score == pytest.approx(0.92)
    assert (best.test_low, best.test_high) == wilson_interval(best.test_score, 360)


def test_an_error_of_0_makes_no_interval() -> None:
    results = [*digits_results(), made_test(cnn(4, 8), 0.0, seed=11, stderr=0.0)]
    results = [item for item in results if getattr(item, "score", 1) != 0.96]
    best = make_report(made_run(objective="f1"), results).best
    assert best is not None and best.test_score == 0
    assert best.test_low is None


def test_a_row_over_the_budget_is_no_answer_and_not_on_the_front() -> None:
    run = made_run(budget={"max_params": 4000})
    report = make_report(run, digits_results())
    large = found(report, 4, 8)
    assert large.over_budget
    assert not (large.is_front or large.is_best or large.is_tied)
    assert report.best is found(report, 3, 8)


def test_chance_is_the_majority_row_and_density_needs_it() -> None:
    assert digits_report().chance == 0.1
    without = [r for r in digits_results() if not isinstance(r, Reference)]
    report = make_report(made_run(), without)
    assert report.chance is None
    assert all(row.density is None for row in report.rows)


def test_baselines_are_listed_the_smallest_first() -> None:
    assert [row.family for row in digits_report().baselines] == ["majority", "linear"]


def test_only_knobs_that_were_searched_or_set_are_shown() -> None:
    run = made_run(search=["dropout"], set={"norm": "none"})
    spec = cnn(2, 8, dropout=0.3, norm="none")
    (row,) = make_report(run, [made_result(spec, 0.9)]).rows
    assert dict(row.shown_knobs) == {"dropout": 0.3, "norm": "none"}


def test_costs_and_failures_are_added_up() -> None:
    report = digits_report()
    # the linear baseline, 6 of the search, 2 x 3 finalists; tests train nothing
    assert (report.trainings, report.training_seconds) == (13, 26.0)
    assert report.failures == (("out of memory", 1),)


def test_of_a_regression_the_lowest_error_is_best() -> None:
    run = made_run(TABLE)
    mlp = FAMILIES["mlp"]
    results = [
        majority(9.0, stderr=0.4),
        linear(4.0, task=TABLE, stderr=0.2),
        made_result(mlp.spec(depth=1, width=8), 3.5, task=TABLE, stderr=0.2),
        made_result(mlp.spec(depth=2, width=16), 3.0, task=TABLE, stderr=0.2),
        made_test(mlp.spec(depth=2, width=16), 3.2, stderr=0.2, examples=288),
    ]
    report = make_report(run, results)
    best = report.best
    assert best is not None
    assert (best.depth, best.score) == (2, 3.0)
    assert best.density is None
    assert best.net_score is None
    assert best.gain is not None
    assert best.gain > 0
    assert (best.test_low, best.test_high) == pytest.approx((2.808, 3.592))


def test_a_run_without_results_has_an_empty_report() -> None:
    report = make_report(made_run(), [])
    assert report.rows == report.front == ()
    assert report.best is report.recommended is None


def test_an_unknown_ranking_is_refused() -> None:
    with pytest.raises(ResultsError, match="Unknown ranking 'nee'"):
        make_report(made_run(), [], "nee")


@pytest.mark.parametrize(
    "change",
    [
        {"identity": None},
        {"task": {"inputs": [], "targets": []}},
        {"identity": {"objective": "beauty"}},
        {"identity": {"budget": {"max_parms": 3}}},
        {"data": 7},
    ],
)
def test_a_file_that_describes_no_run_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ResultsError, match="run.json does not describe a run"):
        make_report({**made_run(), **change}, digits_results())


def test_a_training_of_less_than_full_length_is_marked_and_no_answer() -> None:
    short = made_result(cnn(1, 16), 0.999, epochs=1, full_epochs=20)
    before, report = (
        digits_report(),
        make_report(made_run(), [*digits_results(), short]),
    )
    assert report.front == before.front and report.best == before.best
    assert report.recommended == before.recommended
    row = found(report, 1, 16)
    assert not (row.is_front or row.is_tied or row.is_full)
    text = report_text(report, 100, all_rows=True)
    assert any(line.split()[:4] == ["~", "cnn", "1", "16"] for line in text.split("\n"))
    assert "~ a shorter training than others had, so no answer" in text
    assert "~" not in report_text(before, 100, all_rows=True)
    assert not any("scored above the best" in note for note in map(str, report.notes))


def test_the_legend_says_what_the_best_is_the_best_of() -> None:
    asked = cnn(2, 8)
    settings = {**dict(asked.knobs), "learning_rate": 0.003}
    one = make_report(made_run(set=settings), [linear(0.95), made_result(asked, 0.9)])
    single = make_report(made_run(), [made_result(asked, 0.9)])
    words = {
        "the network that was asked for": one,
        "highest score in the budget": single,
        "highest score of the finalists": digits_report(),
    }
    for text, report in words.items():
        assert mark_lines(report, report.rows)[0] == f"* best: {text}"
    text = "> recommended: smallest finalist that is statistically tied with the best"
    assert mark_lines(digits_report(), digits_report().rows)[1] == text
