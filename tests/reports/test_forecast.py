"""A law answers what sizes that were not trained would reach, or says why not."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from made_runs import cnn, made_result, made_run

import kscale
from kscale.cli import main
from kscale.errors import DataError, LawError
from kscale.reports.forecast import Forecast, forecast
from kscale.runs.records import to_line

SIZES = (1000, 3000, 10_000, 30_000, 100_000, 300_000)


def error_of(size: float) -> float:
    """The error of the made law: 2 % and what falls with the root of the size."""
    return 0.02 + 3 * size**-0.5


LOSSES = {"params": SIZES, "loss": [error_of(size) for size in SIZES]}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("law") / "points.csv"
    rows = (f"{size},{100 - 100 * error_of(size)}\n" for size in SIZES)
    path.write_text("params,accuracy\n" + "".join(rows))
    return path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["forecast", *map(str, arguments)])


def test_a_size_is_answered_in_the_unit_of_the_table(table: Path) -> None:
    done = call(table, "--params", "1.2e6", "--json")
    found = json.loads(done.stdout)
    (answer,) = found["predictions"]
    truth = 100 - 100 * error_of(1_200_000)
    assert answer["params"] == 1_200_000
    assert answer["low"] <= answer["predicted"] <= answer["high"]
    assert answer["low"] - 0.1 < truth < answer["high"] + 0.1
    assert answer["predicted"] == pytest.approx(truth, abs=0.2)
    assert (found["of"]["name"], found["law"]["largest"]) == ("accuracy", 300_000)
    assert found["points"][0] == {
        "params": 1000,
        "value": pytest.approx(100 - 100 * error_of(1000)),
        "stderr": None,
        "seeds": 1,
    }


def test_a_loss_stays_a_loss() -> None:
    found = forecast(LOSSES, ["600k", 1_200_000])
    first, second = found.to_json()["predictions"]
    assert first["predicted"] == pytest.approx(error_of(600_000), rel=0.03)
    assert second["predicted"] < first["predicted"]
    assert not found.to_json()["of"]["higher_is_better"]


def test_sizes_stand_between_commas_or_are_repeated(table: Path) -> None:
    arguments = ("--params", "400k,500k", "--params", "1,000,000", "--json")
    found = json.loads(call(table, *arguments).stdout)
    sizes = [each["params"] for each in found["predictions"]]
    assert sizes == [400_000, 500_000, 1_000_000]


def test_without_a_question_one_two_and_four_times_the_largest_are_shown(
    table: Path,
) -> None:
    text = call(table).stdout
    assert "points.csv: law of 6 sizes from 1k to 300k params; 1 - accuracy: " in text
    assert all(f"{size:,}  " in text for size in (300_000, 600_000, 1_200_000))
    assert "Limit at any size: 9" in text


def test_the_size_of_a_score_is_told(table: Path) -> None:
    found = json.loads(call(table, "--score", "97.5%", "--json").stdout)["score"]
    truth = (3 / 0.005) ** 2
    assert found["score"] == 97.5
    assert found["low"] <= found["params"] == pytest.approx(truth, rel=0.3)
    assert found["high"] is None or found["high"] >= found["params"]
    assert "97.50 % accuracy takes " in call(table, "--score", "0.975").stdout


def test_doubling_is_of_the_best_size(table: Path) -> None:
    before, after = json.loads(call(table, "--double", "--json").stdout)["double"]
    assert (before["params"], after["params"]) == (300_000, 600_000)
    assert before["predicted"] < after["predicted"]
    assert "Doubling 300k params: from " in call(table, "--double").stdout


def test_beyond_four_times_only_on_demand(table: Path) -> None:
    refused = call(table, "--params", "20e6")
    assert refused.exit_code == 1 and refused.stderr.count("\n") == 1
    assert "20M params are 66.7 times the largest size trained, 300k" in refused.stderr
    assert "--beyond" in refused.stderr
    found = json.loads(call(table, "--params", "2e7", "--beyond", "--json").stdout)
    assert found["predictions"][0]["params"] == 20_000_000
    assert "Beyond 1.2M params" in found["notes"][-1]


def test_a_score_that_no_size_reaches_is_refused_with_the_limit(table: Path) -> None:
    done = call(table, "--score", "99.9%")
    assert done.exit_code == 1 and done.stderr.count("\n") == 1
    assert "No size reaches 99.90 % accuracy" in done.stderr
    assert "limit is 98." in done.stderr or "limit is 97.9" in done.stderr
    assert "90 % interval" in done.stderr


def test_a_score_that_only_far_sizes_reach_is_refused_without_beyond(
    table: Path,
) -> None:
    done = call(table, "--score", "97.85%")
    assert done.exit_code == 1
    assert "not reached within 4 times the largest size trained: 1.2M" in done.stderr
    assert json.loads(call(table, "--score", "97.85%", "--beyond", "--json").stdout)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--params", "0"), 2, "whole number of at least 1"),
        (("--params", "-5"), 2, "whole number of at least 1"),
        (("--params", "1e30"), 2, "more than can be counted"),
        (("--params", "many"), 2, "not a number"),
        (("--score", "much"), 1, "score: 'much' is not a number"),
        (("--score", "120"), 1, "no accuracy is above 100 %"),
        (("--params", "4k,x"), 2, "not a number"),
    ],
)
def test_a_bad_question_is_refused(
    table: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = call(table, *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert says in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("params,loss\n1e3,1\n1e3,1.1\n", "4 sizes"),
        ("params,loss\n1e3,1\n1001,1\n1002,1\n1003,1\n", "differ by a factor"),
        ("params,error\n1e3,0\n1e4,0\n1e5,0\n1e6,0\n", "All errors are 0"),
        ("params,error\n1e3,x\n", "line 2: error: 'x' is not a number"),
    ],
)
def test_points_without_a_law_are_refused_in_one_line(
    tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "p.csv").write_text(text)
    done = call(tmp_path / "p.csv")
    assert done.exit_code == 1 and done.stderr.count("\n") == 1
    assert says in done.stderr


def run_of(folder: Path, sizes: Sequence[int]) -> kscale.Run:
    """A run in which networks of some sizes were trained, as the made law has it."""
    (folder / "run.json").write_text(json.dumps(made_run()))
    records = [
        made_result(cnn(depth, 8), 1 - error_of(size), params=size)
        for depth, size in enumerate(sizes, start=1)
    ]
    lines = "".join(map(to_line, records))
    (folder / "results.jsonl").write_text(lines)
    return kscale.Run(folder)


def test_a_run_is_answered_in_shares_and_shown_in_per_cent(tmp_path: Path) -> None:
    run = run_of(tmp_path, SIZES[:4])
    found = run.forecast(60_000, double=True)
    (answer,) = found.to_json()["predictions"]
    assert answer["predicted"] == pytest.approx(1 - error_of(60_000), abs=0.003)
    before, _ = found.to_json()["double"]
    assert before["params"] == run.recommended().params
    assert (
        f"{100 * answer['predicted']:.2f} %" in call(tmp_path, "--params", "60k").stdout
    )


def test_a_run_of_few_sizes_has_no_law(tmp_path: Path) -> None:
    run = run_of(tmp_path, [1000])
    done = call(tmp_path)
    assert done.exit_code == 1 and done.stderr.count("\n") == 1
    assert "4 sizes" in done.stderr
    with pytest.raises(LawError):
        run.forecast()


def test_python_takes_what_the_command_takes(table: Path) -> None:
    found = kscale.forecast(table, "600k", score=0.97, double=True)
    assert isinstance(found, Forecast) and str(found) == found.to_text()
    assert found.reached is not None and math.isfinite(found.reached.size)
    with pytest.raises(DataError, match="params: 'many' is not"):
        kscale.forecast(table, ["many"])
