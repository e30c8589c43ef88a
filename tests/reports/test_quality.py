"""What reports say of each target and class, in every form."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from made_runs import (
    IMAGES,
    TABLE,
    cnn,
    linear,
    made_result,
    made_run,
    made_test,
    majority,
)
from sklearn.metrics import precision_recall_fscore_support

from kscale.reports.confusion import Confusion, confusion_from
from kscale.reports.heat import confusion_svg
from kscale.reports.html import report_html
from kscale.reports.measures import wilson_interval
from kscale.reports.quality import mistakes_text, qualities_of, shown_classes
from kscale.reports.rows import Report, make_report
from kscale.reports.run_tables import (
    report_csv,
    report_json,
    report_markdown,
    report_text,
)
from kscale.runs.records import Evaluation
from kscale.task.tasks import Target, Task

ANIMAL = Target("animal", "classes", 3, ("cat", "dog", "emu"))
AGE = Target("age", "real", 1)
SPAM = Target("spam", "classes", 2, ("ham", "spam"))
ANIMALS = Task(IMAGES.inputs, (ANIMAL, AGE))
METRICS = {
    "animal/accuracy": 0.8,
    "animal/recall": 0.75,
    "animal/precision": 0.7,
    "animal/f1_score": 0.72,
    "animal/auc": 0.91,
    "age/r2_score": 0.6,
    "age/root_mean_squared_error": 2.5,
    "age/mean_absolute_error": 1.75,
}
COUNTS = [[0, 0, 40], [0, 1, 10], [1, 1, 35], [1, 0, 5], [2, 2, 5], [2, 0, 5]]


def on_test(spec: Any, score: float, **changes: Any) -> Evaluation:
    return made_test(spec, score, examples=100, **changes)


def two_targets() -> Report:
    """A search whose networks tell an animal and its age."""
    small, large = cnn(2, 8), cnn(3, 8)
    errors = dict.fromkeys(METRICS, 0.02)
    results = [
        majority(0.2, metrics=METRICS),
        linear(0.5, task=ANIMALS, metrics=METRICS),
        made_result(small, 0.692, task=ANIMALS, metrics=METRICS),
        made_result(large, 0.7, task=ANIMALS, metrics=METRICS),
        on_test(
            small,
            0.68,
            metrics=METRICS,
            metric_errors=errors,
            confusion={"animal": COUNTS},
        ),
        on_test(large, 0.7, metrics=METRICS, metric_errors=errors),
    ]
    run = made_run(ANIMALS, objective="mean")
    return make_report(run, results)


def binary(counts: list[list[int]], **metrics: float) -> Report:
    task = Task(IMAGES.inputs, (SPAM,))
    test = on_test(
        cnn(2, 8),
        0.9,
        metrics=metrics,
        metric_errors=dict.fromkeys(metrics, 0.0),
        confusion={"spam": counts},
    )
    results = [made_result(cnn(2, 8), 0.9, task=task), test]
    return make_report(made_run(task), results)


def test_text_of_two_targets(golden: Callable[[str], None]) -> None:
    golden(report_text(two_targets(), 100))


def test_markdown_of_two_targets(golden: Callable[[str], None]) -> None:
    golden(report_markdown(two_targets()))


@pytest.mark.parametrize("width", [50, 60, 80, 100, 140])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    assert max(map(len, report_text(two_targets(), width).splitlines())) <= width


def test_a_narrow_terminal_shows_no_matrix_and_no_intervals() -> None:
    narrow, wide = (report_text(two_targets(), width) for width in (50, 100))
    assert "cat  dog  emu" in wide and "(67.0 to 88.8)" in wide
    assert "cat  dog  emu" not in narrow and "(67.0 to 88.8)" not in narrow


def test_scores_of_classes_are_those_of_scikit_learn() -> None:
    pairs = [(w, g) for w, g, number in COUNTS for _ in range(number)]
    expected = precision_recall_fscore_support(*zip(*pairs, strict=True))
    found = confusion_from(ANIMAL, COUNTS).scores
    for index, score in enumerate(found):
        shares = [score.precision, score.recall, score.f1_score, score.support]
        assert shares == pytest.approx([column[index] for column in expected])
    assert found[0].recall_interval == wilson_interval(0.8, 50)


def test_a_class_without_examples_or_answers_has_no_such_score() -> None:
    score = confusion_from(ANIMAL, [[0, 1, 4]]).scores
    assert (score[0].precision, score[0].recall) == (None, 0.0)
    assert (score[1].recall, score[1].recall_interval) == (None, None)
    assert score[2].f1_score == 0.0


def many_classes() -> Confusion:
    """Forty classes, all but the first the worse the lower their number."""
    target = Target("y", "classes", 40)
    right = [[i, i, 10 + i if i else 900] for i in range(40)]
    wrong = [[i, (i + 1) % 40, 40 - i] for i in range(40)]
    return confusion_from(target, right + wrong)


def test_of_many_classes_the_worst_ten_and_the_largest_confusions_are_shown() -> None:
    confusion = many_classes()
    assert shown_classes(confusion) == list(range(1, 11))
    assert mistakes_text(confusion).endswith(
        "0 for 1 (40), 1 for 2 (39), 2 for 3 (38), 3 for 4 (37), 4 for 5 (36)"
    )


def test_csv_has_a_column_for_each_metric() -> None:
    rows = list(csv.DictReader(io.StringIO(report_csv(two_targets()))))
    by_family = {row["family"]: row for row in rows}
    for name, value in METRICS.items():
        assert float(by_family["majority"][name]) == value
        assert by_family["majority"][f"test_{name}"] == ""
        assert float(by_family["cnn"][f"test_{name}"]) == value


def test_json_has_metrics_and_confusions() -> None:
    document = json.loads(json.dumps(report_json(two_targets()), allow_nan=False))
    assert document["objective"]["targets"] == {"animal": "accuracy", "age": "r2_score"}
    assert document["recommended"]["test_metrics"] == METRICS
    animal, age = [
        item for item in document["quality"] if item["answer"] == "recommended"
    ]
    assert age["metrics"]["mean_absolute_error"]["low"] == pytest.approx(1.7108)
    assert animal["confusion"]["counts"] == COUNTS
    assert animal["confusion"]["classes"][1]["recall"] == 0.875


def test_the_page_has_a_heat_map_with_every_count() -> None:
    page = report_html(two_targets())
    assert page.count("<svg") == 2
    assert "cat taken for dog: 10 of 50" in page
    svg = confusion_svg(confusion_from(ANIMAL, COUNTS), "confusion")
    numbers = [
        element.text for element in ElementTree.fromstring(svg).findall("g/text")
    ]
    assert numbers == [str(examples) for *_, examples in COUNTS]


def test_names_of_strangers_are_only_text() -> None:
    evil = ("<script>", "[bold]\x1b[31m", "a|b")
    task = Task(IMAGES.inputs, (replace(ANIMAL, class_names=evil),))
    metrics = {"recall": 0.8}
    results = [
        made_result(cnn(2, 8), 0.9, task=task),
        on_test(cnn(2, 8), 0.9, metrics=metrics, confusion={"animal": COUNTS}),
    ]
    report = make_report(made_run(task), results)
    assert "<script>" not in report_html(report)
    text = report_text(report, 100)
    assert "\x1b" not in text and "[bold]?[31m" in text
    assert "a\\|b" in report_markdown(report)


def test_counts_of_a_damaged_line_that_are_no_class_are_left_out() -> None:
    assert confusion_from(ANIMAL, [[0, 7, 3], [9, 0, 1], [1, 1, 2]]).counts == (
        (1, 1, 2),
    )


def test_of_two_classes_recall_and_precision_are_counted_shares_of_the_second() -> None:
    """All five found: a jackknife would have given no interval at all."""
    report = binary([[0, 0, 94], [0, 1, 1], [1, 1, 5]], recall=1.0, f1_score=10 / 11)
    (quality,) = qualities_of(report)
    recall, f1 = quality.measures
    assert recall.ends == wilson_interval(1.0, 5)
    assert f1.ends is None
    assert "of class 'spam'" in report_text(report, 100)


def test_without_a_test_the_validation_part_speaks() -> None:
    results = [made_result(cnn(2, 8), 0.9, metrics={"accuracy": 0.9, "recall": 0.85})]
    text = report_text(make_report(made_run(), results), 100)
    assert "best and recommended on the validation part: recall 85.0 %;" in text


def test_results_of_older_versions_have_no_such_block() -> None:
    report = make_report(made_run(), [made_result(cnn(2, 8), 0.9)])
    assert qualities_of(report) == []
    assert "validation part" not in report_text(report, 100)


def test_a_regression_has_intervals_of_its_errors() -> None:
    metrics = {"root_mean_squared_error": 50.0, "r2_score": 0.5}
    spec = linear(task=TABLE).spec
    results = [
        made_result(spec, 55.0, task=TABLE),
        on_test(spec, 50.0, metrics=metrics, metric_errors={"r2_score": 0.1}),
    ]
    text = report_text(make_report(made_run(TABLE), results), 100)
    assert "R2 0.5 (0.304 to 0.696); 95 % intervals in brackets" in text
