"""Lines and plain data on the user's present model beside a search."""

from collections.abc import Callable
from typing import Any

import pytest
from made_runs import (
    cnn,
    digits_results,
    made_run,
    made_test,
    reference,
    without_law,
)

from kscale.reports.html import report_html
from kscale.reports.plots import plot_data
from kscale.reports.present import best_of_that_size, compared, present_lines
from kscale.reports.rows import Report, make_report
from kscale.reports.run_tables import report_json, report_markdown, report_text
from kscale.runs.records import Evaluation, Record, Reference

ABOUT = {
    "name": "mine.keras",
    "params": 9000,
    "flops": 100_000,
    "unknown_flops": 0,
    "fed": "the raw inputs divided by 16",
    "raw_score": 0.31,
    "outputs": "probabilities",
}


def present(score: float, params: int, name: str = "present", **changes: Any) -> Any:
    return reference(name, score, params, **{"flops": 100_000, **changes})


def beside(*rows: Record, **about: Any) -> Report:
    run = {**made_run(), "baseline": {**ABOUT, **about}}
    return make_report(run, [*digits_results(), *rows])


def trained_anew() -> Reference:
    return present(0.94, 9000, "retrained", learning_rate=0.001, epochs=20)


def whole() -> Report:
    tested = present(0.91, 9000, part="test", examples=360)
    return beside(present(0.92, 9000), tested, trained_anew())


def test_text_beside_a_present_model(golden: Callable[[str], None]) -> None:
    golden(report_text(without_law(whole()), 100))


def test_markdown_has_the_same_lines() -> None:
    text = report_markdown(whole()).replace("\\", "")
    for name, line in present_lines(whole()):
        assert f"- **{name}**: {line}" in text


def test_only_what_is_smaller_and_clearly_better_is_called_so() -> None:
    labels = {
        (9000, 0.92): "smaller and better by",
        (9000, 0.97): "smaller by",
        (1000, 0.92): "against it",
        (1000, 0.99): "against it",
    }
    for (params, score), label in labels.items():
        assert label in dict(present_lines(beside(present(score, params))))


def test_a_difference_within_two_errors_may_be_chance() -> None:
    for score in (0.97, 0.945):
        lines = dict(present_lines(beside(present(score, 9000))))
        assert "not clearly" in lines["smaller by"]
        assert "on the 288 validation examples, which chose it" in lines["smaller by"]
    lines = dict(present_lines(whole()))
    assert "not clearly" not in lines["smaller and better by"]
    assert "chose" not in lines["present model, trained anew"]


def answered(wrong: range) -> dict[str, Any]:
    """What a test gives that answers some of 360 examples wrong."""
    right = [index not in wrong for index in range(360)]
    left_out = [(sum(right) - item) / 359 for item in right]
    return {"score": sum(right) / 360, "examples": 360, "left_out": left_out}


def on_the_same(mine: range, best: range, recommended: range) -> Report:
    """What the present model and the answers get wrong of the same examples."""
    trained = [r for r in digits_results() if not isinstance(r, Evaluation)]
    tests = [
        present(params=9000, part="test", **answered(mine)),
        made_test(cnn(4, 8), seed=12, **answered(best)),
        made_test(cnn(3, 8), seed=12, **answered(recommended)),
    ]
    records = [present(0.92, 9000), *trained, *tests]
    return make_report({**made_run(), "baseline": ABOUT}, records)


def test_on_the_same_test_examples_the_difference_is_paired() -> None:
    report = on_the_same(range(36), range(10), range(3, 17))
    lines = dict(present_lines(report))
    # Right where it is wrong on 22, the other way round on none: b + c + 1 = 23.
    stderr = 100 * (23 - 22**2 / 360) ** 0.5 / 360
    text = f"better by 6.1 ± {stderr:.1f} points on the same 360 test examples"
    assert text in lines["smaller and better by"]
    assert "better by 7.2 ± 1.4 points on" in lines["best against it"]
    found = report_json(report)["present"]["recommended"]
    assert found["test_gain"] == pytest.approx(22 / 360) and found["is_better"]
    assert found["test_gain_stderr"] == pytest.approx(stderr / 100, rel=0.01)
    assert "on the same 360 test examples" in report_html(report)


@pytest.mark.parametrize("wrong", [range(36), range(3, 37)])
def test_within_two_errors_of_the_pairs_it_is_not_called_better(
    wrong: range,
) -> None:
    """Although its score on the validation part is clearly better."""
    report = on_the_same(range(36), range(36), wrong)
    item = compared(report, report.recommended)
    assert item is not None and not item.is_better
    found = report_json(report)["present"]["recommended"]
    assert found["gain"] > 3 * found["gain_stderr"]
    text = dict(present_lines(report))["smaller by"]
    assert "not clearly better (by" in text
    assert "on the same 360 test examples" in text
    assert item.beside.is_paired and item.beside.stderr >= 1 / 360


def test_a_test_of_an_older_version_is_not_paired() -> None:
    item = compared(whole(), whole().recommended)
    assert item is not None and item.beside.part == "test"
    assert not item.beside.is_paired
    assert report_json(whole())["present"]["recommended"]["test_gain"] is None


def test_the_best_of_that_size_is_hardly_larger() -> None:
    for params, told in (
        (9000, ""),
        (2600, ""),
        (100, "looks there"),
        (1340, "Nothing of half its size"),
    ):
        report = beside(present(0.92, params))
        row = best_of_that_size(report)
        line = dict(present_lines(report))["what your size could reach"]
        assert told in line
        assert ("--max-params" in line) == bool(told)
        assert (row is None) == (params == 100)
        if row is not None:
            assert row.params <= 1.1 * params and row.family != "present"


def test_flops_are_not_compared_where_some_are_unknown() -> None:
    report = beside(present(0.92, 9000), unknown_flops=2)
    item = compared(report, report.recommended)
    assert item is not None and item.flops is None and item.params
    assert "FLOPs" not in dict(present_lines(report))["smaller and better by"]


def test_flops_of_which_some_are_unknown_are_at_least_so_many() -> None:
    for flops, shown, plain in ((100_000, "≥100k", 100_000), (0, "unknown", None)):
        row = present(0.92, 9000, flops=flops, unknown_flops=2)
        report = beside(row, unknown_flops=2)
        assert f" {shown} " in report_text(report, 200)
        found = report_json(report)["present"]
        assert (found["flops"], found["unknown_flops"]) == (plain, 2)


@pytest.mark.parametrize("family", ["present", "retrained"])
def test_it_is_no_answer_however_good_it_is(family: str) -> None:
    best = present(0.999, 700, family, learning_rate=0.001)
    report, alone = beside(present(0.9, 9000), best), beside()
    assert report.best == alone.best and report.recommended == alone.recommended
    assert [row.label for row in report.front] == [row.label for row in alone.front]


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
    note = next(
        note for note in map(str, whole().notes) if note.startswith("mine.keras")
    )
    assert "divided by 16 (with the raw inputs it scores 31.0 %)" in note
    assert "its scores are too high" in note


def test_where_it_is_doubted_nothing_is_said_to_be_better() -> None:
    report = beside(present(0.1, 9000), trained_anew(), doubt="no way makes it better")
    lines = dict(present_lines(report))
    assert lines["not compared"] == "no way makes it better"
    assert not any("better by" in text for text in (*lines, *lines.values()))
    found = report_json(report)["present"]
    assert found["doubt"] and not found["recommended"]["is_better"]
