"""Tables of a report: their text, their numbers, and text of strangers in them."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from made_runs import (
    TABLE,
    cnn,
    digits_results,
    linear,
    made_result,
    made_run,
    majority,
    without_law,
)
from msgspec.structs import replace
from rich.console import Console

from kscale.networks.families import FAMILIES
from kscale.networks.families.base import Spec
from kscale.reports.rows import Report, make_report
from kscale.reports.run_tables import (
    report_csv,
    report_json,
    report_markdown,
    report_table,
    report_text,
)
from kscale.units import format_count


def digits_report() -> Report:
    return make_report(made_run(), digits_results())


def regression_report() -> Report:
    mlp = FAMILIES["mlp"]
    results = [majority(9.0, stderr=0.4), linear(4.0, task=TABLE, stderr=0.2)]
    results += [
        made_result(mlp.spec(depth=depth, width=16), score, task=TABLE, stderr=0.15)
        for depth, score in ((1, 3.5), (2, 3.0))
    ]
    run = made_run(TABLE, families=["mlp"], objective="rmse")
    return make_report({**run, "data": {"name": "wine", "validation": 36}}, results)


def test_text_of_a_report(golden: Callable[[str], None]) -> None:
    golden(report_text(without_law(digits_report()), 100))


def test_text_of_all_rows_in_a_narrow_terminal(golden: Callable[[str], None]) -> None:
    golden(report_text(without_law(digits_report()), 60, all_rows=True))


def test_text_of_a_regression(golden: Callable[[str], None]) -> None:
    golden(report_text(regression_report(), 100))


def test_markdown_of_a_report(golden: Callable[[str], None]) -> None:
    golden(report_markdown(without_law(digits_report())))


def test_text_of_a_run_without_results() -> None:
    text = report_text(make_report(made_run(), []), 100)
    assert "No training of the search has finished yet." in text
    assert "family" not in text


@pytest.mark.parametrize("width", [50, 60, 70, 80, 100, 140])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    for all_rows in (False, True):
        lines = report_text(digits_report(), width, all_rows).splitlines()
        assert max(map(len, lines)) <= width


def test_a_wide_terminal_shows_columns_that_a_narrow_one_leaves_out() -> None:
    assert "NetScore" in report_text(digits_report(), 140).split("\n\n")[1]
    assert "NetScore" not in report_text(digits_report(), 60).split("\n\n")[1]


def test_by_default_rows_off_the_front_are_left_out() -> None:
    run = made_run(search=["dropout"])
    results = [*digits_results(), made_result(cnn(2, 8, dropout=0.3), 0.5)]
    report = make_report(run, results)
    assert "50.0" not in report_text(report, 100)
    every = report_text(report, 100, all_rows=True)
    assert "50.0" in every
    assert "dropout" in every


def test_colour_is_only_given_where_it_is_asked_for() -> None:
    assert "\x1b[" not in report_text(digits_report(), 100)
    assert "\x1b[" in report_text(digits_report(), 100, colour=True)


def test_rich_prints_the_same_text() -> None:
    file = io.StringIO()
    Console(file=file, width=100).print(report_table(digits_report(), 100))
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert "\n".join(lines) + "\n" == report_text(digits_report(), 100)


def test_csv_has_raw_numbers_of_every_row() -> None:
    report = digits_report()
    rows = list(csv.DictReader(io.StringIO(report_csv(report))))
    assert len(rows) == len(report.rows)
    assert sum(int(row["params"]) for row in rows) == sum(
        row.params for row in report.rows
    )
    assert [float(row["score"]) for row in rows] == [row.score for row in report.rows]
    assert [row["is_best"] for row in rows].count("1") == 1
    assert rows[-1]["learning_rate"] == ""


def test_csv_gives_a_spreadsheet_no_formula() -> None:
    spec = Spec("cnn", (("activation", "=2+3"), ("depth", 2), ("width", -8)))
    result = made_result(cnn(2, 8), 0.9)
    evil = replace(result, spec=spec)
    (row,) = csv.DictReader(io.StringIO(report_csv(make_report(made_run(), [evil]))))
    assert row["activation"] == "'=2+3"
    assert row["width"] == "-8"


def test_json_has_best_and_recommended_under_their_own_keys() -> None:
    document = report_json(digits_report())
    again: dict[str, Any] = json.loads(json.dumps(document, allow_nan=False))
    assert again == document
    assert document["best"]["knobs"]["depth"] == 4
    assert document["recommended"]["knobs"]["depth"] == 3
    assert document["best"]["family"] == "cnn"
    assert isinstance(document["best"]["params"], int)
    assert document["best"] in document["front"]
    assert [row["params"] for row in document["front"]] == [
        row.params for row in digits_report().front
    ]


def test_json_has_the_score_of_each_seed() -> None:
    best = report_json(digits_report())["best"]
    seeds = best["by_seed"]
    assert [each["score"] for each in seeds] == [0.97, 0.975, 0.98]
    assert [each["test_score"] for each in seeds] == [0.96, None, None]
    assert [each["seed"] for each in seeds] == [10, 11, 12] and len(seeds) == best[
        "seeds"
    ]
    found = digits_report()
    assert found.best is not None and found.best.by_seed == seeds
    assert [len(row["by_seed"]) for row in report_json(found)["baselines"]] == [1, 1]


def test_json_of_a_run_without_results_has_the_same_keys() -> None:
    empty = report_json(make_report(made_run(), []))
    assert empty.keys() == report_json(digits_report()).keys()
    assert empty["best"] is None
    assert empty["rows"] == []


def test_text_of_strangers_is_shown_and_not_obeyed() -> None:
    run = {**made_run(), "data": {"name": "[red]a\x1b[2J|<b>\nnext", "validation": 9}}
    failed = made_result(
        cnn(2, 8), None, status="failed", reason="[bold]no\x1b]0;x\x07", seed=5
    )
    report = make_report(run, [*digits_results(), failed])
    text = report_text(report, 140)
    assert "[red]a?[2J|<b> next: accuracy" in text
    assert not set(text) & {"\x1b", "\x07"}
    markdown = report_markdown(report)
    assert "\\[red\\]a?\\[2J\\|\\<b\\> next" in markdown
    assert "\x1b" not in markdown


def test_flops_that_nobody_knows_are_no_0() -> None:
    some = made_result(cnn(2, 8), 0.8, unknown_flops=1)
    none = made_result(cnn(3, 8), 0.9, unknown_flops=2, flops=0)
    report = make_report(made_run(), [some, none])
    text = report_text(report, 200)
    assert f" ≥{format_count(some.flops)} " in text
    assert " unknown " in text
    assert [row.net_score for row in report.rows] == [None, None]
    rows = list(csv.DictReader(io.StringIO(report_csv(report))))
    found = {(row["flops"], row["unknown_flops"]) for row in rows}
    assert found == {(str(some.flops), "1"), ("", "2")}
    plain = report_json(report)["rows"]
    assert {row["flops"] for row in plain} == {some.flops, None}


def test_long_numbers_are_shown_with_four_digits_and_written_exactly() -> None:
    specs = [Spec("a:build", (("lr", lr),)) for lr in (0.004243343573868751, 0.001)]
    results = [made_result(spec, 0.9, params=9, learning_rate=0.0) for spec in specs]
    report = make_report(made_run(families=["a:build"]), results)
    text = report_text(report, 200, all_rows=True)
    assert "lr=0.004243: 9 params" in text
    assert "0.0042433" not in text
    assert "0.004243343573868751" in report_csv(report)
    assert report_json(report)["rows"][0]["knobs"]["lr"] == 0.004243343573868751
