"""Lines and plain data on the user's present model beside a search."""

from collections.abc import Callable
from typing import Any

import pytest
from made_runs import digits_results, made_result, made_run

from kscale.families.base import Spec
from kscale.reports.plots import plot_data
from kscale.reports.present import best_of_that_size, compared, present_lines
from kscale.reports.rows import Report, make_report
from kscale.reports.tables import report_json, report_markdown, report_text
from kscale.results import Result

ABOUT = {
    "name": "mine.keras",
    "params": 9000,
    "flops": 100_000,
    "unknown_flops": 0,
    "fed": "the raw inputs divided by 16",
    "raw_score": 0.31,
    "outputs": "probabilities",
}


def present(score: float, params: int, family: str = "present", **changes: Any) -> Any:
    size = {
        "params": params,
        "trainable": params,
        "flops": 100_000,
        "bytes": 4 * params,
    }
    stage = changes.pop("stage", "baseline")
    return made_result(Spec(family, ()), score, stage, **{**size, **changes})


def beside(*rows: Result, **about: Any) -> Report:
    run = {**made_run(), "baseline": {**ABOUT, **about}}
    return make_report(run, [*digits_results(), *rows])


def trained_anew() -> Result:
    return present(0.94, 9000, "retrained", learning_rate=0.001, epochs=20)


def whole() -> Report:
    tested = present(0.91, 9000, stage="test", examples=360)
    return beside(present(0.92, 9000), tested, trained_anew())


def test_text_beside_a_present_model(golden: Callable[[str], None]) -> None:
    golden(report_text(whole(), 100))


def test_markdown_has_the_same_lines() -> None:
    text = report_markdown(whole()).replace("\\", "")
    for name, line in present_lines(whole()):
        assert f"- **{name}**: {line}" in text


def test_only_what_is_smaller_and_clearly_better_is_called_so() -> None:
    labels = {
        (9000, 0.92): "smaller and better by",
        (9000, 0.97): "smaller by",
        (1000, 0.92): "better by",
        (1000, 0.99): "against it",
    }
    for (params, score), label in labels.items():
        assert label in dict(present_lines(beside(present(score, params))))


def test_a_difference_within_its_error_may_be_chance() -> None:
    lines = dict(present_lines(beside(present(0.97, 9000))))
    assert "which may be chance" in lines["smaller by"]
    assert "chance" not in dict(present_lines(whole()))["smaller and better by"]


def test_the_best_of_that_size_is_at_most_as_large() -> None:
    for params in (9000, 2600, 100):
        report = beside(present(0.92, params))
        row = best_of_that_size(report)
        if row is None:
            assert params == 100
            lines = dict(present_lines(report))
            assert (
                "nothing of at most 100 params" in lines["what your size could reach"]
            )
        else:
            assert row.params <= params and row.family != "present"


def test_flops_are_not_compared_where_some_are_unknown() -> None:
    report = beside(present(0.92, 9000), unknown_flops=2)
    item = compared(report, report.recommended)
    assert item is not None and item.flops is None and item.params
    assert "FLOPs" not in dict(present_lines(report))["smaller and better by"]


@pytest.mark.parametrize("family", ["present", "retrained"])
def test_it_is_no_answer_however_good_it_is(family: str) -> None:
    best = present(0.999, 700, family, learning_rate=0.001)
    report, alone = beside(present(0.9, 9000), best), beside()
    assert report.best == alone.best and report.recommended == alone.recommended
    assert [row.spec for row in report.front] == [row.spec for row in alone.front]


def test_over_the_budget_it_is_still_a_row() -> None:
    report = beside(present(0.92, 30_000))
    row = next(row for row in report.baselines if row.family == "present")
    assert row.over_budget
    assert report_json(report)["present"]["over_budget"]
    assert "yours: present, 30k params" in str(plot_data(report).answers)


def test_json_is_none_without_a_present_model() -> None:
    assert report_json(make_report(made_run(), digits_results()))["present"] is None
    found = report_json(whole())["present"]
    assert found.keys() >= {"name", "fed", "recommended", "same_size", "retrained"}
    assert found["recommended"].keys() == found["same_size"].keys()


def test_its_note_says_what_it_was_fed_and_what_its_score_may_owe() -> None:
    note = next(note for note in whole().notes if note.startswith("mine.keras"))
    assert "divided by 16 (with the raw inputs it scores 31.0 %)" in note
    assert "its scores are too high" in note
