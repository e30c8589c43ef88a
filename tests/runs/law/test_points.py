"""Points as people have them are read, or refused in one line that says where."""

import math
from pathlib import Path
from typing import Any

import pytest

from kscale.errors import DataError
from kscale.runs.law.points import Point, parse_sizes, points_of, read_points
from kscale.runs.law.quantities import Quantity


def written(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "points.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_table_of_losses_is_read_as_it_is(tmp_path: Path) -> None:
    text = "Params,seeds, Loss ,depth,note\n5e3,3,0.5,2,x\n\n, ,\n1k,,0.75,1,\n"
    points, quantity = read_points(written(tmp_path, text))
    assert points == (
        Point(1000, 0.75, depth=1),
        Point(5000, 0.5, seeds=3, depth=2),
    )
    assert (quantity.name, quantity.is_score) == ("Loss", False)


@pytest.mark.parametrize(
    "cell", ['"1,234,567"', "1_234_567", "1 234 567", "1234567.0", "1.234567M"]
)
def test_sizes_are_written_in_many_ways(tmp_path: Path, cell: str) -> None:
    points, _ = read_points(written(tmp_path, f"params,loss\n{cell},1\n"))
    assert points[0].size == 1_234_567


@pytest.mark.parametrize("column", ["Parameters (M)", "params (millions)"])
def test_a_column_may_say_in_what_its_sizes_are_counted(
    tmp_path: Path, column: str
) -> None:
    (tmp_path / "p.csv").write_text(f"{column},loss\n1.5,0.5\n800k,0.6\n")
    points, _ = read_points(tmp_path / "p.csv")
    assert [point.size for point in points] == [800_000, 1_500_000]


def test_the_marks_of_spreadsheets_are_understood(tmp_path: Path) -> None:
    path = written(tmp_path, "params;accuracy\r\n1000;91,5\r\n9000;97\r\n", "utf-8-sig")
    points, quantity = read_points(path)
    assert [point.error for point in points] == pytest.approx([0.085, 0.03])
    assert quantity.text(quantity.value(0.03)) == "97.00 %"


@pytest.mark.parametrize(
    ("cells", "whole"),
    [
        (("0.9,0.01", "0.95,0"), 1),
        (("90,1", "95,0"), 100),
        (("90%,1%", "95%,0%"), 100),
    ],
)
def test_scores_are_shares_or_per_cent(
    tmp_path: Path, cells: tuple[str, str], whole: int
) -> None:
    text = f"params,val_accuracy,stderr\n10,{cells[0]}\n20,{cells[1]}\n"
    points, quantity = read_points(written(tmp_path, text))
    assert [point.error for point in points] == pytest.approx([0.1, 0.05])
    assert [point.stderr for point in points] == [pytest.approx(0.01), None]
    assert quantity.interval(0.05, 0.1) == pytest.approx((0.9 * whole, 0.95 * whole))


@pytest.mark.parametrize(("name", "cell"), [("error", "0.352%"), ("err (%)", ".352")])
def test_errors_in_per_cent_are_shares_of_one(
    tmp_path: Path, name: str, cell: str
) -> None:
    path = written(tmp_path, f"params,{name},seed\n10,{cell},1\n")
    (point,), quantity = read_points(path)
    assert point.error == pytest.approx(0.00352)
    assert quantity.text(quantity.value(point.error)) == "0.352 %"
    assert quantity.error(quantity.parse("1%")) == pytest.approx(0.01)


def test_scores_of_less_than_1_per_cent_are_in_per_cent(tmp_path: Path) -> None:
    points, _ = read_points(written(tmp_path, "params,accuracy\n10,0.5%\n20,0.9%\n"))
    assert [point.error for point in points] == pytest.approx([0.995, 0.991])


def test_only_scores_that_may_be_negative_are_below_0() -> None:
    assert Quantity("accuracy", True).interval(0.5, 1.2) == (0, 0.5)
    _, r2 = points_of({"params": [10, 20], "r2": [-0.5, 0.1]})
    assert r2.value(1.5) == -0.5


def test_columns_that_name_or_number_trainings_may_differ() -> None:
    rows = [
        {"size": size, "loss": size**-0.5, "seed": seed, "run": f"{size}-{seed}"}
        for size in (10, 20)
        for seed in (1, 2)
    ]
    points, _ = points_of(
        [{**row, "note": "" if i else "x"} for i, row in enumerate(rows)]
    )
    assert [point.seeds for point in points] == [2, 2]


def test_rows_that_would_be_averaged_are_of_one_kind(tmp_path: Path) -> None:
    rows = "10,mnist,1\n10,cifar,2\n20,mnist,.5\n20,cifar,1\n"
    with pytest.raises(DataError, match=r"dataset has 2 values \(cifar, mnist\): keep"):
        read_points(written(tmp_path, "params,dataset,loss\n" + rows))


def test_unknown_figures_may_be_nan() -> None:
    columns = {"params": [10, 20], "loss": [1, 2], "stderr": [0.1, math.nan]}
    assert [point.stderr for point in points_of(columns)[0]] == [0.1, None]


@pytest.mark.parametrize("header", ["n_params", "total params", "Model Size", "size"])
def test_comments_stand_above_the_header(tmp_path: Path, header: str) -> None:
    text = f"# mine, of May\n\n#\n{header},loss\n10,1\n20,x\n"
    with pytest.raises(DataError, match="line 6: loss: 'x'"):
        read_points(written(tmp_path, text))
    points, _ = read_points(written(tmp_path, "# params;loss\n10;0,5\n"))
    assert points == (Point(10, 0.5),)


@pytest.mark.parametrize("text", ["1,5M", "1,5,20k", "4M, 5"])
def test_sizes_that_may_be_one_or_several_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="one size or several"):
        parse_sizes(text)


