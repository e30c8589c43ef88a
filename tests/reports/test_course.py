"""What a report says of the course of a search: rungs, compute, expectations."""

import json
from typing import Any

import pytest
from reports.made_runs import cnn, linear, made_result, made_run, majority

from kscale.networks.families.base import Spec
from kscale.reports.course import Course, Expectation, Octave, Step
from kscale.reports.course_tables import course_grids
from kscale.reports.html import report_html
from kscale.reports.rows import make_report
from kscale.reports.run_tables import report_json, report_markdown, report_text
from kscale.runs.records import Record
from kscale.search.contract import Belief, Beliefs


def rung(spec: Spec, score: float | None, begun: int, epochs: int) -> Record:
    more: dict[str, Any] = {"epochs_from": begun, "epochs": epochs}
    if score is None:
        more["status"] = "failed"
    return made_result(spec, score, full_epochs=18, seconds=epochs - begun, **more)


def halving() -> list[Record]:
    """Four networks for 2 epochs, of which one fails; two go on to 6, one to 18."""
    small, middle, large, broken = (cnn(depth, 8) for depth in (1, 2, 3, 4))
    return [
        majority(),
        linear(),
        rung(small, 0.5, 0, 2),
        rung(middle, 0.6, 0, 2),
        rung(large, 0.7, 0, 2),
        rung(broken, None, 0, 2),
        rung(middle, 0.7, 2, 6),
        rung(large, 0.8, 2, 6),
        rung(large, 0.9, 6, 18),
        *(
            made_result(large, score, "finalist", seed=seed, epochs=18, seconds=18.0)
            for seed, score in ((10, 0.88), (11, 0.92))
        ),
    ]


def test_rungs_say_what_went_on_what_was_dropped_and_what_each_took() -> None:
    course = make_report(made_run(), halving()).course
    assert course.steps[1:] == (
        Step(4, 8, 8.0, "search", 2, went_on=2, failed=1, dropped=1),
        Step(2, 8, 8.0, "search", 6, went_on=1, failed=0, dropped=1),
        Step(1, 12, 12.0, "search", 18, went_on=1, failed=0, dropped=0),
        Step(1, 36, 36.0, "finalist", 18, went_on=None, failed=0, dropped=None),
    )
    assert course.steps[0].stage == "baseline" and course.steps[0].tried == 1


def test_octaves_hold_compute_and_the_best_of_full_length_alone() -> None:
    octaves = make_report(made_run(), halving()).course.octaves
    assert octaves == (
        Octave(1, 2, 2.0, 128, 255, None),  # 194 params
        Octave(1, 6, 6.0, 1024, 2047, None),  # 1,490
        Octave(1, 54, 54.0, 2048, 4095, 0.92),  # 3,858
        Octave(1, 2, 2.0, 4096, 8191, None),  # 4,466
    )


def believed(**changes: Any) -> dict[str, Any]:
    belief = Belief(cnn(4, 12), 0.01, 10_000, 0.95, 0.02)
    beliefs = Beliefs((), (belief,), 0.01).to_json()
    beliefs["untried"][0] |= changes
    return {**made_run(), "beliefs": json.loads(json.dumps(beliefs))}


def test_expectations_stand_apart_from_scores_in_every_form() -> None:
    report = make_report(believed(), halving())
    expected = Expectation("cnn 4 x 12", 10_000, 0.95, 0.02)
    assert report.course.octaves[-1] == Octave(0, 0, 0.0, 8192, 16383, None, expected)
    row = ["8.19k to 16.4k", "0", "", "(95.0 ± 2.0)", "", "", ""]
    assert course_grids(report)[1].rows[-1] == row
    for text in (
        report_text(report, 100),
        report_markdown(report),
        report_html(report),
    ):
        assert "(95.0 ± 2.0)" in text and "a guess, and no score" in " ".join(
            text.split()
        )
    document = report_json(report)
    assert json.loads(json.dumps(document["course"])) == document["course"]
    assert document["course"]["octaves"][-1]["expected"]["deviation"] == 0.02
    assert all(row["score"] != 0.95 for row in document["rows"])


@pytest.mark.parametrize(
    "beliefs",
    [
        None,
        [],
        {"untried": 3},
        {"untried": [3, {}]},
        believed(score="much")["beliefs"],
        believed(score=1e999)["beliefs"],
        believed(spec=[])["beliefs"],
        believed(params=-1)["beliefs"],
    ],
)
def test_what_is_damaged_or_missing_is_no_expectation(beliefs: Any) -> None:
    report = make_report({**made_run(), "beliefs": beliefs}, halving())
    assert all(octave.expected is None for octave in report.course.octaves)
    assert "expected" not in report_text(report, 100)


def test_without_a_search_there_is_no_course() -> None:
    report = make_report(made_run(), [majority(), linear()])
    assert report.course == Course() and course_grids(report) == []