def test_rows_of_one_network_are_its_trainings() -> None:
    rows = [(10, 0.2), (10, 0.4), (30, 0.1)]
    points, _ = points_of(rows)
    assert points[0] == Point(10, pytest.approx(0.3), pytest.approx(0.1), 2)
    assert points[1] == Point(30, 0.1)
    columns = {"params": [10, 10], "error": [0.2, 0.4], "depth": [1, 2]}
    assert len(points_of(columns)[0]) == 2


def test_the_deviation_of_single_trainings_becomes_the_error_of_their_mean() -> None:
    points, _ = points_of([{"N": 10, "error": 0.2, "sd": 0.04, "seeds": 4}])
    assert points == (Point(10, 0.2, pytest.approx(0.02), 4),)


def test_points_of_a_program_are_points(tmp_path: Path) -> None:
    asked = (Point(10, 0.5, 0.1, 2, 1, 8, 100), Point(20, 0.25))
    assert points_of(asked)[0] == asked
    path = written(tmp_path, "params,error\n10,0.5\n")
    assert points_of(str(path)) == points_of([{"params": 10, "error": 0.5}])


BAD = {
    "no size": ("params,loss\n5,1\n,2\n", "line 3: params is empty"),
    "a word": ("params,loss\nmany,1\n", "line 2: params: 'many' is not a number"),
    "size 0": ("params,loss\n0,1\n", "line 2: params: a whole number of at least 1"),
    "half": ("params,loss\n1.5,1\n", "a whole number of at least 1"),
    "large": ("params,loss\n1e20,1\n", "more than can be counted"),
    "nan": ("params,loss\n\n5,nan\n", "line 3: loss: 'nan' is not a finite number"),
    "infinite": ("params,loss\n5,inf\n", "line 2: loss: 'inf' is not a finite"),
    "two": (
        "params,loss\n5,x\n6,y\n",
        "line 2: loss: 'x' is not a number. 1 more row is",
    ),
    "unclear": ('params,loss\n5,"53,812"\n', "may be 53812 or 53.812"),
    "a sign": ("params,acc\n5,60%\n6,.7\n", "line 3: '.7' beside '60%': write all"),
    "header": ("params,loss,loss\n5,1,2\n", "several columns are named loss"),
    "below": ("params,acc\n5,-1\n", "acc is -1, below 0"),
    "below 0": ("params,loss\n5,-1\n", "loss is -1, below 0"),
    "above": ("params,score\n5,101\n", "score is 101, above 100 %"),
    "stderr": ("params,loss,stderr\n5,1,-1\n", "line 2: stderr: '-1' is below 0"),
    "seeds": ("params,loss,seeds\n5,1,0\n", "line 2: seeds: a whole number"),
    "depth": ("params,loss,depth\n5,1,1.5\n", "depth: '1.5' is no whole number"),
    "cells": ("params,loss\n1,000,5\n", "line 2 has 3 cells and the header 2"),
    "no params": ("kB,loss\n5,1\n", "are kB, loss: rename one of them to params"),
    "no result": ("params,x\n5,1\n", "no column loss, error or accuracy"),
    "results": ("params,loss,acc\n5,1,1\n", "several results, loss, acc"),
    "twice": ("params,N,loss\n5,5,1\n", "several columns for one thing"),
    "empty": ("\n", "points.csv is empty"),
    "only a header": ("params,loss\n", "no row with numbers"),
    "control": ("params,loss\n5,\x1b[31m\n", "is not a number"),
}


@pytest.mark.parametrize(("text", "says"), BAD.values(), ids=BAD)
def test_a_bad_table_is_refused_in_one_line(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(DataError) as error:
        read_points(written(tmp_path, text))
    assert says in str(error.value) and str(error.value).isprintable()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (3, "a list of dicts"),
        ([3], "a pair of params and error, not 3"),
        ({"params": [1, 2], "loss": [1]}, "of one length"),
        ({"params": [1, 2], "loss": 1}, "not 1"),
        ("a" * 5000, "File name too long"),
        ([], "points has no row"),
        ([(10, None)], "row 1: error is empty"),
    ],
)
def test_points_of_a_program_are_refused_in_one_line(given: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        points_of(given)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "params,loss\n1,2\n", "utf-16")
    with pytest.raises(DataError, match="no text in UTF-8"):
        read_points(path)
    with pytest.raises(DataError, match="Is a directory"):
        read_points(tmp_path)
    with pytest.raises(DataError, match=r"no file .*Did you mean .*points\.csv"):
        read_points(tmp_path / "point.csv")


@pytest.mark.parametrize(
    ("quantity", "text", "value"),
    [
        (Quantity("accuracy", True), "95%", 0.95),
        (Quantity("accuracy", True), "95", 0.95),
        (Quantity("accuracy", True, 100), "0.95", 95.0),
        (Quantity("accuracy", True, 100), "95%", 95.0),
        (Quantity("error"), "5%", 0.05),
        (Quantity("error", whole=100), "5%", 5.0),
        (Quantity("loss", whole=100), "3.2", 3.2),
    ],
)
def test_a_value_is_asked_for_as_people_write_it(
    quantity: Quantity, text: str, value: float
) -> None:
    assert quantity.parse(text) == pytest.approx(value)


def test_impossible_values_are_refused() -> None:
    with pytest.raises(ValueError, match="above 100 %"):
        Quantity("accuracy", True).parse("101")
    with pytest.raises(ValueError, match="no loss is below 0"):
        Quantity("loss").parse("-1")
